/**
 * Each request is done once, whichever server does it. What it changed and its answer are committed to the memory that
 * outlives the server before the host gets the answer; the host sends requests that it has no answer to again, to the
 * next server, who finds the answer, or that nothing was done, or that a part may have been done.
 */
import { E, errno, errnoOf } from '../../kernel/errno.js';
import type { KeepForServer } from '../../kernel/keep/keep.js';
import type { LogLevel, MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { HostErrno } from '../channel/loop.js';
import type { Dispatch } from '../channel/loop.js';
import { hostErrno } from '../protocol/errno.js';
import { fuse_out_header } from '../protocol/fuse_kernel.js';
import type { Message } from '../protocol/message.js';
import { OPERATIONS, nodeText, operationName } from '../protocol/opcodes.js';
import type { HandlerName } from '../protocol/opcodes.js';
import { isResent, plainHi } from './notes.js';
import type { Notes } from './notes.js';

/** Operations that change what a user sees. Times of access are no such thing. */
const CHANGING: readonly HandlerName[] = [
  'setattr', 'tmpfile', 'symlink', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename', 'rename2', 'link', 'write',
  'setxattr', 'removexattr', 'create', 'fallocate', 'copy_file_range', 'copy_file_range_64',
];
/** Others after which there is something to commit: files that nobody has any more, blocks that have been written. */
const SETTLING: readonly HandlerName[] = ['forget', 'batch_forget', 'fsync', 'fsyncdir', 'syncfs'];

function byOpcode(names: readonly HandlerName[]): boolean[] {
  return OPERATIONS.map((operation) => operation !== undefined && names.includes(operation.handler));
}
const CHANGES = byOpcode(CHANGING);
const SETTLES = byOpcode(SETTLING);

export interface OnceOptions {
  readonly notes: Notes;
  /** None where the volume is only read. */
  readonly keep?: KeepForServer | undefined;
  readonly dispatch: Dispatch;
  readonly log: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  /** From now on nothing can be changed. */
  readonly onTurnedReadonly: () => void;
}

export class Once {
  private readonly notes: Notes;
  private readonly keep: KeepForServer | undefined;
  private readonly handle: Dispatch;

  constructor(private readonly options: OnceOptions) {
    this.notes = options.notes;
    this.keep = options.keep;
    this.handle = options.dispatch;
  }

  readonly dispatch = (m: Message): MaybePromise<number> => {
    this.notes.begin(m);
    if (isResent(m)) {
      const payload = this.again(m);
      if (payload !== undefined) return payload;
    }
    if (CHANGES[m.opcode]) {
      if (this.notes.turned_readonly) throw errno(E.EROFS);
      return this.keep === undefined ? this.handle(m) : this.change(m, this.keep);
    }
    if (SETTLES[m.opcode] && this.keep !== undefined) return this.settle(m, this.keep);
    return this.handle(m);
  };

  /** A request that a dead server had read. undefined: it is to be done. @throws what it is answered with */
  private again(m: Message): number | undefined {
    if (this.notes.isPoison(m)) {
      this.poison(m);
      throw errno(E.EIO);
    }
    const lo = m.uniqueLo;
    const hi = plainHi(m.uniqueHi);
    const answer = this.keep?.answered(lo, hi);
    if (
      answer === undefined ||
      answer.length < fuse_out_header.SIZEOF ||
      answer.length - fuse_out_header.SIZEOF > m.out.room
    ) {
      m.halfdone = this.keep?.halfdone(lo, hi) ?? false;
      return undefined;
    }
    const error = -new DataView(answer.buffer, answer.byteOffset).getInt32(fuse_out_header.error, true);
    if (error !== 0) throw new HostErrno(error);
    m.out.setBytes(0, answer.subarray(fuse_out_header.SIZEOF));
    return answer.length - fuse_out_header.SIZEOF;
  }

  private poison(m: Message): void {
    const { notes } = this;
    const readonly = notes.writing && !notes.turned_readonly;
    this.options.log(
      'error',
      `a request was the end of several servers, and is answered with an input/output ` +
        `error${readonly ? '; from now on nothing can be changed on this mount' : ''}`,
      { operation: operationName(m.opcode), node: nodeText(m.nodeLo, m.nodeHi) },
    );
    if (!readonly) return;
    notes.turnReadonly();
    this.options.onTurnedReadonly();
  }

  private async change(m: Message, keep: KeepForServer): Promise<number> {
    const lo = m.uniqueLo;
    const hi = plainHi(m.uniqueHi);
    keep.begin(lo, hi);
    let payload = 0;
    let failed: { thrown: unknown } | undefined;
    try {
      const answer = this.handle(m);
      payload = answer instanceof Promise ? await answer : answer;
    } catch (thrown) {
      failed = { thrown };
    }
    const length = m.seal(failed === undefined ? 0 : hostErrno(errnoOf(failed.thrown)), payload);
    const wait = keep.commit({ lo, hi, bytes: m.out.u8, length });
    if (wait instanceof Promise) await wait;
    if (failed !== undefined) throw failed.thrown;
    return payload;
  }

  private async settle(m: Message, keep: KeepForServer): Promise<number> {
    try {
      return await this.handle(m);
    } finally {
      const wait = keep.commit();
      if (wait instanceof Promise) await wait;
    }
  }
}
