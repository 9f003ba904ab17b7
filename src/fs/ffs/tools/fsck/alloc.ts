import { S_IFDIR } from '../../../../kernel/stat.js';
import { UFS_ROOTINO } from '../../disk/fs.js';
import type { FsckContext } from './context.js';
import { USTATE } from './inodetable.js';
import { ginode } from './walk.js';

/** Space and inodes for what repair must make: found in the map of phase 1, entered into the groups in phase 5. */

/** `count` (1..fs_frag) free fragments inside one block, marked used. @returns the first, or 0 if there are none */
export function allocFrags(ctx: FsckContext, count: number): number {
  const { fs, blocks } = ctx;
  for (let c = 0; c < fs.fs_ncg; c++) {
    const base = fs.cgbase(c);
    const map = blocks.peek(c);
    const frags = fs.cgfrags(c);
    for (let block = 0; block < frags; block += fs.fs_frag) {
      if (fs.fs_frag === 8 && map[block >>> 3] === 0xff) continue;
      let run = 0;
      for (let i = block; i < block + fs.fs_frag && i < frags; i++) {
        run = (map[i >>> 3]! & (1 << (i & 7))) === 0 ? run + 1 : 0;
        if (run < count) continue;
        const fsb = base + i - count + 1;
        if (!blocks.inRange(fsb, count)) continue;
        for (let k = 0; k < count; k++) {
          blocks.set(fsb + k);
          ctx.forget(fsb + k);
        }
        ctx.touched.add(c);
        ctx.usedFrags += count;
        return fsb;
      }
    }
  }
  return 0;
}

export function freeFrags(ctx: FsckContext, fsb: number, count: number): void {
  for (let i = 0; i < count; i++) {
    ctx.blocks.clear(fsb + i);
    ctx.forget(fsb + i);
  }
  ctx.touched.add(ctx.fs.dtog(fsb));
  ctx.usedFrags -= count;
}

/** A free inode, with a place in the table; `wanted` or any. @returns 0 if there is none */
async function allocInode(ctx: FsckContext, wanted = 0): Promise<number> {
  const { fs, inodes } = ctx;
  if (wanted !== 0) {
    const c = fs.ino_to_cg(wanted);
    if (inodes.count(c) <= wanted - c * fs.fs_ipg) inodes.resize(c, wanted - c * fs.fs_ipg + 1);
    ctx.touched.add(c);
    return wanted;
  }
  for (let c = 0; c < fs.fs_ncg; c++) {
    const from = c === 0 ? UFS_ROOTINO : 0;
    const count = inodes.count(c);
    let i = from;
    while (i < count && inodes.state(c * fs.fs_ipg + i) !== USTATE) i++;
    if (i >= fs.fs_ipg) continue;
    if (i >= inodes.inited[c]!) await initialise(ctx, c);
    if (i >= count) inodes.resize(c, i + 1);
    ctx.touched.add(c);
    return c * fs.fs_ipg + i;
  }
  return 0;
}

/** UFS2: one more block of inodes is made valid. */
async function initialise(ctx: FsckContext, c: number): Promise<void> {
  const { fs, inodes } = ctx;
  const n = inodes.inited[c]!;
  const blank = new Uint8Array(fs.fs_bsize);
  const first = c * fs.fs_ipg + n;
  ctx.forget(fs.ino_to_fsba(first));
  await ctx.writeAt(blank, blank.length, fs.fsbtob(fs.ino_to_fsba(first)));
  inodes.inited[c] = Math.min(fs.fs_ipg, n + fs.fs_inopb);
}

/**
 * A new directory of one fragment with "." and "..". Its parent's link count is not touched.
 * @returns its inode, or 0 if the volume is full
 */
export async function allocDir(ctx: FsckContext, parent: number, mode: number, wanted = 0): Promise<number> {
  const { fs, dirblksiz } = ctx;
  const fsb = allocFrags(ctx, 1);
  if (fsb === 0) return 0;
  const ino = await allocInode(ctx, wanted);
  if (ino === 0) {
    freeFrags(ctx, fsb, 1);
    return 0;
  }
  const dir = await ctx.getblk(fsb, fs.fs_fsize);
  dir.bytes.fill(0);
  const entry = (off: number, reclen: number, to: number, name: string): void => {
    dir.view.setUint32(off, to, fs.le);
    dir.view.setUint16(off + 4, reclen, fs.le);
    if (ctx.oldformat) {
      dir.view.setUint16(off + 6, name.length, fs.le);
    } else {
      dir.bytes[off + 6] = S_IFDIR >> 12;
      dir.bytes[off + 7] = name.length;
    }
    for (let i = 0; i < name.length; i++) dir.bytes[off + 8 + i] = name.charCodeAt(i);
  };
  entry(0, 12, ino, '.');
  entry(12, dirblksiz - 12, parent === 0 ? ino : parent, '..');
  await ctx.bwrite(dir);
  const { inode, buf } = await ginode(ctx, ino);
  inode.clear();
  inode.mode = S_IFDIR | mode;
  inode.nlink = 2;
  inode.size = dirblksiz;
  inode.blocks = fs.fs_fsize / 512;
  inode.setptr(0, fsb);
  inode.settimes(ctx.now);
  await ctx.bwrite(buf);
  ctx.files++;
  return ino;
}
