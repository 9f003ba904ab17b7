/** READDIR and READDIRPLUS. Offsets are the cookies of getdents (d_off). */
import { O_DIRECTORY, O_RDONLY, SEEK_SET } from '../../kernel/fcntl.js';
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
  const cookie = m.cookie(R.offset);
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
async function fill(
  b: Bridge,
  m: Message,
  node: Node,
  fd: number,
  cookie: number | bigint,
  room: number,
  plus: boolean,
  position: Node | null,
): Promise<number> {
  if (position === null || position.dirpos !== cookie) await b.sys.lseek(fd, cookie, SEEK_SET);
  if (position !== null) position.dirpos = -1;
  const reply = new Listing(b, m, room);
  if (plus) {
    const max = Math.max(1, Math.min(BATCH_MAX, Math.floor(room / (F.ENTRY_OUT_SIZEOF + SHORTEST))));
    await b.as(m).getdirentriesattr(fd, max, m.stat, (entry, known) => reply.putPlus(entry, known));
  } else {
    for (const entry of await b.own(m).getdents(fd, Math.max(1, Math.min(BATCH_MAX, Math.floor(room / SHORTEST))))) {
      // The entries that were read in vain are read again by the next request.
      if (!reply.put(entry)) return reply.at;
    }
  }
  if (position !== null) position.dirpos = reply.last < 0 ? cookie : reply.last;
  return reply.at;
}

/** A reply with entries of a directory. */
class Listing {
  /** Bytes of payload. */
  at = 0;
  /** Cookie behind the last entry; -1 before the first. */
  last: number | bigint = -1;

  constructor(
    private readonly b: Bridge,
    private readonly m: Message,
    private readonly room: number,
  ) {}

  put(entry: Dirent): boolean {
    if (this.at + direntBytes(entry.d_name.length) > this.room) return false;
    this.at += putDirent(this.m.out, this.at, entry);
    this.last = entry.d_off;
    return true;
  }

  /**
   * With attributes where they are known; where they are not, the host is told nothing, and asks when it wants to know.
   */
  putPlus(entry: Dirent, known: boolean): boolean {
    const { b, m, at } = this;
    if (at + F.ENTRY_OUT_SIZEOF + direntBytes(entry.d_name.length) > this.room) return false;
    if (known && b.nodes.identify(m.stat)) putEntryOut(m.out, at, b.nodes.lo, b.nodes.hi, 0, m.stat, b.timeouts);
    else m.out.clear(at, at + F.ENTRY_OUT_SIZEOF);
    this.at += F.ENTRY_OUT_SIZEOF;
    return this.put(entry);
  }
}
