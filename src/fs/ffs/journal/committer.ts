import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { RwLock } from '../../../kernel/vfs/rwlock.js';
import { csum_store } from '../disk/csum.js';
import { CSUM_SIZE } from '../disk/fs_const.js';
import { ffs_updateall } from '../order/update.js';
import { ffs_freeruns } from '../space/blkfree.js';
import { ffs_cgstamp } from '../space/cgupdate.js';
import type { WriteState } from '../volume/writestate.js';
import { wapbl_replay } from './replay.js';
import type { WapblRing } from './ring.js';
import { partfrom, partto } from './running.js';
import type { RunningTransaction } from './running.js';
import { SHADOW_BYTES, Shadows } from './shadows.js';
import type { Piece } from './shadows.js';
import { wapbl_replay_write } from './todisk.js';

/** fs_clean in the superblock. */
const CLEAN_OFFSET = 209;

/**
 * Commits transactions and brings what is committed to its place on the disk ("home").
 *
 * A commit writes what the buffers have changed behind the journal's head (shadows.ts), a barrier, a header, a barrier:
 * data that the transaction's metadata point to are on the disk before it, by the same barrier. From then on the
 * buffers may go home at any time, and do so when enough of the journal is in use; the next header, which comes behind
 * the next commit's barrier, then names nothing before it. So a commit costs two barriers, and going home none.
 */
export class Committer {
  readonly #state: WriteState;
  readonly #running: RunningTransaction;
  readonly #ring: WapblRing;
  /** Open transactions are its readers, a commit its writer. */
  readonly #lock: RwLock;
  /** Bytes of the journal in use that send the buffers home. */
  readonly #most: number;
  readonly #shadows: Shadows;
  /** The newest commit listed inodes without links. */
  #listed = false;
  /** Everything before this place of the ring has been sent home; -1: not so. Counts once a barrier has passed. */
  #home = -1;
  #failed = false;
  /** A commit that is about to begin, for others to join. */
  #coming: Promise<void> | null = null;
  /** What it is to do besides. */
  #gohome = false;
  #empty = false;
  /** The superblock of the newest commit; null: as on the disk. */
  #superblock: Uint8Array | null = null;

  constructor(state: WriteState, running: RunningTransaction, ring: WapblRing, lock: RwLock, most: number) {
    this.#state = state;
    this.#running = running;
    this.#ring = ring;
    this.#lock = lock;
    this.#most = most;
    this.#shadows = new Shadows(ring.place.blksize);
  }

  /** A commit has failed: nothing may change before one succeeds. */
  get failed(): boolean {
    return this.#failed;
  }

  /** A buffer does not exist any more. */
  forget(bp: Buf): void {
    this.#shadows.drop(bp);
  }

  /**
   * Brings everything to stable storage: one commit, which may be shared with others who ask meanwhile.
   * @param gohome the buffers also go home
   * @param empty the journal is empty afterwards but for the list of inodes
   * @throws EIO
   */
  commitsoon(gohome: boolean, empty: boolean): Promise<void> {
    if (gohome) this.#gohome = true;
    if (empty) this.#empty = true;
    return (this.#coming ??= this.#exclusively());
  }

  async #exclusively(): Promise<void> {
    await this.#lock.enter(true);
    this.#coming = null;
    this.#running.credit = 0;
    const gohome = this.#gohome;
    const empty = this.#empty;
    this.#gohome = this.#empty = false;
    try {
      await this.#commit();
      if (gohome || this.#ring.used > this.#most) await this.#sendhome();
      if (empty) await this.#advance();
      this.#state.kept?.flushed();
    } finally {
      this.#running.credit = 0;
      this.#lock.exit(true);
    }
  }

  async #commit(): Promise<void> {
    const { kept } = this.#state;
    if (this.#state.broken) throw errno(E.EIO);
    kept?.enter();
    try {
      await this.#prepare();
    } finally {
      kept?.leave();
    }
    if (this.#state.broken) throw errno(E.EIO);
    if (this.#running.empty) return this.#state.barrier();
    kept?.commit();
    await this.#write();
  }

  // ---- what belongs to the transaction

  /** Brings everything that belongs to the transaction into its buffers. */
  async #prepare(): Promise<void> {
    const state = this.#state;
    const running = this.#running;
    await ffs_updateall(state);
    running.inodeblocks.clear();
    state.epoch++;
    if (state.pending.frees.frags > 0) state.kept?.moved();
    await ffs_freeruns(state.ump, state.pending.frees);
    running.groups.clear();
    state.parked.clear();
    state.newdata = false;
    if (state.broken || (running.empty && state.dirtycs.size === 0)) return;
    ffs_cgstamp(state.ump, running.blocks);
    await this.#summaries();
  }

  /** Summaries of changed groups and the superblock become part of the transaction. */
  async #summaries(): Promise<void> {
    const { um_fs: fs, um_cs, um_bufcache, um_dev, um_kernel } = this.#state.ump;
    const per = fs.fs_bsize / CSUM_SIZE;
    for (const c of this.#state.dirtycs) {
      const chunk = Math.floor(c / per);
      const size = Math.min(fs.fs_bsize, fs.fragroundup(fs.fs_cssize) - chunk * fs.fs_bsize);
      const got = um_bufcache.bread(um_dev, fs.fsbtob(fs.fs_csaddr) + chunk * fs.fs_bsize, size);
      const bp = got instanceof Promise ? await got : got;
      csum_store(fs, um_cs, c, bp.b_view, (c % per) * CSUM_SIZE);
      this.#running.bdwrite(bp, 0, bp.b_bcount);
      um_bufcache.brelse(bp);
    }
    this.#state.dirtycs.clear();
    if (fs.fs_fmod === 0) return;
    fs.fs_time = um_kernel.now().sec;
    fs.fs_fmod = 0;
    this.#logsuperblock();
  }

  /** Bytes of the superblock, in whole blocks of the journal. */
  #superblocksize(): number {
    const { blksize } = this.#ring.place;
    return Math.ceil(this.#state.ump.um_fs.fs_sbsize / blksize) * blksize;
  }

  /** Time and totals of the superblock become part of the transaction. */
  #logsuperblock(): void {
    const { um_fs: fs, um_bufcache, um_dev } = this.#state.ump;
    const size = this.#superblocksize();
    const bp = um_bufcache.getblk(um_dev, fs.fs_sblockloc, size);
    bp.b_data.set(fs.encodecounts().subarray(0, size));
    this.#running.bdwrite(bp, 0, size);
    um_bufcache.brelse(bp);
  }

  // ---- into the journal

  async #write(): Promise<void> {
    const ring = this.#ring;
    const { revoked, logged, orphaned, bytes: blockbytes } = this.#running;
    const inodes = new Map(orphaned);
    // Access times of inodes that are put away meanwhile belong to the next one.
    const blocks = this.#running.take();
    const pieces: Piece[] = [];
    // Many blocks at once will not all be changed again soon.
    const keep = blockbytes <= SHADOW_BYTES / 2;
    for (const [bp, changed] of blocks) {
      this.#shadows.changed(bp, partfrom(changed), Math.min(partto(changed), bp.b_bcount), keep, pieces);
    }
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    try {
      await this.#makeroom(ring.length(pieces.length, bytes, revoked.size, inodes.size));
      const from = ring.head === 0 ? ring.circ_off : ring.head;
      const head = await ring.append(pieces, { revoked, inodes });
      this.#state.unflushed = true;
      await this.#state.barrier();
      const tail = this.#home >= 0 ? this.#home : ring.tail;
      await this.#header(head, tail === 0 ? from : tail);
    } catch (error) {
      this.#failed = true;
      for (const bp of blocks.keys()) {
        this.#running.again(bp);
        this.#shadows.drop(bp);
      }
      throw error;
    }
    this.#failed = false;
    this.#home = -1;
    this.#listed = inodes.size > 0;
    for (const offset of revoked.keys()) logged.delete(offset);
    revoked.clear();
    for (const bp of blocks.keys()) {
      logged.set(bp.b_offset, bp.b_bcount);
      if (bp.b_offset !== this.#state.ump.um_fs.fs_sblockloc) continue;
      if (this.#superblock === null) this.#superblock = bp.b_data.slice();
      else this.#superblock.set(bp.b_data);
    }
  }

  /** Sees to it that a transaction of `length` bytes fits. @throws EIO */
  async #makeroom(length: number): Promise<void> {
    const ring = this.#ring;
    if (length <= ring.free) return;
    await this.#advance();
    if (length <= ring.free) return;
    // After a commit that failed, nobody knows which of its transactions the journal has.
    if (!this.#failed) {
      await this.#replayhome();
      await this.#advance();
    }
    if (length <= ring.free) return;
    throw this.#state.damage(
      `a transaction of ${length} bytes is larger than the ${ring.free} bytes that the journal has free`,
    );
  }

  async #header(head: number, tail: number): Promise<void> {
    this.#state.unflushed = true;
    await this.#ring.writeheader(head, tail, this.#state.ump.um_kernel.now());
    try {
      await this.#state.barrier();
    } catch (error) {
      this.#ring.uncertain(head, tail);
      throw error;
    }
    this.#ring.committed(head, tail);
  }

  // ---- from the journal to the disk

  /** Writes what is committed to its place. No barrier. */
  async #sendhome(): Promise<void> {
    const { um_bufcache, um_dev } = this.#state.ump;
    this.#state.unflushed = true;
    const wait = um_bufcache.bflush(um_dev, (bp) => !this.#running.blocks.has(bp));
    if (wait) await wait;
    // What changed meanwhile still needs its copy in the journal.
    if (this.#running.blocks.size > 0) return;
    this.#home = this.#listed ? this.#ring.listat : this.#ring.head;
    this.#running.logged.clear();
  }

  /** The same, whatever has changed meanwhile: from the journal instead of the buffers. */
  async #replayhome(): Promise<void> {
    const ring = this.#ring;
    if (ring.used === 0) return;
    const { place, head, tail, circ_off, circ_size, generation } = ring;
    const { le, start, blksize } = place;
    const log = { le, place, start, blksize, fsblksize: blksize, generation, head, tail, circ_off, circ_size };
    await wapbl_replay_write(ring.dev, await wapbl_replay(ring.dev, log));
    this.#home = this.#listed ? ring.listat : head;
    this.#running.logged.clear();
  }

  /** Gives the room of what has gone home free at once. */
  async #advance(): Promise<void> {
    if (this.#home < 0 || this.#ring.used === 0) return;
    this.#state.unflushed = true;
    await this.#state.barrier();
    if (this.#home === this.#ring.head) await this.#header(0, 0);
    else await this.#header(this.#ring.head, this.#home);
    this.#home = -1;
  }

  /**
   * The volume has turned out to be damaged: what came after the last commit is given up, and the journal ends with a
   * superblock that asks for a check.
   */
  async leavebroken(): Promise<void> {
    const { um_fs: fs, um_dev, um_kernel } = this.#state.ump;
    const ring = this.#ring;
    const { orphaned } = this.#running;
    const size = this.#superblocksize();
    const bytes = this.#superblock ?? new Uint8Array(size);
    if (this.#superblock === null) await um_dev.read(bytes, 0, size, fs.fs_sblockloc);
    bytes[CLEAN_OFFSET] = 0;
    const place = { b_dev: um_dev, b_offset: fs.fs_sblockloc, b_bcount: size };
    const bp: Buf = {
      ...place,
      b_data: bytes,
      b_view: new DataView(bytes.buffer),
      b_flags: 0,
      b_refs: 1,
      b_private: null,
    };
    if (ring.length(1, size, 0, orphaned.size) > ring.free) return;
    const from = ring.head === 0 ? ring.circ_off : ring.head;
    const head = await ring.append([{ bp, from: 0, length: size }], { revoked: new Map(), inodes: orphaned });
    await um_dev.flush();
    await ring.commit(head, ring.tail === 0 ? from : ring.tail, um_kernel.now());
  }
}
