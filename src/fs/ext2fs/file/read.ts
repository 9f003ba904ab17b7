import { E, errno } from '../../../kernel/errno.js';
import { SEEK_DATA } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { ext2_bmaprun } from './bmap.js';
import type { Inode } from './inode.js';
import type { Run } from './run.js';

/** Largest transfer from the device, bytes. */
const MAXPHYS = 1024 * 1024;

/**
 * Content of a file: run by run from the device into the caller's buffer. Stays synchronous as long as the device does.
 */
export function ext2_read(ip: Inode, uio: Uio): MaybePromise<void> {
  if (ip.i_inline !== null) return readinline(ip, ip.i_inline, uio);
  const { bsize } = ip.i_fs;
  while (uio.uio_resid > 0 && uio.uio_offset < ip.i_size) {
    const lbn = Math.floor(uio.uio_offset / bsize);
    const end = Math.min(uio.uio_offset + uio.uio_resid, ip.i_size);
    const run = ext2_bmaprun(ip, lbn, Math.min(Math.ceil(end / bsize) - lbn, MAXPHYS / bsize + 1));
    if (run instanceof Promise) return run.then((r) => readrun(ip, uio, lbn, r)).then(() => ext2_read(ip, uio));
    const reading = readrun(ip, uio, lbn, run);
    if (reading instanceof Promise) return reading.then(() => ext2_read(ip, uio));
  }
  return undefined;
}

function readrun(ip: Inode, uio: Uio, lbn: number, run: Run): MaybePromise<void> {
  const { bsize } = ip.i_fs;
  const within = uio.uio_offset - lbn * bsize;
  const bytes = Math.min(uio.uio_resid, ip.i_size - uio.uio_offset, run.blocks * bsize - within);
  if (run.block === 0) {
    uio.zero(bytes);
    return undefined;
  }
  const reading = ip.i_em.em_dev.read(uio.uio_buf, uio.uio_bufoff, bytes, run.block * bsize + within);
  if (reading instanceof Promise) return reading.then(() => uio.advance(bytes));
  uio.advance(bytes);
  return undefined;
}

/** Behind the bytes that the inode has there is nothing but zeros, up to its size. */
function readinline(ip: Inode, data: Uint8Array, uio: Uio): void {
  const bytes = Math.min(uio.uio_resid, ip.i_size - uio.uio_offset);
  if (bytes <= 0) return;
  const there = data.subarray(uio.uio_offset, uio.uio_offset + bytes);
  uio.uio_buf.set(there, uio.uio_bufoff);
  uio.advance(there.length);
  if (there.length < bytes) uio.zero(bytes - there.length);
}

/** The first `length` bytes of a file, in memory of their own. */
export function ext2_readall(ip: Inode, length: number): MaybePromise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const reading = ext2_read(ip, new Uio(bytes, 0, length, 0));
  return reading instanceof Promise ? reading.then(() => bytes) : bytes;
}

/** Runs that one seek looks at; what comes then is called data, which is always allowed. */
const SEEKRUNS = 8192;

/** SEEK_DATA and SEEK_HOLE; blocks that were never written are a hole, and so is the end. @throws ENXIO */
export function ext2_seek(ip: Inode, offset: number, whence: number): MaybePromise<number> {
  if (!(offset >= 0 && offset < ip.i_size)) throw errno(E.ENXIO);
  if (ip.i_inline !== null) return whence === SEEK_DATA ? offset : ip.i_size;
  return seekfrom(ip, offset, Math.floor(offset / ip.i_fs.bsize), whence, SEEKRUNS);
}

function seekfrom(ip: Inode, offset: number, lbn: number, whence: number, runs: number): MaybePromise<number> {
  const { bsize } = ip.i_fs;
  const blocks = Math.ceil(ip.i_size / bsize);
  while (lbn < blocks) {
    if (runs-- === 0) return whence === SEEK_DATA ? Math.max(offset, lbn * bsize) : ip.i_size;
    const run = ext2_bmaprun(ip, lbn, blocks - lbn);
    const from = lbn;
    if (run instanceof Promise) {
      return run.then((r) =>
        (r.block === 0) !== (whence === SEEK_DATA)
          ? Math.max(offset, from * bsize)
          : seekfrom(ip, offset, from + r.blocks, whence, runs),
      );
    }
    if ((run.block === 0) !== (whence === SEEK_DATA)) return Math.max(offset, from * bsize);
    lbn += run.blocks;
  }
  if (whence === SEEK_DATA) throw errno(E.ENXIO);
  return ip.i_size;
}
