import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import { discard_now } from '../file/discard.js';
import type { Inode } from '../file/inode.js';
import type { Ordering } from '../order/ordering.js';
import { flush_prepare } from '../order/prepare.js';
import type { WriteState } from '../volume/writestate.js';
import type { LogWriter } from './logwriter.js';

/** Blocks that one operation may change at most; the smallest journal (1024 blocks) has room for some at a time. */
const OPERATION_BLOCKS = 56;

/**
 * Logging, as Linux' jbd2 does it (fs/jbd2/commit.c, checkpoint.c) and as its recovery and e2fsck read it. All changes
 * since the last commit are one transaction. A commit writes descriptors, copies of whole blocks and revokes, a
 * barrier, the commit block, a barrier; file data were written before and are covered by the first barrier (ordered
 * data).
 *
 * Buffers of the running transaction never go home. What is committed goes home when half of the log is in use, or with
 * a sync; then the log is empty. So a transaction, which is never more than half of the log, always fits. Blocks that
 * files no longer have become free in the commit's own transaction, hence are used again only after it, and copies of
 * metadata among them that the log holds are revoked.
 */
export class Journalled implements Ordering {
  readonly journalled = true;
  /** Open operations are its readers, a commit its writer. */
  private readonly lock = new RwLock();
  private running = new Set<Buf>();
  /** Blocks that the log holds, and those among them that the running transaction frees. */
  private readonly logged = new Set<number>();
  private revoked = new Set<number>();
  /** Operations that are open or about to be. */
  private open = 0;
  private failed = false;
  /** A commit that is about to begin, for others to join; and what it is to do besides. */
  private coming: Promise<void> | null = null;
  private gohome = false;
  /** Blocks of a transaction. */
  private readonly most: number;

  constructor(
    private readonly state: WriteState,
    readonly log: LogWriter,
  ) {
    const { em_bufcache, em_dev } = state.em;
    this.most = Math.floor(log.capacity / 2) - 2;
    // Nobody waits for this inside an operation, so it may wait for all of them.
    em_bufcache.onpressure(em_dev, () => this.commitsoon(true));
  }

  begin(): MaybePromise<void> {
    this.state.mustwrite();
    const { em_bufcache, em_dev } = this.state.em;
    const wait = em_bufcache.throttle(em_dev);
    if (wait) return wait.then(() => this.begin());
    if (this.failed || this.full) return this.beginlater();
    this.open++;
    return this.lock.enter(false);
  }

  private async beginlater(): Promise<void> {
    for (let tries = 0; this.failed || this.full; tries++) {
      this.state.mustwrite();
      if (tries > 64) throw errno(E.ENOSPC, 'the journal is too small for what is being done at once');
      await this.commitsoon(false);
    }
    this.open++;
    const wait = this.lock.enter(false);
    if (wait) await wait;
  }

  end(): void {
    this.open--;
    this.lock.exit(false);
  }

  async reopen(): Promise<void> {
    this.lock.exit(false);
    try {
      await this.commitsoon(false);
    } finally {
      const wait = this.lock.enter(false);
      if (wait) await wait;
    }
  }

  /** Blocks that the running transaction takes in the log, with all that its commit adds. */
  private get length(): number {
    const groups = this.state.frees.groups.size;
    return this.log.length(this.running.size + 2 * groups + this.state.atimes.size + 2, this.logged.size);
  }

  private get full(): boolean {
    return this.length + (this.open + 1) * OPERATION_BLOCKS > this.most;
  }

  get crowded(): boolean {
    return this.length + this.open * OPERATION_BLOCKS > this.most;
  }

  flush(): Promise<void> {
    return this.commitsoon(false);
  }

  /** Everything to its place, and the log empty. @throws EIO */
  checkpoint(): Promise<void> {
    return this.commitsoon(true);
  }

  dirty(bp: Buf): void {
    this.state.em.em_bufcache.bdwrite(bp);
    this.running.add(bp);
  }

  forget(block: number): void {
    const { em_bufcache, em_dev, em_fs } = this.state.em;
    if (this.logged.has(block)) this.revoked.add(block);
    const bp = em_bufcache.incore(em_dev, block * em_fs.bsize);
    if (bp !== undefined) {
      this.running.delete(bp);
      this.state.seals.drop(bp);
      em_bufcache.brelse(bp);
    }
    em_bufcache.binval(em_dev, block * em_fs.bsize, em_fs.bsize);
  }

  linkdown(ip: Inode, n: number): void {
    ip.i_nlink = Math.max(0, ip.i_nlink - n);
  }

  linksgone(): number {
    return 0;
  }

  discard(ip: Inode): Promise<void> {
    return discard_now(this.state, ip);
  }

  // ---- names: a transaction is atomic, there is no order inside it

  nameadded(): void {}

  namegoing(): boolean {
    return true;
  }

  dirgoing(): boolean {
    return true;
  }

  inherit(): void {}

  // ---- commits

  private commitsoon(gohome: boolean): Promise<void> {
    if (gohome) this.gohome = true;
    return (this.coming ??= this.exclusively());
  }

  private async exclusively(): Promise<void> {
    await this.lock.enter(true);
    this.coming = null;
    const { gohome } = this;
    this.gohome = false;
    try {
      await this.commit();
      if (gohome || this.log.used > this.most) await this.sendhome();
    } finally {
      this.lock.exit(true);
    }
  }

  private async commit(): Promise<void> {
    const { state, log } = this;
    state.mustwrite();
    await flush_prepare(state, this.running.size > 0 || this.revoked.size > 0);
    state.mustwrite();
    if (this.running.size === 0 && this.revoked.size === 0) {
      await state.barrier();
      return;
    }
    state.em.em_kernel.keep?.ahead();
    const taken = this.running;
    const revoked = [...this.revoked];
    this.running = new Set();
    try {
      state.unflushed = true;
      await log.append([...taken], revoked);
      await this.barrier();
      await log.commit(state.em.em_kernel.now());
      await this.barrier();
    } catch (thrown) {
      this.failed = true;
      for (const bp of taken) this.running.add(bp);
      throw thrown;
    }
    log.committed();
    this.failed = false;
    state.epoch++;
    for (const block of revoked) this.logged.delete(block);
    this.revoked = new Set();
    const { bsize } = state.em.em_fs;
    for (const bp of taken) this.logged.add(bp.b_offset / bsize);
  }

  /** Writes what is committed to its place, and gives the log free. */
  private async sendhome(): Promise<void> {
    const { state, log } = this;
    const { em_bufcache, em_dev } = state.em;
    if (log.used === 0 && this.logged.size === 0) return;
    state.unflushed = true;
    const wait = em_bufcache.bflush(em_dev, (bp) => !this.running.has(bp));
    if (wait) await wait;
    // Access times of inodes put away meanwhile: what they changed still needs its copy in the log.
    if (this.running.size > 0) return;
    await this.barrier();
    await log.settail(false);
    await this.barrier();
    this.logged.clear();
  }

  /** Volume and log, if that lies elsewhere. */
  private async barrier(): Promise<void> {
    const { dev } = this.log.log;
    this.state.unflushed = true;
    const wait = this.state.barrier();
    if (wait) await wait;
    if (dev !== this.state.em.em_dev) await dev.flush();
  }
}
