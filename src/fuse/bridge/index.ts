import { E, errno } from '../../kernel/errno.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { OPERATIONS } from '../protocol/opcodes.js';
import type { HandlerName } from '../protocol/opcodes.js';
import type { Message } from '../protocol/message.js';
import * as attr from './attr.js';
import type { Bridge } from './bridge.js';
import * as dir from './dir.js';
import * as lock from './lock.js';
import * as lookup from './lookup.js';
import * as misc from './misc.js';
import * as name from './name.js';
import * as open from './open.js';
import * as rw from './rw.js';
import * as xattr from './xattr.js';

/** Serves one request: bytes of payload in `m.out`, or NO_REPLY. @throws Errno */
export type Handler = (b: Bridge, m: Message) => MaybePromise<number>;

/** Everything but INIT, which is the session's (server.ts). */
const handlers: Readonly<Record<Exclude<HandlerName, 'init'>, Handler>> = {
  lookup: lookup.lookup,
  forget: lookup.forget,
  batch_forget: lookup.batch_forget,
  getattr: attr.getattr,
  setattr: attr.setattr,
  statx: attr.statx,
  statfs: attr.statfs,
  access: attr.access,
  open: open.open,
  create: open.create,
  release: open.release,
  flush: open.flush,
  opendir: open.opendir,
  releasedir: open.releasedir,
  tmpfile: open.tmpfile,
  read: rw.read,
  write: rw.write,
  fsync: rw.fsync,
  fsyncdir: rw.fsyncdir,
  syncfs: rw.syncfs,
  fallocate: rw.fallocate,
  lseek: rw.lseek,
  copy_file_range: rw.copy_file_range,
  copy_file_range_64: rw.copy_file_range_64,
  readdir: dir.readdir,
  readdirplus: dir.readdirplus,
  mknod: name.mknod,
  mkdir: name.mkdir,
  symlink: name.symlink,
  readlink: name.readlink,
  link: name.link,
  unlink: name.unlink,
  rmdir: name.rmdir,
  rename: name.rename,
  rename2: name.rename2,
  getxattr: xattr.getxattr,
  setxattr: xattr.setxattr,
  listxattr: xattr.listxattr,
  removexattr: xattr.removexattr,
  getlk: lock.getlk,
  setlk: lock.setlk,
  setlkw: lock.setlkw,
  interrupt: misc.interrupt,
  destroy: misc.destroy,
  bmap: misc.bmap,
  ioctl: misc.ioctl,
  poll: misc.poll,
  notify_reply: misc.notify_reply,
};

const BY_OPCODE: (Handler | undefined)[] = OPERATIONS.map((operation) =>
  operation === undefined || operation.handler === 'init' ? undefined : handlers[operation.handler],
);

/** @throws ENOSYS for an operation that is not known, EINVAL for a request that is too short */
export function dispatch(b: Bridge, m: Message): MaybePromise<number> {
  const handler = BY_OPCODE[m.opcode];
  if (handler === undefined) throw errno(E.ENOSYS);
  if (m.bodyBytes < OPERATIONS[m.opcode]!.body) throw errno(E.EINVAL);
  return handler(b, m);
}
