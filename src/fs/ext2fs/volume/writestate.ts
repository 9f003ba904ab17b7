import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { MountedDevice } from '../../../kernel/vfs/mntdev.js';
import type { Inode } from '../file/inode.js';
import { Rows } from '../order/rows.js';
import { Seals } from '../order/seals.js';
import type { Ordering } from '../order/ordering.js';
import { FreeList } from '../space/freelist.js';
import { Groups } from '../space/groups.js';
import type { Ext2Mount } from './ext2mount.js';
import { Orphans } from './orphans.js';
import { SbWriter } from './sbwriter.js';

/**
 * What there is of a volume that is written: Ext2Mount.em_write.
 *
 * broken: a write failed in the middle of a change, or the volume contradicts itself. Nothing is changed any more, and
 * the volume is marked as damaged where that can still be written.
 */
export class WriteState {
  readonly em: Ext2Mount;
  order!: Ordering;
  readonly groups: Groups;
  readonly sb: SbWriter;
  readonly rows: Rows | null;
  readonly frees: FreeList;
  readonly seals: Seals;
  readonly orphans: Orphans;
  broken: string | undefined;
  /** Something was written since the last barrier. */
  unflushed = false;
  /** Counts flushes. */
  epoch = 1;
  /** Files whose data was lost because a write failed: their next fsync says so. */
  readonly lost = new Set<number>();
  /** Inodes of which only the access time differs from their blocks. */
  readonly atimes = new Set<Inode>();
  /** Where large writes of file data can be put off; null: nowhere. */
  posting: MountedDevice | null = null;
  /** What a predecessor has left is being taken up: some of it may have been done already. */
  inheriting = false;
  /** The superblock has been told that there are attributes. */
  attributes = false;
  /** The inode that may be loaded although it has no links. */
  adopting = 0;
  private seed: number;

  constructor(em: Ext2Mount) {
    const { mnt_kept } = em.em_mountp;
    this.em = em;
    this.rows = mnt_kept === null ? null : new Rows(mnt_kept);
    this.groups = new Groups(this);
    this.sb = new SbWriter(this);
    const { s_first_data_block: first, s_blocks_per_group: per } = em.em_fs;
    this.frees = new FreeList(this.rows, (block) => Math.floor((block - first) / per));
    this.seals = new Seals(em, this.rows);
    this.orphans = new Orphans(this);
    const { sec, nsec } = em.em_kernel.now();
    this.seed = (sec ^ nsec) >>> 0 || 1;
  }

  /** uint32; for generations and for spreading. */
  random(): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    const { nsec } = this.em.em_kernel.now();
    return ((this.seed ^ (this.seed >>> 15)) + nsec) >>> 0;
  }

  /** Nothing is changed any more. */
  fail(why: string): void {
    if (this.broken !== undefined) return;
    this.broken = why;
    this.em.em_kernel.log('error', `${this.em.em_mountp.mnt_mntfromname}: not written any more: ${why}`);
    this.rows?.volume(true);
  }

  /** The volume contradicts itself. @returns the EIO to throw */
  damage(what: string): Error {
    this.fail(`${what}; run a check (rumpfuse fsck)`);
    return this.em.em_damage.error(what);
  }

  /** @throws EIO */
  mustwrite(): void {
    if (this.broken !== undefined) throw errno(E.EIO, this.broken);
  }

  /** Everything that was written is on stable storage. @throws EIO */
  barrier(): MaybePromise<void> {
    if (!this.unflushed) return undefined;
    const flushing = this.em.em_dev.flush();
    if (flushing instanceof Promise) return flushing.then(() => void (this.unflushed = false));
    this.unflushed = false;
    return undefined;
  }

  /** A block of the map of `ip` is not needed any more: it becomes free with the next flush. */
  freenode(ip: Inode, block: number): void {
    if (!this.em.inside(block, 1)) throw this.damage(`inode ${ip.i_number}: block ${block} of its map lies outside`);
    this.order.forget(block);
    this.frees.push(block, this.em.em_fs.clusterblocks);
  }

  /** An error for which a flush may make room? */
  roomcoming(error: unknown): boolean {
    return (error as { errno?: number }).errno === E.ENOSPC && this.frees.count > 0;
  }
}
