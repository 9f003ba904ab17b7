/**
 * A few requests of each kind, served on a volume that matters to nobody: code is compiled when it is first run, which
 * a server that takes over has no time for.
 */
import type { RumpSys } from '../../kernel/sys/rumpsys.js';
import { CLOSED } from '../channel/transport.js';
import type { Transport } from '../channel/transport.js';
import * as F from '../protocol/fuse_kernel.js';
import type { InBuf, OutBuf } from '../protocol/message.js';
import { HI, LO } from '../protocol/message.js';
import { OPERATIONS } from '../protocol/opcodes.js';
import type { HandlerName } from '../protocol/opcodes.js';
import { serve } from '../server.js';

type Part = number | string;
interface Request {
  readonly name: HandlerName;
  /** Of the node that the last entry named, instead of the root. */
  readonly there?: boolean;
  /** 32-bit words, and names. */
  readonly body: readonly Part[];
}

const opcodeOf = (name: HandlerName) => OPERATIONS.findIndex((operation) => operation?.handler === name);
const REGULAR = 0o100644;
const BYTES = 4096;
const write = (at: number): Request => ({
  name: 'write',
  there: true,
  body: [0, 0, at, 0, BYTES, 0, 0, 0, 0, 0, ...new Array<number>(BYTES / 4).fill(0x5a5a5a5a)],
});
const SETATTR = F.fuse_setattr_in.SIZEOF / 4;

/** Root directory: `f` is made, written, read, renamed, removed, and so on. */
const PLAY: readonly Request[] = [
  { name: 'init', body: [7, F.FUSE_KERNEL_MINOR_VERSION, 1 << 17, 0xffffffff, 0xff, ...new Array<number>(11).fill(0)] },
  { name: 'getattr', body: [0, 0, 0, 0] },
  { name: 'opendir', body: [0, 0] },
  { name: 'statfs', body: [] },
  { name: 'lookup', body: ['f'] },
  { name: 'mkdir', body: [0o755, 0, 'd'] },
  { name: 'mknod', body: [REGULAR, 0, 0, 0, 'f'] },
  write(0), write(BYTES), write(100), write(12 * BYTES),
  { name: 'read', there: true, body: [0, 0, 0, 0, 2 * BYTES, 0, 0, 0, 0, 0] },
  { name: 'getattr', there: true, body: [0, 0, 0, 0] },
  { name: 'setattr', there: true, body: [F.FATTR_SIZE, 0, 0, 0, 5000, ...new Array<number>(SETATTR - 5).fill(0)] },
  {
    name: 'setattr',
    there: true,
    body: [F.FATTR_MTIME | F.FATTR_MTIME_NOW | F.FATTR_MODE, ...new Array<number>(SETATTR - 1).fill(0)],
  },
  { name: 'fsync', there: true, body: [0, 0, 0, 0] },
  { name: 'rename2', body: [1, 0, 0, 0, 'f', 'g'] },
  { name: 'readdirplus', body: [0, 0, 0, 0, BYTES, 0, 0, 0, 0, 0] },
  { name: 'readdir', body: [0, 0, 0, 0, BYTES, 0, 0, 0, 0, 0] },
  { name: 'lookup', body: ['g'] },
  { name: 'unlink', body: ['g'] },
  { name: 'forget', there: true, body: [1, 0] },
  { name: 'rmdir', body: ['d'] },
];

class Script implements Transport {
  /** Operations that were answered with an error. */
  readonly failed: string[] = [];
  private at = 0;
  private nodeLo = 1;
  private nodeHi = 0;

  readSync(into: InBuf): number {
    const request = PLAY[this.at++];
    if (request === undefined) return CLOSED;
    const head = F.fuse_in_header.SIZEOF;
    let end = head;
    for (const part of request.body) {
      if (typeof part === 'number') into.u32[end / 4] = part;
      else into.u8.write(`${part}\0`, end, 'latin1');
      end += typeof part === 'number' ? 4 : part.length + 1;
    }
    const w = into.u32;
    w.fill(0, 0, head / 4);
    w[F.fuse_in_header.len >> 2] = end;
    w[F.fuse_in_header.opcode >> 2] = opcodeOf(request.name);
    w[(F.fuse_in_header.unique >> 2) + LO] = 2 * this.at;
    w[(F.fuse_in_header.nodeid >> 2) + LO] = request.there === true ? this.nodeLo : F.FUSE_ROOT_ID;
    w[(F.fuse_in_header.nodeid >> 2) + HI] = request.there === true ? this.nodeHi : 0;
    return end;
  }

  read(into: InBuf, done: (length: number) => void): void {
    setImmediate(() => done(this.readSync(into)));
  }

  writeLater(from: OutBuf, length: number): void {
    this.write(from, length);
  }

  write(from: OutBuf, length: number): boolean {
    const body = F.fuse_out_header.SIZEOF / 4;
    const { name } = PLAY[this.at - 1]!;
    if (from.u32[F.fuse_out_header.error >> 2] !== 0) this.failed.push(name);
    if ((name === 'mknod' || name === 'lookup') && length > F.fuse_out_header.SIZEOF) {
      this.nodeLo = from.u32[body + LO]!;
      this.nodeHi = from.u32[body + HI]!;
    }
    return true;
  }
}

/** `root`: a directory of `sys` for this alone. Returns what could not be played. */
export async function rehearseServing(sys: RumpSys, root: string): Promise<readonly string[]> {
  const script = new Script();
  await serve({ sys, root, channel: script });
  return script.failed;
}
