import { operationName, rxLine, txLine } from './protocol/opcodes.js';
import type { Message } from './protocol/message.js';

/** Takes the lines of a trace, without line ends. */
export type TraceSink = (line: string) => void;

/**
 * A readable record of every request and reply. It costs nothing where it is not asked for: the loop has no Trace then.
 */
export class Trace {
  constructor(private readonly sink: TraceSink) {}

  rx(m: Message): void {
    m.started = performance.now() * 1000;
    this.sink(rxLine(m));
  }

  tx(m: Message, error: number, payload: number): void {
    this.sink(txLine(m, error, payload, performance.now() * 1000 - m.started));
  }

  /** A request that has no reply (FORGET, INTERRUPT) is done. */
  done(m: Message): void {
    this.sink(
      `-- ${m.uniqueLo} ${operationName(m.opcode)} done (${(performance.now() * 1000 - m.started).toFixed(0)} us)`,
    );
  }

  note(text: string): void {
    this.sink(`-- ${text}`);
  }
}
