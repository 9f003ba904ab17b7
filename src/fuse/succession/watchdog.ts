/**
 * Notices a server that hangs. It is asked whether it is there while requests wait for it and none is answered; one that does
 * not say so in time is killed, and another one goes on. An idle server is left alone.
 */
import { readFileSync } from 'node:fs';
import type { MemoryFile } from './memory-file.js';
import type { Succession } from './succession.js';

/** Looks in the time that a server has to answer. */
const LOOKS = 4;
/** Ticks of processor time between two looks that an idle server does not take. */
const BUSY_TICKS = 20;

export interface WatchdogOptions {
  readonly succession: Succession;
  readonly memory: MemoryFile;
  readonly seconds: number;
  /** major:minor of the mount. */
  readonly device: string;
}

/** State and processor time of a process (proc(5)); undefined: it is gone. */
function statOf(pid: number | undefined): { state: string; ticks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return undefined;
  }
}

/** Requests that the host has no answer to; undefined where it does not say (fusectl is not mounted). */
function waiting(device: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/fs/fuse/connections/${device.split(':')[1]}/waiting`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Watches until the returned function is called. */
export function watch({ succession, memory, seconds, device }: WatchdogOptions): () => void {
  /** When the question was asked that nobody has answered yet. */
  let asked: number | undefined;
  let server = succession.server;
  let progress = -1;
  let ticks = 0;
  const look = () => {
    const seen = memory.look();
    const stat = statOf(server.pid());
    const queue = waiting(device);
    const busy = queue !== undefined ? queue > 0 : seen.busy || (stat !== undefined && stat.ticks - ticks > BUSY_TICKS);
    const same = server === succession.server && seen.progress === progress;
    server = succession.server;
    progress = seen.progress;
    ticks = stat?.ticks ?? 0;
    // In a call of the host's kernel that cannot be ended: the disk is slow, and to kill it would not help.
    if (!same || !busy || stat === undefined || stat.state === 'D') {
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
