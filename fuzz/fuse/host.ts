/** A host that sends what it was told to, and judges the answers as Linux would. */
import { CLOSED, INTERRUPTED } from '../../src/fuse/channel/transport.js';
import type { Transport } from '../../src/fuse/channel/transport.js';
import * as F from '../../src/fuse/protocol/fuse_kernel.js';
import type { InBuf, OutBuf } from '../../src/fuse/protocol/message.js';
import { OPERATIONS, operationName } from '../../src/fuse/protocol/opcodes.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { OP_CPU_MS } from '../../testing/fuzz/probe.js';
import { HANDLE_MARK, NODE_MARK, NO_REPLY_OPCODES } from './requests.js';

/** Turns of the event loop that a request is given before the next one comes all the same. */
const PATIENCE = 3000;
const MARK = 0xffffn << 48n;
/** Linux refuses a reply with an error outside of this. */
const ERROR_MIN = -511;
const ENTRY = new Set(['lookup', 'mknod', 'mkdir', 'symlink', 'link']);
const OPENED = new Set(['open', 'opendir']);

/** Payload of a successful reply: as long as that, or at most. */
function rightLength(opcode: number, request: Uint8Array, length: number): boolean {
  const view = new DataView(request.buffer, request.byteOffset, request.length);
  const handler = OPERATIONS[opcode]?.handler;
  switch (handler) {
    case 'lookup': case 'mknod': case 'mkdir': case 'symlink': case 'link': return length === F.ENTRY_OUT_SIZEOF;
    case 'create': case 'tmpfile': return length === F.ENTRY_OUT_SIZEOF + F.fuse_open_out.SIZEOF;
    case 'getattr': case 'setattr': return length === F.ATTR_OUT_SIZEOF;
    case 'statx': return length === F.STATX_OUT_SIZEOF;
    case 'open': case 'opendir': return length === F.fuse_open_out.SIZEOF;
    case 'read': case 'readdir': case 'readdirplus': return length <= view.getUint32(40 + F.fuse_read_in.size, true);
    case 'write': case 'copy_file_range': return length === F.fuse_write_out.SIZEOF;
    case 'statfs': return length === F.fuse_kstatfs.SIZEOF;
    case 'getxattr': case 'listxattr': {
      const room = view.getUint32(40, true);
      return room === 0 ? length === F.fuse_getxattr_out.SIZEOF : length <= room;
    }
    case 'readlink':
      return length < 4096;
    case 'lseek':
      return length === F.fuse_lseek_out.SIZEOF;
    case 'unlink':
    case 'rmdir':
    case 'rename':
    case 'rename2':
    case 'release':
    case 'releasedir':
    case 'flush':
    case 'fsync':
    case 'fsyncdir':
    case 'setxattr':
    case 'removexattr':
    case 'access':
    case 'fallocate':
    case 'syncfs':
    case 'setlk':
    case 'setlkw':
      return length === 0;
    default: return true;
  }
}

interface Sent {
  readonly bytes: Uint8Array;
  readonly opcode: number;
}

export class HostileHost implements Transport {
  /** By unique number; several may have the same. */
  private readonly open = new Map<bigint, Sent[]>();
  /** Requests that want no reply; Linux does not know them any more when one comes all the same. */
  private readonly silent = new Set<bigint>();
  private readonly nodes: bigint[] = [1n];
  private readonly handles: bigint[] = [0n];
  private next = 0;
  private waitingFor: bigint | undefined;
  private turns = 0;
  private began = 0;
  private cpu = process.cpuUsage();

  constructor(private readonly probe: Probe, private readonly requests: readonly Uint8Array[]) {}

  /** The bytes of the next request with the numbers of this session in place of the marks. */
  private resolved(template: Uint8Array): Uint8Array {
    const bytes = template.slice();
    const view = new DataView(bytes.buffer);
    for (let at = 16; at + 8 <= Math.min(bytes.length, 512); at += 8) {
      const word = view.getBigUint64(at, true);
      const mark = word & MARK;
      const of = mark === NODE_MARK ? this.nodes : mark === HANDLE_MARK ? this.handles : undefined;
      if (of !== undefined) view.setBigUint64(at, of[Number(word & 0xffffn) % of.length]!, true);
    }
    return bytes;
  }

  /** Undefined: not yet. */
  private take(into: InBuf): number | undefined {
    if (this.waitingFor !== undefined && this.open.has(this.waitingFor) && this.turns++ < PATIENCE) return undefined;
    this.judgeTime();
    const template = this.requests[this.next++];
    if (template === undefined) return CLOSED;
    const bytes = this.resolved(template);
    into.u8.set(bytes.subarray(0, into.u8.length));
    const length = Math.min(bytes.length, into.u8.length);
    this.turns = 0;
    this.waitingFor = undefined;
    this.began = performance.now();
    this.cpu = process.cpuUsage();
    if (length < 40 || new DataView(bytes.buffer).getUint32(0, true) !== length) return length;
    this.probe.operations++;
    const view = new DataView(bytes.buffer);
    const unique = view.getBigUint64(8, true);
    const opcode = view.getUint32(4, true);
    if (unique === 0n) return length;
    if (NO_REPLY_OPCODES.has(opcode)) {
      this.silent.add(unique);
      return length;
    }
    this.open.set(unique, [...(this.open.get(unique) ?? []), { bytes, opcode }]);
    this.waitingFor = unique;
    return length;
  }

  private judgeTime(): void {
    const passed = performance.now() - this.began;
    if (this.next === 0 || passed < 100) return;
    const { user, system } = process.cpuUsage(this.cpu);
    const ms = Math.min(passed, (user + system) / 1000);
    const bytes = this.requests[this.next - 1]!;
    const name =
      bytes.length >= 8
        ? operationName(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(4, true))
        : 'no request';
    if (ms > this.probe.slowest_ms) {
      this.probe.slowest_ms = ms;
      this.probe.slowest_op = name;
    }
    if (ms > OP_CPU_MS) this.probe.violation('slow', name, '', `${Math.round(ms)} ms of CPU`);
  }

  readSync(into: InBuf): number {
    return this.take(into) ?? INTERRUPTED;
  }

  read(into: InBuf, done: (length: number) => void): void {
    const look = (): void => {
      const length = this.take(into);
      if (length === undefined) setImmediate(look);
      else done(length);
    };
    setImmediate(look);
  }

  writeLater(from: OutBuf, length: number): void {
    this.write(from, length);
  }

  write(from: OutBuf, length: number): boolean {
    const view = new DataView(from.u8.buffer, from.u8.byteOffset, length);
    const unique = view.getBigUint64(8, true);
    const error = view.getInt32(4, true);
    if (view.getUint32(0, true) !== length) {
      this.wrong('length', '', `the header says ${view.getUint32(0, true)}, it has ${length} bytes`);
    }
    if (unique === 0n) return true; // a notification
    const sent = this.open.get(unique);
    if (sent === undefined) {
      if (this.silent.has(unique)) return false;
      this.wrong('stray', '', `a reply to ${unique}, which nobody waits for`);
      return false;
    }
    const { opcode, bytes } = sent.shift()!;
    if (sent.length === 0) this.open.delete(unique);
    const name = operationName(opcode);
    if (error > 0 || error < ERROR_MIN) this.wrong('error', name, `${error}`);
    if (error !== 0) {
      this.probe.failed++;
      if (length !== 16) this.wrong('length of an error', name, `${length}`);
      return true;
    }
    if (!rightLength(opcode, bytes, length - 16)) this.wrong('length', name, `${length - 16} bytes of payload`);
    const handler = OPERATIONS[opcode]?.handler ?? '';
    if (ENTRY.has(handler) && view.getBigUint64(16, true) !== 0n) this.nodes.push(view.getBigUint64(16, true));
    if (OPENED.has(handler)) this.handles.push(view.getBigUint64(16, true));
    return true;
  }

  private wrong(where: string, op: string, detail: string): void {
    this.probe.violation('answer', op, where, detail);
  }

  /** After the end of the mount. */
  finish(): void {
    for (const [unique, requests] of this.open) {
      for (const { opcode } of requests) {
        this.wrong('none', operationName(opcode), `no reply to request ${unique}`);
      }
    }
  }
}
