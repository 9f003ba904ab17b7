import type { Fs } from '../disk/fs.js';

/**
 * How large a journal is. Figures of NetBSD's sys/ufs/ufs/ufs_wapbl.h, but that large blocks need more than its least.
 */

/**
 * Of the volume, one part in so many is its journal (of NetBSD's one in 1024), between these sizes: a larger one is
 * committed less often.
 */
const JOURNAL_SCALE = 64;
const MIN_JOURNAL_BYTES = 1024 * 1024;
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/**
 * Blocks that one operation may change, beside what it frees: the path of indirect blocks to a new block (3), blocks of
 * directories (a rename: 3), inode blocks (4, and one that is initialised), and groups that are allocated from.
 */
const OPBLOCKS = 16;
/** Groups in which one operation may free blocks. */
export const OPGROUPS = 12;
/** Indirect blocks out of which one operation may take pointers. */
export const OPINDIRECTS = 8;

/** The most that one operation adds to a transaction; bytes. */
export function wapbl_oproom(fs: Fs): number {
  const summaries = Math.min(OPGROUPS, Math.ceil(fs.fs_cssize / fs.fs_bsize));
  return (OPBLOCKS + summaries) * fs.fs_bsize + Math.min(OPGROUPS, fs.fs_ncg) * fs.cgbytes;
}

/** Bytes of a journal that can hold what must be atomic on a volume. */
export function wapbl_minimum(fs: Fs): number {
  return Math.max(wapbl_oproom(fs), 36 * fs.fs_bsize) + 64 * 1024;
}

/** The size of journal that suits a volume; bytes. */
export function wapbl_suitable(fs: Fs): number {
  const size = Math.min(
    Math.max((fs.fs_dsize * fs.fs_fsize) / JOURNAL_SCALE, MIN_JOURNAL_BYTES, wapbl_minimum(fs)),
    MAX_JOURNAL_BYTES,
  );
  return fs.blkroundup(size);
}
