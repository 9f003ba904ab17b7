import { E, errno } from '../../../kernel/errno.js';
import type { Errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { RwLock } from '../../../kernel/vfs/rwlock.js';
import { dinode_store } from '../../ufs/dinode.js';
import { IN_ACCESS, IN_ACCESSED, IN_CHANGE, IN_MODIFIED, IN_UPDATE, ufs_itimes } from '../../ufs/inode.js';
import type { Inode } from '../volume/inode.js';
import { ffs_blkfree } from '../space/blkfree.js';
import type { DeadInode } from './dead.js';
import { BK_INODE, DirtyBuffers } from './dirty.js';
import { DINODE2_SIZE } from '../disk/fs_const.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { flushrun } from './flush.js';
import { FreeList } from '../space/freelist.js';
import type { Kept } from '../volume/kept.js';
import { IW } from '../volume/writestate.js';
import type { InodeWrite } from '../volume/writestate.js';
import { nameadded, namegoing, rankfloor } from './nameorder.js';

/**
 * Write ordering: how a volume without a journal survives a power cut. See "Write ordering" in README.md.
 *
 * Every change of metadata happens in memory, inside a transaction ({@link Order.begin} .. {@link Order.end}), and
 * marks buffers with {@link Order.bdwrite} and inodes with {@link Order.touch}. {@link Order.flush} waits until no
 * transaction is open and writes what is dirty in phases (flush.ts), with barriers between them. A journal would
 * replace flush.ts and leave the rest alone.
 */

/** ip.i_flag: waits in the list of dirty inodes. */
export const IN_QUEUED = 0x10000;
/** ip.i_flag: has changed since the last commit to memory that outlives the kernel (kept.ts). */
export const IN_KEPT = 0x20000;
export const IN_DIRTY = IN_ACCESS | IN_ACCESSED | IN_CHANGE | IN_UPDATE | IN_MODIFIED;
/** Links of one inode that may be gone in memory but not on the disk: the sum must fit the format's 15 bits. */
const MAXLINKSGONE = 8000;

/** Links by inode number. */
export type LinkCounts = Map<number, number>;
/** Inodes without a link and without a user, by number. */
export type Graveyard = Map<number, DeadInode>;

export class Order {
  readonly ump: FfsMount;
  readonly dirty: DirtyBuffers;
  /** Open transactions are its readers, a flush its writer. */
  protected readonly lock = new RwLock();
  /** Counts flushes that have begun: whatever was allocated before may be known to the disk. */
  epoch = 1;
  /** Counts flushes that have brought all names to the disk. */
  namesepoch = 1;
  /** Directories created one after another in each group (dirpref). */
  readonly contigdirs: Uint8Array;
  /** Random numbers in stock, and how many of them are unused. */
  readonly random = new Uint32Array(64);
  randomleft = 0;
  /** Dirty inodes in memory, to be copied to their blocks: those with IN_QUEUED. */
  readonly dirtyinodes = new Set<Inode>();
  /** Write states of inodes that left memory before a flush. */
  readonly parked = new Map<number, InodeWrite>();
  /** Blocks let go by inodes or indirect blocks that the disk still has in their old form. */
  readonly frees = new FreeList();
  /** Those that a flush is about to free. */
  freeing: FreeList | null = null;
  /** Links taken away in memory (by {@link linkdown}) whose names the disk may still have. The inode block counts them until a flush. */
  readonly linksdown: LinkCounts = new Map();
  /** The same, where the disk has lost the names: the next flush lowers the counts first of all. */
  readonly linksready: LinkCounts = new Map();
  /** Dead inodes whose names the disk may still have, and those whose names it has lost. */
  readonly dead: Graveyard = new Map();
  readonly deadready: Graveyard = new Map();
  /** 512-byte units held by dead inodes. */
  deadblocks = 0;
  /** Groups whose entry in the summary area has changed. */
  readonly dirtycs = new Set<number>();
  /** File data went to blocks that the disk does not know yet. */
  newdata = false;
  /** Files whose data the device did not take: their fsync fails until they are emptied or removed, or the volume is mounted again. */
  readonly lostdata = new Set<number>();
  /** Files without links that somebody still uses. */
  orphans = 0;
  /** Set by damage: no further changes are accepted, and the volume is not marked clean. */
  broken = false;
  /** An inode without links that may be loaded all the same: a predecessor's users have it open. */
  adopting = 0;
  /** What is kept for a successor; null: there is no memory for it. */
  protected kept: Kept | null = null;
  /** The next transaction begins with a flush. */
  #wantflush = false;

  constructor(ump: FfsMount) {
    this.ump = ump;
    this.dirty = new DirtyBuffers(ump);
    this.contigdirs = new Uint8Array(ump.um_fs.fs_ncg);
    // Nobody waits for this inside a transaction, so it may wait for all of them.
    ump.um_bufcache.onpressure(ump.um_dev, () => this.flush(true));
  }

  // ---- transactions

  /**
   * Opens a transaction; do not nest. Returns a promise only if it has to wait for a flush.
   * @throws EROFS on a read-only mount; EIO after damage.
   */
  begin(): MaybePromise<void> {
    if (this.broken) throw errno(E.EIO);
    if ((this.ump.um_mountp.mnt_flag & MNT_RDONLY) !== 0) throw errno(E.EROFS);
    const wait = this.#wantflush ? this.flush(false) : this.ump.um_bufcache.throttle(this.ump.um_dev);
    if (wait) return wait.then(() => this.lock.enter(false));
    return this.lock.enter(false);
  }

  end(): void {
    this.lock.exit(false);
    if (this.kept !== null) this.kept.quieted();
  }

  /** A transaction is open. */
  get shared(): boolean {
    return this.lock.shared;
  }

  /**
   * Runs `op` in a transaction. If it fails for lack of room while freed blocks wait for a flush, flushes and runs it
   * again; `op` must therefore have undone everything when it throws.
   */
  async run<T>(op: () => MaybePromise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const wait = this.begin();
      if (wait) await wait;
      try {
        return await op();
      } catch (error) {
        if (attempt > 0 || !this.roomcoming(error)) throw error;
      } finally {
        this.end();
      }
      await this.flush(true);
    }
  }

  /** May a file lose its last link now, while it may be in use? @throws ENOSPC */
  mayorphan(): void {}

  /** Would a flush make room after this error? */
  roomcoming(error: unknown): boolean {
    return (error as Errno).errno === E.ENOSPC && (this.frees.frags > 0 || this.dead.size > 0 || this.deadready.size > 0);
  }

  /** The transaction should end before it changes more: where a journal must hold it as a whole. */
  get crowded(): boolean {
    return false;
  }

  /** Bytes of a file that may be allocated in one transaction. */
  get mostalloc(): number {
    return Infinity;
  }

  /** How far from byte `offset` on, up to `end`, blocks of a file may be let go in one transaction. */
  punchreach(_ip: Inode, _offset: number, end: number): MaybePromise<number> {
    return end;
  }

  /** Bytes by which a directory may be cut in one transaction. */
  get mosttrim(): number {
    return Infinity;
  }

  /** Outside of transactions, before a file is cut to `length` bytes: brings that down to what one transaction can do. */
  reduce(_ip: Inode, _length: number): MaybePromise<void> {
    return undefined;
  }

  /** In the middle of a transaction, with everything in memory consistent: closes it, flushes, opens another. */
  async reopen(): Promise<void> {
    this.end();
    try {
      await this.flush(false);
    } finally {
      const wait = this.lock.enter(false);
      if (wait) await wait;
    }
  }

  /**
   * Brings everything that is dirty to the device, in order, and returns when it is on stable storage.
   * @param full also clears dead inodes, frees blocks, and writes cylinder groups and superblock; without it all that
   *   a check of the volume could not find out by itself is written
   */
  async flush(full: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      this.#wantflush = false;
      await flushrun(this, full, this.kept);
      this.kept?.flushed();
    } finally {
      this.lock.exit(true);
    }
  }

  // ---- for a successor

  keepin(kept: Kept): void {
    this.kept = kept;
  }

  /** All frags that are to be freed. */
  get freelists(): readonly FreeList[] {
    return this.freeing === null ? [this.frees] : [this.frees, this.freeing];
  }

  /** The counts of group `c` have changed. */
  recount(c: number): void {
    this.dirtycs.add(c);
    this.kept?.cs(c);
  }

  /** The inode's block has been cleared. */
  cleared(ino: number): void {
    this.kept?.copied(ino);
  }

  /** The device did not take data of the file: its fsync fails from now on. */
  lose(ino: number): void {
    this.lostdata.add(ino);
    this.kept?.moved();
  }

  // ---- marking

  /**
   * Delayed write of a metadata buffer (BK_*); the reference stays the caller's.
   * @param _from only bytes from here on
   * @param _to and before here have changed; all if not given
   */
  bdwrite(bp: Buf, kind: number, _from?: number, _to?: number): void {
    this.dirty.bdwrite(bp, kind);
  }

  /** Like bdwrite, of an inode block in which only an access time has changed; may be called outside of transactions. */
  bdwriteatime(bp: Buf): void {
    this.dirty.bdwrite(bp, BK_INODE);
  }

  /** A group whose cg_initediblk was raised. */
  initedcg(bp: Buf): void {
    this.dirty.initedcg.add(bp);
  }

  /** Forgets the cached metadata in frags fsb..fsb+n-1, which are being freed or moved. */
  binval(fsb: number, n: number): void {
    this.dirty.binval(fsb, n);
  }

  /** Something was written to the device since the last barrier. */
  get unflushed(): boolean {
    return this.dirty.unflushed;
  }
  set unflushed(value: boolean) {
    this.dirty.unflushed = value;
  }

  /** Only a barrier. */
  barrier(): Promise<void> {
    return this.dirty.barrier();
  }

  /** Data written in place is to be durable; -o async promises that to nobody. */
  settledata(): MaybePromise<void> {
    return this.dirty.between();
  }

  /** IN_CHANGE, IN_UPDATE or IN_MODIFIED: times to set, and the inode to be written. */
  touch(ip: Inode, flags: number): void {
    if ((ip.i_flag & IN_QUEUED) === 0) this.dirtyinodes.add(ip);
    ip.i_flag |= flags | IN_QUEUED;
    this.kept?.inode(ip);
  }

  /** The inode is on its block, or dead: it need not be kept in memory for that. */
  untouch(ip: Inode): void {
    if ((ip.i_flag & IN_QUEUED) === 0) return;
    ip.i_flag &= ~IN_QUEUED;
    this.dirtyinodes.delete(ip);
  }

  /** Like touch, for changes that fdatasync must not leave out. */
  touchmeta(ip: Inode, flags: number): void {
    this.touch(ip, flags | IN_MODIFIED);
    IW(ip).metadirty = true;
  }

  /** The disk does not know this inode. */
  isnew(ip: Inode): boolean {
    return ip.i_private !== null && IW(ip).newepoch === this.epoch;
  }

  /** Copies the dirty inodes to their blocks. */
  async updateinodes(): Promise<void> {
    for (const ip of this.dirtyinodes) {
      const wait = this.update(ip);
      if (wait) await wait;
      this.untouch(ip);
      IW(ip).metadirty = false;
    }
  }

  /** The inode leaves memory before a flush: what is known of its names must not be forgotten. */
  park(ip: Inode): void {
    const iw = ip.i_private as InodeWrite | null;
    if (iw !== null && (iw.namesepoch === this.namesepoch || iw.newepoch === this.epoch)) this.parked.set(ip.i_number, iw);
  }

  /** ffs_update: copies an inode to its block if it has changed. */
  update(ip: Inode): MaybePromise<void> {
    if ((ip.i_flag & IN_DIRTY) === 0) return undefined;
    const { um_bufcache, um_dev, um_fs } = this.ump;
    const bp = um_bufcache.bread(um_dev, um_fs.fsbtob(um_fs.ino_to_fsba(ip.i_number)), um_fs.fs_bsize);
    if (bp instanceof Promise) return bp.then((got) => this.#copy(ip, got));
    return this.#copy(ip, bp);
  }

  #copy(ip: Inode, bp: Buf): void {
    const { um_bufcache, um_dinofmt, um_fs } = this.ump;
    ufs_itimes(ip);
    // Free already: a stale vnode must not bring the inode back.
    if (ip.i_mode !== 0 && !this.isdead(ip.i_number)) {
      const nlink = ip.i_nlink;
      ip.i_nlink = nlink + this.linksgone(ip.i_number);
      const at = um_fs.ino_to_bo(ip.i_number);
      dinode_store(ip, bp.b_view, at, um_dinofmt);
      ip.i_nlink = nlink;
      if ((ip.i_flag & IN_MODIFIED) !== 0) this.bdwrite(bp, BK_INODE, at, at + DINODE2_SIZE);
      else this.bdwriteatime(bp);
    }
    ip.i_flag &= ~(IN_MODIFIED | IN_ACCESSED);
    um_bufcache.brelse(bp);
    this.kept?.copied(ip.i_number);
  }

  // ---- what is gone in memory but not on the disk

  /** Links of `ino` that the inode block still counts though they are gone. */
  linksgone(ino: number): number {
    return (this.linksdown.get(ino) ?? 0) + (this.linksready.get(ino) ?? 0);
  }

  /** Gives `ip` a link: its name was written into a chunk of `bp`, a block of directory `dir`. */
  linkup(ip: Inode, dir: Inode, bp: Buf, chunk: number): void {
    this.nameadded(ip, dir, bp, chunk);
    ip.i_nlink++;
    this.touch(ip, IN_CHANGE);
  }

  /**
   * Takes `n` links away from an inode. The disk learns it only after the names have gone from it.
   * @param unknown the disk never had what counted for these links
   */
  linkdown(ip: Inode, n: number, unknown = false): void {
    n = Math.min(n, ip.i_nlink);
    ip.i_nlink -= n;
    if (!unknown && !this.isnew(ip)) {
      const gone = (this.linksdown.get(ip.i_number) ?? 0) + n;
      this.linksdown.set(ip.i_number, gone);
      this.kept?.linksdown(ip.i_number, gone);
      if (gone > MAXLINKSGONE) this.#wantflush = true;
    }
    if (ip.i_nlink === 0 && n > 0) this.orphan(ip.i_number, ip.i_gen, ip.i_mode);
    this.touch(ip, IN_CHANGE);
  }

  /** The inode has lost its last link and lives until its last user has gone. */
  orphan(ino: number, gen: number, mode: number): void {
    this.orphans++;
    this.kept?.orphan(ino, gen, mode);
  }

  /** The last user has gone. */
  unorphan(ino: number): void {
    this.orphans--;
    this.kept?.unorphan(ino);
  }

  /** Frees an inode without links and users at once, where that can be done; undefined: {@link bury} it. */
  retire(_ip: Inode): Promise<boolean> | undefined {
    return undefined;
  }

  isdead(ino: number): boolean {
    return this.dead.has(ino) || this.deadready.has(ino);
  }

  /** The last user of an inode without links has gone; it is cleared and its blocks are freed by a flush. */
  bury(dead: DeadInode): void {
    this.dead.set(dead.ino, dead);
    this.deadblocks += dead.blocks;
    this.kept?.dead(dead);
  }

  /** Frags that flushes will free. */
  get pendingfrags(): number {
    return this.frees.frags + Math.floor((this.deadblocks * 512) / this.ump.um_fs.fs_fsize);
  }

  get pendinginodes(): number {
    return this.dead.size + this.deadready.size;
  }

  /** Lets go of frags that `ip` used. Those that the disk does not know in its possession are free at once. @throws EIO for what is no frag */
  release(ip: Inode, fsb: number, n: number): MaybePromise<void> {
    if (this.isnew(ip)) return ffs_blkfree(this.ump, fsb, n);
    if (!(fsb > 0 && fsb + n <= this.ump.um_fs.fs_size)) throw this.damage(`inode ${ip.i_number}: freeing ${n} frags at ${fsb}: outside the volume`);
    this.freelater(fsb, n);
    return undefined;
  }

  /** These frags are free once nothing on the disk points to them. */
  freelater(fsb: number, n: number): void {
    this.frees.push(fsb, n);
    this.kept?.freeing(fsb, n);
  }

  // ---- order of names (nameorder.ts)

  /** A name of `ip` was written into a chunk of `bp`, a block of directory `dir`. */
  nameadded(ip: Inode, dir: Inode, bp: Buf, chunk: number): void {
    nameadded(this, ip, dir, bp, chunk);
  }

  /** A name of `ip` is about to go from a chunk of `bp`, a block of `dp`. False: only after {@link reopen}. */
  namegoing(ip: Inode, dp: Inode, bp: Buf, chunk: number): boolean {
    return namegoing(this, ip, dp, bp, chunk);
  }

  /**
   * May directory `ip` get a name in `dp` now? Not if the disk knows it and does not know `dp`: a checker that finds `dp`
   * without its name, but with this one in it, would take the old name for the one too many. False: flush first.
   */
  mayenter(ip: Inode, dp: Inode): boolean {
    return this.isnew(ip) || !this.isnew(dp);
  }

  /** The name of a directory is about to go from a chunk of `bp`; chunks of its own have ranks up to `rank`. */
  rankfloor(rank: number, bp: Buf, chunk: number): boolean {
    return rankfloor(rank, bp, chunk);
  }

  // ---- damage

  /**
   * The device could not bring to stable storage what it was given, and what that was nobody knows any more: nothing
   * that comes after could be kept either.
   */
  unflushable(): void {
    if (this.broken) return;
    this.broken = true;
    this.kept?.moved();
    this.ump.um_kernel.log('error', `${this.ump.um_mountp.mnt_mntfromname}: what was written last may be lost; nothing more is written to the volume until it is mounted again`);
  }

  /**
   * The volume contradicts itself. Logs it once, stops all further changes, and returns the error to throw.
   * @param what structure, place, and value
   */
  damage(what: string): Errno {
    if (this.broken) return errno(E.EIO, what);
    this.broken = true;
    this.kept?.moved();
    return this.ump.um_damage.error(`${what}; nothing more is written to the volume until it is mounted again`);
  }
}

/** The links of an inode that are left of those that its block counts: 0 if the inode is dead. */
export function ffs_linksleft(ump: FfsMount, ino: number, nlink: number): number {
  const order = ump.um_private as Order | null;
  if (order === null) return nlink;
  return order.isdead(ino) ? 0 : Math.max(0, nlink - order.linksgone(ino));
}

/** For loadvnode: what was known of the inode when it left memory is known again. */
export function ffs_reloaded(ip: Inode): void {
  const order = ip.i_ump.um_private as Order | null;
  ip.i_nlink = ffs_linksleft(ip.i_ump, ip.i_number, ip.i_nlink);
  if (order !== null) ip.i_private = order.parked.get(ip.i_number) ?? null;
}
