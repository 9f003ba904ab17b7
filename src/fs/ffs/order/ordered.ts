import { E, errno } from '../../../kernel/errno.js';
import type { Errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { ffs_clearinode } from '../space/ialloc.js';
import type { Inode } from '../volume/inode.js';
import type { WriteState } from '../volume/writestate.js';
import { IW } from '../volume/writestate.js';
import { dead_of, dead_release } from './dead.js';
import { DirtyBuffers } from './dirty.js';
import { flushrun } from './flush.js';
import { nameadded, namegoing, rankfloor } from './nameorder.js';
import { BK_INODE } from './ordering.js';
import type { Ordering } from './ordering.js';
import { ffs_emptyremoved } from './removeddirs.js';
import { ffs_update } from './update.js';

/** Links of one inode that may be gone in memory but not on the disk: the sum must fit the format's 15 bits. */
const MAXLINKSGONE = 8000;

/**
 * Ordered writes: how a volume without a journal survives a power cut. A flush writes what is dirty in phases
 * (flush.ts), with barriers between them; what a file no longer has is free only after the disk has learned that.
 */
export class OrderedWrites implements Ordering {
  readonly journalled = false;
  readonly state: WriteState;
  readonly dirty: DirtyBuffers;
  /** Open transactions are its readers, a flush its writer. */
  readonly lock = new RwLock();
  /** The next transaction begins with a flush. */
  #wantflush = false;

  constructor(state: WriteState) {
    const { ump } = state;
    this.state = state;
    this.dirty = new DirtyBuffers(state);
    // Nobody waits for this inside a transaction, so it may wait for all of them.
    ump.um_bufcache.onpressure(ump.um_dev, () => this.flush(true));
  }

  // ---- transactions

  begin(): MaybePromise<void> {
    const { broken, ump } = this.state;
    if (broken) throw errno(E.EIO);
    if ((ump.um_mountp.mnt_flag & MNT_RDONLY) !== 0) throw errno(E.EROFS);
    const wait = this.#wantflush ? this.flush(false) : ump.um_bufcache.throttle(ump.um_dev);
    if (wait) return wait.then(() => this.lock.enter(false));
    return this.lock.enter(false);
  }

  end(): void {
    this.lock.exit(false);
    this.state.kept?.quieted();
  }

  get shared(): boolean {
    return this.lock.shared;
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

  roomcoming(error: unknown): boolean {
    const { frees, dead, deadready } = this.state.pending;
    return (error as Errno).errno === E.ENOSPC && (frees.frags > 0 || dead.size > 0 || deadready.size > 0);
  }

  async flush(full: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      this.#wantflush = false;
      await flushrun(this.state, this.dirty, full);
      this.state.kept?.flushed();
    } finally {
      this.lock.exit(true);
    }
  }

  settledata(): MaybePromise<void> {
    return this.dirty.between();
  }

  // ---- size of a transaction: there is no limit

  readonly crowded = false;
  readonly mostalloc = Infinity;
  readonly mosttrim = Infinity;

  punchreach(_ip: Inode, _offset: number, end: number): MaybePromise<number> {
    return end;
  }

  reduce(): undefined {
    return undefined;
  }

  mayorphan(): void {}

  // ---- marking

  bdwrite(bp: Buf, kind: number): void {
    this.dirty.bdwrite(bp, kind);
  }

  bdwriteatime(bp: Buf): void {
    this.dirty.bdwrite(bp, BK_INODE);
  }

  initedcg(bp: Buf): void {
    this.dirty.initedcg.add(bp);
  }

  binval(fsb: number, n: number): void {
    this.dirty.binval(fsb, n);
  }

  touch(ip: Inode, flags: number): void {
    this.state.queue(ip, flags);
  }

  freelater(fsb: number, n: number): void {
    this.state.pending.frees.push(fsb, n);
    this.state.kept?.freeing(fsb, n);
  }

  // ---- links

  linkdown(ip: Inode, n: number, unknown = false): void {
    const { state } = this;
    n = Math.min(n, ip.i_nlink);
    ip.i_nlink -= n;
    if (!unknown && !state.isnew(ip)) {
      const { linksdown } = state.pending;
      const gone = (linksdown.get(ip.i_number) ?? 0) + n;
      linksdown.set(ip.i_number, gone);
      state.kept?.linksdown(ip.i_number, gone);
      if (gone > MAXLINKSGONE) this.#wantflush = true;
    }
    if (ip.i_nlink === 0 && n > 0) this.orphan(ip.i_number, ip.i_gen, ip.i_mode);
    this.touch(ip, IN_CHANGE);
  }

  orphan(ino: number, gen: number, mode: number): void {
    this.state.orphans++;
    this.state.kept?.orphan(ino, gen, mode);
  }

  /** One that the disk does not know is written as an empty one, if it is written at all. */
  emptyremoved(ip: Inode): MaybePromise<void> {
    if (this.state.isnew(ip)) return ffs_emptyremoved(ip);
    this.state.pending.toempty.add(ip);
  }

  unorphan(ino: number): void {
    this.state.orphans--;
    this.state.kept?.unorphan(ino);
  }

  discard(ip: Inode): MaybePromise<boolean> {
    if (this.state.isnew(ip) && !this.state.broken) return this.#discardnew(ip);
    // The disk must not know it with blocks that it has lost before.
    const wait = IW(ip).metadirty ? ffs_update(ip) : undefined;
    if (wait) return wait.then(() => this.#discardlater(ip));
    return this.#discardlater(ip);
  }

  /** The disk knows the inode, or may know it: a flush frees it. */
  #discardlater(ip: Inode): boolean {
    const dead = dead_of(ip);
    this.unorphan(ip.i_number);
    this.state.pending.adddead(dead);
    this.state.kept?.dead(dead);
    this.#forget(ip);
    return true;
  }

  /** The disk does not know the inode: it is freed at once. */
  async #discardnew(ip: Inode): Promise<boolean> {
    const { state } = this;
    const wait = this.begin();
    if (wait) await wait;
    try {
      const dead = dead_of(ip);
      if (!state.isnew(ip) || dead.ib.some((addr) => addr !== 0)) {
        await ffs_update(ip);
        return this.#discardlater(ip);
      }
      this.unorphan(ip.i_number);
      await ffs_clearinode(state.ump, ip.i_number);
      this.#forget(ip);
      await dead_release(state.ump, dead);
      return true;
    } finally {
      this.end();
    }
  }

  #forget(ip: Inode): void {
    this.state.unqueue(ip);
    ip.i_mode = 0;
    ip.i_flag = 0;
  }

  // ---- names

  nameadded(ip: Inode, dir: Inode, bp: Buf, chunk: number): void {
    nameadded(this.state, ip, dir, bp, chunk);
  }

  namegoing(ip: Inode, dp: Inode, bp: Buf, chunk: number): boolean {
    return namegoing(this.state, ip, dp, bp, chunk);
  }

  mayenter(ip: Inode, dp: Inode): boolean {
    return this.state.isnew(ip) || !this.state.isnew(dp);
  }

  rankfloor(rank: number, bp: Buf, chunk: number): boolean {
    return rankfloor(rank, bp, chunk);
  }
}
