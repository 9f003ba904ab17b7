import type { Message } from '../protocol/message.js';

/** Comes when the host gives up the request: for calls that may take long. One for all calls of a request. */
export function cancelSignal(m: Message): AbortSignal {
  if (m.signal !== null) return m.signal;
  const controller = new AbortController();
  m.cancel = () => controller.abort();
  return (m.signal = controller.signal);
}
