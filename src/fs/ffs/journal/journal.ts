import { E, errno } from '../../../kernel/errno.js';
import type { Errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { ffs_emptyremoved } from '../order/removeddirs.js';
import type { Ordering } from '../order/ordering.js';
import type { Inode } from '../volume/inode.js';
import type { WriteState } from '../volume/writestate.js';
import { Committer } from './committer.js';
import { blocksof, reachup } from './reach.js';
import type { WapblRing } from './ring.js';
import { RunningTransaction } from './running.js';
import { OPGROUPS, OPINDIRECTS, wapbl_oproom } from './size.js';
import { wapbl_cutdown, wapbl_discard } from './steps.js';

/**
 * Of the journal, a transaction may take one part in so many before it is committed, and as much sends blocks home: so
 * the next one finds room without more barriers.
 */
const SHARE = 3;
/** Blocks by which a directory shrinks, and a file grows, at once. */
const TRIMBLOCKS = 8;

/**
 * Logging: what takes the place of ordered writes on a volume with a journal (NetBSD's kern/vfs_wapbl.c).
 *
 * Operations change buffers inside begin..end; all changes since the last commit are one transaction on the disk
 * (running.ts). A commit (fsync, sync, a full journal) writes it (committer.ts).
 *
 * A buffer of the running transaction never goes home: every transaction is in the journal or without effect. Blocks
 * that files no longer have are freed in the commit's own transaction and hence reused only after it; a directory or
 * indirect block among them that the journal holds is revoked, so that a replay does not write it over what comes after
 * it. Inodes without links that are open are listed in every transaction: a replay frees them.
 *
 * **Why a transaction always fits.** An operation begins only if the transaction, what the commit will add to it, and
 * the most that each open operation may add ({@link wapbl_oproom}) fit into the journal; operations that could change
 * more are taken apart (steps.ts). Nothing else adds to a transaction: access times that are put away with an inode go
 * home without being logged. Should the journal still hold older transactions whose blocks cannot go home because they
 * have changed again, they are replayed to the disk from the journal itself, which makes all of it free.
 */
export class JournalledWrites implements Ordering {
  readonly journalled = true;
  readonly state: WriteState;
  readonly ring: WapblRing;
  /** Open transactions are its readers, a commit its writer. */
  readonly lock = new RwLock();
  readonly #running: RunningTransaction;
  readonly #committer: Committer;
  /** Operations that are open, or wait for a commit under way to begin. */
  #open = 0;
  /** Those that wait for the end of others. */
  #waiting: (() => void)[] = [];
  /** For tests: look at what every operation adds. */
  static measure = false;
  /** Length of the transaction when the one open operation began; -1: there have been others. */
  #base = -1;
  /** The most that one operation has added to a transaction, if that is looked at; bytes. */
  largest = 0;
  /** Bytes that one operation may add to the transaction. */
  readonly oproom: number;
  /** Bytes of a transaction that end it, and bytes of the journal in use that send the buffers home. */
  readonly #most: number;

  constructor(state: WriteState, ring: WapblRing) {
    const { um_bufcache, um_dev, um_fs } = state.ump;
    this.state = state;
    this.ring = ring;
    this.oproom = wapbl_oproom(um_fs);
    this.#most = ring.circ_size / SHARE;
    this.#running = new RunningTransaction(state, ring);
    this.#committer = new Committer(state, this.#running, ring, this.lock, this.#most);
    // Nobody waits for this inside a transaction, so it may wait for all of them.
    um_bufcache.onpressure(um_dev, () => this.#committer.commitsoon(true, false));
  }

  // ---- transactions

  begin(): MaybePromise<void> {
    const { broken, ump } = this.state;
    if (broken) throw errno(E.EIO);
    if ((ump.um_mountp.mnt_flag & MNT_RDONLY) !== 0) throw errno(E.EROFS);
    const wait = ump.um_bufcache.throttle(ump.um_dev);
    if (wait) return wait.then(() => this.begin());
    const running = this.#running;
    if (running.credit === 0) {
      const length = running.length();
      const { free } = this.ring;
      if (this.#committer.failed || length > this.#most || length + (this.#open + 1) * this.oproom > free) {
        return this.#beginlater();
      }
      // Open operations keep the room that they were given when they began.
      running.credit = Math.max(1, Math.floor((Math.min(this.#most, free) - length) / this.oproom) - this.#open);
    }
    running.credit--;
    this.#base = JournalledWrites.measure && this.#open === 0 ? running.length() : -1;
    return this.#enter();
  }

  async #beginlater(): Promise<void> {
    const { orphaned } = this.#running;
    for (let tries = 0; ; ) {
      if (this.state.broken) throw errno(E.EIO);
      const length = this.#running.length();
      if (this.#committer.failed || length > this.#most || length + this.oproom > this.ring.free) {
        if (tries++ > 2 && this.#running.blocks.size === 0 && this.#open === 0 && orphaned.size > 0) {
          throw errno(E.ENOSPC, `the journal is full of the ${orphaned.size} removed files that are still open`);
        }
        await this.#committer.commitsoon(tries > 1, tries > 1);
      } else if (length + (this.#open + 1) * this.oproom > this.ring.free) {
        // There is room for it, but not beside the others.
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      } else {
        break;
      }
    }
    this.#base = -1;
    this.#running.credit = 0;
    const wait = this.#enter();
    if (wait) await wait;
  }

  #enter(): MaybePromise<void> {
    this.#open++;
    return this.lock.enter(false);
  }

  end(): void {
    if (this.#base >= 0 && this.#open === 1) this.largest = Math.max(this.largest, this.#running.length() - this.#base);
    this.#base = -1;
    this.#open--;
    this.lock.exit(false);
    this.state.kept?.quieted();
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  get shared(): boolean {
    return this.lock.shared;
  }

  async reopen(): Promise<void> {
    this.end();
    try {
      await this.flush();
    } finally {
      const wait = this.#enter();
      if (wait) await wait;
    }
  }

  roomcoming(error: unknown): boolean {
    return (error as Errno).errno === E.ENOSPC && this.state.pending.frees.frags > 0;
  }

  flush(): Promise<void> {
    return this.#committer.commitsoon(false, false);
  }

  /** -o async changes nothing where there is a journal: without its barriers it could be replayed half written. */
  async settledata(): Promise<void> {
    if (this.#committer.failed) await this.flush();
    await this.state.barrier();
  }

  /** Everything to its place, and the journal empty but for the list of inodes. @throws EIO */
  checkpoint(): Promise<void> {
    return this.#committer.commitsoon(true, true);
  }

  /** Instead, after damage: see Committer.leavebroken. @throws EIO */
  leavebroken(): Promise<void> {
    return this.#committer.leavebroken();
  }

  // ---- size of a transaction

  get crowded(): boolean {
    const length = this.#running.length();
    return length + this.#open * this.oproom > this.ring.free || length > this.#most;
  }

  get mosttrim(): number {
    return TRIMBLOCKS * this.state.ump.um_fs.fs_bsize;
  }

  get mostalloc(): number {
    return TRIMBLOCKS * this.state.ump.um_fs.fs_bsize;
  }

  reduce(ip: Inode, length: number): MaybePromise<void> {
    if (length >= ip.i_size || Math.min(ip.i_fs.fs_ncg, blocksof(ip)) <= OPGROUPS) return undefined;
    return wapbl_cutdown(ip, length);
  }

  punchreach(ip: Inode, offset: number, end: number): MaybePromise<number> {
    return reachup(ip, offset, end, OPGROUPS, OPINDIRECTS);
  }

  mayorphan(): void {
    const { ring } = this;
    const { orphaned } = this.#running;
    // The list of the last commit stays until there is another.
    const lists = 2 * ring.length(0, 0, 0, orphaned.size + this.#open + 1);
    if (lists + this.oproom + 8192 + 16 * ring.place.blksize <= ring.circ_size) return;
    throw errno(E.ENOSPC, `the journal has no room for more removed files that are still open: ${orphaned.size}`);
  }

  // ---- marking

  bdwrite(bp: Buf, _kind?: number, from = 0, to = bp.b_bcount): void {
    this.#running.bdwrite(bp, from, to);
  }

  bdwriteatime(bp: Buf): void {
    this.state.ump.um_bufcache.bdwrite(bp);
  }

  initedcg(): void {
    // Inode blocks and group appear together.
  }

  binval(fsb: number, n: number): void {
    const { um_bufcache, um_dev, um_fs } = this.state.ump;
    for (let i = 0; i < n; i++) {
      const offset = um_fs.fsbtob(fsb + i);
      this.#running.revoke(offset);
      const bp = um_bufcache.incore(um_dev, offset);
      if (bp === undefined) continue;
      this.#running.forget(bp);
      this.#committer.forget(bp);
      bp.b_private = null;
      um_bufcache.brelse(bp);
    }
    um_bufcache.binval(um_dev, um_fs.fsbtob(fsb), um_fs.lfragtosize(n));
  }

  touch(ip: Inode, flags: number): void {
    this.state.queue(ip, flags);
    this.#running.inodeblocks.add(ip.i_fs.ino_to_fsba(ip.i_number));
  }

  freelater(fsb: number, n: number): void {
    const { um_fs } = this.state.ump;
    const last = um_fs.dtog(fsb + n - 1);
    for (let c = um_fs.dtog(fsb); c <= last; c++) this.#running.groups.add(c);
    this.state.pending.frees.push(fsb, n);
    this.state.kept?.freeing(fsb, n);
  }

  // ---- links

  linkdown(ip: Inode, n: number): void {
    n = Math.min(n, ip.i_nlink);
    ip.i_nlink -= n;
    if (ip.i_nlink === 0 && n > 0) this.orphan(ip.i_number, ip.i_gen, ip.i_mode);
    this.touch(ip, IN_CHANGE);
  }

  emptyremoved(ip: Inode): Promise<void> {
    return ffs_emptyremoved(ip);
  }

  orphan(ino: number, gen: number, mode: number): void {
    this.state.orphans++;
    this.state.kept?.orphan(ino, gen, mode);
    this.#running.orphaned.set(ino, mode);
  }

  unorphan(ino: number): void {
    if (!this.#running.orphaned.delete(ino)) return;
    this.state.orphans--;
    this.state.kept?.unorphan(ino);
  }

  isorphan(ino: number): boolean {
    return this.#running.orphaned.has(ino);
  }

  async discard(ip: Inode): Promise<boolean> {
    await wapbl_discard(ip);
    return true;
  }

  // ---- names: a transaction is atomic, there is no order inside it

  nameadded(): void {}

  namegoing(): boolean {
    return true;
  }

  rankfloor(): boolean {
    return true;
  }

  mayenter(): boolean {
    return true;
  }
}
