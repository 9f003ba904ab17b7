/** Entries that only the root directory has, made. */
import { E, errno } from '../../../kernel/errno.js';
import {
  ENTRY_BYTES, F_CHECKSUM, LABEL_UNITS_MAX, S_DATA_LENGTH, S_FIRST_CLUSTER, T_BITMAP, T_GUID, T_LABEL, T_UPCASE,
  U_CHECKSUM, put_length, set_checksum,
} from '../disk/entry.js';

function entry(type: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(ENTRY_BYTES);
  bytes[0] = type;
  return { bytes, view: new DataView(bytes.buffer) };
}

/** @throws EINVAL it is too long */
export function label_entry(label: string): Uint8Array {
  if (label.length > LABEL_UNITS_MAX) {
    throw errno(E.EINVAL, `the label has ${label.length} characters, at most ${LABEL_UNITS_MAX} fit`);
  }
  const { bytes, view } = entry(T_LABEL);
  bytes[1] = label.length;
  for (let i = 0; i < label.length; i++) view.setUint16(2 + 2 * i, label.charCodeAt(i), true);
  return bytes;
}

export function bitmap_entry(which: number, first: number, length: number): Uint8Array {
  const { bytes, view } = entry(T_BITMAP);
  bytes[1] = which;
  view.setUint32(S_FIRST_CLUSTER, first, true);
  put_length(view, S_DATA_LENGTH, length);
  return bytes;
}

export function upcase_entry(checksum: number, first: number, length: number): Uint8Array {
  const { bytes, view } = entry(T_UPCASE);
  view.setUint32(U_CHECKSUM, checksum, true);
  view.setUint32(S_FIRST_CLUSTER, first, true);
  put_length(view, S_DATA_LENGTH, length);
  return bytes;
}

/** `guid`: 16 bytes, not all zero. */
export function guid_entry(guid: Uint8Array): Uint8Array {
  if (guid.every((byte) => byte === 0)) throw errno(E.EINVAL, 'a GUID of zeros is none');
  const { bytes, view } = entry(T_GUID);
  bytes.set(guid, 6);
  view.setUint16(F_CHECKSUM, set_checksum(bytes, 0, 1), true);
  return bytes;
}
