/** Starts the first server of a mount and mounts: everything until the mount can be used. */
import { closeSync, openSync } from 'node:fs';
import type { Place, ServeOrder, ToServer, ToSupervisor } from './messages.js';
import { MountFailure } from './mount/failure.js';
import {
  holdMountpoint,
  isSuperuser,
  mountAsSuperuser,
  mountAsUser,
  mounted,
  openDevFuse,
  setReadAhead,
} from './mount/mount.js';
import { readMountinfo, topMount } from './mount/mountinfo.js';
import type { MountInfo } from './mount/mountinfo.js';
import { FSTYPE } from './mount/options.js';
import type { HostMount } from './mount/options.js';
import { connectionState, unmount, unmountDead } from './mount/unmount.js';
import type { Layer } from './sandbox/layers.js';
import { bounded } from './sandbox/hearing.js';
import type { Hear } from './sandbox/hearing.js';
import { startKeeper } from './sandbox/keeper.js';
import type { Keeper } from './sandbox/keeper.js';
import { inWords, missing } from './sandbox/layers.js';
import { refusal, startServer } from './sandbox/start.js';
import type { SandboxOptions, Server } from './sandbox/start.js';
import { endInFlight } from './succession/in-flight.js';
import { MemoryFile } from './succession/memory-file.js';
import type { SuperviseOptions } from './supervisor.js';

const READ_AHEAD_KIB = 1024;
/** So long a server may take to leave a volume in order that it has opened for nothing. */
const CLOSE_MS = 60_000;
/** FUSE at 3, then the disks, then these. */
const FIRST_DISK = 4;

/** The next message of one of these types. @throws MountFailure when the server says that it failed, or ends */
export function expect<T extends ToSupervisor['type']>(
  server: Server,
  type: T,
): Promise<Extract<ToSupervisor, { type: T }>> {
  return new Promise((resolve, reject) => {
    server.onMessage = (message) => {
      if (message.type === type) resolve(message as Extract<ToSupervisor, { type: T }>);
      else if (message.type === 'failed') reject(new MountFailure(message.message, message.code));
    };
    // What it said last may still be on its way when it has ended.
    void server.exit.then((how) =>
      setImmediate(() =>
        reject(new MountFailure(`the file system server ended (${how}) before the mount was up`, 'EIO')),
      ),
    );
  });
}

/** Starts servers of one mount: the first one, and those that come after it. */
export class Servers {
  private way: string | undefined;
  private readonly hear: Hear;
  /** Of the first server. */
  private layers: readonly Layer[] | undefined;

  constructor(
    private readonly options: SuperviseOptions,
    private readonly mount: HostMount,
    readonly fuse: number,
    /** undefined: no server comes after the first. */
    readonly memory: MemoryFile | undefined,
  ) {
    const say: Hear = (line) => void process.stderr.write(`${line}\n`);
    this.hear = options.hear === 'all' ? say : bounded(say);
  }

  /** libfuse opens the device and mounts by itself: nothing that a confined process could do. */
  get confinement(): SandboxOptions {
    return this.options.channel === 'fuse-native' ? { mode: 'off' } : (this.options.sandbox ?? { mode: 'off' });
  }

  /** A process that has said its first word, and has been told to open the volume, or to wait for that as `heir`. */
  async start(readonly: boolean, heir?: ServeOrder): Promise<Server> {
    const { options, memory } = this;
    const disks = options.descriptors ?? [];
    const surveying = this.survey();
    surveying.catch(() => {}); // met below, when the process that starts meanwhile can be ended
    // Each server has one of its own: when it is gone, this one is closed, and the host sees that nobody reads through
    // it any more.
    const clone = memory === undefined ? -1 : openDevFuse();
    let ending = false;
    const memory_fd = FIRST_DISK + disks.length;
    try {
      const server = await this.spawn(
        [this.fuse, ...disks, ...(memory === undefined ? [] : [memory.fd, clone])],
        memory === undefined ? undefined : memory_fd + 1,
      );
      const place = await surveying.catch(async (error: unknown) => {
        await dismiss(server, false);
        throw error;
      });
      const order: ToServer = {
        type: 'open',
        args: options.server.args,
        readonly,
        ipc: server.ipc,
        ...(server.lockdown !== undefined ? { lockdown: server.lockdown } : {}),
        ...(heir !== undefined ? { heir } : {}),
        ...(memory !== undefined
          ? {
              succession: {
                memory_fd,
                memory_bytes: memory.bytes,
                clone_fd: memory_fd + 1,
                noresend: process.env['RUMP_NORESEND'] === '1',
              },
            }
          : {}),
        ...(place !== undefined ? { place } : {}),
      };
      server.send(order);
      if (memory !== undefined) {
        ending = true;
        void server.exit.then(() => {
          endInFlight(memory, clone);
          closeSync(clone);
        });
      }
      return server;
    } finally {
      if (clone >= 0 && !ending) closeSync(clone);
    }
  }

  private async spawn(descriptors: readonly number[], clone?: number): Promise<Server> {
    const { options } = this;
    const server = await startServer({
      entry: options.server.entry,
      execArgv: options.server.execArgv ?? [],
      hear: this.hear,
      mountpoint: this.mount.mountpoint,
      descriptors,
      disks: options.descriptors?.length ?? 0,
      shared_bytes: this.memory?.bytes ?? 0,
      ...(clone === undefined ? {} : { clone }),
      // What was possible for the first is possible for the others.
      sandbox: this.way === undefined ? this.confinement : { ...this.confinement, way: this.way },
    });
    if (this.confinement.mode !== 'off') this.way = server.way;
    return server;
  }

  private surveyed: Promise<Place | undefined> | undefined;

  /** Which bytes of the disk are the volume, where the disk itself has to be asked. @throws MountFailure */
  private survey(): Promise<Place | undefined> {
    return (this.surveyed ??= this.options.server.survey === true ? this.surveyOnce() : Promise.resolve(undefined));
  }

  /** By a process that has the disk for reading only, and nothing to do with the mount. */
  private async surveyOnce(): Promise<Place> {
    const opened = [
      openSync('/dev/null', 'r'),
      ...(this.options.descriptors ?? []).map((fd) => openSync(`/proc/self/fd/${fd}`, 'r')),
    ];
    let server: Server | undefined;
    let done = false;
    try {
      server = await this.spawn(opened);
      const standing = expect(server, 'standing');
      server.send({
        type: 'survey',
        args: this.options.server.args,
        ipc: server.ipc,
        ...(server.lockdown !== undefined ? { lockdown: server.lockdown } : {}),
      });
      this.admit(server, (await standing).layers);
      const found = expect(server, 'place');
      server.send({ type: 'go', finish: false });
      const { start, end, formats } = await found;
      done = true;
      return { start, end, formats };
    } finally {
      if (server !== undefined) await dismiss(server, done);
      for (const fd of opened) closeSync(fd);
    }
  }

  /** The layers that are in force for a server that stands. @throws MountFailure: not those that the mount demands */
  admit(server: Server, said: readonly Layer[]): Layer[] {
    const layers = server.inspect(said);
    const lacking = missing(layers);
    if (this.confinement.mode === 'required' && lacking.length > 0) throw new MountFailure(refusal(lacking), 'EPERM');
    // None that comes later is less confined than the one before.
    const lost = (this.layers ?? []).find(({ name, on }) => on && lacking.some((layer) => layer.name === name));
    if (lost !== undefined) {
      throw new MountFailure(
        `not as confined as the first: ${inWords(lacking.filter(({ name }) => name === lost.name))}`,
        'EPERM',
      );
    }
    this.layers ??= layers;
    return layers;
  }
}

/** Server and mount, up. */
export interface Up {
  readonly servers: Servers;
  readonly server: Server;
  readonly info: MountInfo;
  readonly volume: Extract<ToSupervisor, { type: 'volume' }>;
  readonly order: ServeOrder;
  readonly sandbox: readonly Layer[];
  /** Unmounts when this process dies. */
  readonly keeper: Keeper;
}

/** Starts and mounts. @throws MountFailure; what was started or mounted has been ended again then */
export async function bringUp(options: SuperviseOptions, mount: HostMount): Promise<Up> {
  const directory = holdMountpoint(mount.mountpoint);
  try {
    const up = await attempt(options, mount, directory);
    // Mounted for writing before the volume said no: again, so that the host knows.
    return up ?? (await attempt(options, { ...mount, readonly: true }, directory))!;
  } finally {
    closeSync(directory);
  }
}

/**
 * Ends a server that nobody needs. `inOrder`: it has opened the volume, which is to be left as it was found; or it ends
 * by itself.
 */
async function dismiss(server: Server, inOrder: boolean): Promise<void> {
  const late = setTimeout(() => server.kill(), inOrder ? CLOSE_MS : 0);
  if (inOrder) server.send({ type: 'close' });
  await server.exit;
  clearTimeout(late);
}

/** By fusermount3, which may have mounted although it says that it has not. @throws MountFailure */
function mountEarly(mount: HostMount, keeper: Keeper): ReturnType<typeof mountAsUser> {
  const top = () => topMount(readMountinfo(), mount.mountpoint);
  const before = top();
  try {
    return mountAsUser(mount, keeper.pipe);
  } catch (error) {
    const left = top();
    if (left !== undefined && left.id !== before?.id && left.fstype === FSTYPE) unmount(left.device, { lazy: true });
    keeper.dismiss();
    throw error;
  }
}

/** undefined: the volume can only be read, but the host has it mounted for writing. Nothing is left of the attempt. */
async function attempt(options: SuperviseOptions, mount: HostMount, directory: number): Promise<Up | undefined> {
  const superuser = isSuperuser();
  const native = options.channel === 'fuse-native';
  if (native && options.sandbox?.mode === 'required') {
    throw new MountFailure('--require-sandbox: the channel fuse-native cannot be confined; use dev-fuse', 'EPERM');
  }
  // The superuser mounts when the volume is known; fusermount3 makes descriptor and mount in one; fuse-native mounts in
  // the server.
  const keeper = startKeeper(mount.mountpoint);
  const early = superuser || native ? undefined : mountEarly(mount, keeper);
  const fuse = early?.fd ?? (native ? openSync('/dev/null', 'r+') : openDevFuse());
  const memory =
    native || !mount.default_permissions || options.survive === false
      ? undefined
      : MemoryFile.make(options.memory_bytes);
  const servers = new Servers(options, mount, fuse, memory);
  let info = early?.info;
  if (info !== undefined) keeper.mounted(info.device);
  let server: Server | undefined;
  let up: Up | undefined;
  let open = false;
  try {
    server = await servers.start(mount.readonly);
    const sandbox = servers.admit(server, (await expect(server, 'standing')).layers);
    const opened = expect(server, 'volume');
    server.send({ type: 'go', finish: false });
    const volume = await opened;
    open = true;
    const readonly = mount.readonly || volume.readonly;
    if (info !== undefined && readonly !== mount.readonly) return undefined;
    const ready = expect(server, 'ready');
    ready.catch(() => {}); // looked at below, whatever happens before
    const order: ServeOrder = {
      type: 'serve',
      mountpoint: info?.mountpoint ?? mount.mountpoint,
      readonly,
      default_permissions: mount.default_permissions,
      fstype: volume.fstype,
    };
    if (native) {
      server.send({ type: 'serve-native', mount: { ...mount, readonly } });
      await ready;
      info = mounted(mount.mountpoint);
      keeper.mounted(info.device);
    } else {
      if (info === undefined) {
        info = mountAsSuperuser(fuse, { ...mount, readonly }, directory, keeper.pipe);
        keeper.mounted(info.device);
      }
      server.send(order);
      await ready;
    }
    if (superuser) setReadAhead(info.device, options.read_ahead_kib ?? READ_AHEAD_KIB);
    return (up = { servers, server, info, volume, order, sandbox, keeper });
  } finally {
    if (up === undefined) {
      if (server !== undefined) await dismiss(server, open);
      if (info !== undefined) clearAway(options, fuse, info);
      keeper.dismiss();
      memory?.close();
      closeSync(fuse);
    }
  }
}

/** fuse-native keeps the descriptor to itself: whether the mount is there is all that can be known then. */
export function stateOf(options: SuperviseOptions, fuse: number, info: MountInfo): 'connected' | 'aborted' | 'gone' {
  if (options.channel !== 'fuse-native') return connectionState(fuse);
  return readMountinfo().some(
    (mount) => mount.id === info.id && mount.device === info.device && mount.mountpoint === info.mountpoint,
  )
    ? 'connected'
    : 'gone';
}

/** What is left of a mount whose server has ended. A dead one would answer ENOTCONN for ever. */
export function clearAway(options: SuperviseOptions, fuse: number, info: MountInfo): void {
  try {
    const state = stateOf(options, fuse, info);
    // When it has gone, its number and place may be another mount's.
    if (state === 'connected') unmount(info.device, { lazy: true });
    else if (state === 'aborted') unmountDead(info);
  } catch {
    // Covered by another mount, or not permitted: nothing that could be done.
  }
}
