import type { Fs } from './fs.js';

/** The summary area at fs_csaddr: struct csum for each group. Source: NetBSD sys/ufs/ffs/fs.h. */

/**
 * Decodes `bytes` (at least 16 * fs_ncg) into `into`, four numbers a group: cs_ndir, cs_nbfree, cs_nifree, cs_nffree.
 */
export function csum_load(fs: Fs, bytes: Uint8Array, into: Int32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < 4 * fs.fs_ncg; i++) into[i] = view.getInt32(4 * i, fs.le);
}

/** Encodes the summary of group `c` at its place in the area. */
export function csum_store(fs: Fs, cs: Int32Array, c: number, view: DataView, at: number): void {
  for (let i = 0; i < 4; i++) view.setInt32(at + 4 * i, cs[4 * c + i]!, fs.le);
}
