/**
 * What servers write to their standard output and error, for whoever keeps it. They have no file and no terminal
 * themselves, only a pipe, which the supervisor reads: lines of bounded length, freed of control characters, and no
 * more than a person could want.
 */
import type { Readable } from 'node:stream';
import { printable } from '../../kernel/printable.js';

/** The longest line that is passed on whole, characters. */
const LINE_MAX = 2000;
/** So much is passed on at once, and so much more for each second; and so much from one mount, bytes. */
const BURST_BYTES = 64 << 10;
const BYTES_PER_SECOND = 256;
const TOTAL_BYTES = 512 << 10;

export type Hear = (line: string) => void;

/** Passes on what there is room for. `now_ms`: of a clock that only goes forward; for tests. */
export function bounded(hear: Hear, now_ms: () => number = () => performance.now()): Hear {
  let room = BURST_BYTES;
  let left = TOTAL_BYTES;
  let left_out = 0;
  let looked = now_ms();
  return (line) => {
    const now = now_ms();
    room = Math.min(BURST_BYTES, room + ((now - looked) / 1000) * BYTES_PER_SECOND);
    looked = now;
    const bytes = Buffer.byteLength(line) + 1;
    if (left <= 0) return;
    if (bytes > room) {
      left_out++;
      return;
    }
    if (left_out > 0) {
      hear(`rumpfuse: warning: ${left_out} lines of the file system server are left out: it says too much`);
    }
    left_out = 0;
    room -= bytes;
    left -= bytes;
    hear(line);
    if (left <= 0) hear('rumpfuse: warning: the file system server has said too much: no more of it is kept');
  };
}

/** Hears a stream line by line. What is heard waits until it is known whether it counts. */
export class Hearing {
  private pending = '';
  /** Undefined once it counts. */
  private waiting: string[] | undefined = [];
  private waiting_bytes = 0;
  /** Everything has been heard. */
  readonly end: Promise<void>;

  constructor(stream: Readable, private readonly hear: Hear) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.take(text));
    stream.on('error', () => {}); // 'close' follows
    this.end = new Promise((resolve) => stream.on('close', () => {
      if (this.pending !== '') this.line(this.pending);
      this.pending = '';
      resolve();
    }));
  }

  /** What has been heard, and all that will be, counts. */
  count(): void {
    const { waiting } = this;
    this.waiting = undefined;
    for (const line of waiting ?? []) this.hear(line);
  }

  /** Nothing counts. */
  forget(): void {
    this.waiting = [];
    this.waiting_bytes = Infinity;
  }

  private take(text: string): void {
    const lines = (this.pending + text).split('\n');
    const rest = lines.pop()!;
    for (const line of lines) this.line(line);
    // Of a line without an end the beginning is enough.
    this.pending = rest.slice(0, LINE_MAX + 1);
  }

  private line(line: string): void {
    const said = printable(line.length > LINE_MAX ? `${line.slice(0, LINE_MAX)}...` : line);
    if (this.waiting === undefined) return this.hear(said);
    this.waiting_bytes += said.length;
    if (this.waiting_bytes <= BURST_BYTES) this.waiting.push(said);
  }
}
