import type { BlockDevice } from '../../../kernel/blkdev.js';
import { DIRENT_BYTES, clusterOffset, validCluster } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import { ATTR_DIRECTORY, ATTR_VOLUME, D, SLOT_DELETED, SLOT_EMPTY, isLong } from '../disk/direntry.js';
import { shortName } from '../dir/parse.js';
import { getCell } from '../space/fat.js';

/** The ranges of the root directory on the device, at most 65,536 entries of it; bytes. */
export async function* rootRanges(dev: BlockDevice, g: Geometry): AsyncGenerator<{ offset: number; length: number }> {
  if (g.type !== 32) {
    yield { offset: g.rootOffset, length: g.rootBytes };
    return;
  }
  const cell = new Uint8Array(4);
  const view = new DataView(cell.buffer);
  const most = Math.ceil((65536 * DIRENT_BYTES) / g.clusterBytes);
  for (let c = g.rootCluster, n = 0; validCluster(g, c) && n < most; n++) {
    yield { offset: clusterOffset(g, c), length: g.clusterBytes };
    await dev.read(cell, 0, 4, g.fatOffset + Math.max(0, g.activeFat) * g.fatBytes + c * 4);
    c = getCell(view, 32, 0, 0);
  }
}

export interface RootLabel {
  /** 11 bytes; undefined: there is no label. */
  readonly label: string | undefined;
  /** Where its entry is, bytes. */
  readonly offset: number | undefined;
  /** Where one could be put: a free entry, and whether the directory ends with it. */
  readonly free: number | undefined;
  readonly freeIsEnd: boolean;
}

/** Looks for the volume label in the root directory. @throws EIO */
export async function findLabel(dev: BlockDevice, g: Geometry): Promise<RootLabel> {
  let free: number | undefined;
  for await (const { offset, length } of rootRanges(dev, g)) {
    const bytes = new Uint8Array(length);
    await dev.read(bytes, 0, length, offset);
    for (let at = 0; at < length; at += DIRENT_BYTES) {
      if (bytes[at] === SLOT_EMPTY) {
        return { label: undefined, offset: undefined, free: free ?? offset + at, freeIsEnd: free === undefined };
      }
      if (bytes[at] === SLOT_DELETED) free ??= offset + at;
      else if (!isLong(bytes, at) && (bytes[at + D.attr]! & (ATTR_VOLUME | ATTR_DIRECTORY)) === ATTR_VOLUME) {
        return { label: shortName(bytes, at), offset: offset + at, free, freeIsEnd: false };
      }
    }
  }
  return { label: undefined, offset: undefined, free, freeIsEnd: false };
}
