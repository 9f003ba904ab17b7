/** READ, WRITE, FSYNC, FSYNCDIR, SYNCFS, FALLOCATE, LSEEK, COPY_FILE_RANGE. */
import { E, Errno, errno } from '../../kernel/errno.js';
import * as F from '../protocol/fuse_kernel.js';
import { O_DSYNC, O_SYNC } from '../protocol/linux.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { cancelSignal } from './cancel.js';
import { handleFd, ioFd } from './handle.js';
import { killSetid } from './setid.js';

const R = F.fuse_read_in;
const W = F.fuse_write_in;
/** A reply buffer is never larger, whatever a request asks for; bytes. */
const READ_MAX = 1 << 20;
/** What one COPY_FILE_RANGE moves at most, so that others get their turn, and in which steps; bytes. */
const COPY_MAX = 16 << 20;
const COPY_STEP = 1 << 20;

export async function read(b: Bridge, m: Message): Promise<number> {
  const offset = m.offset64(R.offset);
  const size = Math.min(m.u32(R.size), READ_MAX);
  const fd = await ioFd(b, m, R.fh, false);
  const out = b.channel.large(m, size);
  return b.as(m).pread(fd, out.u8, offset, out.at(0), size);
}

export async function write(b: Bridge, m: Message): Promise<number> {
  const size = m.u32(W.size);
  if (W.SIZEOF + size > m.bodyBytes) throw errno(E.EINVAL);
  const offset = m.offset64(W.offset);
  const open_flags = m.u32(W.flags);
  const kill = m.u32(W.write_flags) & F.FUSE_WRITE_KILL_SUIDGID;
  const fd = await ioFd(b, m, W.fh, true);
  const sys = b.as(m);
  let done: number;
  if (kill) {
    const found = b.node(m);
    const node = found instanceof Promise ? await found : found;
    const { nodeLo, nodeHi } = m;
    const had = !node.plain && (await killSetid(b, node));
    done = await sys.pwrite(fd, m.in.u8, offset, m.at(W.SIZEOF), size);
    // The host does not expect a write to change the mode that it keeps.
    if (had) b.channel.invalidate(nodeLo, nodeHi);
  } else {
    done = await sys.pwrite(fd, m.in.u8, offset, m.at(W.SIZEOF), size);
  }
  // A handle was opened with these flags; a node was not.
  if (!b.handles && open_flags & O_DSYNC) {
    await ((open_flags & O_SYNC) === O_SYNC ? b.own(m).fsync(fd) : b.own(m).fdatasync(fd));
  }
  m.out.set32(F.fuse_write_out.size, done);
  m.out.set32(F.fuse_write_out.padding, 0);
  return F.fuse_write_out.SIZEOF;
}

export async function fsync(b: Bridge, m: Message): Promise<number> {
  const datasync = m.u32(F.fuse_fsync_in.fsync_flags) & F.FUSE_FSYNC_FDATASYNC;
  const fd = await ioFd(b, m, F.fuse_fsync_in.fh, false);
  await (datasync ? b.own(m).fdatasync(fd) : b.own(m).fsync(fd));
  return 0;
}

export async function fsyncdir(b: Bridge, m: Message): Promise<number> {
  await b.own(m).fsync(b.handles ? handleFd(m, F.fuse_fsync_in.fh) : await b.nodes.dirIo(await b.node(m)));
  return 0;
}

export async function syncfs(b: Bridge): Promise<number> {
  await b.sys.sync();
  return 0;
}

export async function fallocate(b: Bridge, m: Message): Promise<number> {
  const A = F.fuse_fallocate_in;
  const mode = m.u32(A.mode);
  const offset = m.offset64(A.offset);
  const length = m.offset64(A.length);
  // It may take minutes, and whoever asked can only be killed when it has been answered.
  const signal = cancelSignal(m);
  const fd = await ioFd(b, m, A.fh, true);
  const found = b.node(m);
  const node = found instanceof Promise ? await found : found;
  const { nodeLo, nodeHi } = m;
  const before = node.plain ? 0 : (await b.sys.fstat(node.fd, m.stat)).st_mode;
  await b.as(m).withSignal(signal).fallocate(fd, mode, offset, length);
  // The kernel takes set-id bits away, of which the host does not know.
  if (before !== 0 && (await b.sys.fstat(node.fd, m.stat)).st_mode !== before) b.channel.invalidate(nodeLo, nodeHi);
  return 0;
}

/** SEEK_DATA and SEEK_HOLE; the host answers the others itself. */
export async function lseek(b: Bridge, m: Message): Promise<number> {
  const whence = m.u32(F.fuse_lseek_in.whence);
  // What lies behind every file's end is no error of its own; nor is a negative offset, which comes as a huge one.
  if (m.u64(F.fuse_lseek_in.offset) > Number.MAX_SAFE_INTEGER) throw errno(E.ENXIO);
  const offset = m.offset64(F.fuse_lseek_in.offset);
  const fd = await ioFd(b, m, F.fuse_lseek_in.fh, false);
  m.out.set64(F.fuse_lseek_out.offset, await b.own(m).lseek(fd, offset, whence));
  return F.fuse_lseek_out.SIZEOF;
}

export async function copy_file_range(b: Bridge, m: Message): Promise<number> {
  m.out.set32(F.fuse_write_out.size, await copy(b, m));
  m.out.set32(F.fuse_write_out.padding, 0);
  return F.fuse_write_out.SIZEOF;
}

export async function copy_file_range_64(b: Bridge, m: Message): Promise<number> {
  m.out.set64(F.fuse_copy_file_range_out.bytes_copied, await copy(b, m));
  return F.fuse_copy_file_range_out.SIZEOF;
}

/**
 * Copies inside the volume, without the way through the host. Returns the bytes copied; the host asks again for the
 * rest.
 */
async function copy(b: Bridge, m: Message): Promise<number> {
  const C = F.fuse_copy_file_range_in;
  let from = m.offset64(C.off_in);
  let to = m.offset64(C.off_out);
  let left = Math.min(m.u64(C.len), COPY_MAX);
  if (m.u64(C.flags) !== 0) throw errno(E.EINVAL);
  const { input, output } = await copyFds(b, m);
  const sys = b.as(m);
  const buffer = new Uint8Array(Math.min(left, COPY_STEP));
  let copied = 0;
  while (left > 0) {
    const got = await sys.pread(input, buffer, from, 0, Math.min(left, COPY_STEP));
    if (got === 0) break;
    try {
      await sys.pwrite(output, buffer, to, 0, got);
    } catch (thrown) {
      if (copied > 0 && thrown instanceof Errno) break; // the next call will meet it
      throw thrown;
    }
    from += got;
    to += got;
    left -= got;
    copied += got;
  }
  return copied;
}

async function copyFds(b: Bridge, m: Message): Promise<{ input: number; output: number }> {
  const C = F.fuse_copy_file_range_in;
  if (b.handles) return { input: handleFd(m, C.fh_in), output: handleFd(m, C.fh_out) };
  const lo = m.lo(C.nodeid_out);
  const hi = m.hi(C.nodeid_out);
  const source = await b.node(m);
  const target = await b.nodes.get(m, lo, hi);
  return { input: await b.nodes.io(source, false), output: await b.nodes.io(target, true) };
}

