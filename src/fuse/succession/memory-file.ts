/** The supervisor's side of the memory that outlives a server: a file without a name. */
import { closeSync, constants, ftruncateSync, openSync, readSync, statfsSync, unlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PLACES, PLACES_AT, PLACE_WORDS, P, STATE_WORDS, W } from './state.js';

/** Address space; it takes as much memory as there are changes that are not on the disk yet. */
const WANTED_BYTES = 256 << 20;
/** Less is not worth it (and the kernel's part needs some 48 MiB). */
const LEAST_BYTES = 64 << 20;

export class MemoryFile {
  private readonly words = new Uint32Array(STATE_WORDS);

  private constructor(readonly fd: number, readonly bytes: number) {}

  /** undefined: nowhere is room for it. */
  static make(): MemoryFile | undefined {
    for (const directory of ['/dev/shm', tmpdir()]) {
      try {
        // More than is there would be the end of whoever writes into it (SIGBUS).
        const { bavail, bsize } = statfsSync(directory);
        const bytes = Math.min(WANTED_BYTES, Math.floor((bavail * bsize) / 2 / LEAST_BYTES) * LEAST_BYTES);
        if (bytes < LEAST_BYTES) continue;
        const name = path.join(directory, `.rumpfuse-${process.pid}-${randomBytes(8).toString('hex')}`);
        const fd = openSync(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
        unlinkSync(name);
        ftruncateSync(fd, bytes);
        return new MemoryFile(fd, bytes);
      } catch {
        continue;
      }
    }
    return undefined;
  }

  /** What the server has noted of itself. It may be anything, if the server has been taken over. */
  look(): { progress: number; busy: boolean; closed: boolean; turned_readonly: boolean } {
    readSync(this.fd, this.words, 0, this.words.byteLength, 0);
    const { words } = this;
    let busy = false;
    for (let i = 0; i < PLACES; i++) busy ||= words[PLACES_AT + i * PLACE_WORDS + P.opcode] !== 0;
    return { progress: words[W.progress]!, busy, closed: words[W.closed] === 1, turned_readonly: words[W.turned_readonly] === 1 };
  }

  /**
   * The number of the latest request that the server has noted, where the host does not send again what a dead one was at. It may
   * be any number, too.
   */
  latest(): bigint | undefined {
    readSync(this.fd, this.words, 0, this.words.byteLength, 0);
    const { words } = this;
    if (words[W.agreed] !== 1 || words[W.resend] === 1) return undefined;
    let latest = 0n;
    for (let at = PLACES_AT; at < PLACES_AT + PLACES * PLACE_WORDS; at += PLACE_WORDS) {
      const unique = (BigInt(words[at + P.hi]!) << 32n) | BigInt(words[at + P.lo]!);
      if (unique > latest) latest = unique;
    }
    return latest;
  }

  close(): void {
    closeSync(this.fd);
  }
}
