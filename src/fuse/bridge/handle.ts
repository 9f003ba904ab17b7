/** What a request reads or writes through. */
import { E, errno } from '../../kernel/errno.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';

/** The descriptor of the handle at `at` of the request. @throws EBADF for a request without one */
export function handleFd(m: Message, at: number): number {
  const fh = m.u64(at);
  if (fh === 0) throw errno(E.EBADF);
  return fh - 1;
}

/** What a node is read or written through: the handle at `at`, or the node's own descriptor. */
export async function ioFd(b: Bridge, m: Message, at: number, write: boolean): Promise<number> {
  if (b.handles) return handleFd(m, at);
  const node = b.node(m);
  return b.nodes.io(node instanceof Promise ? await node : node, write);
}
