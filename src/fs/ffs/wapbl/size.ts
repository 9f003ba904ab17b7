import type { Fs } from '../fs.js';

/** How large a journal is. Figures of NetBSD's sys/ufs/ufs/ufs_wapbl.h, but that large blocks need more than its least. */

/** Of the volume, one part in so many is its journal, between these sizes. */
const JOURNAL_SCALE = 1024;
const MIN_JOURNAL_BYTES = 1024 * 1024;
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** Blocks that one operation may change, beside what it frees. */
export const OPBLOCKS = 24;
/** Groups in which one operation may free blocks. */
export const OPGROUPS = 12;

/** Bytes of a journal that can hold what must be atomic on a volume with blocks of `bsize` bytes. */
export function wapbl_minimum(bsize: number): number {
  return (OPBLOCKS + OPGROUPS) * bsize + 64 * 1024;
}

/** The size of journal that suits a volume; bytes. */
export function wapbl_suitable(fs: Fs): number {
  const size = Math.min(Math.max((fs.fs_dsize * fs.fs_fsize) / JOURNAL_SCALE, MIN_JOURNAL_BYTES, wapbl_minimum(fs.fs_bsize)), MAX_JOURNAL_BYTES);
  return fs.blkroundup(size);
}
