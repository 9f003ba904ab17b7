import { E, errno } from '../../../kernel/errno.js';
import { MNT_NOATIME, MNT_RDONLY, MNT_RELATIME, SEEK_DATA } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import type { Run } from '../../ufs/bmap.js';
import { ufs_bmaprun } from '../../ufs/bmap.js';
import type { Inode } from '../volume/inode.js';
import { IN_ACCESS } from '../../ufs/inode.js';

/** Largest transfer from the device, bytes. */
const MAXPHYS = 1024 * 1024;
const DAY_SECONDS = 86400;

/** A file was read: notes that, as noatime, relatime and read-only say. */
export function ffs_accessed(ip: Inode): void {
  const flags = ip.i_ump.um_mountp.mnt_flag;
  if ((flags & (MNT_NOATIME | MNT_RDONLY)) !== 0 || (ip.i_flag & IN_ACCESS) !== 0) return;
  if ((flags & MNT_RELATIME) !== 0) {
    const modified = Math.max(ip.i_mtime, ip.i_ctime);
    if (ip.i_atime > modified && ip.i_ump.um_kernel.now().sec - ip.i_atime < DAY_SECONDS) return;
  }
  ip.i_flag |= IN_ACCESS;
}

/** File data: run by run from the device into the caller's buffer. Stays synchronous as long as the device does. */
export function ffs_read(ip: Inode, uio: Uio): MaybePromise<void> {
  const { fs_bsize } = ip.i_fs;
  while (uio.uio_resid > 0 && uio.uio_offset < ip.i_size) {
    const lbn = Math.floor(uio.uio_offset / fs_bsize);
    const want = wanted(ip, uio, lbn);
    const run = ufs_bmaprun(ip, lbn, want);
    if (run instanceof Promise) return run.then((r) => readrun(ip, uio, lbn, r)).then(() => ffs_read(ip, uio));
    const reading = readrun(ip, uio, lbn, run);
    if (reading instanceof Promise) return reading.then(() => ffs_read(ip, uio));
  }
  return undefined;
}

/** Blocks from `lbn` on that one transfer should bring. */
function wanted(ip: Inode, uio: Uio, lbn: number): number {
  const { fs_bsize } = ip.i_fs;
  const end = Math.min(uio.uio_offset + uio.uio_resid, ip.i_size);
  return Math.min(Math.ceil(end / fs_bsize) - lbn, MAXPHYS / fs_bsize + 1);
}

function readrun(ip: Inode, uio: Uio, lbn: number, run: Run): MaybePromise<void> {
  const fs = ip.i_fs;
  const within = uio.uio_offset - lbn * fs.fs_bsize;
  const bytes = Math.min(uio.uio_resid, ip.i_size - uio.uio_offset, run.blocks * fs.fs_bsize - within);
  if (run.fsb === 0) {
    uio.zero(bytes);
    return undefined;
  }
  const at = run.fsb * fs.fs_fsize + within;
  if (at + bytes > fs.fs_size * fs.fs_fsize) {
    throw ip.i_ump.um_damage.error(`inode ${ip.i_number}: block ${lbn} at frag ${run.fsb} reaches beyond the volume`);
  }
  const reading = ip.i_ump.um_dev.read(uio.uio_buf, uio.uio_bufoff, bytes, at);
  if (reading instanceof Promise) return reading.then(() => uio.advance(bytes));
  uio.advance(bytes);
  return undefined;
}

/** Runs that one seek looks at: a damaged tree of a few blocks may name the same hole many million times. */
const SEEKRUNS = 8192;

/**
 * SEEK_DATA and SEEK_HOLE: the next byte at or behind `offset` that has a block, or has none. The end of the file is a
 * hole. After {@link SEEKRUNS} runs what comes next is called data, which is always allowed. @throws ENXIO
 */
export function ffs_seek(ip: Inode, offset: number, whence: number): MaybePromise<number> {
  if (!(offset >= 0 && offset < ip.i_size)) throw errno(E.ENXIO);
  return seekfrom(ip, offset, Math.floor(offset / ip.i_fs.fs_bsize), whence, SEEKRUNS);
}

function seekfrom(ip: Inode, offset: number, lbn: number, whence: number, runs: number): MaybePromise<number> {
  const { fs_bsize } = ip.i_fs;
  const blocks = Math.ceil(ip.i_size / fs_bsize);
  while (lbn < blocks) {
    if (runs-- === 0) return whence === SEEK_DATA ? Math.max(offset, lbn * fs_bsize) : ip.i_size;
    const run = ufs_bmaprun(ip, lbn, blocks - lbn);
    if (run instanceof Promise) {
      const from = lbn;
      return run.then((r) =>
        (r.fsb === 0) !== (whence === SEEK_DATA)
          ? Math.max(offset, from * fs_bsize)
          : seekfrom(ip, offset, from + r.blocks, whence, runs),
      );
    }
    if ((run.fsb === 0) !== (whence === SEEK_DATA)) return Math.max(offset, lbn * fs_bsize);
    lbn += run.blocks;
  }
  if (whence === SEEK_DATA) throw errno(E.ENXIO);
  return ip.i_size;
}
