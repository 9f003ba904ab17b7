/** Makes the sums of a mutated volume right again, so that the driver goes on to what they are the sums of. */
import { FS_ISCLEAN } from '../../src/fs/ffs/disk/fs.js';
import type { Fs } from '../../src/fs/ffs/disk/fs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';
import { hashSuperblock } from './bases.js';

/** Groups whose counters are summed up; mutated volumes may claim millions. */
const MAX_GROUPS = 4096;

function writeback(dev: MutantDevice, fs: Fs, hashed: boolean): void {
  const bytes = fs.encode().slice(0, fs.fs_sbsize);
  if (hashed) hashSuperblock(bytes, 0, bytes.length, fs.le);
  dev.put(bytes, 0, bytes.length, fs.fs_sblockloc);
}

async function superblockOf(dev: MutantDevice): Promise<Fs | undefined> {
  try {
    return await ffs_superblock_search(dev);
  } catch {
    return undefined;
  }
}

/** FreeBSD's check hash of the superblock fits its bytes. */
export async function amendHash(dev: MutantDevice): Promise<void> {
  const fs = await superblockOf(dev);
  if (fs !== undefined) writeback(dev, fs, true);
}

/**
 * The volume says that it is clean, and its totals are the sums of its groups' counters, whatever those are: most
 * mutants can then be mounted for writing.
 * @returns false if it is no volume
 */
export async function amendClean(dev: MutantDevice): Promise<boolean> {
  const fs = await superblockOf(dev);
  if (fs === undefined) return false;
  const total = [0, 0, 0, 0];
  const counts = new Uint8Array(16);
  const view = new DataView(counts.buffer);
  for (let c = 0; c < Math.min(fs.fs_ncg, MAX_GROUPS); c++) {
    dev.get(counts, 0, 16, fs.fsbtob(fs.cgtod(c)) + 24);
    for (let i = 0; i < 4; i++) total[i]! += view.getInt32(4 * i, fs.le);
    dev.put(counts, 0, 16, fs.fsbtob(fs.fs_csaddr) + 16 * c);
  }
  Object.assign(fs.fs_cstotal, { cs_ndir: total[0], cs_nbfree: total[1], cs_nifree: total[2], cs_nffree: total[3] });
  fs.fs_clean = FS_ISCLEAN;
  // Left are the flags that mean nothing to writing.
  fs.fs_flags &= 0x482;
  fs.fs_metackhash = 0;
  fs.fs_snapinum.fill(0);
  writeback(dev, fs, false);
  return true;
}
