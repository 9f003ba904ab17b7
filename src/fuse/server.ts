import type { LogLevel } from '../kernel/rumpuser/rumpuser.js';
import type { Path, RumpSys } from '../kernel/sys/rumpsys.js';
import { Bridge } from './bridge/bridge.js';
import { dispatch } from './bridge/index.js';
import { DevFuse } from './channel/dev-fuse.js';
import { Loop } from './channel/loop.js';
import type { Transport } from './channel/transport.js';
import { Wakeup } from './channel/wakeup.js';
import type { Timeouts } from './protocol/encode.js';
import { E, errno } from '../kernel/errno.js';
import { FUSE_NOTIFY_INVAL_INODE, fuse_init_out, fuse_notify_inval_inode_out } from './protocol/fuse_kernel.js';
import { negotiate } from './protocol/init.js';
import type { InitResult } from './protocol/init.js';
import { OPERATIONS } from './protocol/opcodes.js';
import { OutBuf, sealNotification } from './protocol/message.js';
import type { Message } from './protocol/message.js';
import { Trace } from './trace.js';
import type { TraceSink } from './trace.js';

/** Who writes dirty data back, where it can be asked to (the kernel's syncer). */
export interface Syncer {
  /** Milliseconds until something wants to be written; undefined while nothing is dirty. */
  readonly next_due_ms: number | undefined;
  /** Writes what is due; waits for a run at work. */
  run(): Promise<void>;
}

export interface ServeOptions {
  /** A process of the kernel for this mount alone, superuser. */
  readonly sys: RumpSys;
  /** The directory that is served; default the kernel's root. */
  readonly root?: Path;
  /** /dev/fuse, mounted or about to be; or another channel. */
  readonly channel: number | Transport;
  readonly readonly?: boolean;
  /** As the host's mount has it; default true. */
  readonly default_permissions?: boolean;
  /** Seconds that the host may keep names, attributes, and the knowledge that a name is not there; default 600 each: only this mount writes the volume. */
  readonly timeouts?: Partial<Timeouts>;
  /** Keep POSIX and flock locks in the kernel; default false: the host does. */
  readonly remote_locks?: boolean;
  /** Answer OPEN with handles even where the host could do without; default false. */
  readonly handles?: boolean;
  /** Let the host collect writes (FUSE_WRITEBACK_CACHE); default false. */
  readonly writeback_cache?: boolean;
  /** Largest transfer, bytes; default 1 MiB. */
  readonly max_write?: number;
  readonly syncer?: Syncer;
  readonly trace?: TraceSink;
  readonly log?: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  /** The host has been answered: the mount can be used. */
  readonly onReady?: (agreed: InitResult) => void;
}

const KEEP_SECONDS = 600;
const PAGE_BYTES = 4096;
const NODES_MAX = 4096;
const INIT = OPERATIONS.findIndex((operation) => operation?.handler === 'init');

/** Serves a mount until the host ends it (unmount, abort). The volume is then to be synced and unmounted by the caller. */
export async function serve(options: ServeOptions): Promise<void> {
  const log = options.log ?? (() => {});
  const transport = typeof options.channel === 'number' ? new DevFuse(options.channel) : options.channel;
  const max_write = options.max_write ?? 1 << 20;
  const trace = options.trace !== undefined ? new Trace(options.trace) : undefined;
  const timeouts: Timeouts = {
    entry: options.timeouts?.entry ?? KEEP_SECONDS, attr: options.timeouts?.attr ?? KEEP_SECONDS, negative: options.timeouts?.negative ?? KEEP_SECONDS,
    owner: options.timeouts?.owner,
  };
  const notification = new OutBuf(fuse_notify_inval_inode_out.SIZEOF);

  const bridge = await Bridge.open(options.sys, {
    root: options.root ?? '/', readonly: options.readonly ?? false, default_permissions: options.default_permissions ?? true,
    timeouts, remote_locks: options.remote_locks ?? false, handles: options.handles ?? false, nodes_max: NODES_MAX,
  }, {
    large: (m, bytes) => loop.large(m, bytes),
    interrupt: (lo, hi) => loop.interrupt(lo, hi),
    invalidate(lo, hi) {
      const I = fuse_notify_inval_inode_out;
      notification.set64words(I.ino, lo, hi);
      notification.set64(I.off, -1); // attributes only, no pages
      notification.set64(I.len, 0);
      transport.write(notification, sealNotification(notification, FUSE_NOTIFY_INVAL_INODE, I.SIZEOF));
    },
  });

  function init(m: Message): number {
    const agreed = negotiate(m, {
      max_write, page_bytes: PAGE_BYTES, remote_locks: bridge.options.remote_locks, handles: bridge.handles, writeback_cache: options.writeback_cache ?? false,
      readdirplus: bridge.nodes.compact,
    });
    if (agreed === 'too-old') {
      log('error', 'this Linux speaks a FUSE protocol older than 7.31; version 5.4 or newer is needed');
      throw errno(E.EPROTO);
    }
    if (agreed !== 'again') m.sent = () => options.onReady?.(agreed);
    return fuse_init_out.SIZEOF;
  }

  // While the loop blocks no timer runs, so the kernel's own syncer does not either: the alarm stands in for it.
  const syncer = options.syncer ?? new PlainSyncer(options.sys);
  const wakeup: Wakeup = new Wakeup(() => {
    loop.track(writeBack(syncer, wakeup).catch((thrown: unknown) => log('error', 'changes could not be written to the volume', { error: String(thrown) })));
  });
  const loop = new Loop({
    transport, max_write, blocking: Wakeup.possible,
    dispatch: (m) => (m.opcode === INIT ? init(m) : dispatch(bridge, m)),
    ...(trace !== undefined ? { trace } : {}),
    ...(options.readonly === true ? {} : { onModified: () => wakeup.start() }),
    onBug: (error, m) => log('error', 'a request met a fault of this program; it was answered with an input/output error', {
      opcode: m.opcode, node: m.nodeLo, error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }),
  });
  try {
    await loop.run();
  } finally {
    wakeup.close();
    await bridge.close();
  }
}

async function writeBack(syncer: Syncer, wakeup: Wakeup): Promise<void> {
  await syncer.run();
  if (syncer.next_due_ms === undefined) wakeup.stop();
}

/** Where the kernel offers no syncer: everything is written some seconds after the alarm was set. */
class PlainSyncer implements Syncer {
  private static readonly TICKS = 5;
  private left = PlainSyncer.TICKS;
  constructor(private readonly sys: RumpSys) {}

  get next_due_ms(): number | undefined {
    return this.left === PlainSyncer.TICKS ? undefined : this.left * 1000;
  }
  async run(): Promise<void> {
    if (--this.left > 0) return;
    this.left = PlainSyncer.TICKS;
    await this.sys.sync();
  }
}
