/**
 * The frame of a server process: started by the supervisor with FUSE at descriptor 3 and the device at 4, spoken to
 * over a channel (messenger.ts).
 */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { E, Errno, errno } from '../kernel/errno.js';
import type { Keep } from '../kernel/keep/keep.js';
import { Entrance } from './entrance.js';
import type { OpenOrder, Rehearsal, SurveyOrder } from './entrance.js';
import type { Place, ServeOrder, SuccessionOrder, ToServer, ToSupervisor } from './messages.js';
import { CHANNEL_VARIABLE, Messenger } from './messenger.js';
import { SIGTERM, libc } from './mount/libc.js';
import { isSuperuser } from './mount/mount.js';
import { closeForeign } from './sandbox/descriptors.js';
import type { DiskUse } from './sandbox/lockdown.js';
import { serve } from './server.js';
import type { ServeOptions } from './server.js';

const FUSE_FD = 3;
/** The first of the descriptors that the supervisor was told to hand on. */
export const DEVICE_FD = 4;

/** A volume, mounted in a kernel and ready to be served. */
export interface ServedVolume extends Pick<
  ServeOptions,
  'sys' | 'root' | 'syncer' | 'timeouts' | 'remote_locks' | 'handles' | 'writeback_cache' | 'trace' | 'log'
> {
  /** It can only be read, for whatever reason. */
  readonly readonly: boolean;
  /** As mount -t names it. */
  readonly fstype: string;
  /** For the person who mounts it: why it is read-only, say. */
  readonly notice?: string;
  /**
   * Another process can open the volume where this one stops: it is not in this process alone, and the kernel was
   * booted with OpenHow.keep. Default false.
   */
  readonly survives?: boolean;
  /** Writes everything and ends the kernel. */
  close(): Promise<void>;
}

export interface OpenHow {
  readonly readonly: boolean;
  /**
   * Memory that the servers of a mount share, one after the other. There once `lockDown` has been waited for;
   * undefined: there is none.
   */
  readonly keep: Keep | undefined;
  /** It will have to take over from another server. */
  readonly heir: boolean;
  /** What that one served, as it said (ServedVolume.fstype). */
  readonly fstype: string | undefined;
  /** What a survey has found. */
  readonly place: Place | undefined;
  /**
   * To be called when everything is loaded and every file open, and before the first byte of the disk is looked at:
   * gives up all else, where that is wanted, has the supervisor see for itself, and waits, where another server is
   * still at work. What can be loaded later than this must not be needed. `rehearse`: what an heir may do while it
   * waits; asks now and then whether to go on.
   */
  lockDown(use: DiskUse, rehearse?: Rehearsal): Promise<void>;
}

export type OpenVolume = (args: unknown, how: OpenHow) => Promise<ServedVolume>;

/**
 * Finds out from the disk which of its bytes are the volume, and which formats it may have: in a process of its own,
 * which may only read. `lockDown` as in OpenHow.
 */
export type Survey = (args: unknown, lockDown: (use: DiskUse) => Promise<void>) => Promise<Place>;

type AnyServeOrder = ServeOrder | Extract<ToServer, { type: 'serve-native' }>;

const NO_DISKS: DiskUse = { file_bytes: 0, reaches: [] };

/** Runs the server until its mount ends, then ends the process: status 0 when everything is on the disk. */
export function serverMain(open: OpenVolume, survey?: Survey): void {
  const channel = Number(process.env[CHANNEL_VARIABLE]);
  const supervisor = new Messenger(new Socket({ fd: channel, readable: true, writable: true }));
  // With the first socket libuv opens a file to have one to close when there are too many; where there is no /dev/null,
  // the root directory.
  closeForeign(Array.from({ length: channel - FUSE_FD + 1 }, (_, index) => FUSE_FD + index));
  new ServerProcess(supervisor, open, survey);
}

class ServerProcess {
  private served: AnyServeOrder | undefined;
  private detaching = false;
  private entrance: Entrance | undefined;
  private volume: ServedVolume | undefined;
  private succession: ServeOptions['succession'];
  /** What it waits for before it looks at the disk. */
  private go: (order: { finish: boolean }) => void = () => {};
  private readonly gone = new Promise<{ finish: boolean }>((resolve) => (this.go = resolve));

  constructor(
    private readonly supervisor: Messenger,
    private readonly open: OpenVolume,
    private readonly survey: Survey | undefined,
  ) {
    // Without a supervisor nobody hears it: no reason to end.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, this.end);
    supervisor.onEnd = () => {
      if (this.served === undefined || !this.locked) this.end();
    };
    supervisor.onMessage = (raw) => this.obey(raw as ToServer);
    // The loop blocks the thread: without the signal it would not hear that the supervisor has gone.
    libc()?.setParentDeathSignal(SIGTERM);
    void this.say({ type: 'started' });
  }

  private readonly say = (message: ToSupervisor) =>
    new Promise<void>((resolve) => this.supervisor.send(message, resolve));

  private readonly fail = async (error: unknown): Promise<never> => {
    await this.say({
      type: 'failed',
      message: inWords(error),
      code: error instanceof Errno ? error.code : ((error as NodeJS.ErrnoException)?.code ?? 'EIO'),
    });
    process.exit(1);
  };

  private get locked(): boolean {
    return this.entrance?.lockdown?.closed === true;
  }

  /** Whoever asks the server to end asks the supervisor, which unmounts. Without a supervisor the server sees to it. */
  private readonly end = (): void => {
    if (this.supervisor.open) return void this.say({ type: 'unmount' });
    if (this.served === undefined) process.exit(1);
    if (this.detaching) return;
    this.detaching = true;
    // Locked down it cannot unmount, only end the connection. (The keeper unmounts when the supervisor dies.)
    if (this.locked) closeSync(FUSE_FD);
    else detach(mountpointOf(this.served));
  };

  private obey(message: ToServer): void {
    switch (message.type) {
      case 'survey': return void this.look(message).catch(this.fail);
      case 'open': return void this.prepare(message).catch(this.fail);
      case 'go': return this.go(message);
      case 'close': return this.volume === undefined ? undefined : void this.close(this.volume);
      case 'ping': return void this.say({ type: 'pong' });
      default: return void this.run(this.volume!, message);
    }
  }

  private async look(order: SurveyOrder): Promise<void> {
    if (this.survey === undefined) throw errno(E.EOPNOTSUPP, 'this server does not look for volumes');
    this.entrance = new Entrance(order, this.say, this.gone);
    const place = await this.survey(order.args, (use) => this.entrance!.lockDown(use));
    await this.say({ type: 'place', ...place });
    process.exit(0);
  }

  private async prepare(order: OpenOrder): Promise<void> {
    const entrance = (this.entrance = new Entrance(order, this.say, this.gone));
    const opened = await this.open(order.args, {
      readonly: order.readonly, heir: order.heir !== undefined, fstype: order.heir?.fstype, place: order.place,
      get keep() {
        return entrance.keep;
      },
      lockDown: (use, rehearse) => entrance.lockDown(use, rehearse),
    });
    this.volume = opened;
    process.title = `rumpfuse: server (${opened.fstype})`;
    await entrance.lockDown(NO_DISKS); // a program that did not ask for it
    if (opened.readonly) entrance.lockdown?.forReading();
    this.succession = this.successionOf(opened, order.succession, entrance);
    void this.say({
      type: 'volume', readonly: opened.readonly, fstype: opened.fstype, survives: this.succession !== undefined,
      ...(opened.notice !== undefined ? { notice: opened.notice } : {}),
    });
    if (order.heir === undefined) return;
    if (entrance.finish) await this.close(opened);
    else await this.run(opened, order.heir);
  }

  /** What another server will need. undefined: none can go on where this one stops. */
  private successionOf(
    opened: ServedVolume,
    order: SuccessionOrder | undefined,
    { notes, keep }: Entrance,
  ): ServeOptions['succession'] {
    if (
      order === undefined ||
      notes === undefined ||
      opened.survives !== true ||
      opened.handles === true ||
      opened.remote_locks === true ||
      libc() === null
    ) {
      return undefined;
    }
    notes.writing = !opened.readonly;
    return {
      notes,
      keep: opened.readonly ? undefined : keep,
      clone_fd: order.clone_fd,
      noresend: order.noresend,
      onTurnedReadonly: () => void this.say({ type: 'readonly' }),
    };
  }

  private async close(opened: ServedVolume): Promise<never> {
    try {
      await opened.close();
    } catch (error) {
      return this.fail(error);
    }
    this.succession?.notes.setClosed();
    process.exit(0);
  }

  private async run(opened: ServedVolume, order: AnyServeOrder): Promise<void> {
    this.served = order;
    process.title = `rumpfuse: ${mountpointOf(order)}`;
    const onReady = () => void this.say({ type: 'ready' });
    let failed: { error: unknown } | undefined;
    try {
      if (order.type === 'serve-native') {
        const { serveNative } = await import('./channel/fuse-native.js');
        await serveNative({ ...opened, mount: order.mount, onReady });
      } else {
        await serve({
          ...opened,
          channel: FUSE_FD,
          readonly: order.readonly || opened.readonly,
          default_permissions: order.default_permissions,
          onReady,
          succession: order.default_permissions ? this.succession : undefined,
        });
      }
    } catch (error) {
      failed = { error };
    }
    if (failed === undefined) await this.close(opened);
    await opened.close().catch(() => {});
    await this.fail(failed!.error);
  }
}

function mountpointOf(order: AnyServeOrder): string {
  return order.type === 'serve' ? order.mountpoint : order.mount.mountpoint;
}

/** Lazily unmounts from outside: the process that serves a mount must not wait for it. */
function detach(mountpoint: string): void {
  const [program, args] = isSuperuser()
    ? (['umount', ['-i', '-c', '-l', '--', mountpoint]] as const)
    : (['fusermount3', ['-u', '-z', '--', mountpoint]] as const);
  spawn(program, args, { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}

function inWords(error: unknown): string {
  // A name in it may have several lines; of other errors the first says what it is.
  if (error instanceof Errno) return error.message;
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}
