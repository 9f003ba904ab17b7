/** What needs no file: INTERRUPT, DESTROY, and operations that a disk file system honestly has not. */
import { E, errno } from '../../kernel/errno.js';
import { fuse_interrupt_in } from '../protocol/fuse_kernel.js';
import { NO_REPLY } from '../channel/loop.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';

/**
 * One reader reads requests in their order, so the one that is meant has come before; if it has been answered, good.
 */
export function interrupt(b: Bridge, m: Message): number {
  b.channel.interrupt(m.lo(fuse_interrupt_in.unique), m.hi(fuse_interrupt_in.unique));
  return NO_REPLY;
}

export function destroy(): number {
  return 0;
}

/** Block numbers of a volume mean nothing to a host that has no such device. */
export function bmap(): number {
  throw errno(E.ENOSYS);
}

export function ioctl(): number {
  throw errno(E.ENOTTY);
}

/** Files are always ready: the host answers so by itself when told that nobody here polls. */
export function poll(): number {
  throw errno(E.ENOSYS);
}

/** The answer to a request of ours for the host's cache; none is made. */
export function notify_reply(): number {
  return NO_REPLY;
}
