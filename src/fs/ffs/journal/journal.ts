import { E, errno } from '../../../kernel/errno.js';
import type { Errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import type { Inode } from '../volume/inode.js';
import type { Cg } from '../disk/cg.js';
import { ffs_cgread, ffs_cgstamp } from '../space/cgupdate.js';
import { csum_store } from '../disk/csum.js';
import { holdsnoblocks } from '../order/dead.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { CSUM_SIZE, UFS_NXADDR } from '../disk/fs_const.js';
import { ffs_clearinode, ffs_freefile } from '../space/ialloc.js';
import { Order } from '../order/order.js';
import { ffs_shrink } from '../file/truncate.js';
import { blocksof, reachdown, reachup } from './reach.js';
import { wapbl_replay } from './replay.js';
import type { WapblRing } from './ring.js';
import { SHADOW_BYTES, Shadows } from './shadows.js';
import type { Piece } from './shadows.js';
import { OPGROUPS, OPINDIRECTS, wapbl_oproom } from './size.js';
import { wapbl_replay_write } from './todisk.js';

/**
 * Logging: what takes the place of ordered writes on a volume with a journal (NetBSD's kern/vfs_wapbl.c).
 *
 * Operations change buffers inside begin..end; all changes since the last commit are one transaction on the disk. A
 * commit (fsync, sync, a full journal) writes what its buffers have changed behind the journal's head (shadows.ts), a
 * barrier, a header, a barrier: data that the transaction's metadata point to are on the disk before it, by the same
 * barrier. From then on the buffers may go home at any time, and do so when enough of the journal is in use; the next
 * header, which comes behind the next commit's barrier, then names nothing before it. So a commit costs two barriers,
 * and going home none.
 *
 * A buffer of the running transaction never goes home: every transaction is in the journal or without effect. Blocks
 * that files let go are freed in the commit's own transaction and hence reused only after it; a directory or indirect
 * block among them that the journal holds is revoked, so that a replay does not write it over what comes after it.
 * Inodes without links that are open are listed in every transaction: a replay frees them.
 *
 * **Why a transaction always fits.** An operation begins only if the transaction, what the commit will add to it, and
 * the most that each open operation may add ({@link wapbl_oproom}) fit into the journal; operations that could change
 * more are taken apart. Nothing else adds to a transaction: access times that are put away with an inode go home
 * without being logged. Should the journal still hold older transactions whose blocks cannot go home because they have
 * changed again, they are replayed to the disk from the journal itself, which makes all of it free.
 */

/** Of the journal, a transaction may take one part in so many before it is committed, and as much sends blocks home: so the next one finds room without more barriers. */
const SHARE = 3;
/** fs_clean in the superblock. */
const CLEAN_OFFSET = 209;
/** Blocks by which a directory shrinks, and a file grows, at once. */
const TRIMBLOCKS = 8;

/** A part of a block, in one number: bytes from..to-1, of a block of at most 64 KiB. */
function part(from: number, to: number): number {
  return from * 0x20000 + to;
}
function partfrom(value: number): number {
  return Math.floor(value / 0x20000);
}
function partto(value: number): number {
  return value % 0x20000;
}

export class JournalOrder extends Order {
  readonly ring: WapblRing;
  /** Buffers that differ from what the journal and the disk together hold, and which part of each has changed: {@link part}. */
  #trans = new Map<Buf, number>();
  /** Sum of their sizes. */
  #bytes = 0;
  readonly #shadows: Shadows;
  /** Blocks that are in the journal, by byte offset: bytes. */
  readonly #logged = new Map<number, number>();
  /** Those among them that the transaction frees. */
  readonly #revoked = new Map<number, number>();
  /** Open files without links: inode number to mode. */
  readonly #orphaned = new Map<number, number>();
  /** The newest commit listed some. */
  #listed = false;
  /** Inode blocks (frags) and groups that the commit will change. */
  readonly #inodeblocks = new Set<number>();
  readonly #groups = new Set<number>();
  /** Operations that are open, or wait for a commit under way to begin. */
  #open = 0;
  /** Those that wait for the end of others. */
  #waiting: (() => void)[] = [];
  /** So many operations may begin without another look at the transaction's length. */
  #credit = 0;
  /** For tests: look at what every operation adds. */
  static measure = false;
  /** Length of the transaction when the one open operation began; -1: there have been others. */
  #base = -1;
  /** The most that one operation has added to a transaction, if that is looked at; bytes. */
  largest = 0;
  /** Everything before this place of the ring has been sent home; -1: not so. Counts once a barrier has passed. */
  #home = -1;
  /** A commit has failed: nothing changes before one succeeds. */
  #failed = false;
  /** A commit that is about to begin, for others to join. */
  #coming: Promise<void> | null = null;
  #gohome = false;
  #empty = false;
  /** The superblock of the newest commit; null: as on the disk. */
  #superblock: Uint8Array | null = null;
  /** Bytes that one operation may add to the transaction. */
  readonly oproom: number;
  /** Bytes of a transaction that end it, and bytes of the journal in use that send the buffers home. */
  readonly #most: number;

  constructor(ump: FfsMount, ring: WapblRing) {
    super(ump);
    this.ring = ring;
    this.oproom = wapbl_oproom(ump.um_fs);
    this.#most = ring.circ_size / SHARE;
    this.#shadows = new Shadows(ring.place.blksize);
    ump.um_bufcache.onpressure(ump.um_dev, () => this.#commitsoon(true, false));
  }

  // ---- transactions

  override begin(): MaybePromise<void> {
    if (this.broken) throw errno(E.EIO);
    if ((this.ump.um_mountp.mnt_flag & MNT_RDONLY) !== 0) throw errno(E.EROFS);
    const wait = this.ump.um_bufcache.throttle(this.ump.um_dev);
    if (wait) return wait.then(() => this.begin());
    if (this.#credit === 0) {
      const length = this.#length();
      if (this.#failed || length > this.#most || length + (this.#open + 1) * this.oproom > this.ring.free) return this.#beginlater();
      // Those that are open have theirs.
      this.#credit = Math.max(1, Math.floor((Math.min(this.#most, this.ring.free) - length) / this.oproom) - this.#open);
    }
    this.#credit--;
    this.#base = JournalOrder.measure && this.#open === 0 ? this.#length() : -1;
    return this.#enter();
  }

  async #beginlater(): Promise<void> {
    for (let tries = 0; ; ) {
      if (this.broken) throw errno(E.EIO);
      const length = this.#length();
      if (this.#failed || length > this.#most || length + this.oproom > this.ring.free) {
        if (tries++ > 2 && this.#trans.size === 0 && this.#open === 0 && this.#orphaned.size > 0) {
          throw errno(E.ENOSPC, `the journal is full of the ${this.#orphaned.size} removed files that are still open`);
        }
        await this.#commitsoon(tries > 1, tries > 1);
      } else if (length + (this.#open + 1) * this.oproom > this.ring.free) {
        // There is room for it, but not beside the others.
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      } else {
        break;
      }
    }
    this.#base = -1;
    this.#credit = 0;
    const wait = this.#enter();
    if (wait) await wait;
  }

  #enter(): MaybePromise<void> {
    this.#open++;
    return this.lock.enter(false);
  }

  override end(): void {
    if (this.#base >= 0 && this.#open === 1) this.largest = Math.max(this.largest, this.#length() - this.#base);
    this.#base = -1;
    this.#open--;
    super.end();
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  override async reopen(): Promise<void> {
    this.end();
    try {
      await this.flush();
    } finally {
      const wait = this.#enter();
      if (wait) await wait;
    }
  }

  /** Bytes that the transaction takes in the journal, at most, with all that its commit adds. */
  #length(): number {
    const { um_fs: fs } = this.ump;
    const inodes = this.#inodeblocks.size;
    const groups = this.#groups.size;
    const sums = Math.min(Math.ceil(fs.fs_cssize / fs.fs_bsize), this.dirtycs.size + groups);
    const bytes = this.#bytes + inodes * fs.fs_bsize + groups * fs.cgbytes + sums * fs.fs_bsize + 8192;
    // Every block that the journal holds may come to be revoked.
    return this.ring.length(this.#trans.size + inodes + groups + sums + 1, bytes, this.#logged.size, this.#orphaned.size) + 2 * this.ring.place.blksize;
  }

  override get crowded(): boolean {
    const length = this.#length();
    return length + this.#open * this.oproom > this.ring.free || length > this.#most;
  }

  override mayorphan(): void {
    const { ring } = this;
    // The list of the last commit stays until there is another.
    const lists = 2 * ring.length(0, 0, 0, this.#orphaned.size + this.#open + 1);
    if (lists + this.oproom + 8192 + 16 * ring.place.blksize <= ring.circ_size) return;
    throw errno(E.ENOSPC, `the journal has no room for more removed files that are still open: ${this.#orphaned.size}`);
  }

  override roomcoming(error: unknown): boolean {
    return (error as Errno).errno === E.ENOSPC && this.frees.frags > 0;
  }

  // ---- marking

  override bdwrite(bp: Buf, _kind?: number, from = 0, to = bp.b_bcount): void {
    this.ump.um_bufcache.bdwrite(bp);
    // A block that grows in place was forgotten with its old size.
    if (this.#revoked.size > 0) this.#revoked.delete(bp.b_offset);
    const old = this.#trans.get(bp);
    if (old === undefined) {
      this.#trans.set(bp, part(from, to));
      this.#bytes += bp.b_bcount;
    } else if (partfrom(old) > from || partto(old) < to) {
      this.#trans.set(bp, part(Math.min(partfrom(old), from), Math.max(partto(old), to)));
    }
  }

  override bdwriteatime(bp: Buf): void {
    this.ump.um_bufcache.bdwrite(bp);
  }

  override initedcg(): void {
    // Inode blocks and group appear together.
  }

  override binval(fsb: number, n: number): void {
    const { um_bufcache, um_dev, um_fs } = this.ump;
    for (let i = 0; i < n; i++) {
      const offset = um_fs.fsbtob(fsb + i);
      const logged = this.#logged.get(offset);
      if (logged !== undefined) this.#revoked.set(offset, logged);
      const bp = um_bufcache.incore(um_dev, offset);
      if (bp === undefined) continue;
      if (this.#trans.delete(bp)) this.#bytes -= bp.b_bcount;
      this.#shadows.drop(bp);
      bp.b_private = null;
      um_bufcache.brelse(bp);
    }
    um_bufcache.binval(um_dev, um_fs.fsbtob(fsb), um_fs.lfragtosize(n));
  }

  override touch(ip: Inode, flags: number): void {
    super.touch(ip, flags);
    this.#inodeblocks.add(ip.i_fs.ino_to_fsba(ip.i_number));
  }

  override linkdown(ip: Inode, n: number, _unknown?: boolean): void {
    n = Math.min(n, ip.i_nlink);
    ip.i_nlink -= n;
    if (ip.i_nlink === 0 && n > 0) this.orphan(ip.i_number, ip.i_gen, ip.i_mode);
    this.touch(ip, IN_CHANGE);
  }

  override orphan(ino: number, gen: number, mode: number): void {
    super.orphan(ino, gen, mode);
    this.#orphaned.set(ino, mode);
  }

  /** It is free, or has turned out to be no such inode. */
  override unorphan(ino: number): void {
    if (this.#orphaned.delete(ino)) super.unorphan(ino);
  }

  override freelater(fsb: number, n: number): void {
    const { um_fs } = this.ump;
    const last = um_fs.dtog(fsb + n - 1);
    for (let c = um_fs.dtog(fsb); c <= last; c++) this.#groups.add(c);
    super.freelater(fsb, n);
  }

  // A transaction is atomic: no order inside it.
  override nameadded(): void {}
  override namegoing(): boolean {
    return true;
  }
  override rankfloor(): boolean {
    return true;
  }
  override mayenter(): boolean {
    return true;
  }

  // ---- operations that must be taken apart

  override get mosttrim(): number {
    return TRIMBLOCKS * this.ump.um_fs.fs_bsize;
  }

  override get mostalloc(): number {
    return TRIMBLOCKS * this.ump.um_fs.fs_bsize;
  }

  override reduce(ip: Inode, length: number): MaybePromise<void> {
    if (length >= ip.i_size || Math.min(this.ump.um_fs.fs_ncg, blocksof(ip)) <= OPGROUPS) return undefined;
    return this.#steps(ip, length);
  }

  async #steps(ip: Inode, length: number): Promise<void> {
    for (;;) {
      const to = await reachdown(ip, length, OPGROUPS);
      if (to <= length) return;
      await this.run(() => ffs_shrink(ip, to));
    }
  }

  override punchreach(ip: Inode, offset: number, end: number): MaybePromise<number> {
    return reachup(ip, offset, end, OPGROUPS, OPINDIRECTS);
  }

  override retire(ip: Inode): Promise<boolean> {
    return this.#retire(ip);
  }

  async #retire(ip: Inode): Promise<boolean> {
    const { ump } = this;
    const mode = ip.i_mode;
    const blocks = !holdsnoblocks(mode) && ip.i_shortlink === null;
    if (blocks) await this.reduce(ip, 0);
    const wait = this.begin();
    if (wait) await wait;
    try {
      if (blocks) await ffs_shrink(ip, 0);
      for (let i = 0; i < UFS_NXADDR && i * ump.um_fs.fs_bsize < ip.i_extsize; i++) {
        const fsb = ip.i_extb[i]!;
        if (fsb === 0) continue;
        const frags = ump.um_fs.sblksize(ip.i_extsize, i) / ump.um_fs.fs_fsize;
        this.binval(fsb, frags);
        const freed = this.release(ip, fsb, frags);
        if (freed) await freed;
      }
      await ffs_clearinode(ump, ip.i_number);
      await ffs_freefile(ump, ip.i_number, mode);
      this.untouch(ip);
      ip.i_mode = 0;
      ip.i_flag = 0;
      this.unorphan(ip.i_number);
      return true;
    } finally {
      this.end();
    }
  }

  isorphan(ino: number): boolean {
    return this.#orphaned.has(ino);
  }

  /**
   * Frees an inode of a replayed list. @param mode what it was to become, if the power went before it became it
   * @throws EIO
   */
  async finish(ip: Inode, mode: number): Promise<void> {
    if (ip.i_mode !== 0) {
      await this.#retire(ip);
      return;
    }
    const { ump } = this;
    const wait = this.begin();
    if (wait) await wait;
    try {
      const bp = await ffs_cgread(ump, ump.um_fs.ino_to_cg(ip.i_number));
      const used = (bp.b_private as Cg).inosused(ip.i_number % ump.um_fs.fs_ipg);
      ump.um_bufcache.brelse(bp);
      if (used) await ffs_freefile(ump, ip.i_number, mode);
      this.unorphan(ip.i_number);
    } finally {
      this.end();
    }
  }

  // ---- commit

  /** Brings everything to stable storage: one commit, which may be shared with others who ask meanwhile. */
  override flush(_full?: boolean): Promise<void> {
    return this.#commitsoon(false, false);
  }

  /** Everything to its place, and the journal empty but for the list of inodes. */
  checkpoint(): Promise<void> {
    return this.#commitsoon(true, true);
  }

  /** -o async changes nothing where there is a journal: without its barriers it could be replayed half written. */
  override settledata(): Promise<void> {
    return this.barrier();
  }

  override async barrier(): Promise<void> {
    if (this.#failed) await this.flush();
    await super.barrier();
  }

  #commitsoon(gohome: boolean, empty: boolean): Promise<void> {
    if (gohome) this.#gohome = true;
    if (empty) this.#empty = true;
    return (this.#coming ??= this.#exclusively());
  }

  async #exclusively(): Promise<void> {
    await this.lock.enter(true);
    this.#coming = null;
    this.#credit = 0;
    const gohome = this.#gohome;
    const empty = this.#empty;
    this.#gohome = this.#empty = false;
    try {
      await this.#commit();
      if (gohome || this.ring.used > this.#most) await this.#sendhome();
      if (empty) await this.#advance();
      this.kept?.flushed();
    } finally {
      this.#credit = 0;
      this.lock.exit(true);
    }
  }

  async #commit(): Promise<void> {
    if (this.broken) throw errno(E.EIO);
    this.kept?.enter();
    try {
      await this.#prepare();
    } finally {
      this.kept?.leave();
    }
    if (this.broken) throw errno(E.EIO);
    if (this.#trans.size === 0 && this.#revoked.size === 0) return super.barrier();
    this.kept?.commit();
    await this.#write();
  }

  /** Brings everything that belongs to the transaction into its buffers. */
  async #prepare(): Promise<void> {
    await this.updateinodes();
    this.#inodeblocks.clear();
    this.epoch++;
    if (this.frees.frags > 0) this.kept?.moved();
    await this.frees.take().release(this.ump);
    this.#groups.clear();
    this.parked.clear();
    this.newdata = false;
    if (this.broken || (this.#trans.size === 0 && this.#revoked.size === 0 && this.dirtycs.size === 0)) return;
    ffs_cgstamp(this, this.#trans);
    await this.#summaries();
  }

  /** Summaries of changed groups and the superblock become part of the transaction. */
  async #summaries(): Promise<void> {
    const { um_fs: fs, um_cs, um_bufcache, um_dev, um_kernel } = this.ump;
    const per = fs.fs_bsize / CSUM_SIZE;
    for (const c of this.dirtycs) {
      const chunk = Math.floor(c / per);
      const size = Math.min(fs.fs_bsize, fs.fragroundup(fs.fs_cssize) - chunk * fs.fs_bsize);
      const got = um_bufcache.bread(um_dev, fs.fsbtob(fs.fs_csaddr) + chunk * fs.fs_bsize, size);
      const bp = got instanceof Promise ? await got : got;
      csum_store(fs, um_cs, c, bp.b_view, (c % per) * CSUM_SIZE);
      this.bdwrite(bp);
      um_bufcache.brelse(bp);
    }
    this.dirtycs.clear();
    if (fs.fs_fmod === 0) return;
    fs.fs_time = um_kernel.now().sec;
    fs.fs_fmod = 0;
    this.logsuperblock();
  }

  /** Time and totals of the superblock become part of the transaction. */
  logsuperblock(): void {
    const { um_fs: fs, um_bufcache, um_dev } = this.ump;
    const size = Math.ceil(fs.fs_sbsize / this.ring.place.blksize) * this.ring.place.blksize;
    const bp = um_bufcache.getblk(um_dev, fs.fs_sblockloc, size);
    bp.b_data.set(fs.encodecounts().subarray(0, size));
    this.bdwrite(bp);
    um_bufcache.brelse(bp);
  }

  async #write(): Promise<void> {
    const { ring } = this;
    const blocks = this.#trans;
    const inodes = new Map(this.#orphaned);
    const pieces: Piece[] = [];
    // Many blocks at once will not all be changed again soon.
    const keep = this.#bytes <= SHADOW_BYTES / 2;
    for (const [bp, changed] of blocks) this.#shadows.changed(bp, partfrom(changed), Math.min(partto(changed), bp.b_bcount), keep, pieces);
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    // Access times of inodes that are put away meanwhile belong to the next one.
    this.#trans = new Map();
    this.#bytes = 0;
    try {
      await this.#makeroom(ring.length(pieces.length, bytes, this.#revoked.size, inodes.size));
      const from = ring.head === 0 ? ring.circ_off : ring.head;
      const head = await ring.append(pieces, { revoked: this.#revoked, inodes });
      this.unflushed = true;
      await super.barrier();
      const tail = this.#home >= 0 ? this.#home : ring.tail;
      await this.#header(head, tail === 0 ? from : tail);
    } catch (error) {
      this.#failed = true;
      for (const bp of blocks.keys()) {
        this.#again(bp);
        this.#shadows.drop(bp);
      }
      throw error;
    }
    this.#failed = false;
    this.#home = -1;
    this.#listed = inodes.size > 0;
    for (const offset of this.#revoked.keys()) this.#logged.delete(offset);
    this.#revoked.clear();
    for (const bp of blocks.keys()) {
      this.#logged.set(bp.b_offset, bp.b_bcount);
      if (bp.b_offset !== this.ump.um_fs.fs_sblockloc) continue;
      if (this.#superblock === null) this.#superblock = bp.b_data.slice();
      else this.#superblock.set(bp.b_data);
    }
  }

  /** Sees to it that a transaction of `length` bytes fits. @throws EIO */
  async #makeroom(length: number): Promise<void> {
    const { ring } = this;
    if (length <= ring.free) return;
    await this.#advance();
    if (length <= ring.free) return;
    // After a commit that failed, nobody knows which of its transactions the journal has.
    if (!this.#failed) {
      await this.#replayhome();
      await this.#advance();
    }
    if (length > ring.free) throw this.damage(`a transaction of ${length} bytes is larger than the ${ring.free} bytes that the journal has free`);
  }

  #again(bp: Buf): void {
    if (!this.#trans.has(bp)) this.#bytes += bp.b_bcount;
    this.#trans.set(bp, part(0, bp.b_bcount));
  }

  /** Writes what is committed to its place. No barrier. */
  async #sendhome(): Promise<void> {
    const { um_bufcache, um_dev } = this.ump;
    this.unflushed = true;
    const wait = um_bufcache.bflush(um_dev, (bp) => !this.#trans.has(bp));
    if (wait) await wait;
    // What changed meanwhile still needs its copy in the journal.
    if (this.#trans.size > 0) return;
    this.#home = this.#listed ? this.ring.listat : this.ring.head;
    this.#logged.clear();
  }

  /** The same, whatever has changed meanwhile: from the journal instead of the buffers. */
  async #replayhome(): Promise<void> {
    const { ring } = this;
    if (ring.used === 0) return;
    const { place, head, tail, circ_off, circ_size, generation } = ring;
    await wapbl_replay_write(ring.dev, await wapbl_replay(ring.dev, { le: place.le, place, start: place.start, blksize: place.blksize, fsblksize: place.blksize, generation, head, tail, circ_off, circ_size }));
    this.#home = this.#listed ? ring.listat : head;
    this.#logged.clear();
  }

  /** Gives the room of what has gone home free at once. */
  async #advance(): Promise<void> {
    if (this.#home < 0 || this.ring.used === 0) return;
    this.unflushed = true;
    await super.barrier();
    if (this.#home === this.ring.head) await this.#header(0, 0);
    else await this.#header(this.ring.head, this.#home);
    this.#home = -1;
  }

  async #header(head: number, tail: number): Promise<void> {
    this.unflushed = true;
    await this.ring.writeheader(head, tail, this.ump.um_kernel.now());
    try {
      await super.barrier();
    } catch (error) {
      this.ring.uncertain(head, tail);
      throw error;
    }
    this.ring.committed(head, tail);
  }

  /**
   * The volume has turned out to be damaged: what came after the last commit is given up, and the journal ends with a
   * superblock that asks for a check.
   */
  async leavebroken(): Promise<void> {
    const { um_fs: fs, um_dev, um_kernel } = this.ump;
    const { ring } = this;
    const size = Math.ceil(fs.fs_sbsize / ring.place.blksize) * ring.place.blksize;
    const bytes = this.#superblock ?? new Uint8Array(size);
    if (this.#superblock === null) await um_dev.read(bytes, 0, size, fs.fs_sblockloc);
    bytes[CLEAN_OFFSET] = 0;
    const bp: Buf = { b_dev: um_dev, b_offset: fs.fs_sblockloc, b_bcount: size, b_data: bytes, b_view: new DataView(bytes.buffer), b_flags: 0, b_refs: 1, b_private: null };
    if (ring.length(1, size, 0, this.#orphaned.size) > ring.free) return;
    const from = ring.head === 0 ? ring.circ_off : ring.head;
    const head = await ring.append([{ bp, from: 0, length: size }], { revoked: new Map(), inodes: this.#orphaned });
    await um_dev.flush();
    await ring.commit(head, ring.tail === 0 ? from : ring.tail, um_kernel.now());
  }
}
