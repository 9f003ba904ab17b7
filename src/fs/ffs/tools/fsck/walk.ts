import { geti64 } from '../../../lib/endian.js';
import { UFS_NDADDR, UFS_NIADDR, UFS_NXADDR } from '../../disk/fs.js';
import type { FsckBuf, FsckContext } from './context.js';
import { InodeView, blockless, directFrags, indirectReach } from './inodeview.js';

/** What a visitor says: go on; leave out what hangs on this block; stop with this inode. */
export const KEEPON = 0;
export const SKIP = 1;
export const STOP = 2;

/** Called for the blocks of an inode in the order of the file, indirect blocks before what they point to. */
export interface BlockVisitor {
  /** @param lbn number in the file; -level for an indirect block (1..3); NaN for an attribute block */
  block(fsb: number, frags: number, lbn: number): number | Promise<number>;
  /** A hole of `count` blocks from `lbn`. */
  hole?(lbn: number, count: number): number | Promise<number>;
  /** An indirect block, before its pointers: `used` of them lie inside the file. */
  indirect?(buf: FsckBuf, used: number): void | Promise<void>;
}

/** Pointer `i` of an indirect block. */
export function indirectPtr(ctx: FsckContext, buf: FsckBuf, i: number): number {
  return ctx.fs.ufs2 ? geti64(buf.view, 8 * i, ctx.fs.le) : buf.view.getInt32(4 * i, ctx.fs.le);
}

/** Blocks of a file by its size: direct, then under each indirect pointer. */
interface Level {
  buf: FsckBuf;
  next: number;
  used: number;
  /** First block of the file under this level's pointer `next`. */
  lbn: number;
  /** Blocks under one pointer. */
  step: number;
  level: number;
}

/**
 * Goes through all blocks of an inode. Its own way through the pointers, shared with nothing that mounts: a fault of
 * the driver must not hide here. Depth is three, kept in an array; the visitor is told of blocks out of range too, and
 * must answer SKIP or STOP for an indirect one.
 */
export async function walkInode(ctx: FsckContext, inode: InodeView, visitor: BlockVisitor): Promise<number> {
  const { fs } = ctx;
  // A short symlink or a device has no blocks of its own, but may have some for extended attributes.
  if (blockless(inode, fs, ctx.appleufs)) return walkExtattr(extattrOf(ctx, inode), visitor);
  const { size } = inode;
  const nblocks = Math.ceil(size / fs.fs_bsize);
  // The window may move while we wait.
  const ptrs: number[] = [];
  for (let i = 0; i < UFS_NDADDR + UFS_NIADDR; i++) ptrs.push(inode.ptr(i));
  const ext = extattrOf(ctx, inode);
  for (let lbn = 0; lbn < UFS_NDADDR; lbn++) {
    const fsb = ptrs[lbn]!;
    let answer: number | Promise<number> = KEEPON;
    if (fsb !== 0) answer = visitor.block(fsb, directFrags(fs, size, lbn), lbn);
    else if (lbn < nblocks && visitor.hole !== undefined) answer = visitor.hole(lbn, 1);
    if (answer instanceof Promise) answer = await answer;
    if (answer === STOP) return STOP;
  }
  let lbn = UFS_NDADDR;
  for (let level = 1; level <= UFS_NIADDR; level++) {
    const fsb = ptrs[UFS_NDADDR + level - 1]!;
    const reach = indirectReach(fs, level);
    if (fsb !== 0) {
      if ((await walkIndirect(ctx, fsb, level, lbn, nblocks, visitor)) === STOP) return STOP;
    } else if (lbn < nblocks && visitor.hole !== undefined) {
      if ((await visitor.hole(lbn, Math.min(reach, nblocks - lbn))) === STOP) return STOP;
    }
    lbn += reach;
  }
  return walkExtattr(ext, visitor);
}

/** Address and frags of the blocks with extended attributes. */
function extattrOf(ctx: FsckContext, inode: InodeView): [fsb: number, frags: number][] {
  const ext: [number, number][] = [];
  if (!inode.ufs2 || inode.extsize <= 0) return ext;
  const { extsize } = inode;
  for (let i = 0; i < UFS_NXADDR; i++) ext.push([inode.extb(i), directFrags(ctx.fs, extsize, i)]);
  return ext;
}

async function walkExtattr(ext: readonly (readonly [number, number])[], visitor: BlockVisitor): Promise<number> {
  for (const [fsb, frags] of ext) {
    if (fsb !== 0 && (await visitor.block(fsb, frags, NaN)) === STOP) return STOP;
  }
  return KEEPON;
}

async function enter(
  ctx: FsckContext,
  fsb: number,
  level: number,
  lbn: number,
  nblocks: number,
  visitor: BlockVisitor,
): Promise<Level | number> {
  const { fs } = ctx;
  const said = await visitor.block(fsb, fs.fs_frag, -level);
  if (said !== KEEPON || !ctx.blocks.inRange(fsb, fs.fs_frag)) return said === STOP ? STOP : SKIP;
  const buf = await ctx.getblk(fsb, fs.fs_bsize);
  const step = level === 1 ? 1 : indirectReach(fs, level - 1);
  const used = Math.max(0, Math.min(fs.fs_nindir, Math.ceil((nblocks - lbn) / step)));
  await visitor.indirect?.(buf, used);
  return { buf, next: 0, used, lbn, step, level };
}

async function walkIndirect(
  ctx: FsckContext,
  root: number,
  rootLevel: number,
  rootLbn: number,
  nblocks: number,
  visitor: BlockVisitor,
): Promise<number> {
  const { fs } = ctx;
  const first = await enter(ctx, root, rootLevel, rootLbn, nblocks, visitor);
  if (typeof first === 'number') return first;
  const stack: Level[] = [first];
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    if (top.next >= top.used) {
      stack.pop();
      continue;
    }
    const fsb = indirectPtr(ctx, top.buf, top.next);
    const { lbn } = top;
    top.next++;
    top.lbn += top.step;
    if (fsb === 0) {
      if (visitor.hole !== undefined && (await visitor.hole(lbn, Math.min(top.step, nblocks - lbn))) === STOP) {
        return STOP;
      }
    } else if (top.level === 1) {
      let said = visitor.block(fsb, fs.fs_frag, lbn);
      if (said instanceof Promise) said = await said;
      if (said === STOP) return STOP;
    } else {
      const below = await enter(ctx, fsb, top.level - 1, lbn, nblocks, visitor);
      if (below === STOP) return STOP;
      if (typeof below !== 'number') stack.push(below);
    }
  }
  return KEEPON;
}

/** The inode `ino`, in its block. Changes go to the disk with {@link FsckContext.bwrite} of the block. */
export async function ginode(ctx: FsckContext, ino: number): Promise<{ inode: InodeView; buf: FsckBuf }> {
  const { fs } = ctx;
  const got = ctx.getblk(fs.ino_to_fsba(ino), fs.fs_bsize);
  const buf = got instanceof Promise ? await got : got;
  return { inode: new InodeView(fs, buf.bytes, buf.view, fs.ino_to_bo(ino)), buf };
}
