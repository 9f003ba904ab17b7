/**
 * Writing runs of consecutive blocks: data go from the caller's memory to the device; only partly filled new blocks are
 * put together with their zeros in between. A step writes one run and then makes it part of the file.
 */
import type { Context } from '../../../kernel/context.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { WRITE } from '../volume/transact.js';
import type { WriteState } from '../volume/writestate.js';
import { enterblocks, giveback, newblocks } from './blocks.js';
import { ext2_bmaprun } from './bmap.js';
import { ext_written } from './exttree.js';
import type { Inode } from './inode.js';
import type { Run } from './run.js';
import { zerotail } from './zero.js';

/** Bytes of one transfer at most. */
const MAXRUN = 1 << 20;

/** Writes all of `uio` inside an operation of the caller, who stores the inode. */
export async function ext2_writeall(ip: Inode, uio: Uio, ctx: Context): Promise<void> {
  while (uio.uio_resid > 0) await writestep(ip, uio, ctx);
}

/** Writes one run. Inside an operation of the caller, who stores the inode. */
export function writestep(ip: Inode, uio: Uio, ctx: Context): MaybePromise<void> {
  const state = WRITE(ip.i_em);
  state.unflushed = true;
  if (uio.uio_offset > ip.i_size && ip.i_size % ip.i_fs.bsize !== 0) {
    const zeroed = zerotail(ip, ip.i_size, uio.uio_offset);
    if (zeroed) return zeroed.then(() => run(ip, state, uio, ctx));
  }
  return run(ip, state, uio, ctx);
}

function run(ip: Inode, state: WriteState, uio: Uio, ctx: Context): MaybePromise<void> {
  const { bsize } = ip.i_fs;
  const lbn = Math.floor(uio.uio_offset / bsize);
  const within = uio.uio_offset - lbn * bsize;
  const want = Math.ceil((within + Math.min(uio.uio_resid, MAXRUN)) / bsize);
  const got = ext2_bmaprun(ip, lbn, want);
  if (got instanceof Promise) return got.then((r) => into(ip, state, uio, lbn, within, r, ctx));
  return into(ip, state, uio, lbn, within, got, ctx);
}

function into(
  ip: Inode, state: WriteState, uio: Uio, lbn: number, within: number, r: Run, ctx: Context,
): MaybePromise<void> {
  const { bsize } = ip.i_fs;
  const n = Math.min(uio.uio_resid, MAXRUN, r.blocks * bsize - within);
  if (r.block !== 0) {
    const wait = send(ip, state, uio, n, r.block * bsize + within);
    return wait instanceof Promise ? wait.then(() => moved(ip, uio, n)) : moved(ip, uio, n);
  }
  if (r.unwritten !== 0) return convert(ip, uio, lbn, within, r, n);
  return fill(ip, uio, lbn, within, Math.ceil((within + n) / bsize), ctx);
}

function moved(ip: Inode, uio: Uio, n: number): void {
  uio.advance(n);
  if (uio.uio_offset > ip.i_size) ip.i_size = uio.uio_offset;
}

/** Hands `n` bytes to the device, which may put the write off: it then outlives this process. */
function send(ip: Inode, state: WriteState, uio: Uio, n: number, at: number): MaybePromise<void> {
  return state.posting !== null
    ? state.posting.post(uio.uio_buf, uio.uio_bufoff, n, at, ip.i_number)
    : ip.i_em.em_dev.write(uio.uio_buf, uio.uio_bufoff, n, at);
}

/** Blocks that the file has, but that were never written. */
async function convert(ip: Inode, uio: Uio, lbn: number, within: number, r: Run, n: number): Promise<void> {
  const { bsize } = ip.i_fs;
  const count = Math.ceil((within + n) / bsize);
  await padded(ip, uio, r.unwritten * bsize, within, n, count * bsize);
  await ext_written(ip, lbn, count, r.unwritten);
  moved(ip, uio, n);
}

/** Gives the file the blocks that it lacks, as many as lie in a row, and writes them. */
async function fill(
  ip: Inode, uio: Uio, lbn: number, within: number, want: number, ctx: Context,
): Promise<void> {
  const { bsize } = ip.i_fs;
  const got = newblocks(ip, lbn, want, ctx);
  const all = got instanceof Promise ? await got : got;
  const blocks = { block: all.block, count: Math.min(all.count, want) };
  const n = Math.min(uio.uio_resid, MAXRUN, blocks.count * bsize - within);
  try {
    const wait = padded(ip, uio, blocks.block * bsize, within, n, blocks.count * bsize);
    if (wait) await wait;
  } catch (thrown) {
    await giveback(ip, all);
    throw thrown;
  }
  await enterblocks(ip, lbn, blocks, false, ctx);
  moved(ip, uio, n);
}

/** Memory for an edge that nobody uses just now. */
const NONE = new Uint8Array(0);
let spare: Uint8Array = NONE;

/** Writes `head` zeros, `n` bytes of data, and zeros up to `bytes`, from byte `at` of the device on: whole blocks. */
function padded(ip: Inode, uio: Uio, at: number, head: number, n: number, bytes: number): MaybePromise<void> {
  const state = WRITE(ip.i_em);
  const { bsize } = ip.i_fs;
  if (head === 0 && n === bytes) return send(ip, state, uio, n, at);
  if (bytes > bsize) return paddedblocks(ip, uio, at, head, n, bytes);
  const edge = spare.length >= bytes ? spare : new Uint8Array(bsize);
  spare = NONE;
  edgeinto(edge, uio, head, n, 0, bytes);
  const wait = ip.i_em.em_dev.write(edge, 0, bytes, at);
  if (wait instanceof Promise) return wait;
  spare = edge;
  return undefined;
}

async function paddedblocks(
  ip: Inode, uio: Uio, at: number, head: number, n: number, bytes: number,
): Promise<void> {
  const { em_dev: dev } = ip.i_em;
  const { bsize } = ip.i_fs;
  const edge = new Uint8Array(bsize);
  let start = 0;
  if (head > 0) {
    edgeinto(edge, uio, head, n, 0, bsize);
    await dev.write(edge, 0, bsize, at);
    start = bsize;
  }
  const whole = Math.floor((head + n) / bsize) * bsize;
  if (whole > start) await dev.write(uio.uio_buf, uio.uio_bufoff + start - head, whole - start, at + start);
  if (whole < bytes) {
    edgeinto(edge, uio, head, n, whole, bytes);
    await dev.write(edge, 0, bytes - whole, at + whole);
  }
}

/** Bytes lo..hi-1 of what is written: data where there are some (head..head+n-1), else zeros. */
function edgeinto(edge: Uint8Array, uio: Uio, head: number, n: number, lo: number, hi: number): void {
  const a = Math.max(lo, head);
  const b = Math.max(a, Math.min(hi, head + n));
  edge.fill(0, 0, a - lo);
  edge.set(uio.uio_buf.subarray(uio.uio_bufoff + a - head, uio.uio_bufoff + b - head), a - lo);
  edge.fill(0, b - lo, hi - lo);
}
