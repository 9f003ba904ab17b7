import { S_IFBLK, S_IFCHR, S_IFLNK, S_IFMT } from '../../../../kernel/stat.js';
import { UFS1_MAXSYMLINKLEN, isshortlink } from '../../../ufs/dinode.js';
import { geti64, getu64, put64 } from '../../../lib/endian.js';
import { DINODE1_SIZE, DINODE2_SIZE, UFS_NDADDR, UFS_NIADDR, UFS_NXADDR } from '../../disk/fs.js';
import type { Fs } from '../../disk/fs.js';

/** File flags that a checker must know (NetBSD sys/stat.h). */
const SF_SNAPSHOT = 0x00200000;
/** The journal inside the file system. */
export const SF_LOG = 0x00400000;

/** A window onto an inode in a block of them; move it with {@link at}. Getters and setters go straight to the bytes. */
export class InodeView {
  bytes: Uint8Array;
  view: DataView;
  off = 0;
  readonly ufs2: boolean;
  readonly le: boolean;
  readonly size_bytes: number;
  readonly #db: number;
  readonly #ib: number;

  constructor(fs: Fs, bytes: Uint8Array, view: DataView, off: number) {
    this.ufs2 = fs.ufs2;
    this.le = fs.le;
    this.bytes = bytes;
    this.view = view;
    this.off = off;
    this.size_bytes = fs.ufs2 ? DINODE2_SIZE : DINODE1_SIZE;
    this.#db = fs.ufs2 ? 112 : 40;
    this.#ib = fs.ufs2 ? 208 : 88;
  }

  at(off: number): this {
    this.off = off;
    return this;
  }

  get mode(): number { return this.view.getUint16(this.off, this.le); }
  set mode(mode: number) { this.view.setUint16(this.off, mode, this.le); }
  get fmt(): number { return this.view.getUint16(this.off, this.le) & S_IFMT; }
  get nlink(): number { return this.view.getInt16(this.off + 2, this.le); }
  set nlink(n: number) { this.view.setInt16(this.off + 2, n, this.le); }
  get uid(): number { return this.view.getUint32(this.off + (this.ufs2 ? 4 : 112), this.le); }
  get gid(): number { return this.view.getUint32(this.off + (this.ufs2 ? 8 : 116), this.le); }
  /** Bytes; not exact above 2^53, which no file may have. */
  get size(): number { return getu64(this.view, this.off + (this.ufs2 ? 16 : 8), this.le); }
  set size(n: number) { put64(this.view, this.off + (this.ufs2 ? 16 : 8), n, this.le); }
  /** Units of 512 bytes. */
  get blocks(): number {
    return this.ufs2 ? getu64(this.view, this.off + 24, this.le) : this.view.getUint32(this.off + 104, this.le);
  }
  set blocks(n: number) {
    if (this.ufs2) put64(this.view, this.off + 24, n, this.le);
    else this.view.setUint32(this.off + 104, n, this.le);
  }
  get flags(): number {
    return this.view.getUint32(this.off + (this.ufs2 ? 88 : 100), this.le);
  }
  get mtime(): number {
    return this.ufs2 ? geti64(this.view, this.off + 40, this.le) : this.view.getInt32(this.off + 24, this.le);
  }
  settimes(sec: number): void {
    for (const at of this.ufs2 ? [32, 40, 48] : [16, 24, 32]) {
      if (this.ufs2) put64(this.view, this.off + at, sec, this.le);
      else this.view.setInt32(this.off + at, sec, this.le);
    }
  }
  get extsize(): number { return this.ufs2 ? this.view.getUint32(this.off + 92, this.le) : 0; }
  /** No extended attributes any more. */
  clearext(): void {
    this.view.setUint32(this.off + 92, 0, this.le);
    for (let i = 0; i < UFS_NXADDR; i++) put64(this.view, this.off + 96 + 8 * i, 0, this.le);
  }
  extb(i: number): number { return geti64(this.view, this.off + 96 + 8 * i, this.le); }
  /** The first pointer to a block of attributes behind their end that is set; -1: none. */
  extbeyond(fs: Fs): number {
    if (this.extsize === 0) return -1;
    for (let i = Math.ceil(this.extsize / fs.fs_bsize); i < UFS_NXADDR; i++) if (this.extb(i) !== 0) return i;
    return -1;
  }
  clearextb(i: number): void { put64(this.view, this.off + 96 + 8 * i, 0, this.le); }

  /** Block pointer: 0..11 direct, 12..14 indirect. */
  ptr(i: number): number {
    const at =
      this.off +
      (i < UFS_NDADDR ? this.#db + (this.ufs2 ? 8 : 4) * i : this.#ib + (this.ufs2 ? 8 : 4) * (i - UFS_NDADDR));
    return this.ufs2 ? geti64(this.view, at, this.le) : this.view.getInt32(at, this.le);
  }
  setptr(i: number, fsb: number): void {
    const at =
      this.off +
      (i < UFS_NDADDR ? this.#db + (this.ufs2 ? 8 : 4) * i : this.#ib + (this.ufs2 ? 8 : 4) * (i - UFS_NDADDR));
    if (this.ufs2) put64(this.view, at, fsb, this.le);
    else this.view.setInt32(at, fsb, this.le);
  }

  get snapshot(): boolean { return (this.flags & SF_SNAPSHOT) !== 0; }

  /** Everything goes but the generation, by which stale file handles are told. */
  clear(): void {
    const gen = this.view.getUint32(this.off + (this.ufs2 ? 80 : 108), this.le);
    this.bytes.fill(0, this.off, this.off + this.size_bytes);
    this.view.setUint32(this.off + (this.ufs2 ? 80 : 108), gen, this.le);
  }
}

/** A symlink whose target lies in the block pointers. */
export function shortSymlink(inode: InodeView, fs: Fs, appleufs: boolean): boolean {
  return isshortlink(inode.size, inode.blocks, {
    ufs2: inode.ufs2,
    maxsymlinklen: appleufs ? UFS1_MAXSYMLINKLEN : fs.fs_maxsymlinklen,
  });
}

/** The block pointers mean something else, or there are none. */
export function blockless(inode: InodeView, fs: Fs, appleufs: boolean): boolean {
  const { fmt } = inode;
  return fmt === S_IFBLK || fmt === S_IFCHR || (fmt === S_IFLNK && shortSymlink(inode, fs, appleufs));
}

/** Fragments of direct block `lbn` in a file of `size` bytes. */
export function directFrags(fs: Fs, size: number, lbn: number): number {
  const last = Math.ceil(size / fs.fs_bsize) - 1;
  const tail = size % fs.fs_bsize;
  return lbn === last && tail !== 0 ? Math.ceil(tail / fs.fs_fsize) : fs.fs_frag;
}

/** How many blocks one indirect block of `level` (1..3) reaches. */
export function indirectReach(fs: Fs, level: number): number {
  return fs.fs_nindir ** level;
}

export const NPTRS = UFS_NDADDR + UFS_NIADDR;
