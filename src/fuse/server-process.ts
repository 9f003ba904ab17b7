/** The frame of a server process: started by the supervisor with FUSE at descriptor 3 and the device at 4, spoken to over a channel (messenger.ts). */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import { E, Errno, errno } from '../kernel/errno.js';
import { Keep } from '../kernel/keep/keep.js';
import type { ServeOrder, SuccessionOrder, ToServer, ToSupervisor } from './messages.js';
import { CHANNEL_VARIABLE, Messenger } from './messenger.js';
import { SIGTERM, libc } from './mount/libc.js';
import { isSuperuser } from './mount/mount.js';
import type { Reach } from './sandbox/filter.js';
import { sandboxLibc } from './sandbox/libc.js';
import { Lockdown, hearSupervisor } from './sandbox/lockdown.js';
import { serve } from './server.js';
import type { ServeOptions } from './server.js';
import { mapMemory } from './succession/map.js';
import { Notes } from './succession/notes.js';

const FUSE_FD = 3;
/** The first of the descriptors that the supervisor was told to hand on. */
export const DEVICE_FD = 4;

/** A volume, mounted in a kernel and ready to be served. */
export interface ServedVolume extends Pick<ServeOptions, 'sys' | 'root' | 'syncer' | 'timeouts' | 'remote_locks' | 'handles' | 'writeback_cache' | 'trace' | 'log'> {
  /** It can only be read, for whatever reason. */
  readonly readonly: boolean;
  /** As mount -t names it. */
  readonly fstype: string;
  /** For the person who mounts it: why it is read-only, say. */
  readonly notice?: string;
  /** What its descriptors of disks are needed for; default nothing. */
  readonly reaches?: readonly Reach[];
  /**
   * Another process can open the volume where this one stops: it is not in this process alone, and the kernel was booted with
   * OpenHow.keep. Default false.
   */
  readonly survives?: boolean;
  /** Writes everything and ends the kernel. */
  close(): Promise<void>;
}

export interface OpenHow {
  readonly readonly: boolean;
  /** Memory that the servers of a mount share, one after the other. There once `lockDown` has been waited for; undefined: there is none. */
  readonly keep: Keep | undefined;
  /** It will have to take over from another server. */
  readonly heir: boolean;
  /** What that one served, as it said (ServedVolume.fstype). */
  readonly fstype: string | undefined;
  /**
   * To be called when everything is loaded and every file open, and before the first byte of the disk is looked at: gives up
   * all else, where that is wanted, and waits, where another server is still at work. `file_bytes`: size of the largest plain
   * file among the disks. What can be loaded later than this must not be needed. `rehearse`: what an heir may do while it waits;
   * asks now and then whether to go on.
   */
  lockDown(file_bytes: number, rehearse?: (goOn: () => Promise<boolean>) => Promise<void>): Promise<void>;
}

export type OpenVolume = (args: unknown, how: OpenHow) => Promise<ServedVolume>;

type OpenOrder = Extract<ToServer, { type: 'open' }>;
type AnyServeOrder = ServeOrder | Extract<ToServer, { type: 'serve-native' }>;

/** Runs the server until its mount ends, then ends the process: status 0 when everything is on the disk. */
export function serverMain(open: OpenVolume): void {
  const supervisor = new Messenger(new Socket({ fd: Number(process.env[CHANNEL_VARIABLE]), readable: true, writable: true }));
  const say = (message: ToSupervisor) => new Promise<void>((resolve) => supervisor.send(message, resolve));
  const fail = async (error: unknown) => {
    await say({ type: 'failed', message: inWords(error), code: error instanceof Errno ? error.code : ((error as NodeJS.ErrnoException)?.code ?? 'EIO') });
    process.exit(1);
  };
  let served: AnyServeOrder | undefined;
  let detaching = false;
  let lockdown: Lockdown | undefined;

  // Whoever asks the server to end asks the supervisor, which unmounts. Without a supervisor the server sees to it.
  const end = () => {
    if (supervisor.open) return void say({ type: 'unmount' });
    if (served === undefined) process.exit(1);
    if (detaching) return;
    detaching = true;
    // Locked down it cannot unmount, only end the connection. (The keeper unmounts when the supervisor dies.)
    if (lockdown?.closed === true) closeSync(FUSE_FD);
    else detach(mountpointOf(served));
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  supervisor.onEnd = () => {
    if (served === undefined || lockdown?.closed !== true) end();
  };
  // The loop blocks the thread: without the signal it would not hear that the supervisor has gone.
  libc()?.setParentDeathSignal(SIGTERM);

  /** What an heir waits for. */
  let go: (order: { finish: boolean }) => void = () => {};
  const gone = new Promise<{ finish: boolean }>((resolve) => (go = resolve));
  let volume: ServedVolume | undefined;
  let succession: ServeOptions['succession'];

  supervisor.onMessage = (raw) => {
    const message = raw as ToServer;
    switch (message.type) {
      case 'open': return void prepare(message).catch(fail);
      case 'go': return go(message);
      case 'ping': return void say({ type: 'pong' });
      default: return void run(volume!, message);
    }
  };
  void say({ type: 'started' });

  async function prepare(order: OpenOrder): Promise<void> {
    const memory = order.succession === undefined ? undefined : mapMemory(order.succession.memory_fd, order.succession.memory_bytes);
    if (order.lockdown !== undefined) lockdown = new Lockdown(order.lockdown, order.ipc);
    const lib = sandboxLibc();
    if (lockdown === undefined && lib !== null) hearSupervisor(lib, order.ipc);
    let keep: Keep | undefined;
    let notes: Notes | undefined;
    let finish = false;
    const wait = async (file_bytes: number, rehearse: (goOn: () => Promise<boolean>) => Promise<void> = async () => {}): Promise<void> => {
      await lockdown?.close(file_bytes);
      if (order.heir !== undefined) {
        process.title = 'rumpfuse: stand-by';
        void say({ type: 'standing', layers: lockdown?.layers ?? [] });
        let called = false;
        void gone.then(() => (called = true));
        const goOn = async () => {
          await immediate();
          return !called;
        };
        await rehearse(goOn).catch(() => {});
        ({ finish } = await gone);
      }
      if (memory === undefined) return;
      notes = new Notes(memory);
      keep = new Keep(memory);
      keep.onroom = (there) => void say({ type: 'room', there });
      // Without its last state a volume that was being written must be checked first.
      if (order.heir !== undefined && (!notes.inherited || (notes.writing && !keep.inherited))) throw errno(E.EIO, 'the server before has left nothing to go on from');
    };
    let waited: Promise<void> | undefined;
    const how: OpenHow = {
      readonly: order.readonly, heir: order.heir !== undefined, fstype: order.heir?.fstype,
      get keep() {
        return keep;
      },
      lockDown: (file_bytes, rehearse) => (waited ??= wait(file_bytes, rehearse)),
    };
    const opened = await open(order.args, how);
    volume = opened;
    process.title = `rumpfuse: server (${opened.fstype})`;
    await how.lockDown(0); // a program that did not ask for it
    lockdown?.narrow(opened.reaches ?? []);
    succession = successionOf(opened, order.succession, notes, keep);
    void say({
      type: 'volume', readonly: opened.readonly, fstype: opened.fstype, layers: lockdown?.layers ?? [], survives: succession !== undefined,
      ...(opened.notice !== undefined ? { notice: opened.notice } : {}),
    });
    if (order.heir === undefined) return;
    if (finish) await close(opened);
    else await run(opened, order.heir);
  }

  /** What another server will need. undefined: none can go on where this one stops. */
  function successionOf(opened: ServedVolume, order: SuccessionOrder | undefined, notes: Notes | undefined, keep: Keep | undefined): ServeOptions['succession'] {
    if (order === undefined || notes === undefined || opened.survives !== true || opened.handles === true || opened.remote_locks === true || libc() === null) return undefined;
    notes.writing = !opened.readonly;
    return { notes, keep: opened.readonly ? undefined : keep, clone_fd: order.clone_fd, noresend: order.noresend, onTurnedReadonly: () => void say({ type: 'readonly' }) };
  }

  async function close(opened: ServedVolume): Promise<never> {
    try {
      await opened.close();
    } catch (error) {
      return (await fail(error)) as never;
    }
    succession?.notes.setClosed();
    process.exit(0);
  }

  async function run(opened: ServedVolume, order: AnyServeOrder): Promise<void> {
    served = order;
    process.title = `rumpfuse: ${mountpointOf(order)}`;
    const onReady = () => void say({ type: 'ready' });
    let failed: { error: unknown } | undefined;
    try {
      if (order.type === 'serve-native') {
        const { serveNative } = await import('./channel/fuse-native.js');
        await serveNative({ ...opened, mount: order.mount, onReady });
      } else {
        await serve({
          ...opened, channel: FUSE_FD, readonly: order.readonly || opened.readonly, default_permissions: order.default_permissions, onReady,
          succession: order.default_permissions ? succession : undefined,
        });
      }
    } catch (error) {
      failed = { error };
    }
    if (failed === undefined) await close(opened);
    await opened.close().catch(() => {});
    await fail(failed!.error);
  }
}

function mountpointOf(order: AnyServeOrder): string {
  return order.type === 'serve' ? order.mountpoint : order.mount.mountpoint;
}

/** Lazily unmounts from outside: the process that serves a mount must not wait for it. */
function detach(mountpoint: string): void {
  const [program, args] = isSuperuser() ? ['umount', ['-i', '-c', '-l', '--', mountpoint]] as const : ['fusermount3', ['-u', '-z', '--', mountpoint]] as const;
  spawn(program, args, { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
}

function inWords(error: unknown): string {
  // A name in it may have several lines; of other errors the first says what it is.
  if (error instanceof Errno) return error.message;
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}
