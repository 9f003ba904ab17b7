/**
 * The supervisor of one mount: opens /dev/fuse, starts the server with it, mounts, and stays: receives the signals,
 * unmounts, starts the next server when one has died, waits until everything has been written. It parses nothing that
 * comes from a disk or from a user of the mount.
 *
 * A server is given descriptor 3, FUSE, and from 4 on those that the caller names (the device).
 */
import { closeSync } from 'node:fs';
import { bringUp, clearAway, stateOf } from './bring-up.js';
import type { Up } from './bring-up.js';
import { inheritOrphans } from './sandbox/orphans.js';
import type { SandboxOptions } from './sandbox/start.js';
import type { MountReady, MountStanding } from './messages.js';
import { libc } from './mount/libc.js';
import { checkMountpoint } from './mount/mount.js';
import type { HostMount } from './mount/options.js';
import { abortConnection, unmount } from './mount/unmount.js';
import { Succession } from './succession/succession.js';
import { watch } from './succession/watchdog.js';

export interface SuperviseOptions {
  readonly mount: HostMount;
  readonly server: {
    /** The program: a JavaScript file that calls serverMain. */
    readonly entry: string;
    /** Handed to it as they are; JSON. */
    readonly args: unknown;
    /** The disk has to be asked where the volume is: see Survey in server-process.ts. */
    readonly survey?: boolean;
    readonly execArgv?: readonly string[];
  };
  /** How the server talks to the host; default dev-fuse. */
  readonly channel?: 'dev-fuse' | 'fuse-native';
  /** Open descriptors that become 4, 5... of the server. */
  readonly descriptors?: readonly number[];
  /** Read-ahead of the host where it can be set, KiB; default 1024. */
  readonly read_ahead_kib?: number;
  /** How much of what servers say goes to the supervisor's standard error: default a bounded part. */
  readonly hear?: 'all' | 'bounded';
  /** How the server is confined; default not at all: its program must be made for it (see OpenVolume). */
  readonly sandbox?: SandboxOptions;
  /** Another server goes on when one has died, where the volume allows it; default true. */
  readonly survive?: boolean;
  /** Room for what one leaves to the next; default 256 MiB (memory-file.ts). */
  readonly memory_bytes?: number;
  /** One waits for that all the time; default true. Without, it is started when it is needed. */
  readonly standby?: boolean;
  /** Seconds without an answer after which a server is taken for hung; 0: never. Default 30. */
  readonly watchdog_s?: number;
}

/** Who wants to know of what happens. */
export interface Watcher {
  /** The mount is up. */
  ready(ready: MountReady): void;
  changed(standing: MountStanding): void;
  say(level: 'warn' | 'error', message: string): void;
}

const WATCHDOG_S = 30;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Mounts and stays until the mount has ended. Returns 0 when everything has been written, 1 when the server died and
 * nobody could go on. @throws MountFailure when it did not come up
 */
export async function supervise(options: SuperviseOptions, watcher: Watcher): Promise<number> {
  const mount = { ...options.mount, mountpoint: checkMountpoint(options.mount.mountpoint) };
  inheritOrphans();
  const up = await bringUp(options, mount);
  const { servers: { fuse, memory }, server, info, volume, sandbox, keeper } = up;
  const pid = server.pid();
  const survives = memory !== undefined && volume.survives;
  let signals = 0;

  /** The first time: unmount, or detach if it is in use. Again: the connection is cut, whoever uses it gets errors. */
  const end = () => {
    signals++;
    if (stateOf(options, fuse, info) !== 'connected') return; // the server is writing what is left
    try {
      if (signals > 2) return void abortConnection(info.device);
      unmount(info.device, { lazy: signals > 1 });
    } catch (error) {
      if (signals === 1) return end();
      watcher.say('error', error instanceof Error ? error.message : String(error));
    }
  };
  for (const signal of SIGNALS) process.on(signal, end);
  const life = survives ? succeed(options, up, watcher, end) : onlyOne(up, watcher, end);
  watcher.ready({
    pid: process.pid,
    device: info.device,
    mountpoint: info.mountpoint,
    fstype: volume.fstype,
    readonly: mount.readonly || volume.readonly,
    sandbox,
    survives,
    ...(volume.notice !== undefined ? { notice: volume.notice } : {}),
    ...(pid !== undefined ? { server_pid: pid } : {}),
  });

  const how = await life;
  for (const signal of SIGNALS) process.off(signal, end);
  clearAway(options, fuse, info);
  memory?.close();
  closeSync(fuse);
  keeper.dismiss();
  if (how === 0) return 0;
  const why = how === 'SIGSYS' ? 'SIGSYS: it tried what its confinement forbids' : how;
  watcher.say(
    'error',
    `the file system server of ${info.mountpoint} ended unexpectedly (${why}); check the volume before it is mounted ` +
      'again',
  );
  return 1;
}

/** The mount lives as long as its one server. */
function onlyOne({ server }: Up, watcher: Watcher, end: () => void): Promise<number | string> {
  let failed = false;
  server.onMessage = (message) => {
    if (message.type === 'unmount') end();
    else if (message.type === 'failed' && !failed) {
      failed = true;
      watcher.say('error', message.message);
    }
  };
  return server.exit;
}

async function succeed(
  options: SuperviseOptions,
  { servers, server, info, volume, order }: Up,
  watcher: Watcher,
  end: () => void,
): Promise<number | string> {
  const memory = servers.memory!;
  const succession = new Succession(server, {
    mountpoint: info.mountpoint, memory, standby: options.standby ?? true, unmount: end,
    heir: () => servers.start(volume.readonly || order.readonly, order),
    admit: (heir, said) => void servers.admit(heir, said),
    connected: () => stateOf(options, servers.fuse, info) === 'connected',
    say: (level, message) => watcher.say(level, message), changed: (standing) => watcher.changed(standing),
  });
  const seconds = options.watchdog_s ?? WATCHDOG_S;
  const rest =
    seconds > 0
      ? watch({ succession, memory, seconds, pending: () => libc()?.pending(servers.fuse) ?? false })
      : () => {};
  try {
    return await succession.run();
  } finally {
    rest();
  }
}
