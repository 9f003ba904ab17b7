import type { LogLevel } from '../kernel/rumpuser/rumpuser.js';
import type { Path, RumpSys } from '../kernel/sys/rumpsys.js';
import { Bridge } from './bridge/bridge.js';
import { passOnChanges } from './bridge/changes.js';
import { dispatch } from './bridge/index.js';
import { DevFuse } from './channel/dev-fuse.js';
import { Loop } from './channel/loop.js';
import { Notifier } from './channel/notifier.js';
import { libc } from './mount/libc.js';
import type { Transport } from './channel/transport.js';
import { Wakeup } from './channel/wakeup.js';
import type { Timeouts } from './protocol/encode.js';
import { E, errno } from '../kernel/errno.js';
import { FUSE2_HAS_RESEND, fuse_init_out } from './protocol/fuse_kernel.js';
import { negotiate } from './protocol/init.js';
import type { InitResult } from './protocol/init.js';
import { OPERATIONS } from './protocol/opcodes.js';
import type { Message } from './protocol/message.js';
import type { KeepForServer } from '../kernel/keep/keep.js';
import type { Notes } from './succession/notes.js';
import { Once } from './succession/once.js';
import { Trace } from './trace.js';
import type { TraceSink } from './trace.js';

/** Who writes dirty data back, where it can be asked to (the kernel's syncer). */
export interface Syncer {
  /** Milliseconds until something wants to be written; undefined while nothing is dirty. */
  readonly next_due_ms: number | undefined;
  /** Writes what is due; waits for a run at work. */
  run(): Promise<void>;
}

/**
 * What it takes for another server to go on where this one stops, and for this one to go on where another has stopped.
 */
export interface SuccessionOptions {
  readonly notes: Notes;
  /** The kernel's part; none where the volume is only read. */
  readonly keep?: KeepForServer | undefined;
  /** /dev/fuse, not mounted: for hosts that do not send requests again. */
  readonly clone_fd: number;
  /** Take this host for such a one. */
  readonly noresend: boolean;
  /** From now on nothing can be changed on the mount. */
  readonly onTurnedReadonly: () => void;
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
  /**
   * Seconds that the host may keep names, attributes, and the knowledge that a name is not there; by default as the
   * traits of the mount allow.
   */
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
  readonly succession?: SuccessionOptions | undefined;
  readonly trace?: TraceSink;
  readonly log?: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;
  /** The host has been answered: the mount can be used. */
  readonly onReady?: (agreed: InitResult) => void;
}

const PAGE_BYTES = 4096;
const NODES_MAX = 4096;
const INIT = OPERATIONS.findIndex((operation) => operation?.handler === 'init');

/**
 * Serves a mount until the host ends it (unmount, abort). The volume is then to be synced and unmounted by the caller.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const log = options.log ?? (() => {});
  const { succession } = options;
  const device = typeof options.channel === 'number' ? new DevFuse(options.channel) : undefined;
  const transport = device ?? (options.channel as Transport);
  const max_write = options.max_write ?? 1 << 20;
  const trace = options.trace !== undefined ? new Trace(options.trace) : undefined;
  const notifier = new Notifier(transport);

  const bridge = await Bridge.open(
    options.sys,
    {
      root: options.root ?? '/',
      readonly: options.readonly ?? false,
      default_permissions: options.default_permissions ?? true,
      timeouts: options.timeouts ?? {},
      remote_locks: options.remote_locks ?? false,
      handles: options.handles ?? false,
      nodes_max: NODES_MAX,
    },
    {
      large: (m, bytes) => loop.large(m, bytes),
      interrupt: (lo, hi) => loop.interrupt(lo, hi),
      invalidate: (lo, hi) => notifier.invalidate(lo, hi),
      invalidateData: (lo, hi, offset, length) => notifier.invalidateData(lo, hi, offset, length),
      invalidateName: (lo, hi, name) => notifier.invalidateName(lo, hi, name),
      epoch: () => notifier.epoch(),
    },
  );
  passOnChanges(bridge);

  function init(m: Message): number {
    const agreed = negotiate(m, {
      max_write,
      page_bytes: PAGE_BYTES,
      remote_locks: bridge.options.remote_locks,
      handles: bridge.handles,
      writeback_cache: options.writeback_cache ?? false,
      readdirplus: bridge.nodes.compact,
      resend: succession !== undefined && !succession.noresend,
    });
    if (agreed === 'too-old') {
      log('error', 'this Linux speaks a FUSE protocol older than 7.31; version 5.4 or newer is needed');
      throw errno(E.EPROTO);
    }
    if (agreed !== 'again') {
      m.sent = () => {
        if (succession !== undefined) agree(succession, agreed);
        bridge.agreed();
        options.onReady?.(agreed);
      };
    }
    return fuse_init_out.SIZEOF;
  }

  function agree({ notes, clone_fd }: SuccessionOptions, { minor, flags2, max_write }: InitResult): void {
    const resend = (flags2 & FUSE2_HAS_RESEND) !== 0;
    if (!resend) readThroughClone(clone_fd);
    notes.agreed({ minor, max_write, resend });
  }

  /** What is read through it ends with an error when this process ends: nobody waits for ever. */
  function readThroughClone(fd: number): void {
    libc()!.cloneFuse(fd, options.channel as number);
    device!.use(fd);
  }

  async function takeOver({ notes, keep }: SuccessionOptions): Promise<void> {
    notes.suspectPredecessor();
    for (const fid of keep?.nameless ?? []) await bridge.nodes.inherit(fid);
    await keep?.adopted();
    if (notes.agreement!.resend) device!.resend();
    else readThroughClone(succession!.clone_fd);
    bridge.agreed();
    // Nothing of what the host knows is news to it: it has been mounted all the time.
    options.onReady?.({ flags: 0, flags2: 0, ...notes.agreement! });
  }

  const once =
    succession === undefined
      ? undefined
      : new Once({
          notes: succession.notes,
          keep: succession.keep,
          dispatch: (m) => dispatch(bridge, m),
          log,
          onTurnedReadonly: succession.onTurnedReadonly,
        });
  const serveRequest = once?.dispatch ?? ((m: Message) => dispatch(bridge, m));

  // While the loop blocks no timer runs, so the kernel's own syncer does not either: the alarm stands in for it.
  const syncer = options.syncer ?? new PlainSyncer(options.sys);
  const wakeup: Wakeup = new Wakeup(() => {
    loop.track(
      writeBack(syncer, wakeup, succession?.keep).catch((thrown: unknown) =>
        log('error', 'changes could not be written to the volume', { error: String(thrown) }),
      ),
    );
  });
  const loop = new Loop({
    transport, max_write, inputs: succession?.keep?.requests, blocking: Wakeup.possible,
    dispatch: (m) => (m.opcode === INIT ? init(m) : serveRequest(m)),
    ...(succession !== undefined
      ? { onAsleep: (m: Message) => succession.notes.asleep(m), onAnswered: (m: Message) => answered(succession, m) }
      : {}),
    ...(trace !== undefined ? { trace } : {}),
    ...(options.readonly === true ? {} : { onModified: () => wakeup.start() }),
    onBug: (error, m) =>
      log('error', 'a request met a fault of this program; it was answered with an input/output error', {
        opcode: m.opcode,
        node: m.nodeLo,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
  });
  try {
    if (succession?.notes.inherited === true) await takeOver(succession);
    await loop.run();
  } finally {
    wakeup.close();
    await bridge.close();
  }
}

function answered({ notes, keep }: SuccessionOptions, m: Message): void {
  notes.end(m);
  keep?.settle();
}

async function writeBack(syncer: Syncer, wakeup: Wakeup, keep: KeepForServer | undefined): Promise<void> {
  await syncer.run();
  await keep?.commit();
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
