/**
 * Starts a mount in the background: a supervisor in a session of its own, which starts the server. Returns when the
 * mount can be used; what goes wrong before is an error here, at the terminal. The background processes hold neither
 * the terminal nor the working directory: what they have to say goes to a log file.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { printable } from '../kernel/printable.js';
import type { FromLauncher, MountReady, MountStanding, ToLauncher } from './messages.js';
import { MountFailure } from './mount/failure.js';
import { libc } from './mount/libc.js';
import { readMountinfo, topMount } from './mount/mountinfo.js';
import { FSTYPE } from './mount/options.js';
import { unmountDead } from './mount/unmount.js';
import { closeForeign } from './sandbox/descriptors.js';
import { alone, disinherit, endOrphans, inheritOrphans, isOurs } from './sandbox/orphans.js';
import { supervise } from './supervisor.js';
import type { SuperviseOptions } from './supervisor.js';

export interface LaunchOptions extends Omit<SuperviseOptions, 'hear'> {
  /** The supervisor's program: a JavaScript file that calls supervisorMain; default the one beside this file. */
  readonly supervisor?: string;
  /** Where supervisor and server write what they have to say; made, or appended to. Nothing is kept without it. */
  readonly log?: string;
  /** A file that the supervisor writes whenever something changes: a MountStanding, as JSON. */
  readonly standing?: string;
}

const FIRST_FD = 3;
/** Of the supervisor: behind the channel to its launcher. */
const FIRST_DESCRIPTOR = 4;

/** What the supervisor's program is told. */
interface Order extends SuperviseOptions {
  readonly standing?: string | undefined;
}

/** Wholly or not at all. */
export function writeStanding(file: string, standing: MountStanding): void {
  writeFileSync(`${file}.new`, JSON.stringify(standing), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What a dead supervisor has left (its keeper, fusermount3 at work) is given so long to end, milliseconds. */
const LEFT_MS = 60_000;

/**
 * What a supervisor that was killed has left: processes on their way up, and a mount without a server, which its keeper
 * takes away; this process has inherited both.
 */
async function cleanUp(directory: string): Promise<void> {
  await endOrphans();
  await alone(LEFT_MS);
  const left = topMount(readMountinfo(), path.resolve(directory));
  if (left?.fstype === FSTYPE) unmountDead(left);
}

/** @throws MountFailure */
export function launch(options: LaunchOptions): Promise<MountReady> {
  const { supervisor, log, descriptors = [], ...rest } = options;
  const stderr = log === undefined ? 'ignore' : openSync(log, 'a', 0o600);
  libc()?.closeOnExec(FIRST_FD);
  inheritOrphans();
  // 3 is left to the IPC channel here; the supervisor finds the descriptors from 4 on, as the server will.
  const child = spawn(
    process.execPath,
    [supervisor ?? fileURLToPath(new URL('./supervisor-main.js', import.meta.url)), String(descriptors.length)],
    { stdio: ['ignore', 'ignore', stderr, 'ipc', ...descriptors], detached: true, cwd: '/' },
  );
  isOurs(child.pid);
  if (stderr !== 'ignore') closeSync(stderr);
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      disinherit();
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      act();
    };
    child.on('message', (message: ToLauncher) => {
      if (message.type === 'ready') settle(() => resolve(message));
      else settle(() => reject(new MountFailure(message.message, message.code)));
    });
    child.on('error', (error) =>
      settle(() => reject(new MountFailure(`the supervisor cannot be started: ${error.message}`, 'EIO'))),
    );
    child.on('exit', (code, signal) =>
      setImmediate(() => {
        const failure = new MountFailure(`the supervisor ended (${code ?? signal}) before the mount was up`, 'EIO');
        void cleanUp(options.mount.mountpoint).finally(() => settle(() => reject(failure)));
      }),
    );
    const order: FromLauncher = {
      type: 'supervise',
      options: { ...rest, descriptors: descriptors.map((_, index) => FIRST_DESCRIPTOR + index) } satisfies Order,
    };
    child.send(order);
  });
}

/** The supervisor's program. Its argument: how many descriptors it is to have. */
export function supervisorMain(): void {
  const count = Number(process.argv[2] ?? 0);
  closeForeign(Array.from({ length: FIRST_DESCRIPTOR - FIRST_FD + count }, (_, index) => FIRST_FD + index));
  const say = (message: ToLauncher, then: () => void = () => {}) => {
    if (process.connected) process.send!(message, undefined, undefined, then);
    else then();
  };
  process.once('message', (order: FromLauncher) => {
    const { standing, ...options } = order.options as Order;
    process.title = `rumpfuse: supervisor of ${options.mount.mountpoint}`;
    supervise(options, {
      ready: (ready) => say({ type: 'ready', ...ready }, () => process.disconnect?.()),
      changed: (now) => {
        if (standing !== undefined) writeStanding(standing, now);
      },
      say: (level, message) =>
        void process.stderr.write(`rumpfuse: ${level === 'warn' ? 'warning' : level}: ${printable(message)}\n`),
    }).then(
      (status) => process.exit(status),
      (error: unknown) => {
        const failure =
          error instanceof MountFailure
            ? error
            : new MountFailure(
                `the supervisor failed: ${error instanceof Error ? error.message : String(error)}`,
                'EIO',
              );
        say({ type: 'failed', message: failure.message, code: failure.code }, () => process.exit(1));
      },
    );
  });
}
