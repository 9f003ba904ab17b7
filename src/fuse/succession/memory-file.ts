/** The supervisor's side of the memory that outlives a server: a file without a name. */
import { closeSync, ftruncateSync, readSync } from 'node:fs';
import { libc } from '../mount/libc.js';
import { PLACES, PLACES_AT, PLACE_WORDS, P, STATE_WORDS, W } from './state.js';

/**
 * Address space; it takes as much memory as there are changes that are not on the disk yet. The kernel's part needs
 * some 52 MiB at least.
 */
const BYTES = 256 << 20;

export class MemoryFile {
  private readonly words = new Uint32Array(STATE_WORDS);

  private constructor(readonly fd: number, readonly bytes: number) {}

  /** undefined: the host gives none. */
  static make(bytes = BYTES): MemoryFile | undefined {
    let fd: number | undefined;
    try {
      // Not in /dev/shm: whoever fills that would end the servers that write into theirs (SIGBUS).
      fd = libc()?.memfd('rumpfuse');
      if (fd === undefined) return undefined;
      ftruncateSync(fd, bytes);
      // A server can write to it as to any file: more than that it must not be able to take of the host's memory.
      libc()!.fixSize(fd);
      return new MemoryFile(fd, bytes);
    } catch {
      if (fd !== undefined) closeSync(fd);
      return undefined;
    }
  }

  /** What the server has noted of itself. It may be anything, if the server has been taken over. */
  look(): { progress: number; busy: boolean; closed: boolean; turned_readonly: boolean } {
    readSync(this.fd, this.words, 0, this.words.byteLength, 0);
    const { words } = this;
    let busy = false;
    for (let i = 0; i < PLACES; i++) busy ||= words[PLACES_AT + i * PLACE_WORDS + P.opcode] !== 0;
    return {
      progress: words[W.progress]!,
      busy,
      closed: words[W.closed] === 1,
      turned_readonly: words[W.turned_readonly] === 1,
    };
  }

  /**
   * The numbers of the requests that the server has noted, at work or answered, where the host does not send again what
   * a dead one was at; empty where it does. They may be any numbers, too.
   */
  noted(): bigint[] {
    readSync(this.fd, this.words, 0, this.words.byteLength, 0);
    const { words } = this;
    if (words[W.agreed] !== 1 || words[W.resend] === 1) return [];
    const noted: bigint[] = [];
    for (let at = PLACES_AT; at < PLACES_AT + PLACES * PLACE_WORDS; at += PLACE_WORDS) {
      const unique = (BigInt(words[at + P.hi]!) << 32n) | BigInt(words[at + P.lo]!);
      if (unique > 0n) noted.push(unique);
    }
    return noted;
  }

  close(): void {
    closeSync(this.fd);
  }
}
