/** Volume descriptors (ECMA-119 8; Joliet specification; ISO 9660:1999 8.5; High Sierra). */
import { isonum_723, isonum_733 } from './iso.js';

export const VD_BOOT = 0;
export const VD_PRIMARY = 1;
export const VD_SUPPLEMENTARY = 2;
export const VD_END = 255;

/** Where the same fields lie in the two formats; offsets from the start of the descriptor. */
interface Layout {
  readonly type: number;
  readonly id: number;
  readonly version: number;
  readonly volume_id: number;
  readonly space_size: number;
  readonly escapes: number;
  readonly set_size: number;
  readonly sequence: number;
  readonly block_size: number;
  readonly root: number;
  /** Texts and their lengths: who is named, 128 bytes each. */
  readonly volume_set_id: number;
  readonly publisher_id: number;
  readonly preparer_id: number;
  readonly application_id: number;
  readonly creation: number;
}

const ISO: Layout = {
  type: 0,
  id: 1,
  version: 6,
  volume_id: 40,
  space_size: 80,
  escapes: 88,
  set_size: 120,
  sequence: 124,
  block_size: 128,
  root: 156,
  volume_set_id: 190,
  publisher_id: 318,
  preparer_id: 446,
  application_id: 574,
  creation: 813,
};
/** High Sierra has the number of its sector in front, two more path tables, and shorter dates. */
const HIGH_SIERRA: Layout = {
  type: 8,
  id: 9,
  version: 14,
  volume_id: 48,
  space_size: 88,
  escapes: 96,
  set_size: 128,
  sequence: 132,
  block_size: 136,
  root: 180,
  volume_set_id: 214,
  publisher_id: 342,
  preparer_id: 470,
  application_id: 598,
  creation: 790,
};

export type DescriptorKind = 'primary' | 'joliet' | 'enhanced' | 'supplementary' | 'boot' | 'end' | 'other';

export interface VolumeDescriptor {
  readonly kind: DescriptorKind;
  readonly high_sierra: boolean;
  /** The sector, where the descriptor lies. Bytes of the device. */
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly layout: Layout;
}

function ascii(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** The three levels of UCS-2 that Joliet knows. */
function jolietLevel(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== 0x25 || bytes[at + 1] !== 0x2f) return 0;
  return ['@', 'C', 'E'].indexOf(String.fromCharCode(bytes[at + 2]!)) + 1;
}

/** undefined for a sector that is no descriptor. */
export function voldesc_parse(bytes: Uint8Array, at: number): VolumeDescriptor | undefined {
  const high_sierra = ascii(bytes, HIGH_SIERRA.id, 5) === 'CDROM';
  if (!high_sierra && ascii(bytes, ISO.id, 5) !== 'CD001') return undefined;
  const layout = high_sierra ? HIGH_SIERRA : ISO;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { kind: kindOf(bytes, layout), high_sierra, at, bytes, view, layout };
}

function kindOf(bytes: Uint8Array, layout: Layout): DescriptorKind {
  switch (bytes[layout.type]) {
    case VD_BOOT:
      return 'boot';
    case VD_PRIMARY:
      return 'primary';
    case VD_END:
      return 'end';
    case VD_SUPPLEMENTARY:
      if (bytes[layout.version] === 2) return 'enhanced';
      return jolietLevel(bytes, layout.escapes) > 0 ? 'joliet' : 'supplementary';
    default:
      return 'other';
  }
}

/** What a primary or supplementary descriptor says of its tree. */
export interface VolumeFields {
  /** Bytes. */
  readonly block_size: number;
  /** Logical blocks. */
  readonly space_size: number;
  /** Where the record of the root directory begins in the descriptor. */
  readonly root: number;
}

export function voldesc_fields(vd: VolumeDescriptor): VolumeFields {
  const { layout, view } = vd;
  return {
    block_size: isonum_723(view, layout.block_size),
    space_size: isonum_733(view, layout.space_size),
    root: layout.root,
  };
}

/** Texts of a descriptor as people read them: without padding; '' for none. */
export interface VolumeTexts {
  readonly system: string;
  readonly volume: string;
  readonly volume_set: string;
  readonly publisher: string;
  readonly preparer: string;
  readonly application: string;
}

export function voldesc_texts(vd: VolumeDescriptor): VolumeTexts {
  const { bytes, layout, kind } = vd;
  const encoding = kind === 'joliet' ? 'utf-16be' : 'utf-8';
  const text = (at: number, length: number) => {
    const taken = bytes.subarray(at, at + length - (kind === 'joliet' ? length % 2 : 0));
    return new TextDecoder(encoding).decode(taken).replace(/[\0 ]+$/, '');
  };
  return {
    system: text(layout.volume_id - 32, 32),
    volume: text(layout.volume_id, 32),
    volume_set: text(layout.volume_set_id, 128),
    publisher: text(layout.publisher_id, 128),
    preparer: text(layout.preparer_id, 128),
    application: text(layout.application_id, 128),
  };
}
