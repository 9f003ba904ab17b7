/**
 * A process that is killed leaves its children to the nearest ancestor that has declared itself for it (prctl(2),
 * PR_SET_CHILD_SUBREAPER): the supervisor, and the launcher while it waits for the supervisor. What comes to them so
 * was part of a sandbox on its way up, and nobody else would ever end it.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { CHANNEL_VARIABLE } from '../messenger.js';
import { libc } from '../mount/libc.js';

/** How often it is looked whether a process is gone, milliseconds. */
const LOOK_MS = 2;

/**
 * State, parent and session of a process (proc(5)), and since when it is, in the host's ticks, which tells it from a
 * later one of the same number. undefined: it is gone, and reaped.
 */
export function statOf(pid: number): { state: string; parent: number; session: number; start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // pid (comm) state ppid pgrp session ... starttime is the 22nd field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, parent: Number(fields[1]), session: Number(fields[3]), start: fields[19]! };
  } catch {
    return undefined;
  }
}

export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1')
        .split(' ')
        .filter((text) => text !== '')
        .map(Number),
    );
  } catch {
    return [];
  }
}

/** Was it started as a server, or on the way to one? One that nobody may look into is. */
function isOfSandbox(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${CHANNEL_VARIABLE}=`);
  } catch {
    return statOf(pid) !== undefined;
  }
}

/** Children of this process that Node.js has started, or that were there before. */
const known = new Set<number>();

/** Makes this process the heir of what its descendants leave. */
export function inheritOrphans(): void {
  for (const pid of childrenOf(process.pid)) known.add(pid);
  libc()?.setSubreaper(true);
}

export function disinherit(): void {
  libc()?.setSubreaper(false);
}

/** A child that is meant to be one. */
export function isOurs(pid: number | undefined): void {
  if (pid !== undefined) known.add(pid);
}

export function isGone(pid: number | undefined): void {
  if (pid !== undefined) known.delete(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Ends one process and waits until it is gone. `start`: as statOf says. */
export async function surelyGone(pid: number, start: string): Promise<void> {
  for (;;) {
    const stat = statOf(pid);
    if (stat === undefined || stat.start !== start) return;
    if (stat.state === 'Z') {
      if (stat.parent === process.pid && !known.has(pid)) libc()?.reap(pid);
      return;
    }
    kill(pid);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Ends what was left to this process, and what that leaves, until there is nothing. */
export async function endOrphans(): Promise<void> {
  for (;;) {
    const orphans = childrenOf(process.pid).filter((pid) => !known.has(pid) && isOfSandbox(pid));
    if (orphans.length === 0) return;
    for (const pid of orphans) {
      const stat = statOf(pid);
      if (stat !== undefined) await surelyGone(pid, stat.start);
    }
  }
}

/**
 * Waits until nothing is left to this process of what a supervisor had, or so many milliseconds have gone by. A
 * supervisor, and whatever it starts, is in sessions of its own.
 */
export async function alone(within_ms: number): Promise<void> {
  const session = statOf(process.pid)?.session;
  for (const late = performance.now() + within_ms; performance.now() < late; ) {
    const left = childrenOf(process.pid).filter((pid) => !known.has(pid) && statOf(pid)?.session !== session);
    if (left.length === 0) return;
    for (const pid of left) if (statOf(pid)?.state === 'Z') libc()?.reap(pid);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
