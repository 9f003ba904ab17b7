/**
 * Notices a server that hangs. It is asked whether it is there while requests wait for it and none is answered; one
 * that does not say so in time is killed, and another one goes on. An idle server is left alone.
 */
import { readFileSync } from 'node:fs';
import type { MemoryFile } from './memory-file.js';
import type { Succession } from './succession.js';

/** Looks in the time that a server has to answer. */
const LOOKS = 4;

export interface WatchdogOptions {
  readonly succession: Succession;
  readonly memory: MemoryFile;
  readonly seconds: number;
  /** The host has requests that nobody has read. */
  readonly pending: () => boolean;
}

/** State of a process (proc(5)); undefined: it is gone. */
function stateOf(pid: number | undefined): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
  } catch {
    return undefined;
  }
}

/** Watches until the returned function is called. */
export function watch({ succession, memory, seconds, pending }: WatchdogOptions): () => void {
  /** When the question was asked that nobody has answered yet. */
  let asked: number | undefined;
  let server = succession.server;
  let progress = -1;
  const look = () => {
    const seen = memory.look();
    const state = stateOf(server.pid());
    // Whoever stops a server (SIGSTOP) may have done so between a request and the note of it.
    const busy = seen.busy || pending() || state === 'T';
    const same = server === succession.server && seen.progress === progress;
    server = succession.server;
    progress = seen.progress;
    // In a call of the host's kernel that cannot be ended: the disk is slow, and to kill it would not help.
    if (!same || !busy || state === undefined || state === 'D') {
      asked = undefined;
      return;
    }
    if (asked === undefined) {
      asked = performance.now();
      succession.ping(() => (asked = undefined));
    } else if (performance.now() - asked >= seconds * 1000) {
      asked = undefined;
      succession.verdict = `it did not answer for ${seconds} s while requests were waiting`;
      server.kill();
    }
  };
  const timer = setInterval(look, (seconds * 1000) / LOOKS);
  return () => clearInterval(timer);
}
