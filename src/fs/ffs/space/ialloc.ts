import { E, errno } from '../../../kernel/errno.js';
import { S_IFDIR, S_IFMT } from '../../../kernel/stat.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Inode } from '../volume/inode.js';
import { hashgroup } from './alloc.js';
import type { Cg } from '../disk/cg.js';
import { cg_account_inodes, ffs_cgread } from './cgupdate.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { DINODE2_SIZE } from '../disk/fs_const.js';
import { BK_INODE, BK_NEW } from '../order/ordering.js';
import { WRITE } from '../volume/writestate.js';
import type { WriteState } from '../volume/writestate.js';

/** Allocation of inodes; policy after NetBSD's ffs_alloc.c (ffs_valloc, ffs_dirpref, ffs_nodealloccg). */

/** A 31-bit random number; the host is asked for them in lots. */
function random31(ump: FfsMount): number {
  const state = WRITE(ump);
  if (state.randomleft === 0) {
    ump.um_kernel.rumpuser.rumpuser_getrandom(new Uint8Array(state.random.buffer));
    state.randomleft = state.random.length;
  }
  return state.random[--state.randomleft]! & 0x7fffffff;
}

/** A first generation number: 1..2^30. */
function newgen(ump: FfsMount): number {
  return (random31(ump) >>> 1) + 1;
}

/** The group in which a directory should be made. */
function dirpref(state: WriteState, dp: Inode): number {
  const { i_fs: fs, i_ump: ump } = dp;
  const cs = ump.um_cs;
  const { fs_ncg: ncg, fs_ipg: ipg } = fs;
  const avgifree = Math.floor(fs.fs_cstotal.cs_nifree / ncg);
  const avgbfree = Math.floor(fs.fs_cstotal.cs_nbfree / ncg);
  const avgndir = Math.floor(fs.fs_cstotal.cs_ndir / ncg);
  if (dp.i_vnode.v_isroot) {
    // Directories of the first level are spread: any group with few directories and much room.
    const start = random31(ump) % ncg;
    let best = start;
    let fewest = ipg;
    for (let i = 0; i < ncg; i++) {
      const c = (start + i) % ncg;
      if (cs[4 * c]! < fewest && cs[4 * c + 2]! >= avgifree && cs[4 * c + 1]! >= avgbfree) {
        best = c;
        fewest = cs[4 * c]!;
      }
    }
    return best;
  }
  const maxndir = Math.min(avgndir + Math.floor(ipg / 16), ipg);
  const minifree = Math.max(1, avgifree - Math.floor(avgifree / 4));
  const minbfree = Math.max(1, avgbfree - Math.floor(avgbfree / 4));
  const cgsize = fs.fs_fsize * fs.fs_fpg;
  let dirsize = fs.fs_avgfilesize * fs.fs_avgfpdir;
  if (avgndir !== 0) dirsize = Math.max(dirsize, Math.floor((cgsize - avgbfree * fs.fs_bsize) / avgndir));
  let maxcontigdirs = cgsize < dirsize * 255 ? Math.floor((avgbfree * fs.fs_bsize) / dirsize) : 255;
  maxcontigdirs = Math.max(1, Math.min(maxcontigdirs, Math.floor(ipg / fs.fs_avgfpdir)));
  const own = fs.ino_to_cg(dp.i_number);
  for (let i = 0; i < ncg; i++) {
    const c = (own + i) % ncg;
    if (
      cs[4 * c]! < maxndir &&
      cs[4 * c + 2]! >= minifree &&
      cs[4 * c + 1]! >= minbfree &&
      state.contigdirs[c]! < maxcontigdirs
    ) {
      return c;
    }
  }
  for (let i = 0; i < ncg; i++) {
    const c = (own + i) % ncg;
    if (cs[4 * c + 2]! >= avgifree) return c;
  }
  return own;
}

/** The first free inode of a group at or behind `start`, then from the beginning; -1 if there is none. */
function freeinode(cg: Cg, ipg: number, start: number): number {
  const { bytes, cg_iusedoff } = cg;
  const nbytes = Math.ceil(ipg / 8);
  const first = start < ipg ? start >>> 3 : 0;
  for (let k = 0; k < nbytes; k++) {
    const at = first + k < nbytes ? first + k : first + k - nbytes;
    const map = bytes[cg_iusedoff + at]!;
    if (map === 0xff) continue;
    for (let bit = 0; bit < 8; bit++) {
      const i = at * 8 + bit;
      if (i < ipg && (map & (1 << bit)) === 0) return i;
    }
  }
  return -1;
}

/** Inode blocks that one file initialises: more come from damage, and no journal has room for any number of them. */
const MAXINIT = 4;

/** Fills an inode block from inode `first` of it on with inodes that were never used. */
function clearinodes(state: WriteState, ibp: Buf, first: number): void {
  const { ump } = state;
  const { fs_bsize, le } = ump.um_fs;
  const start = first * DINODE2_SIZE;
  ibp.b_data.fill(0, start);
  for (let at = start; at < fs_bsize; at += DINODE2_SIZE) ibp.b_view.setUint32(at + 80, newgen(ump), le);
  state.order.bdwrite(ibp, BK_NEW);
}

/**
 * UFS2: cg_initediblk counts whole blocks everywhere but on a damaged volume. There the block that it ends in is
 * read, for the inodes before it are in use, and the rest of it initialised.
 */
async function wholeinited(state: WriteState, bp: Buf, c: number): Promise<void> {
  const { ump } = state;
  const fs = ump.um_fs;
  const cg = bp.b_private as Cg;
  const got = ump.um_bufcache.bread(
    ump.um_dev,
    fs.fsbtob(fs.ino_to_fsba(c * fs.fs_ipg + cg.cg_initediblk)),
    fs.fs_bsize,
  );
  const ibp = got instanceof Promise ? await got : got;
  const first = cg.cg_initediblk % fs.fs_inopb;
  // Not if somebody else has done it meanwhile.
  if (first !== 0) {
    clearinodes(state, ibp, first);
    cg.cg_initediblk = Math.min(cg.cg_initediblk - first + fs.fs_inopb, fs.fs_ipg);
    state.order.initedcg(bp);
  }
  ump.um_bufcache.brelse(ibp);
}

/**
 * UFS2: writes inode blocks of the group until inode `i` lies in an initialised one. What lies beyond cg_initediblk
 * on the disk is garbage, and checkers do not look there.
 */
function initinodes(state: WriteState, bp: Buf, c: number, i: number): void {
  const { ump } = state;
  const fs = ump.um_fs;
  const cg = bp.b_private as Cg;
  if (i >= cg.cg_initediblk + MAXINIT * fs.fs_inopb) {
    throw state.damage(
      `cylinder group ${c}: inode ${i} is the next free one, but only ${cg.cg_initediblk} are initialised`,
    );
  }
  while (i >= cg.cg_initediblk && cg.cg_initediblk < fs.fs_ipg) {
    const from = cg.cg_initediblk;
    const ibp = ump.um_bufcache.getblk(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(c * fs.fs_ipg + from)), fs.fs_bsize);
    clearinodes(state, ibp, 0);
    ump.um_bufcache.brelse(ibp);
    cg.cg_initediblk = Math.min(from + fs.fs_inopb, fs.fs_ipg);
    state.order.initedcg(bp);
  }
}

/**
 * Allocates an inode for a new file of type and permissions `mode` in directory `dp`. Only the maps and counts change.
 * @returns the inode number
 * @throws ENOSPC
 */
export async function ffs_valloc(dp: Inode, mode: number): Promise<number> {
  const { i_ump: ump, i_fs: fs } = dp;
  const state = WRITE(ump);
  if (fs.fs_cstotal.cs_nifree <= 0) throw errno(E.ENOSPC);
  const isdir = (mode & S_IFMT) === S_IFDIR;
  const first = isdir ? dirpref(state, dp) : fs.ino_to_cg(dp.i_number);
  const contig = state.contigdirs[first]!;
  if (isdir && contig < 255) state.contigdirs[first] = contig + 1;
  else if (!isdir && contig > 0) state.contigdirs[first] = contig - 1;
  for (let i = 0, c = first; c >= 0; c = hashgroup(fs, first, ++i)) {
    if (ump.um_cs[4 * c + 2]! <= 0) continue;
    const got = ffs_cgread(ump, c);
    const bp = got instanceof Promise ? await got : got;
    try {
      const cg = bp.b_private as Cg;
      if (fs.ufs2 && cg.cg_initediblk % fs.fs_inopb !== 0) await wholeinited(state, bp, c);
      if (cg.cs_nifree <= 0) continue;
      // A hint behind the inodes that are initialised is damage that a checker does not see: inodes come from the
      // front.
      const hint = fs.ufs2 && cg.cg_irotor > cg.cg_initediblk ? 0 : cg.cg_irotor;
      const ino = freeinode(cg, fs.fs_ipg, isdir && i === 0 ? 0 : hint);
      if (ino < 0 || (c === 0 && ino < 2)) {
        throw state.damage(`cylinder group ${c}: cs_nifree is ${cg.cs_nifree} but the map has no free inode`);
      }
      if (fs.ufs2) initinodes(state, bp, c, ino);
      cg.cg_irotor = ino;
      cg.bytes[cg.cg_iusedoff + (ino >>> 3)]! |= 1 << (ino & 7);
      cg_account_inodes(state, bp, c, -1, isdir ? 1 : 0);
      return c * fs.fs_ipg + ino;
    } finally {
      ump.um_bufcache.brelse(bp);
    }
  }
  throw errno(E.ENOSPC);
}

/** Puts an inode back into the free map. Its inode block has been cleared. @throws EIO damage */
export async function ffs_freefile(ump: FfsMount, ino: number, mode: number): Promise<void> {
  const fs = ump.um_fs;
  const state = WRITE(ump);
  state.lostdata.delete(ino);
  const c = fs.ino_to_cg(ino);
  const got = ffs_cgread(ump, c);
  const bp = got instanceof Promise ? await got : got;
  try {
    const cg = bp.b_private as Cg;
    const i = ino % fs.fs_ipg;
    if (!cg.inosused(i)) throw state.damage(`cylinder group ${c}: inode ${ino} is freed but was free`);
    cg.bytes[cg.cg_iusedoff + (i >>> 3)]! &= ~(1 << (i & 7));
    if (i < cg.cg_irotor) cg.cg_irotor = i;
    cg_account_inodes(state, bp, c, 1, (mode & S_IFMT) === S_IFDIR ? -1 : 0);
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/** Clears the inode on its (buffered) block but for the generation number, which the next user of the inode needs. */
export async function ffs_clearinode(ump: FfsMount, ino: number): Promise<void> {
  const fs = ump.um_fs;
  const got = ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
  const bp = got instanceof Promise ? await got : got;
  const at = fs.ino_to_bo(ino);
  const gen = at + (fs.ufs2 ? 80 : 108);
  const keep = bp.b_view.getUint32(gen, fs.le);
  bp.b_data.fill(0, at, at + (fs.ufs2 ? 256 : 128));
  bp.b_view.setUint32(gen, keep, fs.le);
  const { order, kept } = WRITE(ump);
  order.bdwrite(bp, BK_INODE, at, at + DINODE2_SIZE);
  kept?.copied(ino);
  ump.um_bufcache.brelse(bp);
}

/**
 * The generation for a new file in inode `ino`: one more than the last file's.
 * @throws EIO if the inode is in use though the map had it free: damage
 */
export function nextgen(ump: FfsMount, view: DataView, ino: number): number {
  const fs = ump.um_fs;
  const at = fs.ino_to_bo(ino);
  const mode = view.getUint16(at, fs.le);
  if (mode !== 0) throw WRITE(ump).damage(`inode ${ino} is free in its group's map but has mode 0${mode.toString(8)}`);
  const gen = view.getUint32(at + (fs.ufs2 ? 80 : 108), fs.le);
  return gen === 0 || gen >= 0x7fffffff ? newgen(ump) : gen + 1;
}
