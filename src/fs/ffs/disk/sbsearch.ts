import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { FS_FLAGS_UPDATED, Fs, SBLOCKSEARCH, SBLOCKSIZE, SBLOCK_UFS2 } from './fs.js';
import { ffs_superblock_validate } from './fs_validate.js';

/** `length` bytes of the device; EIO where they lie beyond it. */
export async function readbytes(dev: BlockDevice, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await dev.read(bytes, 0, length, offset);
  return bytes;
}

/**
 * Is a superblock found at `offset` the standard one of a volume, and not a copy or what an older volume left behind?
 * A UFS1 superblock at 64 KiB is the first copy of a volume with 64 KiB blocks; a superblock that carries its own place
 * must have been found there.
 */
export function isstandard(fs: Fs, offset: number): boolean {
  const tells = fs.ufs2 || (fs.fs_old_flags & FS_FLAGS_UPDATED) !== 0;
  if (!tells || !fs.wide) return fs.ufs2 || offset !== SBLOCK_UFS2;
  return fs.fs_sblockloc === offset;
}

/**
 * Finds the superblock of the volume on `dev`, in the places and order of NetBSD's SBLOCKSEARCH.
 * @throws EFTYPE there is none, or the best candidate is damaged: the message says what is wrong with it. EIO
 */
export async function ffs_superblock_search(dev: BlockDevice): Promise<Fs> {
  let why: string | undefined;
  for (const offset of SBLOCKSEARCH) {
    if (offset + SBLOCKSIZE > dev.size_bytes) continue;
    const fs = Fs.decode(await readbytes(dev, offset, SBLOCKSIZE), offset);
    if (fs === undefined || !isstandard(fs, offset)) continue;
    const problem = ffs_superblock_validate(fs, { device_bytes: dev.size_bytes });
    if (problem === undefined) return fs;
    why ??= `superblock at ${offset}: ${problem}`;
  }
  throw errno(E.EFTYPE, why === undefined ? `${dev.name}: no FFS superblock found` : `${dev.name}: ${why}`);
}
