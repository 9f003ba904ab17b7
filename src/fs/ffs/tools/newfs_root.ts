import { DT_DIR, S_IFDIR } from '../../../kernel/stat.js';
import { DINODE1_SIZE, DINODE2_SIZE, UFS_ROOTINO } from '../disk/fs.js';
import type { Fs } from '../disk/fs.js';

const DIRBLKSIZ = 512;

/** One fragment with the entries "." and "..". `old`: entries without d_type and with a 16-bit name length. */
export function rootDirectory(fs: Fs, old: boolean): Uint8Array {
  const bytes = new Uint8Array(fs.fs_fsize);
  const view = new DataView(bytes.buffer);
  const entry = (offset: number, reclen: number, name: string): void => {
    view.setUint32(offset, UFS_ROOTINO, fs.le);
    view.setUint16(offset + 4, reclen, fs.le);
    if (old) {
      view.setUint16(offset + 6, name.length, fs.le);
    } else {
      view.setUint8(offset + 6, DT_DIR);
      view.setUint8(offset + 7, name.length);
    }
    for (let i = 0; i < name.length; i++) bytes[offset + 8 + i] = name.charCodeAt(i);
  };
  entry(0, 12, '.');
  entry(12, DIRBLKSIZ - 12, '..');
  return bytes;
}

/** The root's inode, whose one fragment is at `block`. */
export function rootInode(
  fs: Fs,
  owner: { uid?: number; gid?: number; mode?: number },
  time: { sec: number; nsec: number },
  block: number,
): Uint8Array {
  const bytes = new Uint8Array(fs.ufs2 ? DINODE2_SIZE : DINODE1_SIZE);
  const view = new DataView(bytes.buffer);
  const { le } = fs;
  const uid = owner.uid ?? 0;
  const gid = owner.gid ?? 0;
  const gen = Math.floor(Math.random() * 0x7fffffff);
  view.setUint16(0, S_IFDIR | ((owner.mode ?? 0o755) & 0o7777), le);
  view.setInt16(2, 2, le);
  if (fs.ufs2) {
    view.setUint32(4, uid, le);
    view.setUint32(8, gid, le);
    view.setBigUint64(16, BigInt(DIRBLKSIZ), le);
    view.setBigUint64(24, BigInt(fs.fs_fsize / 512), le);
    for (const offset of [32, 40, 48, 56]) view.setBigInt64(offset, BigInt(time.sec), le);
    for (const offset of [64, 68, 72, 76]) view.setInt32(offset, time.nsec, le);
    view.setInt32(80, gen, le);
    view.setBigInt64(112, BigInt(block), le);
  } else {
    view.setUint16(4, uid > 0xffff ? 0xffff : uid, le);
    view.setUint16(6, gid > 0xffff ? 0xffff : gid, le);
    view.setBigUint64(8, BigInt(DIRBLKSIZ), le);
    for (const offset of [16, 24, 32]) {
      view.setInt32(offset, time.sec, le);
      view.setInt32(offset + 4, time.nsec, le);
    }
    view.setInt32(40, block, le);
    view.setUint32(104, fs.fs_fsize / 512, le);
    view.setInt32(108, gen, le);
    view.setUint32(112, uid, le);
    view.setUint32(116, gid, le);
  }
  return bytes;
}
