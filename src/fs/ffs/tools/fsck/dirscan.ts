import { bytestrFromBytes } from '../../../../kernel/bytestr.js';
import { DIRECTSIZ, FFS_MAXNAMLEN } from '../../../ufs/dir.js';
import type { FsckBuf, FsckContext } from './context.js';
import type { InodeView } from './inodeview.js';
import { KEEPON, SKIP, STOP, walkInode } from './walk.js';

/** A window onto one entry of a directory block. */
export class EntryView {
  buf!: FsckBuf;
  off = 0;
  /** Offset in the directory of the entry's chunk: 0 for the one that holds "." and "..". */
  chunk = 0;
  /** The entry changed: its block will be written. */
  dirty = false;

  constructor(private readonly ctx: FsckContext) {}

  at(buf: FsckBuf, off: number, chunk: number): this {
    this.buf = buf;
    this.off = off;
    this.chunk = chunk;
    return this;
  }

  get ino(): number { return this.buf.view.getUint32(this.off, this.ctx.fs.le); }
  set ino(ino: number) {
    this.buf.view.setUint32(this.off, ino, this.ctx.fs.le);
    this.dirty = true;
  }
  get reclen(): number { return this.buf.view.getUint16(this.off + 4, this.ctx.fs.le); }
  set reclen(n: number) {
    this.buf.view.setUint16(this.off + 4, n, this.ctx.fs.le);
    this.dirty = true;
  }
  /** DT_*; 0 in the old format, which has none. */
  get type(): number { return this.ctx.oldformat ? 0 : this.buf.bytes[this.off + 6]!; }
  set type(type: number) {
    if (this.ctx.oldformat) return;
    this.buf.bytes[this.off + 6] = type;
    this.dirty = true;
  }
  get namlen(): number {
    return this.ctx.oldformat ? this.buf.view.getUint16(this.off + 6, this.ctx.fs.le) : this.buf.bytes[this.off + 7]!;
  }
  /** Bytes that the entry needs. */
  get needed(): number { return DIRECTSIZ(this.namlen); }
  name(): string { return bytestrFromBytes(this.buf.bytes, this.off + 8, this.off + 8 + this.namlen); }

  is(name: string): boolean {
    if (this.namlen !== name.length) return false;
    for (let i = 0; i < name.length; i++) if (this.buf.bytes[this.off + 8 + i] !== name.charCodeAt(i)) return false;
    return true;
  }

  /** Writes a whole entry here. */
  put(ino: number, reclen: number, type: number, name: string): void {
    const { bytes, view } = this.buf;
    this.ino = ino;
    this.reclen = reclen;
    if (this.ctx.oldformat) {
      view.setUint16(this.off + 6, name.length, this.ctx.fs.le);
    } else {
      bytes[this.off + 6] = type;
      bytes[this.off + 7] = name.length;
    }
    const end = Math.min(this.off + DIRECTSIZ(name.length), this.off + reclen);
    bytes.fill(0, this.off + 8, end);
    for (let i = 0; i < name.length; i++) bytes[this.off + 8 + i] = name.charCodeAt(i);
  }

  /** A chunk of free space. */
  empty(reclen: number): void {
    this.buf.bytes.fill(0, this.off, this.off + 12);
    this.reclen = reclen;
  }
}

/**
 * What is wrong with the entry at `off`, whose chunk ends at `end`; undefined if it is sound. As fsck_ffs's dircheck,
 * but for an impossible d_type: that can be put right from the inode, so the name need not go.
 */
function badEntry(ctx: FsckContext, buf: FsckBuf, off: number, end: number): string | undefined {
  const { le } = ctx.fs;
  if (end - off < DIRECTSIZ(0)) return `an entry in the last ${end - off} bytes`;
  const reclen = buf.view.getUint16(off + 4, le);
  if (reclen < DIRECTSIZ(0) || reclen > end - off || (reclen & 3) !== 0) {
    return `d_reclen ${reclen} with ${end - off} bytes left`;
  }
  if (buf.view.getUint32(off, le) === 0) return undefined;
  const namlen = ctx.oldformat ? buf.view.getUint16(off + 6, le) : buf.bytes[off + 7]!;
  if (namlen === 0 || namlen > FFS_MAXNAMLEN) return `d_namlen ${namlen}`;
  if (reclen < DIRECTSIZ(namlen)) return `d_reclen ${reclen} for a name of ${namlen} bytes`;
  for (let i = off + 8; i < off + 8 + namlen; i++)
    if (buf.bytes[i] === 0 || buf.bytes[i] === 0x2f) {
      return 'a name with NUL or "/"';
    }
  if (buf.bytes[off + 8 + namlen] !== 0) return 'a name without its NUL';
  return undefined;
}

/** Called for what a directory holds. Entries are sound when they get here. */
export interface DirVisitor {
  /** Each entry, free ones too. @returns STOP to end the scan. The entry may be changed. */
  entry(entry: EntryView): number | Promise<number>;
  /** An entry that is not sound. @returns true to mend it: it and what follows in its chunk become free space. */
  corrupt?(why: string, buf: FsckBuf, off: number): boolean;
  /** Blocks that are missing, from `lbn`. */
  hole?(lbn: number, count: number): number | Promise<number>;
}

/**
 * Goes through the directory `inode` of `size` bytes (rounded up to whole chunks), chunk by chunk. Blocks out of range
 * are left out: phase 1 has reported them. Changed blocks are written.
 * @returns STOP if the visitor stopped
 */
export async function scanDirectory(
  ctx: FsckContext,
  inode: InodeView,
  size: number,
  visitor: DirVisitor,
  from = 0,
): Promise<number> {
  const { fs, dirblksiz } = ctx;
  const entry = new EntryView(ctx);
  const rounded = Math.ceil(size / dirblksiz) * dirblksiz;
  return walkInode(ctx, inode, {
    ...(visitor.hole === undefined ? {} : { hole: (lbn: number, count: number) => visitor.hole!(lbn, count) }),
    async block(fsb, frags, lbn) {
      if (!ctx.blocks.inRange(fsb, frags)) return SKIP;
      // Indirect blocks are gone through by walkInode; attribute blocks hold no names.
      if (!(lbn >= 0)) return KEEPON;
      const start = lbn * fs.fs_bsize;
      const bytes = Math.min(frags * fs.fs_fsize, rounded - start);
      if (start + bytes <= from) return KEEPON;
      const got = ctx.getblk(fsb, frags * fs.fs_fsize);
      const buf = got instanceof Promise ? await got : got;
      for (let off = 0; off + dirblksiz <= bytes; off += dirblksiz) {
        if (start + off < from) continue;
        const end = off + dirblksiz;
        let last = -1;
        for (let at = off; at < end;) {
          const why = badEntry(ctx, buf, at, end);
          if (why !== undefined) {
            if (visitor.corrupt?.(why, buf, at) !== true) break;
            // What follows cannot be trusted to begin where an entry begins.
            if (last >= 0) entry.at(buf, last, start + off).reclen = end - last;
            else entry.at(buf, at, start + off).empty(dirblksiz);
            if (last >= 0) break;
          }
          entry.at(buf, at, start + off);
          let said = visitor.entry(entry);
          if (said instanceof Promise) said = await said;
          if (said === STOP) {
            if (entry.dirty) await ctx.bwrite(buf);
            return STOP;
          }
          last = at;
          at += entry.at(buf, at, start + off).reclen;
        }
      }
      if (entry.dirty) await ctx.bwrite(buf);
      entry.dirty = false;
      return KEEPON;
    },
  });
}
