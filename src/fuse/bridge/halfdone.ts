/** Requests that a server has died over, done again: what they have done already is no error. */
import { Errno } from '../../kernel/errno.js';
import type { ErrnoCode } from '../../kernel/errno.js';
import type { Message } from '../protocol/message.js';

/** Does the failure say that a dead server has done it? */
export function doneAlready(m: Message, thrown: unknown, ...codes: readonly ErrnoCode[]): boolean {
  return m.halfdone && thrown instanceof Errno && codes.includes(thrown.code as ErrnoCode);
}

/** Waits for `work`. @throws what it fails with, unless the failure says that a dead server has done it */
export async function unlessDone(m: Message, work: Promise<unknown>, ...codes: readonly ErrnoCode[]): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!doneAlready(m, thrown, ...codes)) throw thrown;
  }
}
