import type { Message } from '../protocol/message.js';

/** Comes when the host gives up the request: for calls that may take long. */
export function cancelSignal(m: Message): AbortSignal {
  const controller = new AbortController();
  m.cancel = () => controller.abort();
  return controller.signal;
}
