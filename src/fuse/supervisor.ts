/**
 * The supervisor of one mount: opens /dev/fuse, starts the server with it, mounts, and stays: receives the signals,
 * unmounts, waits until the server has written everything. It parses nothing that comes from a disk or from a user of
 * the mount.
 *
 * The server is given descriptor 3, FUSE, and from 4 on those that the caller names (the device).
 */
import { closeSync, openSync } from 'node:fs';
import type { MountReady, ToServer, ToSupervisor } from './messages.js';
import { MountFailure } from './mount/failure.js';
import { checkMountpoint, isSuperuser, mountAsSuperuser, mountAsUser, mounted, openDevFuse, setReadAhead } from './mount/mount.js';
import { readMountinfo } from './mount/mountinfo.js';
import type { MountInfo } from './mount/mountinfo.js';
import type { HostMount } from './mount/options.js';
import { abortConnection, connectionState, unmount, unmountDead } from './mount/unmount.js';
import { printable } from './printable.js';
import { keep } from './sandbox/keeper.js';
import type { Layer } from './sandbox/layers.js';
import { missing } from './sandbox/layers.js';
import { refusal, startServer } from './sandbox/start.js';
import type { SandboxOptions, Server } from './sandbox/start.js';

export interface SuperviseOptions {
  readonly mount: HostMount;
  readonly server: {
    /** The program: a JavaScript file that calls serverMain. */
    readonly entry: string;
    /** Handed to it as they are; JSON. */
    readonly args: unknown;
    readonly execArgv?: readonly string[];
  };
  /** How the server talks to the host; default dev-fuse. */
  readonly channel?: 'dev-fuse' | 'fuse-native';
  /** Open descriptors that become 4, 5... of the server. */
  readonly descriptors?: readonly number[];
  /** Read-ahead of the host where it can be set, KiB; default 1024. */
  readonly read_ahead_kib?: number;
  /** Where the server's standard output and error go; default the supervisor's. */
  readonly output?: 'inherit' | 'ignore';
  /** How the server is confined; default not at all: its program must be made for it (see OpenVolume). */
  readonly sandbox?: SandboxOptions;
}

const READ_AHEAD_KIB = 1024;

/** The next message of one of these types. @throws MountFailure when the server says that it failed, or ends */
function expect<T extends ToSupervisor['type']>(server: Server, type: T): Promise<Extract<ToSupervisor, { type: T }>> {
  return new Promise((resolve, reject) => {
    const onMessage = (raw: unknown) => {
      const message = raw as ToSupervisor;
      if (message.type === type) done(() => resolve(message as Extract<ToSupervisor, { type: T }>));
      else if (message.type === 'failed') done(() => reject(new MountFailure(printable(message.message), message.code)));
    };
    const done = (settle: () => void) => {
      server.child.off('message', onMessage);
      settle();
    };
    server.child.on('message', onMessage);
    // What it said last may still be on its way when it has ended.
    void server.exit.then((how) => setImmediate(() => done(() => reject(new MountFailure(`the file system server ended (${how}) before the mount was up`, 'EIO')))));
  });
}

function tell(server: Server, message: ToServer): void {
  if (server.child.connected) server.child.send(message);
}

/** Server and mount, up. */
interface Up {
  readonly server: Server;
  readonly info: MountInfo;
  readonly volume: Extract<ToSupervisor, { type: 'volume' }>;
  readonly fuse: number;
  readonly sandbox: readonly Layer[];
}

/** Starts and mounts. @throws MountFailure; what was started or mounted has been ended again then */
async function bringUp(options: SuperviseOptions, mount: HostMount): Promise<Up> {
  const up = await attempt(options, mount);
  // Mounted for writing before the volume said no: again, so that the host knows.
  return up ?? (await attempt(options, { ...mount, readonly: true }))!;
}

/** undefined: the volume can only be read, but the host has it mounted for writing. Nothing is left of the attempt. */
async function attempt(options: SuperviseOptions, mount: HostMount): Promise<Up | undefined> {
  const superuser = isSuperuser();
  const native = options.channel === 'fuse-native';
  if (native && options.sandbox?.mode === 'required') throw new MountFailure('--require-sandbox: the channel fuse-native cannot be confined; use dev-fuse', 'EPERM');
  // The superuser mounts when the volume is known; fusermount3 makes descriptor and mount in one; fuse-native mounts in the server.
  const early = superuser || native ? undefined : mountAsUser(mount);
  const fuse = early?.fd ?? (native ? openSync('/dev/null', 'r+') : openDevFuse());
  let info = early?.info;
  // libfuse opens the device and mounts by itself: nothing that a confined process could do.
  const confinement: SandboxOptions = native ? { mode: 'off' } : (options.sandbox ?? { mode: 'off' });
  let server: Server | undefined;
  let up: Up | undefined;
  try {
    server = await startServer({
      entry: options.server.entry, execArgv: options.server.execArgv ?? [], output: options.output ?? 'inherit',
      descriptors: [fuse, ...(options.descriptors ?? [])], mountpoint: mount.mountpoint, sandbox: confinement,
    });
    const opened = expect(server, 'volume');
    tell(server, {
      type: 'open', args: options.server.args, readonly: mount.readonly, ...(server.lockdown !== undefined ? { lockdown: server.lockdown } : {}),
    });
    const volume = await opened;
    const sandbox = confinement.mode === 'off' ? [] : [...server.layers, ...volume.layers];
    if (confinement.mode === 'required' && missing(sandbox).length > 0) throw new MountFailure(refusal(missing(sandbox)), 'EPERM');
    const readonly = mount.readonly || volume.readonly;
    if (info !== undefined && readonly !== mount.readonly) return undefined;
    const ready = expect(server, 'ready');
    ready.catch(() => {}); // looked at below, whatever happens before
    if (native) {
      tell(server, { type: 'serve-native', mount: { ...mount, readonly } });
      await ready;
      info = mounted(mount.mountpoint);
    } else {
      info ??= mountAsSuperuser(fuse, { ...mount, readonly });
      tell(server, { type: 'serve', mountpoint: info.mountpoint, readonly, default_permissions: mount.default_permissions });
      await ready;
    }
    if (superuser) setReadAhead(info.device, options.read_ahead_kib ?? READ_AHEAD_KIB);
    return (up = { server, info, volume, fuse, sandbox });
  } finally {
    if (up === undefined) {
      server?.kill(); // nothing has been written through it yet
      await server?.exit;
      if (info !== undefined) clearAway(options, fuse, info);
      closeSync(fuse);
    }
  }
}

/** fuse-native keeps the descriptor to itself: whether the mount is there is all that can be known then. */
function stateOf(options: SuperviseOptions, fuse: number, info: MountInfo): 'connected' | 'aborted' | 'gone' {
  if (options.channel !== 'fuse-native') return connectionState(fuse);
  return readMountinfo().some((mount) => mount.id === info.id && mount.device === info.device && mount.mountpoint === info.mountpoint) ? 'connected' : 'gone';
}

/** What is left of a mount whose server has ended. A dead one would answer ENOTCONN for ever. */
function clearAway(options: SuperviseOptions, fuse: number, info: MountInfo): void {
  try {
    const state = stateOf(options, fuse, info);
    // When it has gone, its number and place may be another mount's.
    if (state === 'connected') unmount(info.device, { lazy: true });
    else if (state === 'aborted') unmountDead(info);
  } catch {
    // Covered by another mount, or not permitted: nothing that could be done.
  }
}

/**
 * Mounts and stays until the mount has ended. `onReady` is called when it is up. Returns 0 when everything has been
 * written, 1 when the server died. @throws MountFailure when it did not come up
 */
export async function supervise(options: SuperviseOptions, onReady: (ready: MountReady) => void, warn: (message: string) => void): Promise<number> {
  const mount = { ...options.mount, mountpoint: checkMountpoint(options.mount.mountpoint) };
  const { server, info, volume, fuse, sandbox } = await bringUp(options, mount);
  const ended = server.lockdown === undefined ? undefined : keep(info);
  const pid = server.pid();
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
      warn(error instanceof Error ? error.message : String(error));
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  server.child.on('message', (message: ToSupervisor) => {
    if (message.type === 'unmount') end();
    else if (message.type === 'failed') warn(printable(message.message));
  });
  onReady({
    pid: process.pid, device: info.device, mountpoint: info.mountpoint, fstype: printable(volume.fstype), readonly: mount.readonly || volume.readonly, sandbox,
    ...(volume.notice !== undefined ? { notice: printable(volume.notice) } : {}),
    ...(pid !== undefined ? { server_pid: pid } : {}),
  });

  const how = await server.exit;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.off(signal, end);
  clearAway(options, fuse, info);
  closeSync(fuse);
  ended?.();
  if (how === 0) return 0;
  const why = how === 'SIGSYS' ? 'SIGSYS: it tried what its confinement forbids' : how;
  warn(`the file system server of ${info.mountpoint} ended unexpectedly (${why}); check the volume before it is mounted again`);
  return 1;
}
