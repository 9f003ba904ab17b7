/**
 * Extended attributes. Where the volume keeps none, ENOSYS: the host does not ask again and says EOPNOTSUPP by itself.
 */
import { E, errno } from '../../kernel/errno.js';
import * as F from '../protocol/fuse_kernel.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { unlessDone } from './halfdone.js';

/** The host's limit for a value and for a list (XATTR_SIZE_MAX, XATTR_LIST_MAX of Linux), bytes. */
const XATTR_MAX = 65536;

function text(name: string | Uint8Array): string {
  return typeof name === 'string' ? name : Buffer.from(name).toString('latin1');
}

/**
 * Access control lists mean something to the host and have no counterpart on these volumes: none are stored, so that
 * none can be smuggled in.
 */
function refuse(name: string | Uint8Array): void {
  const plain = text(name);
  if (plain === 'system.posix_acl_access' || plain === 'system.posix_acl_default') throw errno(E.EOPNOTSUPP);
}

export async function getxattr(b: Bridge, m: Message): Promise<number> {
  if (!b.xattr) throw errno(E.ENOSYS);
  const room = m.u32(F.fuse_getxattr_in.size);
  const name = m.name(F.fuse_getxattr_in.SIZEOF);
  refuse(name);
  const node = await b.node(m);
  return answer(b, m, await b.as(m).fgetxattr(node.fd, name), room);
}

export async function listxattr(b: Bridge, m: Message): Promise<number> {
  if (!b.xattr) throw errno(E.ENOSYS);
  const room = m.u32(F.fuse_getxattr_in.size);
  const node = await b.node(m);
  const names = await b.as(m).flistxattr(node.fd);
  return answer(b, m, Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'), room);
}

/** A value, or with no room its size. */
function answer(b: Bridge, m: Message, value: Uint8Array, room: number): number {
  if (value.length > XATTR_MAX) throw errno(E.E2BIG);
  if (room === 0) {
    m.out.set32(F.fuse_getxattr_out.size, value.length);
    m.out.set32(F.fuse_getxattr_out.padding, 0);
    return F.fuse_getxattr_out.SIZEOF;
  }
  if (value.length > room) throw errno(E.ERANGE);
  b.channel.large(m, value.length).setBytes(0, value);
  return value.length;
}

export async function setxattr(b: Bridge, m: Message): Promise<number> {
  if (!b.xattr) throw errno(E.ENOSYS);
  const size = m.u32(F.fuse_setxattr_in.size);
  const flags = m.u32(F.fuse_setxattr_in.flags); // XATTR_CREATE 1, XATTR_REPLACE 2: the same on both sides
  const name = m.name(F.fuse_setxattr_in.SIZEOF);
  refuse(name);
  if (size > XATTR_MAX) throw errno(E.E2BIG);
  const value = m.bytes(m.behindName(F.fuse_setxattr_in.SIZEOF), size);
  const node = await b.node(m);
  await unlessDone(m, b.as(m).fsetxattr(node.fd, name, value, flags), 'EEXIST');
  return 0;
}

export async function removexattr(b: Bridge, m: Message): Promise<number> {
  if (!b.xattr) throw errno(E.ENOSYS);
  const name = m.name(0);
  refuse(name);
  const node = await b.node(m);
  await unlessDone(m, b.as(m).fremovexattr(node.fd, name), 'ENOATTR');
  return 0;
}
