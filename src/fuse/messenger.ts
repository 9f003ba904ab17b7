/**
 * Messages between supervisor and server: one line of JSON each, over a pair of sockets. Not the channel that Node
 * makes between processes: that one takes a line of any length into its memory, and one of the two may have been taken
 * over.
 */
import type { Socket } from 'node:net';

/** Says to the server which of its descriptors is the channel. */
export const CHANNEL_VARIABLE = 'RUMPFUSE_CHANNEL';
/** The longest line taken, bytes. */
const LINE_MAX = 65536;
/** So many messages in a second are a flood. */
const MESSAGES_MAX = 200;
const NEWLINE = 10;

export class Messenger {
  /** Called with whatever JSON says: check it. */
  onMessage: (message: unknown) => void = () => {};
  /** The other side has closed; or it has broken the rules, and why. Nothing comes after it. */
  onEnd: (misuse?: string) => void = () => {};
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private second = 0;
  private inSecond = 0;
  private over = false;

  constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('close', () => this.end());
    socket.on('error', () => {}); // 'close' follows
  }

  get open(): boolean {
    return !this.over && this.socket.writable;
  }

  /** `sent`: called when it has been handed over, or cannot be. */
  send(message: object, sent: () => void = () => {}): void {
    if (this.open) this.socket.write(`${JSON.stringify(message)}\n`, () => sent());
    else sent();
  }

  close(): void {
    this.over = true;
    this.socket.destroy();
  }

  private end(misuse?: string): void {
    if (this.over) return;
    this.close();
    this.onEnd(misuse);
  }

  private take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.over; ) {
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline < 0 ? chunk.length : newline;
      this.pendingBytes += end - at;
      if (this.pendingBytes > LINE_MAX) return this.end('a message is too long');
      this.pending.push(chunk.subarray(at, end));
      at = end + 1;
      if (newline >= 0) this.line();
    }
  }

  private line(): void {
    const text = Buffer.concat(this.pending).toString('utf8');
    this.pending = [];
    this.pendingBytes = 0;
    const now = Math.floor(performance.now() / 1000);
    if (now !== this.second) this.inSecond = 0;
    this.second = now;
    if (++this.inSecond > MESSAGES_MAX) return this.end('too many messages');
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.end('a message is no JSON');
    }
    this.onMessage(message);
  }
}
