import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { S_IFMT, S_IFREG } from '../../../kernel/stat.js';
import { Vnode } from '../../../kernel/vfs/vnode.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { UFS_NDADDR, dinode_load, dinode_store } from '../../ufs/dinode.js';
import { put64 } from '../../lib/endian.js';
import { Inode } from '../volume/inode.js';
import { ufs_bmaprun } from '../../ufs/bmap.js';
import { ffs_allocblks } from '../space/alloc.js';
import type { Cg } from '../disk/cg.js';
import { ffs_cgread } from '../space/cgupdate.js';
import { BK_INODE, BK_NEW } from '../order/ordering.js';
import type { FfsMount } from '../volume/ffsmount.js';
import type { Fs } from '../disk/fs.js';
import { ffs_freefile, ffs_valloc, nextgen } from '../space/ialloc.js';
import { transact } from '../order/changes.js';
import type { Ordering } from '../order/ordering.js';
import type { BlockRun } from '../space/subr.js';
import { findrun } from '../space/subr.js';
import { WRITE } from '../volume/writestate.js';
import {
  UFS_WAPBL_JOURNALLOC_END_PARTITION,
  UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM,
  UFS_WAPBL_VERSION,
  WAPBL_MAX_BYTES,
} from './header.js';
import type { WapblPlace } from './header.js';
import { wapbl_minimum, wapbl_suitable } from './size.js';

/**
 * Making a journal inside the file system: an inode without a name, flagged SF_LOG, whose blocks lie in one piece
 * behind its indirect blocks. The search is that of NetBSD's sys/ufs/ffs/ffs_wapbl.c.
 */

/** st_flags of the journal's inode (NetBSD sys/sys/stat.h). */
export const SF_LOG = 0x00400000;

/** An inode in memory that no vnode table knows: for inodes without a name. */
function namelessinode(ump: FfsMount, ino: number): Inode {
  return new Inode(ump, new Vnode(ump.um_mountp, ino), ino);
}

/** Loads an inode as it is on its (buffered) block. @throws EIO */
export async function loadnameless(ump: FfsMount, ino: number): Promise<Inode> {
  const { um_fs: fs, um_bufcache } = ump;
  const ip = namelessinode(ump, ino);
  const bp = await um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
  dinode_load(ip, bp.b_view, fs.ino_to_bo(ino), ump.um_dinofmt);
  um_bufcache.brelse(bp);
  return ip;
}

/**
 * Indirect blocks of a file of `blocks` blocks: single; root of the double; those below it. Larger journals do not
 * exist.
 */
function indirects(fs: Fs, blocks: number): number {
  const rest = blocks - UFS_NDADDR;
  if (rest <= 0) return 0;
  return rest <= fs.fs_nindir ? 1 : 2 + Math.ceil((rest - fs.fs_nindir) / fs.fs_nindir);
}

/** The longest free run, up to `want` blocks, in the groups from the middle of the volume outwards. */
async function longestrun(ump: FfsMount, want: number): Promise<{ fsb: number; blocks: number }> {
  const fs = ump.um_fs;
  const best = { fsb: 0, blocks: 0 };
  const run: BlockRun = { start: 0, length: 0 };
  const middle = Math.floor(fs.fs_ncg / 2);
  for (let i = 0; i < 2 * fs.fs_ncg && best.blocks < want; i++) {
    const c = i % 2 === 0 ? middle + i / 2 : middle - (i + 1) / 2;
    if (c < 0 || c >= fs.fs_ncg || ump.um_cs[4 * c + 1]! <= best.blocks) continue;
    const bp = await ffs_cgread(ump, c);
    findrun(fs, bp.b_private as Cg, 0, want, run);
    ump.um_bufcache.brelse(bp);
    if (run.length <= best.blocks) continue;
    best.fsb = fs.cgbase(c) + (run.start << fs.fs_fragshift);
    best.blocks = run.length;
  }
  return best;
}

/** Enters the pointers of a file whose indirect blocks begin at frag `meta` and whose data begin at `data`. */
function setpointers(ip: Inode, order: Ordering, meta: number, data: number, blocks: number): void {
  const { i_ump: ump, i_fs: fs } = ip;
  let lbn = 0;
  let next = meta;
  const frag = (): number => data + fs.fs_frag * lbn++;
  const indirect = (count: number, pointer: () => number): number => {
    const at = next;
    next += fs.fs_frag;
    const bp = ump.um_bufcache.getblk(ump.um_dev, fs.fsbtob(at), fs.fs_bsize);
    bp.b_data.fill(0);
    for (let i = 0; i < count; i++) {
      if (fs.ufs2) put64(bp.b_view, 8 * i, pointer(), fs.le);
      else bp.b_view.setInt32(4 * i, pointer(), fs.le);
    }
    order.bdwrite(bp, BK_NEW);
    ump.um_bufcache.brelse(bp);
    return at;
  };
  const leaf = (): number => indirect(Math.min(fs.fs_nindir, blocks - lbn), frag);
  for (let i = 0; i < UFS_NDADDR && lbn < blocks; i++) ip.i_db[i] = frag();
  if (lbn < blocks) ip.i_ib[0] = leaf();
  if (lbn < blocks) ip.i_ib[1] = indirect(Math.ceil((blocks - lbn) / fs.fs_nindir), leaf);
}

/**
 * Allocates a journal, by ordered writes, and enters its place into the superblock in memory. Its blocks hold what they
 * held before.
 * @param bytes the size asked for; 0: what suits the volume, or less where that is not free in one piece
 * @throws ENOSPC no free piece is large enough; EINVAL a size that cannot be
 */
export async function wapbl_create(ump: FfsMount, bytes: number, le: boolean): Promise<WapblPlace> {
  const { um_fs: fs, um_dev: dev } = ump;
  const state = WRITE(ump);
  const { order } = state;
  const least = wapbl_minimum(fs);
  if (bytes !== 0 && (bytes < least || bytes > WAPBL_MAX_BYTES)) {
    throw errno(E.EINVAL, `a journal of this volume has ${least}..${WAPBL_MAX_BYTES} bytes, not ${bytes}`);
  }
  const want = Math.ceil((bytes === 0 ? wapbl_suitable(fs) : bytes) / fs.fs_bsize);
  const enough = bytes === 0 ? Math.max(Math.ceil(want / 4), Math.ceil(least / fs.fs_bsize)) : want;
  const place = await transact(ump, async () => {
    const found = await longestrun(ump, want + indirects(fs, want));
    let blocks = Math.min(want, found.blocks);
    while (blocks > 0 && blocks + indirects(fs, blocks) > found.blocks) blocks--;
    if (blocks < enough) {
      throw errno(
        E.ENOSPC,
        `no place for a journal: it needs ${enough * fs.fs_bsize} bytes in one piece, and the largest free piece has ` +
          `${found.blocks * fs.fs_bsize}`,
      );
    }
    const all = (indirects(fs, blocks) + blocks) * fs.fs_bsize;
    if (ump.um_mountp.mnt_dev?.hasspare(all) === false) {
      throw errno(E.ENOSPC, `no room for a journal of ${all} bytes where ${ump.um_mountp.mnt_mntfromname} is kept`);
    }
    const ino = await ffs_valloc(namelessinode(ump, UFS_ROOTINO), S_IFREG);
    const ip = namelessinode(ump, ino);
    try {
      const meta = indirects(fs, blocks);
      // The place was seen to be free, and nothing has waited since but for reads.
      const extent = await ffs_allocblks(ip, found.fsb, meta + blocks, KERNEL_CONTEXT);
      if (extent.fsb !== found.fsb || extent.blks !== meta + blocks) {
        throw state.damage(`blocks at frag ${found.fsb} are free and cannot be allocated`);
      }
      const data = found.fsb + meta * fs.fs_frag;
      setpointers(ip, order, found.fsb, data, blocks);
      await storeinode(ip, order, blocks * fs.fs_bsize);
      const blksize = Math.min(dev.sector_bytes, fs.fs_fsize);
      return { le, start: fs.fsbtob(data), bytes: blocks * fs.fs_bsize, blksize, ino };
    } catch (error) {
      await ffs_freefile(ump, ino, S_IFREG);
      throw error;
    }
  });
  try {
    await order.flush(true);
  } catch (error) {
    // Half of it may be on the disk, which a checker must see.
    state.broken = true;
    throw error;
  }
  wapbl_setplace(fs, UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM, place);
  return place;
}

async function storeinode(ip: Inode, order: Ordering, size: number): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const bp = await ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.ino_to_fsba(ip.i_number)), fs.fs_bsize);
  try {
    const now = ump.um_kernel.now();
    ip.i_gen = nextgen(ump, bp.b_view, ip.i_number);
    ip.i_mode = S_IFREG;
    ip.i_nlink = 1;
    ip.i_flags = SF_LOG;
    ip.i_size = size;
    ip.i_atime = ip.i_mtime = ip.i_ctime = now.sec;
    ip.i_atimensec = ip.i_mtimensec = ip.i_ctimensec = now.nsec;
    if (fs.ufs2) {
      ip.i_birthtime = now.sec;
      ip.i_birthnsec = now.nsec;
    }
    dinode_store(ip, bp.b_view, fs.ino_to_bo(ip.i_number), ump.um_dinofmt);
    order.bdwrite(bp, BK_INODE);
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/** A 64-bit field of the journal's byte order in a superblock of the volume's. */
function journalloc(fs: Fs, value: number, le: boolean): bigint {
  let v = BigInt(value);
  if (le === fs.le) return v;
  let swapped = 0n;
  for (let i = 0; i < 8; i++) {
    swapped = (swapped << 8n) | (v & 0xffn);
    v >>= 8n;
  }
  return swapped;
}

/** Enters the journal's place into the superblock in memory; null: there is none. */
export function wapbl_setplace(fs: Fs, location: number, place: WapblPlace | null): void {
  fs.fs_journal_version = place === null ? 0 : UFS_WAPBL_VERSION;
  fs.fs_journal_location = location;
  fs.fs_journal_flags = 0;
  const values =
    place === null
      ? [0, 0, 0, 0]
      : [place.start / place.blksize, place.bytes / place.blksize, place.blksize, place.ino];
  values.forEach((value, i) => (fs.fs_journallocs[i] = journalloc(fs, value, place?.le ?? fs.le)));
  fs.fs_fmod = 1;
}

/**
 * Why nothing may be written where the superblock says that the journal is: a stale or damaged locator would let a
 * commit overwrite files. undefined: it is ours.
 */
export async function wapbl_unfit(ump: FfsMount, place: WapblPlace): Promise<string | undefined> {
  const fs = ump.um_fs;
  const { blksize, start, bytes, ino } = place;
  if (bytes > WAPBL_MAX_BYTES) return `its ${bytes} bytes are more than ${WAPBL_MAX_BYTES}`;
  if (bytes < wapbl_minimum(fs)) {
    return `its ${bytes} bytes are too few for this volume: at least ${wapbl_minimum(fs)} are needed`;
  }
  if (fs.fs_fsize % blksize !== 0) return `its blocks of ${blksize} bytes do not fit fragments of ${fs.fs_fsize} bytes`;
  if (fs.fs_journal_location === UFS_WAPBL_JOURNALLOC_END_PARTITION) {
    return start >= fs.fs_size * fs.fs_fsize ? undefined : `it begins at ${start}, inside the file system`;
  }
  if (!(ino > UFS_ROOTINO && ino < fs.ninodes)) return `its inode ${ino} does not exist`;
  const ip = await loadnameless(ump, ino);
  if ((ip.i_mode & S_IFMT) !== S_IFREG || (ip.i_flags & SF_LOG) === 0 || ip.i_size < bytes) {
    return `inode ${ino} is no journal of ${bytes} bytes`;
  }
  const blocks = Math.ceil(bytes / fs.fs_bsize);
  for (let lbn = 0; lbn < blocks; ) {
    const run = await ufs_bmaprun(ip, lbn, blocks - lbn);
    if (run.fsb * fs.fs_fsize !== start + lbn * fs.fs_bsize) {
      return `block ${lbn} of inode ${ino} is not where the superblock has the journal`;
    }
    lbn += run.blocks;
  }
  return undefined;
}
