/**
 * Writes which blocks a file has, anew: as extents or as a map of block numbers. For files that a tool makes or moves;
 * what the inode had before is not looked at.
 */
import { E, errno } from '../../../../kernel/errno.js';
import {
  EXT_INIT_MAX_LEN,
  ee_put,
  eh_put,
  eh_room,
  ei_put,
  extent_seal,
} from '../../disk/extent.js';
import { I_BLOCK_BYTES } from '../../disk/dinode.js';
import type { Ext2fs } from '../../disk/superblock.js';

/** Blocks of a file that follow each other. */
export interface FileRun {
  readonly lbn: number;
  readonly start: number;
  readonly length: number;
  readonly unwritten?: boolean;
}

/** Where the blocks of the map itself come from, and who writes them. */
export interface MapStore {
  readonly fs: Ext2fs;
  /** A block for the map. @throws ENOSPC */
  balloc(): Promise<number> | number;
  bwrite(block: number, bytes: Uint8Array): Promise<void>;
}

const NDADDR = 12;
const NIADDR = 3;

/**
 * Makes `i_block` of an inode lead to `runs`, which are in order.
 * @param seed of the inode's checksums; undefined: the volume keeps none
 * @returns blocks that the map takes itself
 * @throws EFBIG a map of block numbers cannot hold so many; ENOSPC
 */
export async function put_extents(
  store: MapStore, i_block: DataView, runs: readonly FileRun[], seed: number | undefined,
): Promise<number> {
  const { bsize } = store.fs;
  let row: { lbn: number; put: (view: DataView, i: number) => void }[] = [];
  for (const { lbn, start, length, unwritten } of runs) {
    const most = unwritten === true ? EXT_INIT_MAX_LEN - 1 : EXT_INIT_MAX_LEN;
    for (let done = 0; done < length; done += most) {
      const n = Math.min(most, length - done);
      const from = done;
      row.push({
        lbn: lbn + from,
        put: (view, i) =>
          ee_put(view, 0, i, lbn + from, unwritten === true ? n + EXT_INIT_MAX_LEN : n, start + from),
      });
    }
  }
  const root = eh_room(I_BLOCK_BYTES);
  const room = eh_room(bsize);
  let depth = 0;
  let taken = 0;
  // Each level has fewer nodes than the one below by a factor of 84 at least.
  for (; row.length > root; depth++) {
    const above: typeof row = [];
    for (let i = 0; i < row.length; i += room) {
      const part = row.slice(i, i + room);
      const bytes = new Uint8Array(bsize);
      const view = new DataView(bytes.buffer);
      eh_put(view, 0, part.length, room, depth);
      part.forEach(({ put }, k) => put(view, k));
      if (seed !== undefined) extent_seal(seed, bytes, view);
      const block = await store.balloc();
      taken++;
      await store.bwrite(block, bytes);
      const { lbn } = part[0]!;
      above.push({ lbn, put: (v, k) => ei_put(v, 0, k, lbn, block) });
    }
    row = above;
  }
  new Uint8Array(i_block.buffer, i_block.byteOffset, I_BLOCK_BYTES).fill(0);
  eh_put(i_block, 0, row.length, root, depth);
  row.forEach(({ put }, k) => put(i_block, k));
  return taken;
}

/** As {@link put_extents}, as block numbers of 32 bits in the inode and in blocks of such. */
export async function put_pointers(store: MapStore, i_block: DataView, runs: readonly FileRun[]): Promise<number> {
  const { bsize } = store.fs;
  const nindir = bsize / 4;
  new Uint8Array(i_block.buffer, i_block.byteOffset, I_BLOCK_BYTES).fill(0);
  let taken = 0;
  const all = new Map<number, number>();
  for (const { lbn, start, length } of runs) for (let i = 0; i < length; i++) all.set(lbn + i, start + i);
  /** The blocks of one level of the tree, by where they stand in it; from the leaves up. */
  let span = 1;
  let base = NDADDR;
  for (let lbn = 0; lbn < NDADDR; lbn++) i_block.setUint32(4 * lbn, all.get(lbn) ?? 0, true);
  for (const lbn of [...all.keys()]) if (lbn < NDADDR) all.delete(lbn);
  for (let level = 0; level < NIADDR && all.size > 0; level++) {
    span *= nindir;
    let below = new Map<number, number>();
    for (const [lbn, block] of all)
      if (lbn - base < span) {
        below.set(lbn - base, block);
        all.delete(lbn);
      }
    base += span;
    for (let step = 0; step <= level; step++) {
      const above = new Map<number, Map<number, number>>();
      for (const [place, block] of below) {
        const parent = Math.floor(place / nindir);
        let children = above.get(parent);
        if (children === undefined) above.set(parent, (children = new Map()));
        children.set(place % nindir, block);
      }
      below = new Map();
      for (const [place, children] of above) {
        const view = new DataView(new ArrayBuffer(bsize));
        for (const [i, block] of children) view.setUint32(4 * i, block, true);
        const block = await store.balloc();
        taken++;
        await store.bwrite(block, new Uint8Array(view.buffer));
        below.set(place, block);
      }
    }
    i_block.setUint32(4 * (NDADDR + level), below.get(0) ?? 0, true);
  }
  if (all.size > 0) throw errno(E.EFBIG, 'a file without extents cannot be so large');
  return taken;
}

