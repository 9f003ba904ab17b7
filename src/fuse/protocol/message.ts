import { endianness } from 'node:os';
import { E, errno } from '../../kernel/errno.js';
import { Stat } from '../../kernel/stat.js';
import { fuse_in_header, fuse_out_header } from './fuse_kernel.js';

/**
 * Requests and replies are in the host's byte order: of the two 32-bit words of a 64-bit field, which is the low one.
 */
export const LO = endianness() === 'LE' ? 0 : 1;
export const HI = 1 - LO;
const TWO32 = 4294967296;
const PAGE_BYTES = 4096;
const IN_BODY = fuse_in_header.SIZEOF;
const OUT_BODY = fuse_out_header.SIZEOF;
// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;

/** Memory that a request is read into. */
export class InBuf {
  readonly u8: Buffer;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;

  /** `bytes`: a multiple of 8. `memory`: where it is to be, aligned to 8. */
  constructor(bytes: number, memory: Uint8Array = new Uint8Array(bytes)) {
    const { buffer, byteOffset } = memory;
    this.u8 = Buffer.from(buffer as ArrayBuffer, byteOffset, bytes);
    this.u16 = new Uint16Array(buffer, byteOffset, bytes / 2);
    this.u32 = new Uint32Array(buffer, byteOffset, bytes / 4);
    this.u64 = new BigUint64Array(buffer, byteOffset, bytes / 8);
    // Has the pages made now: a process that is killed while the host makes one loses the request that it reads.
    for (let i = 0; i < bytes; i += PAGE_BYTES) this.u8[i] = 0;
  }
}

/** Memory that a reply is built in: header, then payload. Offsets of the set functions are those of the payload. */
export class OutBuf {
  readonly u8: Buffer;
  private readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  private readonly u64: BigUint64Array;
  /** Room for payload, bytes. */
  readonly room: number;

  /** `room`: bytes of payload. */
  constructor(room: number) {
    const memory = new ArrayBuffer((OUT_BODY + room + 7) & ~7);
    this.u8 = Buffer.from(memory);
    this.u16 = new Uint16Array(memory);
    this.u32 = new Uint32Array(memory);
    this.u64 = new BigUint64Array(memory);
    this.room = room;
  }

  set16(offset: number, value: number): void {
    this.u16[(OUT_BODY + offset) >> 1] = value;
  }
  set32(offset: number, value: number): void {
    this.u32[(OUT_BODY + offset) >> 2] = value;
  }
  /** An integer of at most 2^53-1 in size; a negative one in two's complement. */
  set64(offset: number, value: number): void {
    const at = (OUT_BODY + offset) >> 2;
    const high = Math.floor(value / TWO32);
    this.u32[at + LO] = value - high * TWO32;
    this.u32[at + HI] = high;
  }
  set64words(offset: number, low: number, high: number): void {
    const at = (OUT_BODY + offset) >> 2;
    this.u32[at + LO] = low;
    this.u32[at + HI] = high;
  }
  setBig(offset: number, value: bigint): void {
    this.u64[(OUT_BODY + offset) >> 3] = value;
  }
  clear(from: number, to: number): void {
    this.u8.fill(0, OUT_BODY + from, OUT_BODY + to);
  }
  /** A byte string (bytestr.ts). */
  setName(offset: number, name: string): void {
    const at = OUT_BODY + offset;
    for (let i = 0; i < name.length; i++) this.u8[at + i] = name.charCodeAt(i);
  }
  setBytes(offset: number, bytes: Uint8Array): void {
    this.u8.set(bytes, OUT_BODY + offset);
  }
  /** Offset in `u8` of the payload's byte `offset`: where a read is put. */
  at(offset: number): number {
    return OUT_BODY + offset;
  }
}

/**
 * Writes the header of a notification (a message to the host that no request asked for); returns the length of the
 * whole.
 */
export function sealNotification(out: OutBuf, code: number, payload: number): number {
  const length = OUT_BODY + payload;
  out.u32[fuse_out_header.len >> 2] = length;
  out.u32[fuse_out_header.error >> 2] = code;
  out.u32[fuse_out_header.unique >> 2] = 0;
  out.u32[(fuse_out_header.unique >> 2) + 1] = 0;
  return length;
}

/** Something that a handler uses until its request is answered, and that must not go before (a node's descriptor). */
export interface Held {
  refs: number;
}

/**
 * One request and the reply that is built for it. Messages are reused; a handler reads all that it needs from the
 * request before it waits for anything, but for the payload of those operations that `holds_input` marks in the
 * opcode table: only their input stays in place.
 */
export class Message {
  in: InBuf;
  out: OutBuf;
  /** Length of the request, bytes. */
  length = 0;
  opcode = 0;
  uniqueLo = 0;
  uniqueHi = 0;
  nodeLo = 0;
  nodeHi = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** A number of its own among the messages of a loop, counted from 0. */
  place = 0;
  /** A server that died may have done a part of it: what is done already is no error. */
  halfdone = false;
  /** Waits for another request (a lock to be given up), not for the event loop. Set by the handler before it waits. */
  parked = false;
  /** Called when the host gives the request up (INTERRUPT). */
  cancel: (() => void) | null = null;
  /** Aborted by `cancel`, where that is so. */
  signal: AbortSignal | null = null;
  /** Called when the host has the reply. */
  sent: (() => void) | null = null;
  /** Called when the host did not take the reply: what has been done for it is to be undone (a handle to be closed). */
  undo: (() => Promise<void>) | null = null;
  /** Scratch for the handler. */
  readonly stat = new Stat();
  private hold0: Held | null = null;
  private hold1: Held | null = null;
  private hold2: Held | null = null;
  /** Microseconds, when tracing. */
  started = 0;

  constructor(input: InBuf, out: OutBuf) {
    this.in = input;
    this.out = out;
  }

  /** Takes the header of `length` bytes read into `in`. False if they are no request. */
  begin(length: number): boolean {
    const w = this.in.u32;
    this.length = length;
    if (length < IN_BODY || w[fuse_in_header.len >> 2] !== length) return false;
    this.opcode = w[fuse_in_header.opcode >> 2]!;
    this.uniqueLo = w[(fuse_in_header.unique >> 2) + LO]!;
    this.uniqueHi = w[(fuse_in_header.unique >> 2) + HI]!;
    this.nodeLo = w[(fuse_in_header.nodeid >> 2) + LO]!;
    this.nodeHi = w[(fuse_in_header.nodeid >> 2) + HI]!;
    this.uid = w[fuse_in_header.uid >> 2]!;
    this.gid = w[fuse_in_header.gid >> 2]!;
    this.pid = w[fuse_in_header.pid >> 2]!;
    this.parked = false;
    this.halfdone = false;
    this.cancel = null;
    this.signal = null;
    this.sent = null;
    this.undo = null;
    return true;
  }

  /** Writes the reply's header; returns the length of the whole. `error`: 0 or the host's errno; `payload`: bytes. */
  seal(error: number, payload: number): number {
    const w = this.out.u32;
    const length = OUT_BODY + payload;
    w[fuse_out_header.len >> 2] = length;
    w[fuse_out_header.error >> 2] = -error;
    w[(fuse_out_header.unique >> 2) + LO] = this.uniqueLo;
    w[(fuse_out_header.unique >> 2) + HI] = this.uniqueHi;
    return length;
  }

  /** Keeps `held` until the request is answered. */
  hold(held: Held): void {
    held.refs++;
    if (this.hold0 === null) this.hold0 = held;
    else if (this.hold1 === null) this.hold1 = held;
    else if (this.hold2 === null) this.hold2 = held;
    else throw errno(E.EIO, 'a request holds more nodes than there are places for');
  }
  release(): void {
    if (this.hold0 === null) return;
    this.hold0.refs--;
    this.hold0 = null;
    if (this.hold1 === null) return;
    this.hold1.refs--;
    this.hold1 = null;
    if (this.hold2 === null) return;
    this.hold2.refs--;
    this.hold2 = null;
  }

  // Fields of the request, by offset behind the header.

  /** Bytes behind the header. */
  get bodyBytes(): number {
    return this.length - IN_BODY;
  }
  u32(offset: number): number {
    return this.in.u32[(IN_BODY + offset) >> 2]!;
  }
  lo(offset: number): number {
    return this.in.u32[((IN_BODY + offset) >> 2) + LO]!;
  }
  hi(offset: number): number {
    return this.in.u32[((IN_BODY + offset) >> 2) + HI]!;
  }
  /** Unsigned; not exact above 2^53. */
  u64(offset: number): number {
    const at = (IN_BODY + offset) >> 2;
    return this.in.u32[at + HI]! * TWO32 + this.in.u32[at + LO]!;
  }
  /** Signed. */
  i64(offset: number): number {
    const at = (IN_BODY + offset) >> 2;
    return (this.in.u32[at + HI]! | 0) * TWO32 + this.in.u32[at + LO]!;
  }
  /** A place in a directory: a number where that is exact. */
  cookie(offset: number): number | bigint {
    return this.hi(offset) < 0x20_0000 ? this.u64(offset) : this.big(offset);
  }

  big(offset: number): bigint {
    return this.in.u64[(IN_BODY + offset) >> 3]!;
  }
  /** A size or position. @throws EFBIG above 2^53-1 */
  offset64(offset: number): number {
    const value = this.u64(offset);
    if (value > Number.MAX_SAFE_INTEGER) throw errno(E.EFBIG);
    return value;
  }
  /** A name that ends with a NUL: a string if it is ASCII, else its bytes. @throws EINVAL without a NUL or empty */
  name(offset: number): string | Uint8Array {
    const start = IN_BODY + offset;
    const end = this.nameEnd(start);
    if (end <= start) throw errno(E.EINVAL);
    const text = this.in.u8.toString('latin1', start, end);
    return ASCII.test(text) ? text : Uint8Array.prototype.slice.call(this.in.u8, start, end);
  }
  /** Offset behind the NUL of the name at `offset`. */
  behindName(offset: number): number {
    return this.nameEnd(IN_BODY + offset) + 1 - IN_BODY;
  }
  private nameEnd(start: number): number {
    if (start >= this.length) throw errno(E.EINVAL);
    const end = this.in.u8.indexOf(0, start);
    if (end < 0 || end >= this.length) throw errno(E.EINVAL);
    return end;
  }
  /** A copy of `bytes` bytes of the body. @throws EINVAL when the request is shorter */
  bytes(offset: number, bytes: number): Uint8Array {
    const start = IN_BODY + offset;
    if (start + bytes > this.length) throw errno(E.EINVAL);
    return Uint8Array.prototype.slice.call(this.in.u8, start, start + bytes);
  }
  /** Where the payload at `offset` of the body starts in `in.u8`. */
  at(offset: number): number {
    return IN_BODY + offset;
  }
}
