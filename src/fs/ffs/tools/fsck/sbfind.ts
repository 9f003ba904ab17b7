import { Errno } from '../../../../kernel/errno.js';
import {
  FS_DYNAMICPOSTBLFMT,
  FS_MAGIC_OFFSET,
  FS_UFS1_MAGIC,
  FS_UFS2EA_MAGIC,
  FS_UFS2_MAGIC,
  Fs,
  SBLOCKSEARCH,
  SBLOCKSIZE,
  SBLOCK_UFS1,
  SBLOCK_UFS2,
} from '../../disk/fs.js';
import { ffs_oldgroups_wrong, ffs_superblock_validate } from '../../disk/fs_validate.js';
import { isstandard } from '../../disk/sbsearch.js';
import type { FsckContext } from './context.js';
import { superblocksDiffer } from './sbcompare.js';

/** Copies of the superblock are looked for up to here, where nothing says where they are. */
const SEARCH_BYTES = 64 << 20;
const STEP = 8192;

export interface Found {
  readonly fs: Fs;
  readonly offset: number;
  /** What is wrong with it, or undefined. */
  readonly why: string | undefined;
}

/** Reads a superblock at `offset` and judges it. The checks of single fields that a check may mend come later. */
export async function superblockAt(ctx: FsckContext, offset: number, home?: number): Promise<Found | undefined> {
  if (offset < 0 || offset + SBLOCKSIZE > ctx.dev.size_bytes) return undefined;
  const bytes = new Uint8Array(SBLOCKSIZE);
  await ctx.readAt(bytes, SBLOCKSIZE, offset);
  let fs: Fs | undefined;
  try {
    fs = Fs.decode(bytes, home ?? offset);
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    ctx.note(thrown.message);
    return undefined;
  }
  if (fs === undefined) return undefined;
  return { fs, offset, why: judge(fs) };
}

/** Fields that fsck_ffs mends by itself must not make the whole superblock unusable. */
function judge(fs: Fs): string | undefined {
  const { fs_bmask, fs_fmask, fs_minfree, fs_maxfilesize, fs_dsize, fs_old_postblformat } = fs;
  if (fs.fs_bsize > 0) fs.fs_bmask = ~(fs.fs_bsize - 1);
  if (fs.fs_fsize > 0) fs.fs_fmask = ~(fs.fs_fsize - 1);
  fs.fs_minfree = 5;
  if (ffs_oldgroups_wrong(fs)) fs.fs_old_postblformat = FS_DYNAMICPOSTBLFMT;
  fs.fs_maxfilesize = Math.max(1, fs_maxfilesize);
  const why = ffs_superblock_validate(fs, {});
  Object.assign(fs, { fs_bmask, fs_fmask, fs_minfree, fs_maxfilesize, fs_dsize, fs_old_postblformat });
  return why;
}

/** The standard superblock, sound or not: in the places and the order of SBLOCKSEARCH. */
export async function standardSuperblock(ctx: FsckContext): Promise<Found | undefined> {
  let damaged: Found | undefined;
  for (const offset of SBLOCKSEARCH) {
    const found = await superblockAt(ctx, offset);
    if (found === undefined || !isstandard(found.fs, offset)) continue;
    if (found.why === undefined) return found;
    damaged ??= found;
  }
  return damaged;
}

/** Where the standard superblock of the volume belongs that this is a copy of. */
export function homeOf(fs: Fs): number {
  return fs.ufs2 || fs.wide ? fs.fs_sblockloc : SBLOCK_UFS1;
}

/** A sound copy of a superblock that is lost, with at least one more copy that agrees with it. */
export async function searchAlternate(ctx: FsckContext): Promise<Found | undefined> {
  const window = new Uint8Array(1 << 20);
  const view = new DataView(window.buffer);
  const end = Math.min(SEARCH_BYTES, ctx.dev.size_bytes);
  for (let base = 0; base < end; base += window.length) {
    const length = Math.min(window.length, ctx.dev.size_bytes - base);
    await ctx.readAt(window, length, base);
    for (let off = 0; off + SBLOCKSIZE <= length; off += STEP) {
      const magic = view.getUint32(off + FS_MAGIC_OFFSET, true);
      const swapped = view.getUint32(off + FS_MAGIC_OFFSET, false);
      if (![magic, swapped].some((m) => m === FS_UFS1_MAGIC || m === FS_UFS2_MAGIC || m === FS_UFS2EA_MAGIC)) continue;
      const ufs1 = magic === FS_UFS1_MAGIC || swapped === FS_UFS1_MAGIC;
      const found = await superblockAt(ctx, base + off, ufs1 ? SBLOCK_UFS1 : SBLOCK_UFS2);
      if (found === undefined || found.why !== undefined || found.fs.fs_size * found.fs.fs_fsize > ctx.dev.size_bytes) {
        continue;
      }
      if (await isCopy(ctx, found)) return found;
    }
  }
  return undefined;
}

/** Does this superblock stand where its own geometry puts a copy, and does another copy agree? */
async function isCopy(ctx: FsckContext, found: Found): Promise<boolean> {
  const { fs } = found;
  let stands = false;
  for (let c = 0; c < Math.min(fs.fs_ncg, 64) && !stands; c++) stands = fs.fsbtob(fs.cgsblock(c)) === found.offset;
  if (!stands) return false;
  if (fs.fs_ncg === 1) return true;
  for (const c of [fs.fs_ncg - 1, 0, 1]) {
    const offset = fs.fsbtob(fs.cgsblock(c));
    if (offset === found.offset) continue;
    const other = await superblockAt(ctx, offset, homeOf(fs));
    if (other !== undefined && superblocksDiffer(fs, other.fs) === undefined) return true;
  }
  return false;
}
