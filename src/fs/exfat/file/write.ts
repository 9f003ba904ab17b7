import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { device_failed } from '../../../kernel/vfs/mntdev.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import { IO_APPEND, IO_DSYNC, IO_SYNC } from '../../../kernel/vfs/uio.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { chain_grow } from '../space/alloc.js';
import type { Run } from '../space/chain.js';
import type { ExfatNode } from './node.js';
import { VTOE } from './node.js';
import { TRANSFER_BYTES, node_must_be_good } from './read.js';
import { node_store } from './store.js';
import { node_touch } from './times.js';
import { check_size, file_reserve, file_unreserve } from './truncate.js';

/** Made when somebody needs it. */
let zeros: Uint8Array | undefined;

function zerobytes(): Uint8Array {
  return (zeros ??= new Uint8Array(TRANSFER_BYTES));
}

/** VOP_WRITE. @throws ENOSPC EFBIG EIO; EINTR while the gap before the data was being filled with zeros */
export function file_write(vp: Vnode, uio: Uio, ioflag: number, ctx: Context): MaybePromise<void> {
  const node = VTOE(vp);
  if (node.isdir) throw errno(E.EISDIR);
  node_must_be_good(node);
  if ((ioflag & IO_APPEND) !== 0) uio.uio_offset = node.en_size;
  if (uio.uio_resid === 0) return;
  check_size(uio.uio_offset + uio.uio_resid);
  return written(node, uio, ioflag, ctx);
}

async function written(node: ExfatNode, uio: Uio, ioflag: number, ctx: Context): Promise<void> {
  const { en_em: em } = node;
  const order = em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    const before = uio.uio_resid;
    try {
      const full = await room(node, uio);
      if (node.en_valid < uio.uio_offset) await fill_gap(node, uio.uio_offset, ctx);
      const moving = data(node, uio, uio.uio_offset + uio.uio_resid - full);
      if (moving) await moving;
      if (full > 0) throw errno(E.ENOSPC);
    } catch (thrown) {
      if (device_failed(thrown)) order.lost.add(node.en_number);
      throw thrown;
    } finally {
      await end(node, uio, before);
    }
  } finally {
    order.end();
  }
  if ((ioflag & (IO_SYNC | IO_DSYNC)) !== 0) await order.flush(false);
}

/** What was moved belongs to the file from now on. */
async function end(node: ExfatNode, uio: Uio, before: number): Promise<void> {
  const moved = uio.uio_resid < before;
  if (moved) {
    if (uio.uio_offset > node.en_valid) node.en_valid = uio.uio_offset;
    if (uio.uio_offset > node.en_size) node.en_size = uio.uio_offset;
    node_touch(node, true);
  }
  if (node.en_chain.count > node.en_em.clustersof(node.en_size)) await file_unreserve(node);
  const stored = node_store(node);
  if (stored) await stored;
}

/**
 * Gives the file the clusters for the data. @returns how many bytes of it have no room @throws ENOSPC there is none at
 * all; EIO
 */
async function room(node: ExfatNode, uio: Uio): Promise<number> {
  const { en_em: em, en_chain: chain } = node;
  const end = uio.uio_offset + uio.uio_resid;
  const want = em.clustersof(end) - chain.count;
  if (want <= 0) return 0;
  if (want > em.em_boot.ClusterCount) throw errno(E.ENOSPC);
  let failure: unknown;
  try {
    if ((await chain_grow(em, { chain, cut: node.en_cut, growing: true }, want)) === want) return 0;
  } catch (thrown) {
    failure = thrown;
  }
  const have = chain.count * em.em_clbytes;
  if (have <= uio.uio_offset) {
    await file_unreserve(node);
    throw failure ?? errno(E.ENOSPC);
  }
  return end - have;
}

/** Writes zeros from ValidDataLength up to `to`: what lies there on the disk belonged to others. */
async function fill_gap(node: ExfatNode, to: number, ctx: Context): Promise<void> {
  const { en_em: em } = node;
  const order = em.em_order!;
  while (node.en_valid < to) {
    if (ctx.signal?.aborted === true) throw errno(E.EINTR);
    const into = node.en_valid % em.em_clbytes;
    const wanted = Math.min(to - node.en_valid, TRANSFER_BYTES);
    const run = await node.en_chain.run(
      em, (node.en_valid - into) / em.em_clbytes, Math.ceil((into + wanted) / em.em_clbytes),
    );
    const n = Math.min(wanted, run.count * em.em_clbytes - into);
    order.wrote();
    await em.em_dev.write(zerobytes(), 0, n, em.clusterat(run.cluster) + into);
    node.en_valid += n;
    // What has been filled so far is in the file, if it is long enough: an error further on loses nothing.
    if (node.en_valid > node.en_size) node.en_size = node.en_valid;
  }
}

/** Moves data up to file offset `end`, run by run. */
function data(node: ExfatNode, uio: Uio, end: number): MaybePromise<void> {
  const { en_em: em, en_chain: chain } = node;
  em.em_order!.wrote();
  while (uio.uio_offset < end) {
    const into = uio.uio_offset % em.em_clbytes;
    const wanted = Math.min(end - uio.uio_offset, TRANSFER_BYTES);
    const run = chain.run(em, (uio.uio_offset - into) / em.em_clbytes, Math.ceil((into + wanted) / em.em_clbytes));
    if (run instanceof Promise) {
      return run.then((r) => piece(node, uio, r, into, wanted)).then(() => data(node, uio, end));
    }
    const moving = piece(node, uio, run, into, wanted);
    if (moving) return moving.then(() => data(node, uio, end));
  }
}

function piece(node: ExfatNode, uio: Uio, run: Run, into: number, wanted: number): MaybePromise<void> {
  const { en_em: em } = node;
  const n = Math.min(wanted, run.count * em.em_clbytes - into);
  const at = em.clusterat(run.cluster) + into;
  const posting = em.em_posting;
  const writing =
    posting !== null
      ? posting.post(uio.uio_buf, uio.uio_bufoff, n, at, node.en_number)
      : em.em_dev.write(uio.uio_buf, uio.uio_bufoff, n, at);
  if (writing) return writing.then(() => uio.advance(n));
  uio.advance(n);
}

/**
 * posix_fallocate, inside no operation: clusters are reserved, and what the file gains reads as zeros. @throws ENOSPC
 * EFBIG EIO EISDIR
 */
export async function file_allocate(node: ExfatNode, offset: number, length: number): Promise<void> {
  if (node.isdir) throw errno(E.EISDIR);
  node_must_be_good(node);
  if (!(offset >= 0 && length > 0)) throw errno(E.EINVAL);
  check_size(offset + length);
  if (offset + length <= node.en_size) return;
  const order = node.en_em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    await file_reserve(node, offset + length);
    node.en_size = offset + length;
    node_touch(node, true);
    const stored = node_store(node);
    if (stored) await stored;
  } finally {
    order.end();
  }
}
