/** The frame of a server process: started by the supervisor with FUSE at descriptor 3 and the device at 4, spoken to over IPC. */
import { spawn } from 'node:child_process';
import { Errno } from '../kernel/errno.js';
import type { ToServer, ToSupervisor } from './messages.js';
import { SIGTERM, libc } from './mount/libc.js';
import { isSuperuser } from './mount/mount.js';
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
  /** Writes everything and ends the kernel. */
  close(): Promise<void>;
}

export type OpenVolume = (args: unknown, how: { readonly readonly: boolean }) => Promise<ServedVolume>;

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
  let served: Extract<ToServer, { type: 'serve' }> | undefined;
  let detaching = false;

  // Whoever asks the server to end asks the supervisor, which unmounts. Without a supervisor the server sees to it.
  const end = () => {
    if (process.connected) return void say({ type: 'unmount' });
    if (served === undefined) process.exit(1);
    if (detaching) return;
    detaching = true;
    detach(served.mountpoint);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  process.on('disconnect', end);
  // The loop blocks the thread: without the signal it would not hear that the supervisor has gone.
  libc()?.setParentDeathSignal(SIGTERM);

  let volume: ServedVolume | undefined;
  process.on('message', (message: ToServer) => {
    if (message.type === 'open') {
      open(message.args, { readonly: message.readonly }).then((opened) => {
        volume = opened;
        process.title = `rumpfuse: server (${opened.fstype})`;
        return say({ type: 'volume', readonly: opened.readonly, fstype: opened.fstype, ...(opened.notice !== undefined ? { notice: opened.notice } : {}) });
      }).catch(fail);
      return;
    }
    served = message;
    void run(volume!, message);
  });

  async function run(opened: ServedVolume, order: Extract<ToServer, { type: 'serve' }>): Promise<void> {
    process.title = `rumpfuse: ${order.mountpoint}`;
    try {
      try {
        await serve({
          ...opened, channel: FUSE_FD, readonly: order.readonly || opened.readonly, default_permissions: order.default_permissions,
          onReady: () => void say({ type: 'ready' }),
        });
      } finally {
        await opened.close();
      }
    } catch (error) {
      return fail(error);
    }
    process.exit(0);
  }
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
