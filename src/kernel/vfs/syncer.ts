import type { HostTimer, Rumpuser, Timespec } from '../rumpuser/rumpuser.js';
import { MNT_RDONLY } from '../fcntl.js';
import { errnoName, errnoOf } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Mount } from './mount.js';
import { MNT_GONE, MNT_LIVE, mimpl } from './mntimpl.js';
import { mnt_done_write } from './vnlock.js';

/** How long changes may stay in memory; milliseconds. */
export const SYNC_DELAY_MS = 5000;
/** What is due within this time is written along with what is due now; milliseconds. */
const SYNC_SLACK_MS = 250;

/**
 * Writes back mounts that have been dirty for {@link SYNC_DELAY_MS}. It runs from a timer of the host. A host that
 * blocks its event loop (the FUSE loop waiting for requests) asks `next_due_ms` and calls `run` itself.
 */
export class Syncer {
  private readonly dirty = new Set<Mount>();
  private timer: HostTimer | null = null;
  private running: Promise<void> | null = null;
  private stopped = false;
  private readonly clock: Timespec = { sec: 0, nsec: 0 };

  constructor(
    private readonly kernel: Kernel,
    private readonly rumpuser: Rumpuser,
    readonly delay_ms = SYNC_DELAY_MS,
  ) {}

  /** Milliseconds until a mount wants to be written, 0 when it is overdue; undefined while nothing is dirty. */
  get next_due_ms(): number | undefined {
    let due: number | undefined;
    for (const mp of this.dirty) {
      const at = this.due_ms(mp);
      if (due === undefined || at < due) due = at;
    }
    return due === undefined ? undefined : Math.max(0, due - this.now_ms());
  }

  /** Monotonic time when a dirty mount is to be written; milliseconds. */
  private due_ms(mp: Mount): number {
    return mimpl(mp).dirty_since_ms + (mp.mnt_syncdelay_ms ?? this.delay_ms);
  }

  /** The volume was changed. Cheap to call again: test MountImpl.dirty first. */
  dirtied(mp: Mount): void {
    const impl = mimpl(mp);
    if (impl.dirty || this.stopped || impl.state === MNT_GONE) return;
    impl.dirty = true;
    impl.dirty_since_ms = this.now_ms();
    this.dirty.add(mp);
    if (this.timer !== null && mp.mnt_syncdelay_ms !== null) {
      // The timer may be for a mount that can wait longer.
      this.timer.cancel();
      this.timer = null;
    }
    if (this.timer === null) this.arm();
  }

  /**
   * Writes back the mounts that are due, or with `all` every dirty one. An error is logged; the mount stays dirty and
   * is tried again.
   */
  async run(all = false): Promise<void> {
    while (this.running !== null) await this.running;
    this.running = this.work(all);
    try {
      await this.running;
    } finally {
      this.running = null;
      if (this.timer === null) this.arm();
    }
  }

  /**
   * One mount now, live or being unmounted; the caller keeps it there (MountImpl.trans).
   * @throws what the driver's sync throws
   */
  async sync(mp: Mount): Promise<void> {
    const impl = mimpl(mp);
    const wait = impl.synclock.enter(true);
    if (wait) await wait;
    // Cleared first: what is changed while sync runs is dirty again.
    impl.dirty = false;
    this.dirty.delete(mp);
    try {
      await mp.mnt_op.sync(mp);
      impl.syncfailed = false;
    } catch (thrown) {
      this.dirtied(mp);
      throw thrown;
    } finally {
      impl.synclock.exit(true);
    }
  }

  /**
   * Like {@link sync} for a mount that an unmount may be at work on: then that writes it. An error is logged, once
   * until a sync succeeds; the mount stays dirty and is tried again.
   */
  async trysync(mp: Mount): Promise<void> {
    const impl = mimpl(mp);
    const wait = impl.trans.enter(false);
    if (wait) await wait;
    try {
      if (impl.state !== MNT_LIVE || (mp.mnt_flag & MNT_RDONLY) !== 0) return;
      await this.sync(mp);
    } catch (thrown) {
      if (impl.syncfailed) return;
      impl.syncfailed = true;
      this.kernel.log('error', 'changes could not be written to the volume; they are kept in memory and tried again', {
        volume: mp.mnt_mntfromname,
        error: errnoName(errnoOf(thrown)),
        reason: String(thrown),
      });
    } finally {
      // Not only the lock: requests that ended meanwhile wait for a state that may be kept.
      mnt_done_write(mp);
    }
  }

  /** The mount is gone. */
  forget(mp: Mount): void {
    mimpl(mp).dirty = false;
    this.dirty.delete(mp);
  }

  /** Ends the timer; waits for a run at work. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    this.timer = null;
    while (this.running !== null) await this.running;
  }

  private async work(all: boolean): Promise<void> {
    const now = this.now_ms();
    for (const mp of [...this.dirty]) {
      if (!all && this.due_ms(mp) - SYNC_SLACK_MS > now) continue;
      await this.trysync(mp);
    }
  }

  private arm(): void {
    if (this.stopped) return;
    const due = this.next_due_ms;
    if (due === undefined) return;
    this.timer = this.rumpuser.rumpuser_timer(due, () => {
      this.timer = null;
      void this.run();
    });
  }

  private now_ms(): number {
    this.rumpuser.rumpuser_clock_gettime('monotonic', this.clock);
    return this.clock.sec * 1000 + this.clock.nsec / 1e6;
  }
}
