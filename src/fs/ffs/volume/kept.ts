import { DRIVER_RECORDS } from '../../../kernel/keep/keep.js';
import type { Keep, KeptDriver } from '../../../kernel/keep/keep.js';
import type { RecordWriter } from '../../../kernel/keep/records.js';
import type { Inode } from './inode.js';
import { ufs_itimes } from '../../ufs/inode.js';
import type { DeadInode } from '../order/pending.js';
import { IN_DIRTY, ffs_storeinode } from '../order/update.js';
import type { FfsMount } from './ffsmount.js';
import { IN_KEPT, IN_QUEUED } from './writestate.js';
import type { ChangeRecorder, WriteState } from './writestate.js';

/**
 * What a successor must know of a volume beyond its dirty blocks (kernel/keep/keep.ts): dirty inodes that are not yet
 * in their blocks, summaries, and all that waits for a flush. Records; the last one about a thing counts.
 */

/** [fs_clean, um_softdep, um_oldsoftdep] */
export const R_MOUNT = DRIVER_RECORDS;
/** [cs_ndir, cs_nbfree, cs_nifree, cs_nffree]: fs_cstotal. */
export const R_TOTAL = DRIVER_RECORDS + 1;
/** [group, cs_ndir, cs_nbfree, cs_nifree, cs_nffree] */
export const R_CS = DRIVER_RECORDS + 2;
/** [number, dinode...]: a dirty inode, as it would be on its block. */
export const R_INODE = DRIVER_RECORDS + 3;
/** [number]: the inode's block has it. */
export const R_COPIED = DRIVER_RECORDS + 4;
/** [first frag, frags]: to be freed. */
export const R_FREE = DRIVER_RECORDS + 5;
/** [number, links]: Pending.linksdown and linksready. */
export const R_LINKSDOWN = DRIVER_RECORDS + 6;
export const R_LINKSREADY = DRIVER_RECORDS + 7;
/**
 * [number, mode, blocks, size, extsize, pointers in db, in ib, in extb, the pointers...]: Pending.dead and deadready.
 */
export const R_DEAD = DRIVER_RECORDS + 8;
export const R_DEADREADY = DRIVER_RECORDS + 9;
/** [number, generation, mode]: without links, but in use. */
export const R_ORPHAN = DRIVER_RECORDS + 10;
/** [number]: no more. */
export const R_UNORPHAN = DRIVER_RECORDS + 11;
/** [number]: WriteState.lostdata. */
export const R_LOST = DRIVER_RECORDS + 12;
/** []: WriteState.broken. */
export const R_BROKEN = DRIVER_RECORDS + 13;

export class Kept implements KeptDriver, ChangeRecorder {
  readonly #state: WriteState;
  readonly #ump: FfsMount;
  readonly #keep: Keep;
  readonly #dinodebytes: number;
  /** Inodes touched since the last commit. */
  #inodes: Inode[] = [];
  /** Inodes that the records have, and the blocks have not. */
  readonly #recorded = new Set<number>();
  readonly #cs = new Set<number>();
  /** Records of small changes: type, number of words, words. */
  #small: number[] = [];
  readonly #orphans = new Map<number, { gen: number; mode: number }>();
  #sections = 0;
  whole = true;

  constructor(state: WriteState, keep: Keep) {
    this.#state = state;
    this.#ump = state.ump;
    this.#keep = keep;
    this.#dinodebytes = state.ump.um_fs.ufs2 ? 256 : 128;
  }

  // ---- what changes

  /** The inode has been marked for writing. */
  inode(ip: Inode): void {
    if ((ip.i_flag & IN_KEPT) !== 0) return;
    ip.i_flag |= IN_KEPT;
    this.#inodes.push(ip);
  }

  /** The inode's block has it as it is, or has it cleared. */
  copied(ino: number): void {
    if (this.#recorded.delete(ino)) this.#small.push(R_COPIED, 1, ino);
  }

  cs(c: number): void {
    this.#cs.add(c);
  }

  freeing(fsb: number, n: number): void {
    this.#small.push(R_FREE, 2, fsb, n);
  }

  linksdown(ino: number, links: number): void {
    this.#small.push(R_LINKSDOWN, 2, ino, links);
  }

  dead(dead: DeadInode): void {
    this.#small.push(R_DEAD, 8 + dead.db.length + dead.ib.length + dead.extb.length);
    this.#small.push(...deadwords(dead));
  }

  orphan(ino: number, gen: number, mode: number): void {
    this.#orphans.set(ino, { gen, mode });
    this.#small.push(R_ORPHAN, 3, ino, gen, mode);
  }

  unorphan(ino: number): void {
    if (this.#orphans.delete(ino)) this.#small.push(R_UNORPHAN, 1, ino);
  }

  /** Something else has changed: everything is to be recorded anew. */
  moved(): void {
    this.whole = true;
  }

  forget(): void {
    this.#done();
    this.#recorded.clear();
    this.whole = true;
  }

  // ---- when

  get quiet(): boolean {
    return this.#sections === 0 && !this.#state.order.shared;
  }

  get changed(): boolean {
    return this.whole || this.#inodes.length > 0 || this.#small.length > 0 || this.#cs.size > 0;
  }

  /** Between enter and leave what is in memory is no state to go on from. */
  enter(): void {
    this.#sections++;
  }

  leave(): void {
    this.#sections--;
    this.quieted();
  }

  /** Before a write to the device that depends on what has changed. Outside of sections and transactions. */
  commit(): void {
    void this.#keep.commit();
    this.quieted();
  }

  /** A flush has ended, and no transaction is open. */
  flushed(): void {
    this.#keep.takeup();
  }

  quieted(): void {
    if (this.quiet) this.#keep.quieted();
  }

  // ---- records

  delta(out: RecordWriter): void {
    this.#inoderecords(out, this.#inodes);
    const small = this.#small;
    for (let i = 0; i < small.length; ) {
      const count = small[i + 1]!;
      out.begin(small[i]!);
      for (let k = 0; k < count; k++) out.put(small[i + 2 + k]!);
      out.end();
      i += 2 + count;
    }
    this.#csrecords(out, this.#cs);
    this.#done();
  }

  settle(): void {
    this.#ump.um_posting?.settle();
  }

  snapshot(out: RecordWriter): void {
    const state = this.#state;
    const { pending } = state;
    const { um_fs: fs, um_softdep, um_oldsoftdep } = this.#ump;
    const record = (type: number, ...words: readonly number[]): void => {
      out.begin(type);
      out.putall(words);
      out.end();
    };
    record(R_MOUNT, fs.fs_clean, um_softdep ? 1 : 0, um_oldsoftdep ? 1 : 0);
    this.#recorded.clear();
    this.#inoderecords(out, state.dirtyinodes);
    for (const list of pending.freelists) list.each((fsb, n) => record(R_FREE, fsb, n));
    for (const [ino, n] of pending.linksdown) record(R_LINKSDOWN, ino, n);
    for (const [ino, n] of pending.linksready) record(R_LINKSREADY, ino, n);
    for (const dead of pending.dead.values()) record(R_DEAD, ...deadwords(dead));
    for (const dead of pending.deadready.values()) record(R_DEADREADY, ...deadwords(dead));
    for (const [ino, { gen, mode }] of this.#orphans) record(R_ORPHAN, ino, gen, mode);
    for (const ino of state.lostdata) record(R_LOST, ino);
    if (state.broken) record(R_BROKEN);
    this.#csrecords(out, state.dirtycs);
    this.#done();
  }

  #done(): void {
    for (const ip of this.#inodes) ip.i_flag &= ~IN_KEPT;
    this.#inodes.length = 0;
    this.#small.length = 0;
    this.#cs.clear();
    this.whole = false;
  }

  #inoderecords(out: RecordWriter, inodes: Iterable<Inode>): void {
    const { pending } = this.#state;
    for (const ip of inodes) {
      // Without IN_DIRTY its block has it already; dead, it is not to come back.
      if (
        (ip.i_flag & IN_QUEUED) === 0 ||
        (ip.i_flag & IN_DIRTY) === 0 ||
        ip.i_mode === 0 ||
        pending.isdead(ip.i_number)
      ) {
        continue;
      }
      ufs_itimes(ip);
      this.#recorded.add(ip.i_number);
      out.begin(R_INODE);
      out.put(ip.i_number);
      const at = out.room(this.#dinodebytes);
      if (at < 0) return;
      ffs_storeinode(ip, pending.linksgone(ip.i_number), out.view, at);
      out.end();
    }
  }

  #csrecords(out: RecordWriter, groups: ReadonlySet<number>): void {
    const { um_cs, um_fs } = this.#ump;
    for (const c of groups) {
      out.begin(R_CS);
      out.put(c);
      for (let i = 0; i < 4; i++) out.put(um_cs[4 * c + i]!);
      out.end();
    }
    const { cs_ndir, cs_nbfree, cs_nifree, cs_nffree } = um_fs.fs_cstotal;
    out.begin(R_TOTAL);
    out.put(cs_ndir);
    out.put(cs_nbfree);
    out.put(cs_nifree);
    out.put(cs_nffree);
    out.end();
  }
}

function deadwords(dead: DeadInode): number[] {
  const { ino, mode, blocks, size, extsize, db, ib, extb } = dead;
  return [ino, mode, blocks, size, extsize, db.length, ib.length, extb.length, ...db, ...ib, ...extb];
}
