/** LOOKUP, FORGET, BATCH_FORGET: names to nodes, and the end of what the host knows. */
import { E, errno } from '../../kernel/errno.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Path } from '../../kernel/sys/rumpsys.js';
import { putNegativeEntry } from '../protocol/encode.js';
import { fuse_batch_forget_in, fuse_forget_in, fuse_forget_one } from '../protocol/fuse_kernel.js';
import type { Message } from '../protocol/message.js';
import { NO_REPLY } from '../channel/loop.js';
import type { Bridge } from './bridge.js';
import type { Node } from './nodes.js';

export function lookup(b: Bridge, m: Message): MaybePromise<number> {
  const name = m.name(0);
  const found = b.node(m);
  return found instanceof Promise ? found.then((dir) => lookupIn(b, m, dir, name)) : lookupIn(b, m, found, name);
}

function lookupIn(b: Bridge, m: Message, dir: Node, name: Path): MaybePromise<number> {
  // The host looks these up where it has a node but no name for it (file handles of NFS, open_by_handle_at).
  if (name === '.' || (name === '..' && dir === b.nodes.root)) {
    const known = b.own(m).fgetattr(dir.fd, m.stat);
    return known instanceof Promise ? known.then(() => b.entryOf(m, dir, m.stat)) : b.entryOf(m, dir, m.stat);
  }
  const there = b.as(m).lookupat(dir.fd, name, m.stat);
  return there instanceof Promise ? there.then((is) => answer(b, m, dir, name, is)) : answer(b, m, dir, name, there);
}

function answer(b: Bridge, m: Message, dir: Node, name: Path, there: boolean): MaybePromise<number> {
  if (there) return b.entry(m, dir.fd, name, m.stat);
  if (b.timeouts.negative === 0) throw errno(E.ENOENT);
  return putNegativeEntry(m.out, b.timeouts);
}

export function forget(b: Bridge, m: Message): MaybePromise<number> {
  if (b.nodes.reapable) b.nodes.reap();
  const wait = b.nodes.forget(m.nodeLo, m.nodeHi, m.u64(fuse_forget_in.nlookup));
  return wait instanceof Promise ? wait.then(noReply, noReply) : NO_REPLY;
}

export function batch_forget(b: Bridge, m: Message): MaybePromise<number> {
  if (b.nodes.reapable) b.nodes.reap();
  const first = fuse_batch_forget_in.SIZEOF;
  const count = Math.min(m.u32(fuse_batch_forget_in.count), Math.floor((m.bodyBytes - first) / fuse_forget_one.SIZEOF));
  let waits: Promise<void>[] | null = null;
  for (let i = 0; i < count; i++) {
    const at = first + i * fuse_forget_one.SIZEOF;
    const wait = b.nodes.forget(m.lo(at), m.hi(at), m.u64(at + fuse_forget_one.nlookup));
    if (wait instanceof Promise) (waits ??= []).push(wait);
  }
  return waits === null ? NO_REPLY : Promise.allSettled(waits).then(noReply);
}

function noReply(): number {
  return NO_REPLY;
}
