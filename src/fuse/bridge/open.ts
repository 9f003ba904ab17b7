/**
 * OPEN, CREATE, RELEASE, FLUSH, and their like for directories.
 *
 * Without handles (the normal case) OPEN, OPENDIR and CREATE are answered with ENOSYS: the host then opens files by
 * itself, sends neither OPEN nor RELEASE again, and reads and writes by node. That saves two requests an open file, and
 * a file is its node for ever: nothing has to be remembered of who has it open. The host checks permissions itself
 * then, keeps the locks, and truncates by SETATTR. With handles, fh is the descriptor plus one.
 */
import { E, errno } from '../../kernel/errno.js';
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  F_SETLK,
  F_UNLCK,
  LOCK_UN,
  O_CREAT,
  O_DIRECTORY,
  O_EMPTY_PATH,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC as O_TRUNC_K,
  R_OK,
  SEEK_SET,
  W_OK,
} from '../../kernel/fcntl.js';
import * as F from '../protocol/fuse_kernel.js';
import { O_ACCMODE, O_TRUNC, openFlags } from '../protocol/linux.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { handleFd } from './handle.js';
import type { Node } from './nodes.js';
import { killSetid } from './setid.js';

function putOpen(m: Message, at: number, fh: number, open_flags: number): number {
  m.out.set64(at + F.fuse_open_out.fh, fh);
  m.out.set32(at + F.fuse_open_out.open_flags, open_flags);
  m.out.set32(at + F.fuse_open_out.backing_id, 0);
  return F.fuse_open_out.SIZEOF;
}

/** A reply with a handle; if the host does not take it, nobody will ever release the handle. */
function putHandle(b: Bridge, m: Message, at: number, fd: number, open_flags: number): number {
  m.undo = () => b.sys.close(fd);
  return putOpen(m, at, fd + 1, open_flags);
}

/** Where the host does not check permissions, nobody has yet. */
async function permitted(b: Bridge, m: Message, node: Node, mode: number): Promise<void> {
  if (!b.options.default_permissions) await b.as(m).faccessat(node.fd, '', mode, AT_EMPTY_PATH | AT_EACCESS);
}

export async function open(b: Bridge, m: Message): Promise<number> {
  if (!b.handles) throw errno(E.ENOSYS);
  const flags = m.u32(F.fuse_open_in.flags);
  const kill = m.u32(F.fuse_open_in.open_flags) & F.FUSE_OPEN_KILL_SUIDGID;
  const node = await b.node(m);
  const accmode = flags & O_ACCMODE;
  await permitted(b, m, node, (accmode === 1 ? 0 : R_OK) | (accmode === 0 && !(flags & O_TRUNC) ? 0 : W_OK));
  const fd = await b.nodes.reopen(node, openFlags(flags));
  if (kill) await killSetid(b, node);
  return putHandle(b, m, 0, fd, F.FOPEN_KEEP_CACHE);
}

/**
 * Only with handles. Without, ENOSYS: the host then makes files by MKNOD and opens them by itself, which spares it
 * RELEASE (it sends that for what CREATE has opened until it has met an ENOSYS to OPEN), one request of five for a
 * small file.
 */
export async function create(b: Bridge, m: Message): Promise<number> {
  if (!b.handles) throw errno(E.ENOSYS);
  const flags = m.u32(F.fuse_create_in.flags);
  const mode = m.u32(F.fuse_create_in.mode);
  const name = m.name(F.fuse_create_in.SIZEOF);
  const dir = await b.node(m);
  const fd = await b.as(m).openat(dir.fd, name, openFlags(flags), mode & 0o7777);
  try {
    await b.sys.fstat(fd, m.stat);
    const size = await b.entry(m, dir.fd, name, m.stat);
    return size + putHandle(b, m, F.ENTRY_OUT_SIZEOF, fd, F.FOPEN_KEEP_CACHE);
  } catch (thrown) {
    await b.sys.close(fd);
    throw thrown;
  }
}

/** Only with handles: else the host knows that there is nothing to release. */
export async function release(b: Bridge, m: Message): Promise<number> {
  if (!b.handles) return 0;
  const fd = handleFd(m, F.fuse_release_in.fh);
  if (b.options.remote_locks && m.u32(F.fuse_release_in.release_flags) & F.FUSE_RELEASE_FLOCK_UNLOCK) {
    await b.sys.flock(fd, LOCK_UN, m.big(F.fuse_release_in.lock_owner));
  }
  await b.sys.close(fd);
  return 0;
}

/** close(2): the POSIX locks of the process on the file end. Data has been written when WRITE was answered. */
export async function flush(b: Bridge, m: Message): Promise<number> {
  if (!b.options.remote_locks) throw errno(E.ENOSYS); // the host will not ask again
  const fd = handleFd(m, F.fuse_flush_in.fh);
  const all = { l_start: 0, l_len: 0, l_pid: 0, l_type: F_UNLCK, l_whence: SEEK_SET };
  await b.sys.fcntl(fd, F_SETLK, all, m.big(F.fuse_flush_in.lock_owner));
  return 0;
}

export async function opendir(b: Bridge, m: Message): Promise<number> {
  if (!b.handles) throw errno(E.ENOSYS);
  const node = await b.node(m);
  await permitted(b, m, node, R_OK);
  const fd = await b.nodes.reopen(node, O_RDONLY | O_DIRECTORY);
  return putHandle(b, m, 0, fd, F.FOPEN_KEEP_CACHE | F.FOPEN_CACHE_DIR);
}

export async function releasedir(b: Bridge, m: Message): Promise<number> {
  if (b.handles) await b.sys.close(handleFd(m, F.fuse_release_in.fh));
  return 0;
}

/** A file without a name (O_TMPFILE). LINK may give it one; until then it lives as long as the host knows it. */
export async function tmpfile(b: Bridge, m: Message): Promise<number> {
  const flags = m.u32(F.fuse_create_in.flags);
  const mode = m.u32(F.fuse_create_in.mode);
  const dir = await b.node(m);
  const sys = b.as(m);
  const fd = await sys.openat(dir.fd, '', O_TMPFILE | O_EMPTY_PATH | O_RDWR, mode & 0o7777);
  await b.sys.fstat(fd, m.stat);
  if (!b.handles) {
    const node = b.nodes.created(m, m.stat, fd);
    b.nodes.pin(node);
    // Nobody releases this handle: the host has been told that there are none.
    return b.entryOf(m, node, m.stat) + putOpen(m, F.ENTRY_OUT_SIZEOF, 0, F.FOPEN_KEEP_CACHE);
  }
  const own = await sys.openat(fd, '', (openFlags(flags) & ~(O_CREAT | O_EXCL | O_TRUNC_K)) | O_EMPTY_PATH);
  const node = b.nodes.created(m, m.stat, fd);
  b.nodes.pin(node);
  return b.entryOf(m, node, m.stat) + putHandle(b, m, F.ENTRY_OUT_SIZEOF, own, F.FOPEN_KEEP_CACHE);
}

