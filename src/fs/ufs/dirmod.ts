import type { Context } from '../../kernel/context.js';
import type { Errno } from '../../kernel/errno.js';
import { E, errno } from '../../kernel/errno.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../kernel/vfs/bio.js';
import { ufs_blkatoff } from './bmap.js';
import { DIRECTSIZ, UFS_MAXDIRSIZE, UFS_WINO, dirent_is, dirent_name, dirent_namlen, dirent_put } from './dir.js';
import { dirent_setino, dirent_setreclen, dirent_settype, ufs_dirbadentry } from './dir.js';
import type { UfsInode } from './inode.js';
import { DIRINDEX_MIN_BYTES, indexable, ufs_dirindex } from './lookup.js';
import type { UfsOps } from './ufsmount.js';

/**
 * Changes of directories (ufs_direnter, ufs_dirremove, ufs_dirrewrite, ufs_dirempty of NetBSD's ufs_lookup.c). The
 * caller holds the directory's lock exclusively and has a transaction open. All of them check the chunk that they
 * change: damage is EIO, and then nothing has changed. What differs between file systems is {@link UfsOps}.
 */

/** A place in a directory block: the buffer is referenced, its owner releases it. */
export interface DirSlot {
  readonly bp: Buf;
  /** Byte offset of the block in the directory. */
  readonly base: number;
  /** Byte offset in the block: of the chunk (for a slot to fill) or of the entry. */
  readonly at: number;
}

/** What changes a directory. @throws EROFS on a volume that is only read */
function writeops(dp: UfsInode): UfsOps {
  const ops = dp.i_ump.um_ops;
  if (ops === null) throw errno(E.EROFS);
  return ops;
}

/** Reports that directory `dp` contradicts itself; `what` follows its number. Returns the error to throw. */
function damage(dp: UfsInode, what: string): Errno {
  return writeops(dp).uo_damage(dp, `directory inode ${dp.i_number}${what}`);
}

/** What a chunk has to offer a new entry. */
interface Room {
  /**
   * The largest free space behind an entry, or in a free entry: bytes. Not that behind ".": ".." has to be the next
   * one.
   */
  gap: number;
  /** All free space together: what compaction would make of it. */
  total: number;
}

/** Looks through a whole chunk. @throws EIO */
function chunkroom(dp: UfsInode, bp: Buf, base: number, chunk: number): Room {
  const fmt = dp.i_ump.um_dirfmt;
  const end = chunk + fmt.dirblksiz;
  if (end > bp.b_bcount) throw damage(dp, `: its size ${dp.i_size} is no multiple of ${fmt.dirblksiz}`);
  let gap = 0;
  let total = 0;
  for (let at = chunk; at < end; ) {
    const bad = ufs_dirbadentry(bp.b_data, bp.b_view, at, end, fmt);
    if (bad !== undefined) throw damage(dp, `, entry at ${base + at}: ${bad}`);
    const reclen = bp.b_view.getUint16(at + 4, fmt.le);
    const room = reclen - (bp.b_view.getUint32(at, fmt.le) === 0 ? 0 : DIRECTSIZ(dirent_namlen(bp.b_view, at, fmt)));
    total += room;
    if (room > gap && base + at > 0) gap = room;
    at += reclen;
  }
  return { gap, total };
}

/** The block of a directory that holds byte `offset`. @throws EIO also for a hole */
async function blockat(dp: UfsInode, offset: number): Promise<Buf> {
  const got = ufs_blkatoff(dp, dp.i_fs.lblkno(offset));
  const bp = got instanceof Promise ? await got : got;
  if (bp === null) throw damage(dp, `: hole at ${offset}`);
  return bp;
}

/** Seconds after the last readdir from which on a directory counts as not being read. */
const READER_PATIENCE = 60;
/** Chunks that one search for something to compact looks at. */
const COMPACT_LOOK = 32;

/** The directory is being read: names that stay must be seen exactly once, so none may move for a while. */
export function ufs_dirread(dp: UfsInode): void {
  if (dp.i_ump.um_ops !== null) dp.i_dirread = dp.i_ump.um_kernel.now().sec;
}

/**
 * Finds a chunk with room for a name of `namlen` bytes, or adds one to the directory. A free space that is large enough
 * is taken first; only then, and if nobody reads the directory, are the names of a chunk pushed together.
 * @throws ENOSPC EFBIG EIO
 */
export async function ufs_dirslot(dp: UfsInode, namlen: number, ctx: Context): Promise<DirSlot> {
  const need = DIRECTSIZ(namlen);
  const fs = dp.i_fs;
  let offset = -1;
  if (dp.i_dirindex !== null || (dp.i_size > DIRINDEX_MIN_BYTES && indexable(dp))) {
    const built = ufs_dirindex(dp);
    const index = built instanceof Promise ? await built : built;
    // The index may know what compaction would give; it learns the truth here.
    while ((offset = index.findfree(need)) >= 0) {
      const bp = await blockat(dp, offset);
      const at = fs.blkoff(offset);
      const { gap } = roomof(dp, bp, offset - at, at);
      if (gap >= need) return { bp, base: offset - at, at };
      dp.i_ump.um_bufcache.brelse(bp);
      index.setfree(offset, gap);
    }
  } else {
    offset = await scanroom(dp, 0, dp.i_size, need, false);
  }
  if (offset < 0 && dp.i_ump.um_kernel.now().sec - dp.i_dirread > READER_PATIENCE) offset = await compactable(dp, need);
  if (offset >= 0) {
    const bp = await blockat(dp, offset);
    return { bp, base: offset - fs.blkoff(offset), at: fs.blkoff(offset) };
  }
  offset = dp.i_size;
  const bp = await writeops(dp).uo_dirgrow(dp, ctx);
  return { bp, base: offset - fs.blkoff(offset), at: fs.blkoff(offset) };
}

/** Like chunkroom, and releases the buffer if it throws. */
function roomof(dp: UfsInode, bp: Buf, base: number, at: number): Room {
  try {
    return chunkroom(dp, bp, base, at);
  } catch (error) {
    dp.i_ump.um_bufcache.brelse(bp);
    throw error;
  }
}

/** The first chunk in from..to-1 with `need` bytes of room, in one piece or (`total`) all together; -1: none. */
async function scanroom(dp: UfsInode, from: number, to: number, need: number, total: boolean): Promise<number> {
  const { um_dirblksiz, um_bufcache } = dp.i_ump;
  const fs = dp.i_fs;
  const end = Math.min(to, dp.i_size, UFS_MAXDIRSIZE);
  for (let offset = from; offset + um_dirblksiz <= end; ) {
    const bp = await blockat(dp, offset);
    const base = offset - fs.blkoff(offset);
    const stop = Math.min(end, base + bp.b_bcount);
    for (; offset + um_dirblksiz <= stop; offset += um_dirblksiz) {
      const room = roomof(dp, bp, base, offset - base);
      if ((total ? room.total : room.gap) >= need) {
        um_bufcache.brelse(bp);
        return offset;
      }
    }
    um_bufcache.brelse(bp);
    if (offset < base + fs.fs_bsize) break; // what is left is no whole chunk
  }
  return -1;
}

/**
 * A chunk in which compaction makes `need` bytes of room. Looks at a few chunks from where it stopped the last time.
 */
async function compactable(dp: UfsInode, need: number): Promise<number> {
  if (dp.i_compactat >= dp.i_size) dp.i_compactat = 0;
  const from = dp.i_compactat;
  dp.i_compactat = from + COMPACT_LOOK * dp.i_ump.um_dirblksiz;
  const offset = await scanroom(dp, from, dp.i_compactat, need, true);
  if (offset >= 0) dp.i_compactat = offset;
  return offset;
}

/**
 * Enters a name into the chunk of a slot, compacting it if need be. Never fails: {@link ufs_dirslot} has checked.
 * @returns number of the chunk in the buffer
 */
export function ufs_direnter(dp: UfsInode, slot: DirSlot, name: string, ino: number, type: number): number {
  const { um_dirfmt: fmt, um_dirblksiz } = dp.i_ump;
  const { b_data, b_view } = slot.bp;
  const need = DIRECTSIZ(name.length);
  const index = dp.i_dirindex;
  const end = slot.at + um_dirblksiz;
  let into = -1;
  let span = 0;
  // First choice: an entry with enough room behind its name, so that nothing moves.
  for (let at = slot.at; at < end; ) {
    const reclen = b_view.getUint16(at + 4, fmt.le);
    const used = b_view.getUint32(at, fmt.le) === 0 ? 0 : DIRECTSIZ(dirent_namlen(b_view, at, fmt));
    if (reclen - used >= need && slot.base + at > 0) {
      if (used > 0) dirent_setreclen(b_view, at, fmt, used);
      into = at + used;
      span = reclen - used;
      break;
    }
    at += reclen;
  }
  if (into < 0) {
    // Push all names to the front of the chunk: the room that they leave is at its end.
    let to = slot.at;
    let last = -1;
    for (let at = slot.at; at < end; ) {
      const reclen = b_view.getUint16(at + 4, fmt.le);
      if (b_view.getUint32(at, fmt.le) !== 0) {
        const namlen = dirent_namlen(b_view, at, fmt);
        const used = DIRECTSIZ(namlen);
        if (to !== at) {
          index?.move(dirent_name(b_data, at, namlen), slot.base + at, slot.base + to);
          b_data.copyWithin(to, at, at + used);
        }
        dirent_setreclen(b_view, to, fmt, used);
        last = to;
        to += used;
      }
      at += reclen;
    }
    into = to;
    span = end - to;
    if (span < need && last >= 0) throw damage(dp, `: no room left in chunk at ${slot.base + slot.at}`);
  }
  dirent_put(b_data, b_view, into, fmt, ino, span, type, name);
  if (index !== null) {
    index.add(name, slot.base + into);
    index.setfree(slot.base + slot.at, chunkroom(dp, slot.bp, slot.base, slot.at).gap);
  }
  writeops(dp).uo_dirchanged(dp, slot.bp);
  return Math.floor(into / um_dirblksiz);
}

/** The entry at byte `offset`, which carries `name`. @throws EIO if it does not */
export async function ufs_direntry(dp: UfsInode, offset: number, name: string): Promise<DirSlot> {
  const { um_dirfmt: fmt, um_dirblksiz, um_bufcache } = dp.i_ump;
  const bp = await blockat(dp, offset);
  const at = dp.i_fs.blkoff(offset);
  const end = Math.min(at - (at % um_dirblksiz) + um_dirblksiz, bp.b_bcount);
  const bad = ufs_dirbadentry(bp.b_data, bp.b_view, at, end, fmt);
  if (bad === undefined && dirent_is(bp.b_data, at, dirent_namlen(bp.b_view, at, fmt), name)) {
    return { bp, base: offset - at, at };
  }
  um_bufcache.brelse(bp);
  throw damage(dp, `, entry at ${offset}: ${bad ?? 'another name than it had'}`);
}

/** Number of the chunk, in its buffer, that an entry lies in. */
export function chunkof(dp: UfsInode, slot: DirSlot): number {
  return Math.floor(slot.at / dp.i_ump.um_dirblksiz);
}

/** Removes an entry: its room goes to the entry before it, or it becomes a free entry at the start of its chunk. */
export function ufs_dirremove(dp: UfsInode, slot: DirSlot, name: string): void {
  const { um_dirfmt: fmt, um_dirblksiz } = dp.i_ump;
  const { b_view } = slot.bp;
  const chunk = slot.at - (slot.at % um_dirblksiz);
  chunkroom(dp, slot.bp, slot.base, chunk); // checks the whole chunk
  let before = -1;
  for (let at = chunk; at < slot.at; at += b_view.getUint16(at + 4, fmt.le)) before = at;
  if (before < 0) {
    dirent_setino(b_view, slot.at, fmt, 0);
  } else {
    dirent_setreclen(b_view, before, fmt, b_view.getUint16(before + 4, fmt.le) + b_view.getUint16(slot.at + 4, fmt.le));
  }
  const index = dp.i_dirindex;
  if (index !== null) {
    index.remove(name, slot.base + slot.at);
    index.setfree(slot.base + chunk, chunkroom(dp, slot.bp, slot.base, chunk).gap);
  }
  writeops(dp).uo_dirchanged(dp, slot.bp);
}

/** Makes an entry name another file. */
export function ufs_dirrewrite(dp: UfsInode, slot: DirSlot, ino: number, type: number): void {
  const fmt = dp.i_ump.um_dirfmt;
  dirent_setino(slot.bp.b_view, slot.at, fmt, ino);
  dirent_settype(slot.bp.b_view, slot.at, fmt, type);
  writeops(dp).uo_dirchanged(dp, slot.bp);
}

/** Holds a directory nothing but "." and ".."? What is damaged counts as something. */
export async function ufs_dirempty(dp: UfsInode): Promise<boolean> {
  const { um_dirfmt: fmt, um_dirblksiz, um_bufcache } = dp.i_ump;
  const fs = dp.i_fs;
  const size = Math.min(dp.i_size, UFS_MAXDIRSIZE);
  for (let base = 0; base < size; base += fs.fs_bsize) {
    const got = ufs_blkatoff(dp, fs.lblkno(base));
    const bp = got instanceof Promise ? await got : got;
    if (bp === null) continue;
    const { b_data, b_view } = bp;
    try {
      const valid = Math.min(size - base, bp.b_bcount);
      for (let chunk = 0; chunk < valid; chunk += um_dirblksiz) {
        const end = Math.min(chunk + um_dirblksiz, valid);
        for (let at = chunk; at < end; at += b_view.getUint16(at + 4, fmt.le)) {
          if (ufs_dirbadentry(b_data, b_view, at, end, fmt) !== undefined) return false;
          const ino = b_view.getUint32(at, fmt.le);
          if (ino === 0 || ino === UFS_WINO) continue;
          const namlen = dirent_namlen(b_view, at, fmt);
          if (!dirent_is(b_data, at, namlen, '.') && !dirent_is(b_data, at, namlen, '..')) return false;
        }
      }
    } finally {
      um_bufcache.brelse(bp);
    }
  }
  return true;
}

/** After a name was entered: cuts blocks without names off the end of a large directory. */
export function ufs_dirtrim(dp: UfsInode): MaybePromise<void> {
  const index = dp.i_dirindex;
  if (index === null || dp.i_size <= dp.i_fs.fs_bsize) return undefined;
  const useful = index.enduseful();
  if (dp.i_fs.blkroundup(useful) >= dp.i_size) return undefined;
  return writeops(dp).uo_dirshrink(dp, useful);
}
