/** For the tests of the checker: volumes in memory, found one's way about, and damaged in one place at a time. */
import { Fs, SBLOCKSEARCH } from '../../src/fs/ffs/disk/fs.js';
import { cgOffsets } from '../../src/fs/ffs/tools/cg_build.js';
import { isstandard } from '../../src/fs/ffs/disk/sbsearch.js';
import type { FsckCode } from '../../src/fs/ffs/tools/fsck/index.js';
import { InodeView } from '../../src/fs/ffs/tools/fsck/inodeview.js';

export interface Dirent {
  /** Byte offset of the entry on the device. */
  at: number;
  ino: number;
  reclen: number;
  name: string;
}

export class Volume {
  readonly view: DataView;
  readonly fs: Fs;
  readonly sb: number;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const offset of SBLOCKSEARCH) {
      if (offset + 8192 > bytes.length) continue;
      const fs = Fs.decode(bytes.subarray(offset, offset + 8192), offset);
      if (fs === undefined || !isstandard(fs, offset)) continue;
      this.fs = fs;
      this.sb = offset;
      return;
    }
    throw new Error('no superblock');
  }

  u16(at: number, n: number): void { this.view.setUint16(at, n, this.fs.le); }
  u32(at: number, n: number): void { this.view.setUint32(at, n, this.fs.le); }
  get32(at: number): number { return this.view.getInt32(at, this.fs.le); }
  add32(at: number, n: number): void { this.u32(at, this.get32(at) + n); }

  /** Byte offset of a fragment. */
  frag(fsb: number): number { return fsb * this.fs.fs_fsize; }
  /** Byte offset of a group's block. */
  cg(c: number): number { return this.frag(this.fs.cgtod(c)); }

  inode(ino: number): InodeView {
    const at = this.frag(this.fs.ino_to_fsba(ino)) + this.fs.ino_to_bo(ino);
    return new InodeView(this.fs, this.bytes, this.view, at);
  }

  /** Entries of a directory's first block (direct blocks only). */
  dirents(ino: number): Dirent[] {
    const inode = this.inode(ino);
    const found: Dirent[] = [];
    for (let lbn = 0; lbn * this.fs.fs_bsize < inode.size && lbn < 12; lbn++) {
      const base = this.frag(inode.ptr(lbn));
      const end = Math.min(this.fs.fs_bsize, inode.size - lbn * this.fs.fs_bsize);
      for (let off = 0; off < end;) {
        const at = base + off;
        const reclen = this.view.getUint16(at + 4, this.fs.le);
        const namlen = this.fs.fs_old_inodefmt < 2 ? this.view.getUint16(at + 6, this.fs.le) : this.bytes[at + 7]!;
        found.push({
          at,
          ino: this.view.getUint32(at, this.fs.le),
          reclen,
          name: String.fromCharCode(...this.bytes.subarray(at + 8, at + 8 + namlen)),
        });
        off += reclen;
      }
    }
    return found;
  }

  entry(path: string): { dir: number; entry: Dirent } {
    let dir = 2;
    const parts = path.split('/');
    for (;;) {
      const name = parts.shift()!;
      const entry = this.dirents(dir).find((e) => e.ino !== 0 && e.name === name);
      if (entry === undefined) throw new Error(`no ${name} in ${path}`);
      if (parts.length === 0) return { dir, entry };
      dir = entry.ino;
    }
  }

  has(path: string): boolean {
    try {
      return this.ino(path) > 0;
    } catch {
      return false;
    }
  }

  ino(path: string): number { return this.entry(path).entry.ino; }

  pointer(block: number, i: number): { at: number; fsb: number } {
    const at = this.frag(block) + i * (this.fs.ufs2 ? 8 : 4);
    return {
      at,
      fsb: this.fs.ufs2 ? Number(this.view.getBigInt64(at, this.fs.le)) : this.view.getInt32(at, this.fs.le),
    };
  }

  setPointer(block: number, i: number, fsb: number): void {
    const { at } = this.pointer(block, i);
    if (this.fs.ufs2) this.view.setBigInt64(at, BigInt(fsb), this.fs.le);
    else this.view.setInt32(at, fsb, this.fs.le);
  }
}

export interface Damage {
  name: string;
  /** At least these must be found. */
  codes: FsckCode[];
  /** Absent: always. */
  possible?: (v: Volume) => boolean;
  apply: (v: Volume) => void;
  /** Repair cannot put everything back where it was. */
  loses?: boolean;
  /** NetBSD's checker of 2016 does not look at this. */
  stricter?: boolean;
}

const newDirFormat = (v: Volume): boolean => v.fs.ufs2 || v.fs.fs_old_inodefmt >= 2;

/** One kind of damage each. The volumes are those of test/fixtures/netbsd. */
export const damages: Damage[] = [
  {
    name: 'link count too high',
    codes: ['LINK_COUNT'],
    apply: (v) => {
      v.inode(v.ino('hello.txt')).nlink = 3;
    },
  },
  {
    name: 'link count too low',
    codes: ['LINK_COUNT'],
    apply: (v) => {
      v.inode(v.ino('hardlink')).nlink = 1;
    },
  },
  {
    name: 'link count zero',
    codes: ['LINK_COUNT'],
    apply: (v) => {
      v.inode(v.ino('one')).nlink = 0;
    },
  },
  {
    name: 'link count of a directory',
    codes: ['LINK_COUNT'],
    apply: (v) => {
      const i = v.inode(v.ino('dir'));
      i.nlink = i.nlink + 1;
    },
  },
  {
    name: 'unreferenced file',
    loses: true,
    codes: ['UNREF_FILE'],
    apply: (v) => {
      v.u32(v.entry('one').entry.at, 0);
    },
  },
  {
    name: 'unlinked file still there',
    codes: ['UNREF_FILE'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('one')).nlink = 0;
      v.u32(v.entry('one').entry.at, 0);
    },
  },
  {
    name: 'unreferenced empty file',
    loses: true,
    codes: ['UNREF_FILE'],
    apply: (v) => {
      v.u32(v.entry('empty').entry.at, 0);
    },
  },
  {
    name: 'unreferenced directory',
    loses: true,
    codes: ['UNREF_DIRECTORY'],
    apply: (v) => {
      v.u32(v.entry('dir/sub').entry.at, 0);
    },
  },
  {
    name: 'directory loop',
    loses: true,
    codes: ['DIRECTORY_LOOP'],
    apply: (v) => {
      // dir is taken out of the root and entered in dir/sub/deep under its own name: it lies below itself.
      const { entry } = v.entry('dir');
      const deep = v.ino('dir/sub/deep');
      const dot2 = v.dirents(deep)[1]!;
      const at = dot2.at + 12;
      const rest = dot2.reclen - 12;
      v.u16(dot2.at + 4, 12);
      v.bytes.copyWithin(at, entry.at, entry.at + 12);
      v.u16(at + 4, rest);
      v.u32(entry.at, 0);
    },
  },
  {
    name: 'directory linked twice',
    loses: true,
    codes: ['DIRECTORY_HARD_LINK'],
    apply: (v) => {
      const { entry } = v.entry('empty');
      v.u32(entry.at, v.ino('name with spaces'));
      if (newDirFormat(v)) {
        v.bytes[entry.at + 6] = 4;
      }
    },
  },
  {
    name: 'entry of an unallocated inode',
    loses: true,
    codes: ['ENTRY_UNALLOCATED'],
    apply: (v) => {
      v.u32(v.entry('empty').entry.at, v.fs.fs_ipg * 2 - 1);
    },
  },
  {
    name: 'entry out of range',
    loses: true,
    codes: ['INODE_OUT_OF_RANGE'],
    apply: (v) => {
      v.u32(v.entry('empty').entry.at, v.fs.ninodes + 5);
    },
  },
  {
    name: 'inode cleared under its name',
    codes: ['ENTRY_UNALLOCATED', 'CG_INODE_MAP'],
    loses: true,
    apply: (v) => {
      const i = v.inode(v.ino('hello.txt'));
      v.bytes.fill(0, i.off, i.off + i.size_bytes);
    },
  },
  {
    name: 'entry with the wrong type',
    codes: ['ENTRY_TYPE'],
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.bytes[v.entry('hello.txt').entry.at + 6] = 4;
    },
  },
  {
    name: 'entry with an impossible type',
    codes: ['ENTRY_TYPE'],
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.bytes[v.entry('hello.txt').entry.at + 6] = 77;
    },
  },
  {
    name: 'entry length zero',
    codes: ['DIRECTORY_CORRUPTED'],
    loses: true,
    apply: (v) => {
      v.u16(v.entry('short-link').entry.at + 4, 0);
    },
  },
  {
    name: 'entry length odd',
    codes: ['DIRECTORY_CORRUPTED'],
    loses: true,
    apply: (v) => {
      v.u16(v.entry('short-link').entry.at + 4, 21);
    },
  },
  {
    name: 'entry length across the chunk',
    codes: ['DIRECTORY_CORRUPTED'],
    loses: true,
    apply: (v) => {
      v.u16(v.entry('short-link').entry.at + 4, 1024);
    },
  },
  {
    name: 'entry length too short for the name',
    codes: ['DIRECTORY_CORRUPTED'],
    loses: true,
    apply: (v) => {
      v.u16(v.entry('short-link').entry.at + 4, 12);
    },
  },
  {
    name: 'slash in a name',
    codes: ['DIRECTORY_CORRUPTED'],
    loses: true,
    apply: (v) => {
      v.bytes[v.entry('hello.txt').entry.at + 10] = 0x2f;
    },
  },
  {
    name: 'first chunk of a directory destroyed',
    codes: ['DIRECTORY_CORRUPTED', 'DOT_MISSING', 'DOTDOT_MISSING'],
    loses: true,
    apply: (v) => {
      const at = v.dirents(v.ino('dir'))[0]!.at;
      v.bytes.fill(0xaa, at, at + 512);
    },
  },
  {
    name: 'two names alike',
    codes: ['DUPLICATE_NAME'],
    stricter: true,
    loses: true,
    apply: (v) => {
      const [a, b] = v.dirents(v.ino('many')).filter((e) => e.ino !== 0 && /^f1[0-9]$/.test(e.name));
      v.bytes.set(v.bytes.slice(a!.at + 8, a!.at + 11), b!.at + 8);
    },
  },
  {
    name: 'no "."',
    codes: ['DOT_MISSING'],
    apply: (v) => {
      v.u32(v.dirents(v.ino('dir/sub'))[0]!.at, 0);
    },
  },
  {
    name: '"." leads elsewhere',
    codes: ['DOT_INODE'],
    apply: (v) => {
      v.u32(v.dirents(v.ino('dir/sub'))[0]!.at, 2);
    },
  },
  {
    name: '"." renamed',
    codes: ['DOT_MISSING'],
    apply: (v) => {
      v.bytes[v.dirents(v.ino('dir/sub'))[0]!.at + 8] = 0x78;
    },
    loses: true,
  },
  {
    name: '"." of the wrong type',
    codes: ['DOT_TYPE'],
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.bytes[v.dirents(v.ino('dir/sub'))[0]!.at + 6] = 8;
    },
  },
  {
    name: 'no ".."',
    codes: ['DOTDOT_MISSING'],
    apply: (v) => {
      v.u32(v.dirents(v.ino('dir/sub'))[1]!.at, 0);
    },
  },
  {
    name: '".." leads elsewhere',
    codes: ['DOTDOT_INODE'],
    apply: (v) => {
      v.u32(v.dirents(v.ino('dir/sub'))[1]!.at, 2);
    },
  },
  {
    name: '".." renamed',
    codes: ['DOTDOT_MISSING'],
    loses: true,
    apply: (v) => {
      v.bytes[v.dirents(v.ino('dir/sub'))[1]!.at + 9] = 0x78;
    },
  },
  {
    name: '".." of the wrong type',
    codes: ['DOTDOT_TYPE'],
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.bytes[v.dirents(v.ino('dir/sub'))[1]!.at + 6] = 8;
    },
  },
  {
    name: 'a second "."',
    codes: ['EXTRA_DOT'],
    loses: true,
    apply: (v) => {
      const e = v.entry('one').entry;
      v.bytes.set([0x2e, 0], e.at + 8);
      if (newDirFormat(v)) {
        v.bytes[e.at + 7] = 1;
      } else {
        v.u16(e.at + 6, 1);
      }
    },
  },
  {
    name: 'a whiteout that is none',
    codes: ['BAD_WHITEOUT'],
    loses: true,
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.bytes[v.entry('one').entry.at + 6] = 14;
    },
  },
  {
    name: 'directory size no multiple',
    codes: ['DIRECTORY_LENGTH'],
    apply: (v) => {
      const i = v.inode(v.ino('dir/sub'));
      i.size = 500;
    },
  },
  {
    name: 'directory too short',
    codes: ['DIRECTORY_TOO_SHORT'],
    apply: (v) => {
      v.inode(v.ino('dir/sub')).size = 10;
    },
  },
  {
    name: 'directory of no length',
    codes: ['ENTRY_ZERO_LENGTH_DIRECTORY', 'ZERO_LENGTH_DIRECTORY'],
    loses: true,
    apply: (v) => {
      const i = v.inode(v.ino('name with spaces'));
      i.size = 0;
      i.setptr(0, 0);
      i.blocks = 0;
    },
  },
  {
    name: 'hole in a directory',
    codes: ['DIRECTORY_EMPTY_BLOCKS'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/sub')).setptr(0, 0);
    },
  },
  {
    name: 'block count wrong',
    codes: ['BLOCK_COUNT'],
    apply: (v) => {
      const i = v.inode(v.ino('dir/rand1500k'));
      i.blocks = i.blocks + 16;
    },
  },
  {
    name: 'block of two files',
    codes: ['DUP_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand70k')).setptr(0, v.inode(v.ino('dir/rand1500k')).ptr(0));
    },
  },
  {
    name: 'block twice in one file',
    codes: ['DUP_BLOCK'],
    loses: true,
    apply: (v) => {
      const i = v.inode(v.ino('dir/rand70k'));
      i.setptr(1, i.ptr(0));
    },
  },
  {
    name: 'block of a directory in a file',
    codes: ['DUP_BLOCK'],
    loses: true,
    apply: (v) => {
      const i = v.inode(v.ino('dir/rand70k'));
      i.setptr(0, v.fs.blknum(v.inode(v.ino('dir')).ptr(0)));
    },
  },
  {
    name: 'block pointer outside the volume',
    codes: ['BAD_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand70k')).setptr(0, v.fs.fs_size + 8);
    },
  },
  {
    name: 'block pointer below zero',
    codes: ['BAD_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand70k')).setptr(0, -8);
    },
  },
  {
    name: 'block pointer into inodes',
    codes: ['BAD_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand70k')).setptr(0, v.fs.cgimin(1));
    },
  },
  {
    name: 'block pointer into the summary area',
    codes: ['DUP_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand70k')).setptr(0, v.fs.fs_csaddr);
    },
  },
  {
    name: 'block pointer across blocks',
    codes: ['BAD_BLOCK'],
    stricter: true,
    loses: true,
    apply: (v) => {
      const i = v.inode(v.ino('dir/rand70k'));
      i.setptr(0, i.ptr(0) + 1);
    },
  },
  {
    name: 'indirect block pointer bad',
    codes: ['BAD_BLOCK'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('dir/rand1500k')).setptr(12, v.fs.fs_size * 2);
    },
  },
  {
    name: 'pointer in an indirect block bad',
    codes: ['BAD_BLOCK'],
    loses: true,
    apply: (v) => {
      v.setPointer(v.inode(v.ino('dir/rand1500k')).ptr(12), 3, v.fs.fs_size * 2);
    },
  },
  {
    name: 'pointer behind the end in an indirect block',
    codes: ['PARTIALLY_TRUNCATED'],
    apply: (v) => {
      v.setPointer(v.inode(v.ino('dir/rand1500k')).ptr(12), v.fs.fs_nindir - 1, v.fs.cgdmin(2));
    },
  },
  {
    name: 'pointer behind the end in the inode',
    codes: ['UNKNOWN_FILE_TYPE'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('hello.txt')).setptr(5, v.fs.cgdmin(2));
    },
  },
  {
    name: 'many bad pointers',
    codes: ['EXCESSIVE_BAD_BLOCKS'],
    loses: true,
    apply: (v) => {
      const at = v.inode(v.ino('dir/rand1500k')).ptr(12);
      for (let i = 0; i < 40; i++) {
        v.setPointer(at, i, v.fs.fs_size * 3 + i);
      }
    },
  },
  {
    name: 'size too large for the blocks',
    codes: ['BLOCK_COUNT'],
    apply: (v) => {
      const i = v.inode(v.ino('hello.txt'));
      i.size = v.fs.fs_bsize;
    },
    loses: true,
  },
  {
    name: 'size beyond all bounds',
    codes: ['UNKNOWN_FILE_TYPE'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('hello.txt')).size = 2 ** 62;
    },
  },
  {
    name: 'file type of nothing',
    codes: ['UNKNOWN_FILE_TYPE'],
    loses: true,
    apply: (v) => {
      v.inode(v.ino('hello.txt')).mode = 0o130644;
    },
  },
  {
    name: 'free inode with blocks',
    codes: ['PARTIALLY_ALLOCATED'],
    apply: (v) => {
      let ino = v.fs.ufs2 ? v.get32(v.cg(0) + 120) - 1 : v.fs.fs_ipg - 1;
      while (v.inode(ino).mode !== 0) {
        ino--;
      }
      v.inode(ino).size = 5;
    },
  },
  {
    name: 'text behind a short symlink',
    codes: ['UNKNOWN_FILE_TYPE'],
    loses: true,
    possible: (v) => v.fs.fs_maxsymlinklen !== 0,
    apply: (v) => {
      v.inode(v.ino('short-link')).setptr(9, 77777);
    },
  },
  {
    name: 'extended attributes too large',
    codes: ['EXTATTR_SIZE'],
    stricter: true,
    possible: (v) => v.fs.ufs2,
    apply: (v) => {
      const i = v.inode(v.ino('hello.txt'));
      v.u32(i.off + 92, 0x7fffffff);
    },
  },
  {
    name: 'extended attributes in a bad block',
    codes: ['BAD_BLOCK'],
    stricter: true,
    loses: true,
    possible: (v) => v.fs.ufs2,
    apply: (v) => {
      const i = v.inode(v.ino('hello.txt'));
      v.u32(i.off + 92, 100);
      v.view.setBigInt64(i.off + 96, BigInt(v.fs.fs_size + 100), v.fs.le);
    },
  },
  {
    name: 'a block behind the end of the extended attributes',
    codes: ['EXTATTR_SIZE'],
    stricter: true,
    possible: (v) => v.fs.ufs2,
    apply: (v) => {
      const i = v.inode(v.ino('hello.txt'));
      v.u32(i.off + 92, 100);
      v.view.setBigInt64(i.off + 104, BigInt(v.fs.cgdmin(2)), v.fs.le);
    },
  },
  {
    name: 'root is a file',
    codes: ['ROOT_NOT_DIRECTORY'],
    loses: true,
    apply: (v) => {
      v.inode(2).mode = 0o100755;
    },
  },
  {
    name: 'root is gone',
    codes: ['ROOT_UNALLOCATED'],
    loses: true,
    apply: (v) => {
      const i = v.inode(2);
      v.bytes.fill(0, i.off, i.off + i.size_bytes);
    },
  },
  {
    name: 'root has a bad block',
    codes: ['ROOT_DUP_BAD'],
    loses: true,
    apply: (v) => {
      v.inode(2).setptr(0, v.fs.fs_size + 8);
    },
  },
  {
    name: 'group magic',
    codes: ['CG_MAGIC'],
    apply: (v) => {
      v.u32(v.cg(1) + 4, 0x12345678);
    },
  },
  {
    name: 'group number',
    codes: ['CG_HEADER'],
    apply: (v) => {
      v.u32(v.cg(1) + 12, 7);
    },
  },
  {
    name: 'group counts',
    codes: ['CG_SUMMARY'],
    apply: (v) => {
      v.add32(v.cg(1) + 28, -3);
    },
  },
  {
    name: 'directory count of a group',
    codes: ['CG_SUMMARY'],
    apply: (v) => {
      v.add32(v.cg(0) + 24, 1);
    },
  },
  {
    name: 'group fragment counts',
    codes: ['CG_FRSUM'],
    apply: (v) => {
      v.add32(v.cg(0) + 52 + 4 * 3, 1);
    },
  },
  {
    name: 'rotor out of the group',
    codes: ['CG_HEADER'],
    apply: (v) => {
      v.u32(v.cg(1) + 40, 0x7fffffff);
    },
  },
  {
    name: 'offset of a map',
    codes: ['CG_HEADER'],
    apply: (v) => {
      v.add32(v.cg(1) + 96, 4);
    },
  },
  {
    name: 'cluster counts',
    codes: ['CG_CLUSTERSUM'],
    possible: (v) => cgOffsets(v.fs).clusteroff !== 0,
    apply: (v) => {
      const o = cgOffsets(v.fs);
      v.add32(v.cg(1) + o.clustersumoff + 4, 2);
    },
  },
  {
    name: 'cluster map',
    codes: ['CG_CLUSTER_MAP'],
    possible: (v) => cgOffsets(v.fs).clusteroff !== 0,
    apply: (v) => {
      const o = cgOffsets(v.fs);
      v.bytes[v.cg(1) + o.clusteroff + o.clustermapsize - 2]! ^= 0x10;
    },
  },
  {
    name: 'used block marked free',
    codes: ['CG_BLOCK_MAP'],
    apply: (v) => {
      const d = v.fs.dtogd(v.inode(v.ino('dir/rand1500k')).ptr(0));
      const c = v.fs.dtog(v.inode(v.ino('dir/rand1500k')).ptr(0));
      v.bytes[v.cg(c) + cgOffsets(v.fs).freeoff + (d >> 3)]! |= 1 << (d & 7);
    },
  },
  {
    name: 'free block marked used',
    codes: ['CG_BLOCK_MAP'],
    apply: (v) => {
      const d = v.fs.cgfrags(1) - 16;
      v.bytes[v.cg(1) + cgOffsets(v.fs).freeoff + (d >> 3)]! &= ~(1 << (d & 7));
    },
  },
  {
    name: 'used inode marked free',
    codes: ['CG_INODE_MAP'],
    apply: (v) => {
      const i = v.ino('hello.txt');
      v.bytes[v.cg(v.fs.ino_to_cg(i)) + cgOffsets(v.fs).iusedoff + ((i % v.fs.fs_ipg) >> 3)]! &= ~(
        1 <<
        ((i % v.fs.fs_ipg) & 7)
      );
    },
  },
  {
    name: 'free inode marked used',
    codes: ['CG_INODE_MAP'],
    apply: (v) => {
      v.bytes[v.cg(1) + cgOffsets(v.fs).iusedoff + cgOffsets(v.fs).inomapsize - 1]! |= 0x80;
    },
  },
  {
    name: 'summary of a group',
    codes: ['CS_SUMMARY'],
    apply: (v) => {
      v.add32(v.frag(v.fs.fs_csaddr) + 16 + 4, 9);
    },
  },
  {
    name: 'totals',
    codes: ['CS_TOTAL'],
    apply: (v) => {
      v.fs.fs_cstotal.cs_nffree += 5;
      v.bytes.set(v.fs.encode(), v.sb);
    },
  },
  {
    name: 'copy of the superblock',
    codes: ['ALTERNATE_SUPERBLOCK'],
    apply: (v) => {
      v.u32(v.frag(v.fs.cgsblock(1)) + 1372, 0);
    },
  },
  {
    name: 'copy of the superblock differs',
    codes: ['ALTERNATE_SUPERBLOCK'],
    apply: (v) => {
      v.u32(v.frag(v.fs.cgsblock(2)) + 184, 12345);
    },
  },
  {
    name: 'superblock gone',
    codes: ['SB_MISSING'],
    apply: (v) => {
      v.bytes.fill(0, v.sb, v.sb + 1376);
    },
  },
  {
    name: 'superblock field out of range',
    codes: ['SB_BAD'],
    apply: (v) => {
      v.u32(v.sb + 48, 12345);
    },
  },
  {
    name: 'superblock disagrees with all copies',
    codes: ['SB_ALTERNATE_DIFFERS'],
    stricter: true,
    apply: (v) => {
      v.add32(v.sb + 100, 1);
    },
  },
  {
    name: 'minfree impossible',
    codes: ['SB_FIELD'],
    apply: (v) => {
      v.u32(v.sb + 60, 120);
    },
  },
  {
    name: 'optimization undefined',
    codes: ['SB_FIELD'],
    apply: (v) => {
      v.u32(v.sb + 128, 9);
    },
  },
  {
    name: 'largest file size',
    codes: ['SB_FIELD'],
    possible: (v) => newDirFormat(v),
    apply: (v) => {
      v.u32(v.sb + 1328, 77);
    },
  },
  {
    name: 'not marked clean',
    codes: ['NOT_CLEAN'],
    apply: (v) => {
      v.bytes[v.sb + 209] = 0;
    },
  },
];
