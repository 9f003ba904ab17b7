import { E, errno } from '../../kernel/errno.js';
import type { Errno } from '../../kernel/errno.js';
import { MNT_RDONLY } from '../../kernel/fcntl.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../kernel/vfs/bio.js';
import { RwLock } from '../../kernel/vfs/rwlock.js';
import { S_IFDIR, S_IFMT } from '../../kernel/stat.js';
import { IN_ACCESS, IN_ACCESSED, IN_CHANGE, IN_MODIFIED, IN_UPDATE, ufs_itimes } from '../ufs/inode.js';
import type { Inode } from '../ufs/inode.js';
import { dinode_store } from '../ufs/dinode.js';
import { ffs_blkfree } from './blkfree.js';
import { ffs_cgstamp, ffs_cswriteback, ffs_sbwriteback } from './cgupdate.js';
import { dead_clear, dead_release } from './dead.js';
import type { DeadInode } from './dead.js';
import { DirDep } from './dirdep.js';
import type { FfsMount } from './ffsmount.js';
import { FreeList } from './freelist.js';

/**
 * Write ordering: how a volume without a journal survives a power cut. See "Write ordering" in README.md.
 *
 * Every change of metadata happens in memory, inside a transaction ({@link Order.begin} .. {@link Order.end}), and
 * marks buffers with {@link Order.bdwrite}. {@link Order.flush} waits until no transaction is open and writes what is
 * dirty in phases, with a barrier of the device between them. A journal would replace flush and leave the rest alone.
 */

/** What a dirty buffer holds; decides the phase that writes it. */
/** New on the disk and nothing on the disk points to it yet: indirect blocks, newly initialised inode blocks. */
export const BK_NEW = 0;
/** Inode blocks, and indirect blocks that the disk knows. */
export const BK_INODE = 1;
/** Directory blocks; how far they are new is told by their {@link DirDep}. */
export const BK_DIR = 2;
/** Cylinder groups. */
export const BK_CG = 3;

/** What the write side knows of an inode in memory (ip.i_private). */
export class InodeWrite {
  /** The flush epoch in which the inode was allocated: while it lasts the disk does not know the inode. */
  newepoch = 0;
  /** Chunks that hold names which the disk may not have yet; valid in epoch {@link namesepoch}. */
  readonly newnames: { dep: DirDep; chunk: number }[] = [];
  namesepoch = 0;
  /** More names than {@link newnames} keeps. */
  manynames = false;
  /** Directory that holds the one name of a directory created in this epoch. */
  parent: Inode | null = null;
  /** Of a directory: when it was last read, seconds; and where the next search for a chunk to compact begins. */
  dirread = 0;
  compactat = 0;
  /** Waits in the list of dirty inodes. */
  queued = false;
  /** Size, pointers or ownership changed since the last flush: fdatasync must write the inode. */
  metadirty = false;
}

/** The write side's state of an inode. */
export function IW(ip: Inode): InodeWrite {
  return (ip.i_private ??= new InodeWrite()) as InodeWrite;
}

/** The write side's state of a mounted volume; only volumes mounted for writing have one. */
export function ORDER(ump: FfsMount): Order {
  const order = ump.um_private as Order | null;
  if (order === null) throw errno(E.EROFS);
  return order;
}

/** What the inode block of `ino` tells too much: links gone, Infinity if the inode itself is. For loadvnode. */
export function ffs_linksgone(ump: FfsMount, ino: number): number {
  const order = ump.um_private as Order | null;
  if (order === null) return 0;
  return order.isdead(ino) ? Infinity : order.linksgone(ino);
}

const MAXNEWNAMES = 4;
/** New directories above each other that one rename looks up before it flushes instead. */
const MAXNEWDEPTH = 16;

export class Order {
  readonly ump: FfsMount;
  /** Open transactions are its readers, a flush its writer. */
  protected readonly lock = new RwLock();
  /** Counts flushes. */
  epoch = 1;
  /** Directories created one after another in each group (dirpref). */
  readonly contigdirs: Uint8Array;
  readonly #dirty: readonly Set<Buf>[] = [new Set(), new Set(), new Set(), new Set()];
  /** Dirty inodes, to be copied to their blocks. */
  protected inodes: Inode[] = [];
  /** Blocks let go by inodes or indirect blocks that the disk still has in their old form. */
  readonly frees = new FreeList();
  /** By inode number: links taken away in memory whose names the disk may still have. The inode block holds the sum. */
  readonly #linkdown = new Map<number, number>();
  /** The same, where the disk has lost the names: the next flush lowers the counts first of all. */
  readonly #linkready = new Map<number, number>();
  /** Inodes without a link and without a user, by number. */
  readonly #dead = new Map<number, DeadInode>();
  readonly #deadready = new Map<number, DeadInode>();
  /** 512-byte units held by dead inodes. */
  #deadblocks = 0;
  /** Groups whose inode maps cover newly initialised inode blocks: must be on the disk before any name. */
  readonly #initedcg = new Set<Buf>();
  /** Groups whose entry in the summary area has changed. */
  readonly dirtycs = new Set<number>();
  /** File data went to blocks that the disk does not know yet. */
  newdata = false;
  /** Something was written since the last barrier. */
  unflushed = false;
  /** Files without links that somebody still uses. */
  orphans = 0;
  /** Set by damage: no further changes are accepted, and the volume is not marked clean. */
  broken = false;

  constructor(ump: FfsMount) {
    this.ump = ump;
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
    const wait = this.ump.um_bufcache.throttle(this.ump.um_dev);
    if (wait) return wait.then(() => this.lock.enter(false));
    return this.lock.enter(false);
  }

  end(): void {
    this.lock.exit(false);
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

  /** Would a flush make room after this error? */
  roomcoming(error: unknown): boolean {
    return (error as Errno).errno === E.ENOSPC && (this.frees.frags > 0 || this.#dead.size > 0 || this.#deadready.size > 0);
  }

  /** The transaction should end before it changes more: where a journal must hold it as a whole. */
  get crowded(): boolean {
    return false;
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

  // ---- marking

  /** Delayed write of a metadata buffer; the reference stays the caller's. */
  bdwrite(bp: Buf, kind: number): void {
    this.ump.um_bufcache.bdwrite(bp);
    if (kind === BK_INODE && this.#dirty[BK_NEW]!.has(bp)) return;
    this.#dirty[kind]!.add(bp);
  }

  /** A group whose cg_initediblk was raised. */
  initedcg(bp: Buf): void {
    this.#initedcg.add(bp);
  }

  /** Forgets the cached metadata in frags fsb..fsb+n-1, which are being freed or moved. */
  binval(fsb: number, n: number): void {
    const { um_bufcache, um_dev, um_fs } = this.ump;
    for (let i = 0; i < n; i++) {
      const bp = um_bufcache.incore(um_dev, um_fs.fsbtob(fsb + i));
      if (bp === undefined) continue;
      for (const set of this.#dirty) set.delete(bp);
      bp.b_private = null;
      um_bufcache.brelse(bp);
    }
    um_bufcache.binval(um_dev, um_fs.fsbtob(fsb), um_fs.lfragtosize(n));
  }

  /** IN_CHANGE, IN_UPDATE or IN_MODIFIED: times to set, and the inode to be written. */
  touch(ip: Inode, flags: number): void {
    ip.i_flag |= flags;
    const iw = IW(ip);
    if (iw.queued) return;
    iw.queued = true;
    this.inodes.push(ip);
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

  // ---- links

  /** Links of `ino` that the inode block still counts though they are gone. */
  linksgone(ino: number): number {
    return (this.#linkdown.get(ino) ?? 0) + (this.#linkready.get(ino) ?? 0);
  }

  /** Takes `n` links away from an inode. The disk learns it only after the names have gone from it. */
  linkdown(ip: Inode, n: number): void {
    n = Math.min(n, ip.i_nlink);
    ip.i_nlink -= n;
    if (!this.isnew(ip)) this.#linkdown.set(ip.i_number, (this.#linkdown.get(ip.i_number) ?? 0) + n);
    if (ip.i_nlink === 0 && n > 0) this.orphans++;
    this.touch(ip, IN_CHANGE);
  }

  /** Frees an inode without links and users at once, where that can be done; undefined: {@link bury} it. */
  retire(_ip: Inode): Promise<boolean> | undefined {
    return undefined;
  }

  isdead(ino: number): boolean {
    return this.#dead.has(ino) || this.#deadready.has(ino);
  }

  /** The last user of an inode without links has gone; it is cleared and its blocks are freed by a flush. */
  bury(dead: DeadInode): void {
    this.#dead.set(dead.ino, dead);
    this.#deadblocks += dead.blocks;
  }

  /** Frags that flushes will free. */
  get pendingfrags(): number {
    return this.frees.frags + Math.floor((this.#deadblocks * 512) / this.ump.um_fs.fs_fsize);
  }

  get pendinginodes(): number {
    return this.#dead.size + this.#deadready.size;
  }

  /** Lets go of frags that `ip` used. Those that the disk does not know in its possession are free at once. */
  release(ip: Inode, fsb: number, n: number): MaybePromise<void> {
    if (this.isnew(ip)) return ffs_blkfree(this.ump, fsb, n);
    this.frees.push(fsb, n);
    return undefined;
  }

  // ---- order of directory chunks

  /** A name of `ip` was written into a chunk of a directory. */
  nameadded(ip: Inode, bp: Buf, chunk: number): void {
    const iw = IW(ip);
    if (iw.namesepoch !== this.epoch) {
      iw.namesepoch = this.epoch;
      iw.newnames.length = 0;
      iw.manynames = false;
    }
    const dep = DirDep.of(bp);
    if (iw.newnames.some((name) => name.dep === dep && name.chunk === chunk)) return;
    if (iw.newnames.length === MAXNEWNAMES) iw.manynames = true;
    else iw.newnames.push({ dep, chunk });
  }

  /**
   * A name of `ip` is about to go from chunk `chunk` of `bp`, a block of directory `dp`. Sees to it that the names
   * that `ip` was given since the last flush, and those of new directories above them, reach the disk before.
   * @param into directory that holds the new name, if the name goes because of a rename
   * @returns false if no order of writing achieves that: then {@link reopen} first
   */
  namegoing(ip: Inode, dp: Inode, bp: Buf, chunk: number, into: Inode | null): boolean {
    // What was new never had a name on the disk; but others may count on this chunk for the way to it.
    if (this.isnew(ip) || this.isnew(dp)) return (ip.i_mode & S_IFMT) !== S_IFDIR && !this.isnew(dp) ? true : !this.#issource(bp, chunk);
    const iw = ip.i_private as InodeWrite | null;
    if (iw === null || iw.namesepoch !== this.epoch) return true;
    if (iw.manynames) return false;
    for (const name of iw.newnames) if (!this.#edge(name.dep, name.chunk, bp, chunk)) return false;
    let depth = 0;
    for (let d = into; d !== null && this.isnew(d); d = IW(d).parent) {
      if (++depth > MAXNEWDEPTH || IW(d).manynames) return false;
      for (const name of IW(d).newnames) if (!this.#edge(name.dep, name.chunk, bp, chunk)) return false;
    }
    return true;
  }

  /** The name of directory `dp` itself goes, with `chunks` of its own that must not be overtaken. Like {@link namegoing}. */
  rankfloor(rank: number, bp: Buf, chunk: number): boolean {
    if (rank === 0) return true;
    const dep = DirDep.of(bp);
    if (dep.moved) return false;
    if (dep.rank(chunk) >= rank) return true;
    if (dep.issource(chunk)) return false;
    dep.setrank(chunk, rank);
    return true;
  }

  #issource(bp: Buf, chunk: number): boolean {
    const dep = bp.b_private;
    return dep instanceof DirDep && dep.issource(chunk);
  }

  /** Chunk i of `from`'s block must be on the disk before chunk j of b. */
  #edge(from: DirDep, i: number, b: Buf, j: number): boolean {
    const to = DirDep.of(b);
    if (from === to && i === j) return true;
    if (to.moved) return false;
    const least = from.isnew || from.moved ? 0 : from.rank(i) + 1;
    if (to.rank(j) < least) {
      if (to.issource(j)) return false;
      to.setrank(j, least);
    }
    from.setsource(i);
    return true;
  }

  // ---- flushing

  /**
   * Brings everything that is dirty to the device, in order, and returns when it is on stable storage.
   * @param full also clears dead inodes, frees blocks, and writes cylinder groups and superblock; without it all that
   *   a check of the volume could not find out by itself is written
   */
  async flush(full: boolean): Promise<void> {
    const wait = this.lock.enter(true);
    if (wait) await wait;
    try {
      await this.#run(full);
    } finally {
      this.lock.exit(true);
    }
  }

  /** Only a barrier: for data written in place. */
  async barrier(): Promise<void> {
    if (!this.unflushed) return;
    this.unflushed = false;
    try {
      await this.ump.um_dev.flush();
    } catch (error) {
      this.unflushed = true;
      throw error;
    }
  }

  async #run(full: boolean): Promise<void> {
    await this.updateinodes();
    this.epoch++;
    const freed = this.frees.take();
    let done = false;
    try {
      // What may go once the disk has lost its names.
      for (const [ino, n] of this.#linkready) await this.#lowerlinks(ino, n, this.#linkready);
      const cleared = [...this.#deadready.values()];
      for (const dead of cleared) await dead_clear(this, dead);

      if (await this.#writenew()) this.newdata = true;
      if (this.#dirty[BK_INODE]!.size > 0 || this.#initedcg.size > 0) {
        if (this.newdata) await this.barrier();
        await this.#writeset(this.#dirty[BK_INODE]!);
        await this.#writeset(this.#initedcg);
      }
      if (this.newdata || freed.frags > 0 || cleared.length > 0 || this.#dirty[BK_DIR]!.size > 0) await this.barrier();
      this.newdata = false;
      done = true;
      await this.#free(freed, cleared, this.#deadready);
      await this.#writedirs();
      await this.barrier();
    } finally {
      if (!done) this.frees.putback(freed);
    }

    if (!full) {
      for (const [ino, n] of this.#linkdown) this.#linkready.set(ino, (this.#linkready.get(ino) ?? 0) + n);
      this.#linkdown.clear();
      for (const [ino, dead] of this.#dead) this.#deadready.set(ino, dead);
      this.#dead.clear();
      return;
    }
    for (const [ino, n] of this.#linkdown) await this.#lowerlinks(ino, n, this.#linkdown);
    const dead = [...this.#dead.values()];
    for (const one of dead) await dead_clear(this, one);
    await this.#writeset(this.#dirty[BK_INODE]!);
    if (dead.length > 0) await this.barrier();
    await this.#free(null, dead, this.#dead);

    ffs_cgstamp(this, this.#dirty[BK_CG]!);
    await this.#writeset(this.#dirty[BK_CG]!);
    await ffs_cswriteback(this);
    if (this.ump.um_fs.fs_fmod !== 0) await ffs_sbwriteback(this);
    await this.barrier();
  }

  async #free(freed: FreeList | null, dead: DeadInode[], from: Map<number, DeadInode>): Promise<void> {
    if (freed !== null) await freed.release(this.ump);
    for (const one of dead) {
      from.delete(one.ino);
      this.#deadblocks -= one.blocks;
      await dead_release(this, one);
    }
  }

  /** Copies the dirty inodes to their blocks. */
  protected async updateinodes(): Promise<void> {
    const inodes = this.inodes;
    for (let i = 0; i < inodes.length; i++) {
      const ip = inodes[i]!;
      const iw = IW(ip);
      if (!iw.queued) continue;
      try {
        const wait = this.update(ip);
        if (wait) await wait;
      } catch (error) {
        this.inodes = inodes.slice(i);
        throw error;
      }
      iw.queued = false;
      iw.metadirty = false;
    }
    this.inodes = [];
  }

  /** ffs_update: copies one inode to its block if it has changed. */
  update(ip: Inode): MaybePromise<void> {
    if ((ip.i_flag & (IN_ACCESS | IN_ACCESSED | IN_CHANGE | IN_UPDATE | IN_MODIFIED)) === 0) return undefined;
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
      dinode_store(ip, bp.b_view, um_fs.ino_to_bo(ip.i_number), um_dinofmt);
      ip.i_nlink = nlink;
      this.bdwrite(bp, BK_INODE);
    }
    ip.i_flag &= ~(IN_MODIFIED | IN_ACCESSED);
    um_bufcache.brelse(bp);
  }

  async #lowerlinks(ino: number, n: number, from: Map<number, number>): Promise<void> {
    const { um_bufcache, um_dev, um_fs, um_le } = this.ump;
    if (this.isdead(ino)) {
      from.delete(ino);
      return;
    }
    const bp = await um_bufcache.bread(um_dev, um_fs.fsbtob(um_fs.ino_to_fsba(ino)), um_fs.fs_bsize);
    const at = um_fs.ino_to_bo(ino) + 2;
    bp.b_view.setUint16(at, Math.max(0, bp.b_view.getUint16(at, um_le) - n), um_le);
    from.delete(ino);
    this.bdwrite(bp, BK_INODE);
    um_bufcache.brelse(bp);
  }

  /** Phase 0. Returns whether anything was written. */
  async #writenew(): Promise<boolean> {
    const fresh = this.#dirty[BK_NEW]!;
    const dirs = this.#dirty[BK_DIR]!;
    let wrote = false;
    for (const bp of dirs) {
      const dep = bp.b_private;
      if (!(dep instanceof DirDep)) continue;
      if (dep.isnew || dep.moved) {
        dirs.delete(bp);
        bp.b_private = null;
        fresh.add(bp);
      } else if (dep.newchunk >= 0) {
        this.unflushed = true;
        await dep.writeempty(this.ump, bp);
        dep.newchunk = -1;
        wrote = true;
      }
    }
    if (fresh.size > 0) wrote = true;
    await this.#writeset(fresh);
    return wrote;
  }

  /** Phase 2: directory chunks by rank, a barrier between ranks. */
  async #writedirs(): Promise<void> {
    const dirs = this.#dirty[BK_DIR]!;
    for (let rank = 0; dirs.size > 0; rank++) {
      if (rank > 0) await this.barrier();
      const whole = new Set<Buf>();
      for (const bp of dirs) {
        const dep = bp.b_private;
        if (!(dep instanceof DirDep) || dep.maxrank <= rank) {
          whole.add(bp);
        } else {
          this.unflushed = true;
          await dep.writerank(this.ump, bp, rank);
        }
      }
      const written = [...whole];
      await this.#writeset(whole);
      for (const bp of written) {
        dirs.delete(bp);
        bp.b_private = null;
      }
    }
  }

  async #writeset(set: Set<Buf>): Promise<void> {
    if (set.size === 0) return;
    this.unflushed = true;
    const wait = this.ump.um_bufcache.bflush(this.ump.um_dev, (bp) => set.has(bp));
    if (wait) await wait;
    set.clear();
  }

  // ---- damage

  /**
   * The volume contradicts itself. Logs it once, stops all further changes, and returns the error to throw.
   * @param what structure, place, and value
   */
  damage(what: string): Errno {
    if (this.broken) return errno(E.EIO, what);
    this.broken = true;
    return this.ump.um_damage.error(`${what}; nothing more is written to the volume until it is mounted again`);
  }
}

