import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import type { Slot } from '../dir/modify.js';
import { EXT_MAX_DEPTH, eh_depth } from '../disk/extent.js';
import { discard_cleared } from '../file/discard.js';
import { inode_fill } from '../file/fill.js';
import { Inode } from '../file/inode.js';
import { inode_put } from '../file/store.js';
import { ext2_ifree } from '../space/ialloc.js';
import type { WriteState } from '../volume/writestate.js';
import { Names } from './names.js';
import { BK_ALLOC, BK_DIR, BK_INDEX, BK_INODE, BK_LEAF, BK_NEW } from './ordering.js';
import type { Ordering } from './ordering.js';
import { flush_frees, flush_seal } from './prepare.js';

/** Links of one inode that may be gone in memory but not on the disk: the sum must fit into 16 bits. */
const LINKS_GONE_MAX = 400;
/** Rounds of a flush: names go, then inodes and their blocks, then bits of the bitmaps. */
const ROUNDS = 4;

/**
 * Ordered writes: how a volume without a journal survives a power cut, so that e2fsck repairs it without losing what
 * was
 * fsynced. A flush writes, with barriers between what relies on what was before:
 *
 *   0  bitmaps, descriptors, superblock as they have become by allocation; blocks that nothing on the disk points to
 *   1  inodes, then inner nodes of extent trees from the root down, then leaves and indirect blocks: what has moved
 * from
 *      a node to a new one is never without a way to it. Links are counted too high rather than too low
 *   2  directory blocks, by rank (names.ts)
 *      -> an fsync ends here
 *   3  in memory: links are counted down, inodes without names lose their blocks, blocks and inodes that the disk has
 *      in nobody's possession any more become free. A full flush goes on from 0 until nothing is left
 *
 * Bitmaps never call free what an inode on the disk has, and nothing is used again before that.
 */
export class Ordered implements Ordering {
  readonly journalled = false;
  readonly crowded = false;
  /** Open operations are its readers, a flush its writer. */
  private readonly lock = new RwLock();
  private readonly kinds: readonly Set<Buf>[] = [0, 1, 2, 3, 4, 5].map(() => new Set());
  private readonly names = new Names();
  /** Links that are gone in memory, and not yet on the disk. */
  private readonly gone = new Map<number, number>();
  /** Inodes whose names the disk may have, and those that the next flush writes as cleared. */
  private dead: Inode[] = [];
  private cleared: { ino: number; isdir: boolean }[] = [];
  private wantflush = false;

  constructor(private readonly state: WriteState) {
    const { em_bufcache, em_dev } = state.em;
    em_bufcache.onpressure(em_dev, () => this.flush(true));
  }

  begin(): MaybePromise<void> {
    this.state.mustwrite();
    const { em_bufcache, em_dev } = this.state.em;
    const wait = this.wantflush ? this.flush(false) : em_bufcache.throttle(em_dev);
    if (wait) return wait.then(() => this.lock.enter(false));
    return this.lock.enter(false);
  }

  end(): void {
    this.lock.exit(false);
  }

  async reopen(): Promise<void> {
    this.end();
    try {
      await this.flush(false);
    } finally {
      const wait = this.lock.enter(false);
      if (wait) await wait;
    }
  }

  dirty(bp: Buf, kind: number): void {
    this.state.em.em_bufcache.bdwrite(bp);
    if (kind !== BK_NEW && this.kinds[BK_NEW].has(bp)) return;
    this.kinds[kind].add(bp);
  }

  forget(block: number): void {
    const { em_bufcache, em_dev, em_fs } = this.state.em;
    const bp = em_bufcache.incore(em_dev, block * em_fs.bsize);
    if (bp !== undefined) {
      for (const set of this.kinds) set.delete(bp);
      this.names.forget(bp);
      this.state.seals.drop(bp);
      em_bufcache.brelse(bp);
    }
    em_bufcache.binval(em_dev, block * em_fs.bsize, em_fs.bsize);
  }

  linkdown(ip: Inode, n: number): void {
    const down = Math.min(n, ip.i_nlink);
    ip.i_nlink -= down;
    const gone = (this.gone.get(ip.i_number) ?? 0) + down;
    this.gone.set(ip.i_number, gone);
    this.state.rows?.links(ip.i_number, gone);
    if (gone > LINKS_GONE_MAX) this.wantflush = true;
  }

  linksgone(ino: number): number {
    return this.gone.get(ino) ?? 0;
  }

  async discard(ip: Inode): Promise<void> {
    const wait = this.begin();
    if (wait) await wait;
    await this.state.orphans.remove(ip);
    this.dead.push(ip);
    this.state.rows?.dead(ip.i_number, ip.i_mode);
    ip.i_gone = true;
    this.state.atimes.delete(ip);
    this.end();
  }

  nameadded(ip: Inode, dir: Inode, slot: Slot): void {
    this.names.added(ip.i_number, slot, dir.i_newepoch === this.state.epoch);
  }

  namegoing(ip: Inode, slot: Slot): boolean {
    return this.names.going(ip.i_number, slot);
  }

  dirgoing(ip: Inode, slot: Slot): boolean {
    return this.names.dirgoing(ip.i_number, slot);
  }

  async inherit(what: 'links' | 'dead', ino: number, n: number): Promise<void> {
    this.state.rows?.[what](ino, n);
    if (what === 'links') {
      this.gone.set(ino, n);
      return;
    }
    const ip = new Inode(this.state.em, ino);
    await inode_fill(ip);
    ip.i_gone = true;
    // The predecessor may have cleared it already.
    if (ip.i_dtime !== 0) this.cleared.push({ ino, isdir: (ip.i_mode & 0xf000) === 0x4000 });
    else this.dead.push(ip);
  }

  // ---- flushes

  async flush(full: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      this.wantflush = false;
      this.state.mustwrite();
      for (let round = 0; round < ROUNDS; round++) {
        await this.round();
        if (!full || !this.pending) break;
      }
    } finally {
      this.lock.exit(true);
    }
  }

  /** More is to be written. */
  private get pending(): boolean {
    const freeing = this.dead.length + this.cleared.length + this.state.frees.count;
    return freeing > 0 || this.kinds.some((set) => set.size > 0);
  }

  private async round(): Promise<void> {
    const { state } = this;
    for (const ip of state.atimes) await inode_put(ip);
    if (this.kinds[BK_ALLOC].size > 0) {
      const counts = state.sb.counts();
      if (counts) await counts;
    }
    await flush_seal(state);
    await this.write(this.kinds[BK_ALLOC]);
    await this.write(this.kinds[BK_NEW]);
    if (this.kinds[BK_INODE].size > 0) {
      await state.barrier();
      await this.write(this.kinds[BK_INODE]);
    }
    for (let depth = EXT_MAX_DEPTH; depth > 0 && this.kinds[BK_INDEX].size > 0; depth--) {
      const nodes = new Set([...this.kinds[BK_INDEX]].filter((bp) => eh_depth(bp.b_view, 0) >= depth));
      if (nodes.size === 0) continue;
      await state.barrier();
      for (const bp of nodes) this.kinds[BK_INDEX].delete(bp);
      await this.write(nodes);
    }
    if (this.kinds[BK_LEAF].size > 0) {
      await state.barrier();
      await this.write(this.kinds[BK_LEAF]);
    }
    await this.directories();
    await state.barrier();
    state.epoch++;
    this.names.clear();
    await this.release();
  }

  private async directories(): Promise<void> {
    const dirs = this.kinds[BK_DIR];
    for (let rank = 0; dirs.size > 0; rank++) {
      await this.state.barrier();
      const now = new Set([...dirs].filter((bp) => this.names.rank(bp) <= rank));
      await this.write(now, dirs);
    }
  }

  /** Writes a set and takes it out of `from`. */
  private async write(set: Set<Buf>, from: Set<Buf> = set): Promise<void> {
    if (set.size === 0) return;
    this.state.unflushed = true;
    const wait = this.state.em.em_bufcache.bflush(this.state.em.em_dev, (bp) => set.has(bp));
    if (wait) await wait;
    if (from === set) set.clear();
    else for (const bp of set) from.delete(bp);
  }

  /** What the disk does not count on any more. */
  private async release(): Promise<void> {
    const { state } = this;
    await flush_frees(state);
    const { cleared, dead } = this;
    this.cleared = [];
    this.dead = [];
    for (const { ino, isdir } of cleared) {
      await ext2_ifree(state, ino, isdir, state.inheriting);
      state.rows?.deadgone(ino);
    }
    for (const [ino, n] of [...this.gone]) {
      this.gone.delete(ino);
      state.rows?.links(ino, 0);
      await this.lower(ino, n);
    }
    for (const ip of dead) {
      await discard_cleared(state, ip);
      this.cleared.push({ ino: ip.i_number, isdir: (ip.i_mode & 0xf000) === 0x4000 });
    }
  }

  /** The disk has lost `n` names of an inode: its block counts that many links less. */
  private async lower(ino: number, n: number): Promise<void> {
    const { em } = this.state;
    const ip = new Inode(em, ino);
    await inode_fill(ip);
    ip.i_nlink = Math.max(0, ip.i_nlink - n);
    await inode_put(ip);
  }
}
