import { dinode_ckhash_update } from '../../../ufs/dinode.js';
import { CG_MAGIC } from '../../disk/cg.js';
import { CK_CYLGRP, CK_INODE, cg_ckhash_update } from '../../disk/ckhash.js';
import { DINODE2_SIZE } from '../../disk/fs.js';
import type { Fs } from '../../disk/fs.js';

/**
 * Gives what is about to be written the check hashes that it must have: a group's block, or inodes. Told by the place
 * alone, so that no repair can forget it; these structures are always written whole.
 */
export function rehash(fs: Fs, bytes: Uint8Array, length: number, offset: number): void {
  const fsb = Math.floor(offset / fs.fs_fsize);
  const c = fs.dtog(fsb);
  if (!fs.ufs2 || c >= fs.fs_ncg) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (offset === fs.fsbtob(fs.cgtod(c))) {
    const whole = length >= fs.fs_cgsize && view.getUint32(4, fs.le) === CG_MAGIC;
    if (whole && (fs.ckhashes & CK_CYLGRP) !== 0) cg_ckhash_update(view, fs.fs_cgsize, fs.le);
    return;
  }
  const inodes = fs.fsbtob(fs.cgimin(c));
  const end = inodes + fs.fs_ipg * DINODE2_SIZE;
  if (
    (fs.ckhashes & CK_INODE) === 0 ||
    offset < inodes ||
    offset + length > end ||
    (offset - inodes) % DINODE2_SIZE !== 0
  ) {
    return;
  }
  for (let at = 0; at + DINODE2_SIZE <= length; at += DINODE2_SIZE) {
    if (view.getUint16(at, fs.le) !== 0) dinode_ckhash_update(view, at, fs.le);
  }
}
