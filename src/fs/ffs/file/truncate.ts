import type { Context } from '../../../kernel/context.js';
import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import { E, errno, errnoOf } from '../../../kernel/errno.js';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../kernel/stat.js';
import { UFS_NDADDR, UFS_NIADDR } from '../../ufs/dinode.js';
import { IN_CHANGE, IN_UPDATE } from '../../ufs/inode.js';
import type { Inode } from '../volume/inode.js';
import { ffs_ensureblock, ffs_growtail, ffs_zero } from './balloc.js';
import { cuttree, ffs_row, freetree } from './indir.js';
import { release, touchmeta } from '../order/changes.js';
import { WRITE } from '../volume/writestate.js';

/** Changes of a file's length, and holes. All run inside a transaction of the caller. */

/**
 * Sets the size of a file (or directory, downwards to whole blocks). Growth leaves a hole, but the last block is
 * allocated: the format wants it so.
 * @throws EFBIG ENOSPC EIO; the size is then as before
 */
export async function ffs_truncate(ip: Inode, length: number, ctx: Context): Promise<void> {
  if (length > ip.i_ump.um_maxfilesize) throw errno(E.EFBIG);
  if (length > ip.i_size) await extend(ip, length, ctx);
  else if (length < ip.i_size) await ffs_shrink(ip, length);
  touchmeta(ip, IN_CHANGE | IN_UPDATE);
}

async function extend(ip: Inode, length: number, ctx: Context): Promise<void> {
  const osize = ip.i_size;
  try {
    await ffs_growtail(ip, length, ctx, length, length);
    await ffs_ensureblock(ip, ip.i_fs.lblkno(length - 1), length, ctx);
    ip.i_size = length;
  } catch (error) {
    await ffs_shrink(ip, osize);
    throw error;
  } finally {
    touchmeta(ip, 0);
  }
}

/** Makes a file shorter, or, with its own size, takes back what an extension that failed has left behind its end. */
export async function ffs_shrink(ip: Inode, length: number): Promise<void> {
  const { i_fs: fs } = ip;
  const osize = ip.i_size;
  const offset = fs.blkoff(length);
  const last = fs.lblkno(length);
  let tail = 0;
  let tailfrags = 0;
  if (offset !== 0) {
    // What is left of the last block behind the new end must read as zeros when the file grows again.
    const row = await ffs_row(ip, last, null);
    if (row !== null) {
      const ofrags = fs.sblksize(osize, last) / fs.fs_fsize;
      const nfrags = fs.sblksize(length, last) / fs.fs_fsize;
      try {
        const fsb = row.block(last - row.first, ofrags);
        if (fsb !== 0) {
          await ffs_zero(
            ip,
            fs.fsbtob(fsb) + offset,
            Math.min(nfrags * fs.fs_fsize, osize - fs.lblktosize(last)) - offset,
          );
          tail = fsb + nfrags;
          tailfrags = ofrags - nfrags;
        }
      } finally {
        row.release();
      }
    }
  }
  await trim(ip, length);
  if (tailfrags > 0) {
    ip.i_blocks -= (tailfrags * fs.fs_fsize) / 512;
    const wait = release(ip, tail, tailfrags);
    if (wait) await wait;
  }
  if (length === 0 || length === osize || (ip.i_mode & S_IFMT) !== S_IFREG) return;
  try {
    await ffs_ensureblock(ip, fs.lblkno(length - 1), length, KERNEL_CONTEXT);
  } catch (error) {
    // No room for the block of a hole that has become the last: checkers of some systems will cut it off.
    if (errnoOf(error) !== E.ENOSPC) throw error;
  }
}

/** Frees all blocks behind the block that holds byte `length` - 1, and sets the size. */
async function trim(ip: Inode, length: number): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const { order } = state;
  const osize = ip.i_size;
  const metadata = (ip.i_mode & S_IFMT) === S_IFDIR;
  const keep = Math.ceil(length / fs.fs_bsize);
  let frags = 0;
  ip.i_size = length;
  if (length === 0) state.lostdata.delete(ip.i_number);
  touchmeta(ip, 0);
  const free = (fsb: number, n: number) => release(ip, fsb, n);
  try {
    for (let i = keep; i < UFS_NDADDR; i++) {
      const fsb = ip.i_db[i]!;
      if (fsb === 0) continue;
      ip.i_db[i] = 0;
      const n = i * fs.fs_bsize < osize ? fs.sblksize(osize, i) / fs.fs_fsize : fs.fs_frag;
      frags += n;
      if (metadata) order.binval(fsb, n);
      const wait = free(fsb, n);
      if (wait) await wait;
    }
    let base = UFS_NDADDR;
    let span = fs.fs_nindir;
    for (let level = 0; level < UFS_NIADDR; level++) {
      const addr = ip.i_ib[level]!;
      if (addr !== 0) {
        if (keep <= base) {
          ip.i_ib[level] = 0;
          frags += await freetree(ump, addr, span, metadata, free);
        } else if (keep < base + span) {
          frags += await cuttree(ip, addr, span, keep - base, metadata, free);
        }
      }
      base += span;
      span *= fs.fs_nindir;
    }
  } finally {
    ip.i_blocks = Math.max(0, ip.i_blocks - (frags * fs.fs_fsize) / 512);
  }
}

/**
 * Makes bytes offset..offset+length-1 read as zeros: whole blocks become holes (but the last block of the file stays),
 * the edges are overwritten.
 * @throws EIO
 */
export async function ffs_punch(ip: Inode, offset: number, length: number): Promise<void> {
  const { i_fs: fs } = ip;
  const end = Math.min(offset + length, ip.i_size);
  const lastlbn = fs.lblkno(ip.i_size - 1);
  let at = offset;
  while (at < end) {
    const lbn = fs.lblkno(at);
    const row = await ffs_row(ip, lbn, null);
    if (row === null) {
      // The whole indirect block is missing; go on behind the next one's beginning at the earliest.
      at = fs.lblktosize(lbn - ((lbn - UFS_NDADDR) % fs.fs_nindir) + fs.fs_nindir);
      continue;
    }
    try {
      const stop = Math.min(end, fs.lblktosize(row.first + row.length));
      while (at < stop) {
        const b = fs.lblkno(at);
        const next = Math.min(fs.lblktosize(b + 1), stop);
        const size = fs.sblksize(ip.i_size, b);
        const fsb = row.block(b - row.first, size / fs.fs_fsize);
        if (fsb !== 0) {
          if (next - at === fs.fs_bsize && b !== lastlbn) {
            row.set(b - row.first, 1, 0);
            ip.i_blocks -= fs.fs_bsize / 512;
            const wait = release(ip, fsb, fs.fs_frag);
            if (wait) await wait;
          } else {
            await ffs_zero(ip, fs.fsbtob(fsb) + fs.blkoff(at), next - at);
          }
        }
        at = next;
      }
    } finally {
      row.release();
    }
  }
  touchmeta(ip, IN_CHANGE | IN_UPDATE);
}

/** Overwrites what blocks hold of bytes offset..end-1, all within the file, with zeros. @throws EIO */
export async function ffs_overwrite(ip: Inode, offset: number, end: number): Promise<void> {
  const { i_fs: fs } = ip;
  for (let at = offset; at < end; ) {
    const lbn = fs.lblkno(at);
    const next = Math.min(end, fs.lblktosize(lbn + 1));
    const row = await ffs_row(ip, lbn, null);
    if (row !== null) {
      try {
        const fsb = row.block(lbn - row.first, fs.sblksize(ip.i_size, lbn) / fs.fs_fsize);
        if (fsb !== 0) await ffs_zero(ip, fs.fsbtob(fsb) + fs.blkoff(at), next - at);
      } finally {
        row.release();
      }
    }
    at = next;
  }
  touchmeta(ip, IN_CHANGE | IN_UPDATE);
}

/** Allocates what is missing in offset..offset+length-1, as zeros, and extends the size. @throws EFBIG ENOSPC EIO */
export async function ffs_fallocate(ip: Inode, offset: number, length: number, ctx: Context): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const end = offset + length;
  if (end > ump.um_maxfilesize) throw errno(E.EFBIG);
  const osize = ip.i_size;
  try {
    if (end > osize) await ffs_growtail(ip, end, ctx, end, end);
    for (let lbn = fs.lblkno(offset); lbn <= fs.lblkno(end - 1); lbn++) {
      await ffs_ensureblock(ip, lbn, Math.max(end, ip.i_size), ctx);
      ip.i_size = Math.max(ip.i_size, Math.min(end, fs.lblktosize(lbn + 1)));
    }
  } catch (error) {
    if (end > osize) await ffs_shrink(ip, osize);
    throw error;
  } finally {
    touchmeta(ip, IN_CHANGE | IN_UPDATE);
  }
}
