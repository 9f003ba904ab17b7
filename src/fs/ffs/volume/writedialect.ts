import { CK_SUPPORTED, ffs_ckhashes } from '../disk/ckhash.js';
import type { FfsMount } from './ffsmount.js';
import { FS_DOSOFTDEP, FS_METACKHASH, FS_NEEDSFSCK } from '../disk/fs_const.js';

/**
 * What a volume's own system must find in the superblock while we write the volume, and afterwards.
 *
 * With soft updates a system mounts a volume that was not cleanly unmounted and lets a checker run behind: right after
 * its own crashes, wrong after ours, for our order of writes is another. FreeBSD has a flag that forbids it. For the
 * others soft updates are switched off while we write.
 */

/**
 * fs_flags of features that a FreeBSD kernel must not know to mount a volume: it clears them (FS_SUPPORTED in its
 * fs.h).
 */
const FREEBSD_UNSUPPORTED = 0xff000000;
/** The flags that change here. */
const OURS = FREEBSD_UNSUPPORTED | FS_DOSOFTDEP | FS_NEEDSFSCK;

/**
 * An fs_mtime that differs from `mtime`: now, or later if the clock went back. A time that no clock can show is
 * replaced.
 */
export function ffs_nextmtime(mtime: number, now: number): number {
  return mtime >= now && mtime < 2 ** 40 ? mtime + 1 : now;
}

/** Before the first write; the caller writes the superblock. @returns what takes it back if that write fails */
export function ffs_dialect_start(ump: FfsMount): () => void {
  const { um_fs: fs } = ump;
  const { fs_flags, fs_old_flags, fs_mtime, fs_metackhash } = fs;
  ump.um_softdep = (fs_flags & FS_DOSOFTDEP) !== 0;
  ump.um_oldsoftdep = !fs.ufs2 && fs.wide && (fs_old_flags & FS_DOSOFTDEP) !== 0;
  if (ump.um_dialect === 'freebsd') {
    fs.fs_flags = ((fs_flags & ~FREEBSD_UNSUPPORTED) | FS_NEEDSFSCK) >>> 0;
    if (fs.wide) {
      // A soft-updates journal counts only if its inode names this time: what it holds must not be replayed over our
      // writes.
      fs.fs_mtime = ffs_nextmtime(fs_mtime, ump.um_kernel.now().sec);
      // A system that keeps no check hashes takes the flag away; they count for nothing from then on.
      fs.fs_metackhash = (fs_flags & FS_METACKHASH) === 0 ? 0 : fs_metackhash & CK_SUPPORTED;
    }
  } else {
    fs.fs_flags &= ~FS_DOSOFTDEP;
    // OpenBSD looks here, in UFS1.
    if (ump.um_oldsoftdep) fs.fs_old_flags &= ~FS_DOSOFTDEP;
  }
  fs.ckhashes = ffs_ckhashes(fs, ump.um_dialect);
  return () => {
    fs.fs_flags = ((fs.fs_flags & ~OURS) | (fs_flags & OURS)) >>> 0;
    fs.fs_old_flags = fs_old_flags;
    fs.fs_mtime = fs_mtime;
    fs.fs_metackhash = fs_metackhash;
  };
}

/**
 * Everything is on the disk and the volume will be marked clean; the caller writes the superblock.
 * @returns what takes it back
 */
export function ffs_dialect_stop(ump: FfsMount): () => void {
  const { um_fs: fs } = ump;
  const { fs_flags, fs_old_flags } = fs;
  if (ump.um_dialect === 'freebsd') {
    fs.fs_flags &= ~FS_NEEDSFSCK;
  } else {
    if (ump.um_softdep) fs.fs_flags |= FS_DOSOFTDEP;
    if (ump.um_oldsoftdep) fs.fs_old_flags |= FS_DOSOFTDEP;
  }
  return () => {
    fs.fs_flags = fs_flags;
    fs.fs_old_flags = fs_old_flags;
  };
}
