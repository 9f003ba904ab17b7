/** READDIR and READDIRPLUS. Offsets are the cookies of getdents (d_off). */
import { Errno } from '../../kernel/errno.js';
import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_RDONLY, SEEK_SET } from '../../kernel/fcntl.js';
import type { Dirent } from '../../kernel/stat.js';
import { direntBytes, putDirent, putEntryOut } from '../protocol/encode.js';
import * as F from '../protocol/fuse_kernel.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import type { Node } from './nodes.js';
import { handleFd } from './handle.js';

const R = F.fuse_read_in;
/** The shortest entry: a name of 1 to 8 bytes. */
const SHORTEST = direntBytes(8);
/** Entries asked of the kernel at a time. */
const BATCH_MAX = 1024;
const ROOM_MAX = 1 << 20;

export function readdir(b: Bridge, m: Message): Promise<number> {
  return list(b, m, false);
}

/** With the attributes of each entry, as LOOKUP would answer them. */
export function readdirplus(b: Bridge, m: Message): Promise<number> {
  return list(b, m, true);
}

async function list(b: Bridge, m: Message, plus: boolean): Promise<number> {
  const cookie = m.offset64(R.offset);
  const room = Math.min(m.u32(R.size), ROOM_MAX);
  const fh = b.handles ? handleFd(m, R.fh) : -1;
  b.channel.large(m, room);
  const found = b.node(m);
  const node = found instanceof Promise ? await found : found;
  if (fh >= 0) return fill(b, m, node, fh, cookie, room, plus, null);
  if (node.busy) {
    // Somebody else is in the middle of reading through the node's own descriptor.
    const fd = await b.nodes.reopen(node, O_RDONLY | O_DIRECTORY);
    try {
      return await fill(b, m, node, fd, cookie, room, plus, null);
    } finally {
      await b.sys.close(fd);
    }
  }
  node.busy = true;
  try {
    return await fill(b, m, node, await b.nodes.dirIo(node), cookie, room, plus, node);
  } finally {
    node.busy = false;
  }
}

/** `position`: the node whose dirpos knows where `fd` stands; null if nobody does. */
async function fill(b: Bridge, m: Message, node: Node, fd: number, cookie: number, room: number, plus: boolean, position: Node | null): Promise<number> {
  const { sys } = b;
  if (position === null || position.dirpos !== cookie) await sys.lseek(fd, cookie, SEEK_SET);
  if (position !== null) position.dirpos = -1;
  const each = plus ? F.ENTRY_OUT_SIZEOF + SHORTEST : SHORTEST;
  const entries = await sys.getdents(fd, Math.max(1, Math.min(BATCH_MAX, Math.floor(room / each))));
  const as = b.as(m);
  let at = 0;
  let taken = 0;
  for (const entry of entries) {
    const size = direntBytes(entry.d_name.length) + (plus ? F.ENTRY_OUT_SIZEOF : 0);
    if (at + size > room) break;
    if (plus) {
      if (!(await putPlus(b, m, as, node, entry, at))) m.out.clear(at, at + F.ENTRY_OUT_SIZEOF);
      at += F.ENTRY_OUT_SIZEOF;
    }
    at += putDirent(m.out, at, entry);
    taken++;
  }
  if (position !== null && taken === entries.length) position.dirpos = taken > 0 ? entries[taken - 1]!.d_off : cookie;
  return at;
}

/** Attributes of one entry; false: the host is told nothing, and asks when it wants to know. */
async function putPlus(b: Bridge, m: Message, as: Bridge['sys'], dir: Node, entry: Dirent, at: number): Promise<boolean> {
  const name = entry.d_name;
  if (name === '.' || name === '..') return false;
  try {
    await as.fstatat(dir.fd, ASCII.test(name) ? name : Buffer.from(name, 'latin1'), m.stat, AT_SYMLINK_NOFOLLOW);
  } catch (thrown) {
    if (thrown instanceof Errno) return false; // gone meanwhile, or damaged: no reason to hide the others
    throw thrown;
  }
  if (!b.nodes.identify(m.stat)) return false;
  putEntryOut(m.out, at, b.nodes.lo, b.nodes.hi, 0, m.stat, b.timeouts);
  return true;
}

// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;
