import { MNT_ASYNC } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { flush_phases } from './flush.js';
import { KeptRows } from './rows.js';

/** Old entries of a renamed file: they leave the disk when the new one has reached it. */
export interface Removal {
  /** Places of the entries, short and long. */
  readonly places: readonly number[];
  /** First cluster of the directory that they are in; 0: the root. */
  readonly dir: number;
  /** Index of the first of them in the directory. */
  readonly slot: number;
}

/**
 * The order in which changes reach the disk, which has no journal: whenever the power goes, nothing that an entry names
 * is free or another file's, and at worst clusters are lost that no entry names.
 *
 * What an operation changes is in buffers when it returns; flush.ts writes them in phases. What must not even be in a
 * buffer before an earlier phase is on the disk waits here: clusters to be freed, the new ends of files that were cut,
 * and the old entries of renamed files. File data goes to the device when it is written, and so do new clusters of
 * directories.
 */
export class Order {
  readonly pmp: MsdosMount;
  /** Shared by operations that change something, exclusively by flushes. */
  readonly lock = new RwLock();
  readonly fatdirty = new Set<Buf>();
  readonly dirdirty = new Set<Buf>();
  /** First clusters of chains to be freed, and how many clusters each is thought to have. */
  readonly frees = new Map<number, number>();
  /** Clusters that end their file although the FAT still goes on behind them. */
  readonly cuts = new Set<number>();
  /** Ends of chains that the disk knows, and the clusters that come behind them: see {@link link}. */
  readonly links = new Map<number, number>();
  /** Places of entries with MOVED_HERE. */
  readonly marks = new Set<number>();
  /** Counts flushes. */
  epoch = 0;
  /** By place of the short entry. */
  readonly removals = new Map<number, Removal>();
  /** File data, or a new cluster of a directory, went to the device since the last barrier; and anything. */
  newdata = false;
  unflushed = false;
  /** The counts in the FSInfo sector are not those of the volume. */
  infodirty = true;
  /** The volume was clean when it became writable, and is marked so again in the end. */
  wasclean = false;
  /** Files without an entry that are still open. */
  orphans = 0;
  /** Files whose data could not be written: fsync of them fails until they are emptied. */
  readonly lost = new Set<number>();
  readonly rows: KeptRows;

  constructor(pmp: MsdosMount) {
    this.pmp = pmp;
    this.rows = new KeptRows(pmp.pm_mountp);
  }

  // ---- operations

  /** Runs a change of the volume; no flush gets between its parts. */
  run<T>(body: () => MaybePromise<T>): MaybePromise<T> {
    const wait = this.lock.enter(false);
    if (wait) return wait.then(() => this.inside(body));
    return this.inside(body);
  }

  private inside<T>(body: () => MaybePromise<T>): MaybePromise<T> {
    let result: MaybePromise<T>;
    try {
      result = body();
    } catch (thrown) {
      this.lock.exit(false);
      throw thrown;
    }
    if (result instanceof Promise) return result.finally(() => this.lock.exit(false));
    this.lock.exit(false);
    return result;
  }

  dirtyFat(bp: Buf): void {
    this.pmp.pm_bufcache.bdwrite(bp);
    this.fatdirty.add(bp);
    this.infodirty = true;
  }

  dirtyDir(bp: Buf): void {
    this.pmp.pm_bufcache.bdwrite(bp);
    this.dirdirty.add(bp);
  }

  /** The chain that begins with `first` belongs to nobody; `count`: its clusters, as far as that is known. */
  free(first: number, count: number): void {
    this.frees.set(first, count);
    this.rows.free(first, count);
  }

  /** `last` ends its file from now on; what came behind it is for `free`. */
  cut(last: number): void {
    this.cuts.add(last);
    this.rows.cut(last, true);
  }

  /** The cluster is not in a chain any more, or ends it on the disk. */
  uncut(last: number): void {
    if (this.cuts.delete(last)) this.rows.cut(last, false);
  }

  /**
   * `next` comes behind `last` in a chain. Where the disk knows the chain and the cell of `next` is in another sector
   * than that of `last`, only one of which may be there when the power goes, `last` is written when `next` is on the
   * disk. `last` is pinned.
   */
  link(last: number, next: number, fresh: boolean): void {
    const { pm_fat: fat } = this.pmp;
    if (fresh || fat.onesector(last, next)) {
      fat.set(last, next);
      return;
    }
    this.links.set(last, next);
    this.rows.link(last, next);
  }

  /** The link is in the FAT, or is not to be any more. @returns whether there was one */
  unlink(last: number): boolean {
    if (!this.links.delete(last)) return false;
    this.rows.link(last, null);
    return true;
  }

  /** The entry at that place has MOVED_HERE (or has it no more). */
  mark(place: number, there: boolean): void {
    if (there) this.marks.add(place);
    else this.marks.delete(place);
    this.rows.mark(place, there);
  }

  remove(place: number, removal: Removal): void {
    this.removals.set(place, removal);
    this.rows.removal(place, removal);
  }

  removed(place: number): void {
    if (this.removals.delete(place)) this.rows.removal(place, null);
  }

  /** The file has lost data: fsync of it fails until it is emptied. */
  lose(number: number): void {
    this.lost.add(number);
  }

  /** Clusters that wait to be freed. */
  get pending(): number {
    let clusters = 0;
    for (const count of this.frees.values()) clusters += count;
    return clusters;
  }

  // ---- flushing

  /** Every write that returned before is on stable storage afterwards. Costs nothing if there was none. @throws EIO */
  barrier(): MaybePromise<void> {
    if (!this.unflushed) return undefined;
    this.unflushed = this.newdata = false;
    const failed = (error: unknown): never => {
      this.unflushed = true;
      throw error;
    };
    try {
      const wait = this.pmp.pm_dev.flush();
      return wait instanceof Promise ? wait.catch(failed) : undefined;
    } catch (error) {
      return failed(error);
    }
  }

  /** The barrier between writes that rely on each other. With -o async there is none. */
  between(): MaybePromise<void> {
    return (this.pmp.pm_mountp.mnt_flag & MNT_ASYNC) !== 0 ? undefined : this.barrier();
  }

  /**
   * Brings everything to the disk; `full`: what was let go of is free there, too, and the counts are right. Not inside
   * `run`.
   * @throws EIO; what was not written is written by the next flush
   */
  async flush(full: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      await flush_phases(this, full);
    } finally {
      this.lock.exit(true);
    }
  }
}
