/**
 * newfs: makes an empty exFAT volume on a block device. What lies where is in layout.ts; this writes it. Zeros are
 * written only
 * where there are none, so that a large volume on a sparse image stays sparse.
 */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { BOOT_REGION_SECTORS, FIRST_CLUSTER, boot_region } from '../disk/boot.js';
import { ENTRY_BYTES, T_LABEL, table_checksum } from '../disk/entry.js';
import { upcase_default, upcase_encode } from '../disk/upcase.js';
import { bits_set } from '../../lib/bits.js';
import { CHAIN_END } from '../space/fat.js';
import { bitmap_entry, guid_entry, label_entry, upcase_entry } from './entries.js';
import type { Layout, LayoutOptions } from './layout.js';
import { exfat_layout } from './layout.js';

const PIECE_BYTES = 1 << 20;

export interface NewfsOptions extends Omit<LayoutOptions, 'sectorSize' | 'serial'> {
  /** Default: that of the device, or 512. */
  readonly sectorSize?: number | undefined;
  /** Default: random. */
  readonly serial?: number | undefined;
  /** Default: none. */
  readonly label?: string | undefined;
  /** 16 bytes. Default: none. */
  readonly guid?: Uint8Array | undefined;
  /** Bytes of the device to use. Default: all. */
  readonly size?: number | undefined;
}

/** Makes the range zero, writing only where it is not. */
async function zero(dev: BlockDevice, from: number, to: number): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = from; at < to; at += piece.length) {
    const n = Math.min(piece.length, to - at);
    await dev.read(piece, 0, n, at);
    if (!piece.subarray(0, n).some((byte) => byte !== 0)) continue;
    piece.fill(0);
    await dev.write(piece, 0, n, at);
  }
}

/** The first cells of the FAT: two that are none, then the chains of bitmap, up-case table and root. */
function first_cells({ bitmapClusters, upcaseClusters }: Layout): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * (FIRST_CLUSTER + bitmapClusters + upcaseClusters + 1)));
  view.setUint32(0, 0xffff_fff8, true);
  view.setUint32(4, CHAIN_END, true);
  let cluster = FIRST_CLUSTER;
  for (const count of [bitmapClusters, upcaseClusters, 1]) {
    for (let i = 0; i < count; i++, cluster++) {
      view.setUint32(4 * cluster, i === count - 1 ? CHAIN_END : cluster + 1, true);
    }
  }
  return new Uint8Array(view.buffer);
}

function root_entries(layout: Layout, upcase: Uint8Array, options: NewfsOptions): Uint8Array {
  const label = options.label ?? '';
  const first = label_entry(label);
  // Without a label its place is kept for one.
  if (label === '') first[0] = T_LABEL & 0x7f;
  const { bitmapClusters, bitmapBytes } = layout;
  const entries = [
    first,
    bitmap_entry(0, FIRST_CLUSTER, bitmapBytes),
    upcase_entry(table_checksum(upcase), FIRST_CLUSTER + bitmapClusters, upcase.length),
    ...(options.guid === undefined ? [] : [guid_entry(options.guid)]),
  ];
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  entries.forEach((entry, i) => bytes.set(entry, i * ENTRY_BYTES));
  return bytes;
}

/** @throws EINVAL ENOSPC EIO EROFS */
export async function newfs(dev: BlockDevice, options: NewfsOptions = {}): Promise<Layout> {
  const upcase = upcase_encode(upcase_default());
  const sectorSize = options.sectorSize ?? Math.min(4096, Math.max(512, dev.sector_bytes));
  const layout = exfat_layout(options.size ?? dev.size_bytes, upcase.length, {
    ...options, sectorSize, serial: options.serial ?? Math.floor(Math.random() * 2 ** 32),
  });
  const { boot, clusterBytes, bitmapBytes, bitmapClusters, upcaseClusters } = layout;
  const root = root_entries(layout, upcase, options);
  const heapAt = boot.ClusterHeapOffset * sectorSize;
  const used = bitmapClusters + upcaseClusters + 1;
  // What was there before is no volume any more, whatever becomes of this.
  await zero(dev, 0, heapAt + used * clusterBytes);
  const cells = first_cells(layout);
  await dev.write(cells, 0, cells.length, boot.FatOffset * sectorSize);
  const bits = new Uint8Array(Math.min(bitmapBytes, Math.ceil(used / 8)));
  bits_set(bits, 0, used);
  await dev.write(bits, 0, bits.length, heapAt);
  await dev.write(upcase, 0, upcase.length, heapAt + bitmapClusters * clusterBytes);
  await dev.write(root, 0, root.length, heapAt + (bitmapClusters + upcaseClusters) * clusterBytes);
  await dev.flush();
  const region = boot_region(boot);
  await dev.write(region, 0, region.length, BOOT_REGION_SECTORS * sectorSize);
  await dev.write(region, 0, region.length, 0);
  await dev.flush();
  return layout;
}

/** Takes the volume off the device again: there is no boot region any more. @throws EIO */
export async function unmake(dev: BlockDevice, { boot }: Layout): Promise<void> {
  await zero(dev, 0, 2 * BOOT_REGION_SECTORS * 2 ** boot.BytesPerSectorShift);
  await dev.flush();
}
