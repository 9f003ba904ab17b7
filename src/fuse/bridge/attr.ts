/** GETATTR, SETATTR, STATX, STATFS, ACCESS. */
import { AT_EACCESS, AT_EMPTY_PATH, UTIME_NOW, UTIME_OMIT } from '../../kernel/fcntl.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { Statvfs } from '../../kernel/stat.js';
import type { Timestamp } from '../../kernel/sys/rumpsys.js';
import { putAttrOut, putStatfsOut, putStatxOut } from '../protocol/encode.js';
import * as F from '../protocol/fuse_kernel.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { handleFd } from './handle.js';
import { killSetid } from './setid.js';

const G = F.fuse_getattr_in;
const S = F.fuse_setattr_in;

const CHANGES = F.FATTR_MODE | F.FATTR_UID | F.FATTR_GID | F.FATTR_SIZE | F.FATTR_ATIME | F.FATTR_MTIME | F.FATTR_CTIME;

export function getattr(b: Bridge, m: Message): MaybePromise<number> {
  const fd = attrFd(b, m, m.u32(G.getattr_flags), G.fh);
  return fd instanceof Promise ? fd.then((got) => attrOf(b, m, got)) : attrOf(b, m, fd);
}

function attrOf(b: Bridge, m: Message, fd: number): MaybePromise<number> {
  const known = b.own(m).fgetattr(fd, m.stat);
  return known instanceof Promise
    ? known.then(() => putAttrOut(m.out, m.stat, b.timeouts))
    : putAttrOut(m.out, m.stat, b.timeouts);
}

export async function statx(b: Bridge, m: Message): Promise<number> {
  await b.own(m).fstat(await attrFd(b, m, m.u32(F.fuse_statx_in.getattr_flags), F.fuse_statx_in.fh), m.stat);
  return putStatxOut(m.out, m.stat, b.timeouts);
}

/** The descriptor to ask: the handle's where the host names one. */
function attrFd(b: Bridge, m: Message, flags: number, fh: number): MaybePromise<number> {
  if (b.handles && flags & F.FUSE_GETATTR_FH) return handleFd(m, fh);
  const node = b.node(m);
  return node instanceof Promise ? node.then((found) => found.fd) : node.fd;
}

export async function setattr(b: Bridge, m: Message): Promise<number> {
  const valid = m.u32(S.valid);
  const uid = valid & F.FATTR_UID ? m.u32(S.uid) : -1;
  const gid = valid & F.FATTR_GID ? m.u32(S.gid) : -1;
  const mode = m.u32(S.mode);
  const size = valid & F.FATTR_SIZE ? m.offset64(S.size) : 0;
  const handle = b.handles && valid & F.FATTR_FH ? handleFd(m, S.fh) : -1;
  const atime = timestamp(m, valid & F.FATTR_ATIME, valid & F.FATTR_ATIME_NOW, S.atime, S.atimensec);
  const mtime = timestamp(m, valid & F.FATTR_MTIME, valid & F.FATTR_MTIME_NOW, S.mtime, S.mtimensec);

  const found = b.node(m);
  const node = found instanceof Promise ? await found : found;
  const sys = b.as(m);
  // Owner before mode: a change of owner may take set-id bits away that the mode gives.
  if (uid !== -1 || gid !== -1) {
    await sys.fchown(node.fd, uid, gid);
    // Even the superuser's chown(2) does on Linux: programs rely on it that nobody's set-user-ID program becomes root's
    // by it.
    await killSetid(b, node);
  }
  if (valid & F.FATTR_MODE) {
    node.plain = false;
    await sys.fchmod(node.fd, mode & 0o7777);
  }
  if (valid & F.FATTR_SIZE) {
    await sys.ftruncate(handle >= 0 ? handle : await b.nodes.io(node, true), size);
    if (valid & F.FATTR_KILL_SUIDGID) await killSetid(b, node);
  } else if ((valid & CHANGES) === 0) {
    // Nothing to set: what the host sends before a write that takes set-id bits away, when it leaves that to us.
    await killSetid(b, node);
  }
  if (atime.nsec !== UTIME_OMIT || mtime.nsec !== UTIME_OMIT) {
    // Both "now" needs write permission only, a time of one's own ownership: the kernel tells them apart.
    if (atime.nsec === UTIME_NOW && mtime.nsec === UTIME_NOW) await sys.futimens(node.fd);
    else await sys.futimens(node.fd, atime, mtime);
  }
  await b.own(m).fstat(node.fd, m.stat);
  return putAttrOut(m.out, m.stat, b.timeouts);
}

function timestamp(m: Message, valid: number, now: number, sec: number, nsec: number): Timestamp {
  if (!valid) return { sec: 0, nsec: UTIME_OMIT };
  if (now) return { sec: 0, nsec: UTIME_NOW };
  return { sec: m.i64(sec), nsec: m.u32(nsec) };
}

export async function statfs(b: Bridge, m: Message): Promise<number> {
  return putStatfsOut(m.out, await b.own(m).fstatvfs(b.nodes.root.fd, new Statvfs()));
}

/** Asked only where the host does not check permissions itself. */
export async function access(b: Bridge, m: Message): Promise<number> {
  const mask = m.u32(F.fuse_access_in.mask); // R_OK 4, W_OK 2, X_OK 1: the same on both sides
  const node = await b.node(m);
  await b.as(m).faccessat(node.fd, '', mask & 7, AT_EMPTY_PATH | AT_EACCESS);
  return 0;
}
