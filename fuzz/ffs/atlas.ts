/** Where everything lies on a sound volume: what the mutator aims at. */
import type { Cg } from '../../src/fs/ffs/disk/cg.js';
import { Cg as Group } from '../../src/fs/ffs/disk/cg.js';
import { Fs, SBLOCKSEARCH } from '../../src/fs/ffs/disk/fs.js';
import { isstandard } from '../../src/fs/ffs/disk/sbsearch.js';
import type { DinodeFormat } from '../../src/fs/ufs/dinode.js';
import { Dinode, dinode_load } from '../../src/fs/ufs/dinode.js';
import type { DirFormat } from '../../src/fs/ufs/dir.js';
import { dirent_name, dirent_namlen } from '../../src/fs/ufs/dir.js';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../src/kernel/stat.js';
import type { Journal } from './journal.js';

export interface InodeAt {
  readonly ino: number;
  /** Byte offset in the image, as everywhere here. */
  readonly at: number;
  /** '' for what has no name. */
  readonly path: string;
  readonly dinode: Dinode;
}

export interface EntryAt {
  readonly at: number;
  readonly dir: number;
  readonly ino: number;
  readonly reclen: number;
  readonly namlen: number;
  readonly name: string;
}

export interface IndirectAt {
  readonly at: number;
  readonly ino: number;
  /** 1: holds pointers to data. */
  readonly level: number;
}

export interface Atlas {
  readonly fs: Fs;
  readonly le: boolean;
  readonly dirfmt: DirFormat;
  readonly superblock: number;
  readonly copies: readonly number[];
  readonly groups: readonly number[];
  readonly inodes: readonly InodeAt[];
  /** Offsets of some inodes that nobody uses. */
  readonly unused: readonly number[];
  readonly entries: readonly EntryAt[];
  readonly indirects: readonly IndirectAt[];
  readonly extattrs: readonly { readonly at: number; readonly ino: number; readonly size: number }[];
  /** Offsets of blocks with the content of directories and of files. */
  readonly directories: readonly number[];
  readonly data: readonly number[];
  readonly journal: Journal | undefined;
}

export function pointerAt(fs: Fs, view: DataView, at: number, i: number): number {
  return fs.ufs2 ? Number(view.getBigInt64(at + 8 * i, fs.le)) : view.getInt32(at + 4 * i, fs.le);
}

function superblockOf(bytes: Uint8Array): Fs {
  for (const offset of SBLOCKSEARCH) {
    if (offset + 8192 > bytes.length) continue;
    const fs = Fs.decode(bytes.subarray(offset, offset + 8192), offset);
    if (fs !== undefined && isstandard(fs, offset)) return fs;
  }
  throw new Error('no superblock');
}

/** The volume must be sound. */
export function makeAtlas(bytes: Uint8Array, journal: Journal | undefined): Atlas {
  const fs = superblockOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const dinofmt: DinodeFormat = {
    le: fs.le,
    ufs2: fs.ufs2,
    oldids: !fs.ufs2 && fs.fs_old_inodefmt < 2,
    maxsymlinklen: fs.fs_maxsymlinklen,
  };
  const dirfmt: DirFormat = { le: fs.le, old: fs.fs_maxsymlinklen <= 0, dirblksiz: 512 };
  const inodes: InodeAt[] = [];
  const unused: number[] = [];
  const entries: EntryAt[] = [];
  const indirects: IndirectAt[] = [];
  const extattrs: Atlas['extattrs'][number][] = [];
  const directories: number[] = [];
  const data: number[] = [];
  const groups: number[] = [];
  const copies: number[] = [];

  const inodeAt = (ino: number): number => fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino);
  const load = (ino: number): Dinode => {
    const d = new Dinode();
    dinode_load(d, view, inodeAt(ino), dinofmt);
    return d;
  };

  for (let c = 0; c < fs.fs_ncg; c++) {
    const at = fs.fsbtob(fs.cgtod(c));
    groups.push(at);
    copies.push(fs.fsbtob(fs.cgsblock(c)));
    const block = bytes.subarray(at, at + fs.cgbytes);
    const cg: Cg = Group.adopt(fs, block, new DataView(block.buffer, block.byteOffset, block.length));
    let spare = 3;
    for (let i = 0; i < fs.fs_ipg && spare > 0; i++) {
      if (cg.inosused(i) || (fs.ufs2 && i >= cg.cg_initediblk)) continue;
      unused.push(inodeAt(c * fs.fs_ipg + i));
      spare--;
    }
  }

  /** Block addresses (bytes) of a file, and its indirect blocks. */
  const blocksOf = (ino: number, d: Dinode): number[] => {
    const found: number[] = [];
    const tree = (fsb: number, level: number): void => {
      if (fsb === 0) return;
      const at = fs.fsbtob(fsb);
      if (level === 0) {
        found.push(at);
        return;
      }
      indirects.push({ at, ino, level });
      for (let i = 0; i < fs.fs_nindir; i++) tree(pointerAt(fs, view, at, i), level - 1);
    };
    for (const fsb of d.i_db) tree(fsb, 0);
    d.i_ib.forEach((fsb, i) => tree(fsb, i + 1));
    return found;
  };

  const pending: { ino: number; path: string }[] = [{ ino: 2, path: '/' }];
  const seen = new Set<number>();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    const { ino, path } = next;
    if (seen.has(ino)) continue;
    seen.add(ino);
    const dinode = load(ino);
    inodes.push({ ino, at: inodeAt(ino), path, dinode });
    dinode.i_extb.forEach((fsb, i) => {
      const size = Math.min(fs.fs_bsize, dinode.i_extsize - i * fs.fs_bsize);
      if (fsb !== 0 && size > 0) extattrs.push({ at: fs.fsbtob(fsb), ino, size });
    });
    const type = dinode.i_mode & S_IFMT;
    if (type !== S_IFDIR && type !== S_IFREG && (dinode.i_shortlink !== null || dinode.i_size === 0)) continue;
    const blocks = blocksOf(ino, dinode);
    if (type !== S_IFDIR) {
      data.push(...blocks);
      continue;
    }
    blocks.forEach((block, lbn) => {
      directories.push(block);
      const end = Math.min(fs.fs_bsize, dinode.i_size - lbn * fs.fs_bsize);
      for (let off = 0; off < end; ) {
        const at = block + off;
        const reclen = view.getUint16(at + 4, fs.le);
        const namlen = dirent_namlen(view, at, dirfmt);
        const entry = {
          at,
          dir: ino,
          ino: view.getUint32(at, fs.le),
          reclen,
          namlen,
          name: dirent_name(bytes, at, namlen),
        };
        entries.push(entry);
        if (entry.ino !== 0 && entry.name !== '.' && entry.name !== '..') {
          pending.push({ ino: entry.ino, path: path === '/' ? `/${entry.name}` : `${path}/${entry.name}` });
        }
        if (reclen === 0) throw new Error(`the base is damaged: ${path}`);
        off += reclen;
      }
    });
  }
  return {
    fs,
    le: fs.le,
    dirfmt,
    superblock: fs.fs_sblockloc,
    copies,
    groups,
    inodes,
    unused,
    entries,
    indirects,
    extattrs,
    directories,
    data,
    journal,
  };
}
