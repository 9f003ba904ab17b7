/** The frame of a server process: started by the supervisor with FUSE at descriptor 3 and the device at 4, spoken to over IPC. */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Errno } from '../kernel/errno.js';
import type { ToServer, ToSupervisor } from './messages.js';
import { SIGTERM, libc } from './mount/libc.js';
import { isSuperuser } from './mount/mount.js';
import type { Reach } from './sandbox/filter.js';
import { Lockdown } from './sandbox/lockdown.js';
import { serve } from './server.js';
import type { ServeOptions } from './server.js';

export const FUSE_FD = 3;
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
  /** Writes everything and ends the kernel. */
  close(): Promise<void>;
}

export interface OpenHow {
  readonly readonly: boolean;
  /**
   * To be called when everything is loaded and every file open, and before the first byte of the disk is looked at: gives up
   * all else, where that is wanted. `file_bytes`: size of the largest plain file among the disks. What can be loaded later
   * than this must not be needed.
   */
  lockDown(file_bytes: number): Promise<void>;
}

export type OpenVolume = (args: unknown, how: OpenHow) => Promise<ServedVolume>;

/** Runs the server until its mount ends, then ends the process: status 0 when everything is on the disk. */
export function serverMain(open: OpenVolume): void {
  const say = (message: ToSupervisor) =>
    new Promise<void>((resolve) => {
      if (process.connected) process.send!(message, undefined, undefined, () => resolve());
      else resolve();
    });
  const fail = async (error: unknown) => {
    await say({ type: 'failed', message: inWords(error), code: error instanceof Errno ? error.code : ((error as NodeJS.ErrnoException)?.code ?? 'EIO') });
    process.exit(1);
  };
  let served: ServeOrder | undefined;
  let detaching = false;
  let lockdown: Lockdown | undefined;

  // Whoever asks the server to end asks the supervisor, which unmounts. Without a supervisor the server sees to it.
  const end = () => {
    if (process.connected) return void say({ type: 'unmount' });
    if (served === undefined) process.exit(1);
    if (detaching) return;
    detaching = true;
    // Locked down it cannot unmount, only end the connection. (The keeper unmounts when the supervisor dies.)
    if (lockdown?.closed === true) closeSync(FUSE_FD);
    else detach(mountpointOf(served));
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  process.on('disconnect', () => {
    if (served === undefined || lockdown?.closed !== true) end();
  });
  // The loop blocks the thread: without the signal it would not hear that the supervisor has gone.
  libc()?.setParentDeathSignal(SIGTERM);

  let volume: ServedVolume | undefined;
  process.on('message', (message: ToServer) => {
    if (message.type === 'open') {
      if (message.lockdown !== undefined) lockdown = new Lockdown(message.lockdown);
      const how: OpenHow = { readonly: message.readonly, lockDown: async (file_bytes) => lockdown?.close(file_bytes) };
      open(message.args, how).then(async (opened) => {
        volume = opened;
        process.title = `rumpfuse: server (${opened.fstype})`;
        await how.lockDown(0); // a program that did not ask for it
        lockdown?.narrow(opened.reaches ?? []);
        return say({
          type: 'volume', readonly: opened.readonly, fstype: opened.fstype, layers: lockdown?.layers ?? [],
          ...(opened.notice !== undefined ? { notice: opened.notice } : {}),
        });
      }).catch(fail);
      return;
    }
    served = message;
    void run(volume!, message);
  });
  void say({ type: 'started' });

  async function run(opened: ServedVolume, order: ServeOrder): Promise<void> {
    process.title = `rumpfuse: ${mountpointOf(order)}`;
    const onReady = () => void say({ type: 'ready' });
    try {
      try {
        if (order.type === 'serve-native') {
          const { serveNative } = await import('./channel/fuse-native.js');
          await serveNative({ ...opened, mount: order.mount, onReady });
        } else {
          await serve({ ...opened, channel: FUSE_FD, readonly: order.readonly || opened.readonly, default_permissions: order.default_permissions, onReady });
        }
      } finally {
        await opened.close();
      }
    } catch (error) {
      return fail(error);
    }
    process.exit(0);
  }
}

type ServeOrder = Exclude<ToServer, { type: 'open' }>;

function mountpointOf(order: ServeOrder): string {
  return order.type === 'serve' ? order.mountpoint : order.mount.mountpoint;
}

/** Lazily unmounts from outside: the process that serves a mount must not wait for it. */
function detach(mountpoint: string): void {
  const [program, args] = isSuperuser() ? ['umount', ['-i', '-c', '-l', '--', mountpoint]] as const : ['fusermount3', ['-u', '-z', '--', mountpoint]] as const;
  spawn(program, args, { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
}

function inWords(error: unknown): string {
  if (error instanceof Error) return error.message.split('\n')[0]!;
  return String(error);
}
