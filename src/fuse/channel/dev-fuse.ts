import { closeSync, read, readSync, write, writeSync } from 'node:fs';
import { FUSE_NOTIFY_RESEND } from '../protocol/fuse_kernel.js';
import { libc } from '../mount/libc.js';
import type { InBuf } from '../protocol/message.js';
import { OutBuf, sealNotification } from '../protocol/message.js';
import { Lookout } from './lookout.js';
import { CLOSED, INTERRUPTED } from './transport.js';
import type { Transport } from './transport.js';

/** The channel of /dev/fuse. `fd` is mounted, or will be: until then reads fail with EPERM. */
export class DevFuse implements Transport {
  private readonly lookout: Lookout | undefined;
  /** Bytes of the last request or its reply, whichever has more. */
  private carried = 0;

  constructor(private fd: number) {
    const readable = libc()?.readable;
    if (readable !== undefined) this.lookout = new Lookout(readable);
  }

  /** From now on through another descriptor of the same connection. */
  use(fd: number): void {
    this.fd = fd;
  }

  /**
   * The host is to send all requests that it has no answer to, as if they had not been read. Older hosts than Linux 6.9
   * cannot.
   */
  resend(): void {
    const out = new OutBuf(0);
    try {
      this.write(out, sealNotification(out, FUSE_NOTIFY_RESEND, 0));
    } catch {
      // EINVAL: it does not know what that is.
    }
  }

  readSync(into: InBuf): number {
    this.lookout?.watch(this.fd, this.carried);
    for (;;) {
      try {
        this.carried = readSync(this.fd, into.u8, 0, into.u8.length, null);
        return this.carried;
      } catch (error) {
        const answer = DevFuse.readFailed(error as NodeJS.ErrnoException);
        if (answer !== undefined) return answer;
      }
    }
  }

  read(into: InBuf, done: (length: number) => void): void {
    read(this.fd, into.u8, 0, into.u8.length, null, (error, length) => {
      if (error === null) return done(length);
      const answer = DevFuse.readFailed(error);
      if (answer === undefined || answer === INTERRUPTED) return this.read(into, done);
      done(answer);
    });
  }

  write(from: OutBuf, length: number): boolean {
    for (;;) {
      try {
        writeSync(this.fd, from.u8, 0, length);
        this.carried = Math.max(this.carried, length);
        return true;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'EINTR' || code === 'EAGAIN') continue;
        // ENOENT: whoever asked was killed, or the connection was aborted. ENODEV and the like: the read will say so.
        if (code === 'ENOENT' || isClosed(code)) return false;
        throw error;
      }
    }
  }

  writeLater(from: OutBuf, length: number): void {
    // ENOENT: the host knows nothing of the file any more.
    write(this.fd, from.u8, 0, length, null, () => {});
  }

  close(): void {
    closeSync(this.fd);
  }

  /** What a failed read means; undefined: try again. */
  private static readFailed(error: NodeJS.ErrnoException): number | undefined {
    if (error.code === 'EINTR') return INTERRUPTED;
    // ENOENT: the request was taken back while it was being read.
    if (error.code === 'ENOENT' || error.code === 'EAGAIN') return undefined;
    if (isClosed(error.code)) return CLOSED;
    throw error;
  }
}

/** Unmounted (ENODEV), aborted (ECONNABORTED), or closed. The normal end of a mount. */
function isClosed(code: string | undefined): boolean {
  return code === 'ENODEV' || code === 'ECONNABORTED' || code === 'EBADF';
}
