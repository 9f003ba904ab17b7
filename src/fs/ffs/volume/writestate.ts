import type { Errno } from '../../../kernel/errno.js';
import { E, errno } from '../../../kernel/errno.js';
import type { DirDep } from '../order/dirdep.js';
import type { Ordering } from '../order/ordering.js';
import type { DeadInode } from '../order/pending.js';
import { Pending } from '../order/pending.js';
import type { FfsMount } from './ffsmount.js';
import type { Inode } from './inode.js';

/** What the write side knows of mounts and inodes, whichever way its changes reach the disk (order/ordering.ts). */

/** ip.i_flag: waits in WriteState.dirtyinodes. */
export const IN_QUEUED = 0x10000;
/** ip.i_flag: has changed since the last commit to memory that outlives the kernel (kept.ts). */
export const IN_KEPT = 0x20000;

/** What the write side knows of an inode in memory: ip.i_private, made when first needed. */
export class InodeWrite {
  /** The flush (WriteState.epoch) before which the inode was allocated: until that flush the disk does not know it. */
  newepoch = 0;
  /**
   * Names which the disk may not have yet: their chunks and directories; valid while namesepoch is
   * WriteState.namesepoch.
   */
  readonly newnames: { dep: DirDep; chunk: number; dir: Inode }[] = [];
  namesepoch = 0;
  /** There are more names than newnames keeps. */
  manynames = false;
  /** Size, pointers or attributes changed since the last flush: fdatasync must write the inode. */
  metadirty = false;
}

/** Who records changes for a successor of this kernel (kept.ts). */
export interface ChangeRecorder {
  /** The inode has been marked for writing. */
  inode(ip: Inode): void;
  /** The inode's block has it as it is, or has it cleared. */
  copied(ino: number): void;
  /** The counts of group `c` have changed. */
  cs(c: number): void;
  /** More is in WriteState.pending. */
  freeing(fsb: number, n: number): void;
  linksdown(ino: number, links: number): void;
  dead(dead: DeadInode): void;
  orphan(ino: number, gen: number, mode: number): void;
  unorphan(ino: number): void;
  /** Something else has changed: everything is to be recorded anew. */
  moved(): void;
  /** Between enter and leave what is in memory is no state to go on from. */
  enter(): void;
  leave(): void;
  /** Before a write to the device that depends on what has changed. Outside of sections and transactions. */
  commit(): void;
  /** A flush has ended, and no transaction is open. */
  flushed(): void;
  /** A transaction has ended. */
  quieted(): void;
}

/** The state of a volume that is mounted for writing: FfsMount.um_private. */
export class WriteState {
  readonly ump: FfsMount;
  /** Changes when the volume begins or ends to use a journal, while nothing is dirty. */
  order!: Ordering;
  readonly pending = new Pending();
  /** Counts flushes that have begun: whatever was allocated before may be known to the disk. */
  epoch = 1;
  /** Counts flushes that have brought all names to the disk. */
  namesepoch = 1;
  /** Dirty inodes in memory, to be copied to their blocks: those with IN_QUEUED. */
  readonly dirtyinodes = new Set<Inode>();
  /** Write states of inodes that left memory before a flush. */
  readonly parked = new Map<number, InodeWrite>();
  /** Groups whose entry in the summary area has changed. */
  readonly dirtycs = new Set<number>();
  /** File data went to blocks that the disk does not know yet. */
  newdata = false;
  /** Something was written to the device since the last barrier. */
  unflushed = false;
  /**
   * Files whose data the device did not take: their fsync fails until they are emptied or removed, or the volume is
   * mounted again.
   */
  readonly lostdata = new Set<number>();
  /** Files without links that somebody still uses. */
  orphans = 0;
  /** Set by damage: no further changes are accepted, and the volume is not marked clean. */
  broken = false;
  /** An inode without links that may be loaded all the same: a predecessor's users have it open. */
  adopting = 0;
  /** Who is told what a successor needs; null: there is no memory that outlives the kernel. */
  kept: ChangeRecorder | null = null;
  /** Directories created one after another in each group (dirpref). */
  readonly contigdirs: Uint8Array;
  /** Random numbers in stock, and how many of them are unused. */
  readonly random = new Uint32Array(64);
  randomleft = 0;

  constructor(ump: FfsMount) {
    this.ump = ump;
    this.contigdirs = new Uint8Array(ump.um_fs.fs_ncg);
  }

  // ---- inodes

  /** The disk does not know this inode. */
  isnew(ip: Inode): boolean {
    return ip.i_private !== null && IW(ip).newepoch === this.epoch;
  }

  /** The inode is to be written; `flags` (IN_*) say which times are to be set. For the orderings: others use touch. */
  queue(ip: Inode, flags: number): void {
    if ((ip.i_flag & IN_QUEUED) === 0) this.dirtyinodes.add(ip);
    ip.i_flag |= flags | IN_QUEUED;
    this.kept?.inode(ip);
  }

  /** The inode is on its block, or dead: it need not be kept in memory for that. */
  unqueue(ip: Inode): void {
    if ((ip.i_flag & IN_QUEUED) === 0) return;
    ip.i_flag &= ~IN_QUEUED;
    this.dirtyinodes.delete(ip);
  }

  /** The inode leaves memory before a flush: what is known of its names must not be forgotten. */
  park(ip: Inode): void {
    const iw = ip.i_private as InodeWrite | null;
    if (iw !== null && (iw.namesepoch === this.namesepoch || iw.newepoch === this.epoch)) {
      this.parked.set(ip.i_number, iw);
    }
  }

  /** The counts of group `c` have changed. */
  recount(c: number): void {
    this.dirtycs.add(c);
    this.kept?.cs(c);
  }

  /** The device did not take data of the file: its fsync fails from now on. */
  lose(ino: number): void {
    this.lostdata.add(ino);
    this.kept?.moved();
  }

  // ---- the device

  /** Every write that returned before is on stable storage afterwards. Costs nothing if there was none. @throws EIO */
  async barrier(): Promise<void> {
    if (!this.unflushed) return;
    this.unflushed = false;
    try {
      await this.ump.um_dev.flush();
    } catch (error) {
      this.unflushed = true;
      this.#unflushable();
      throw error;
    }
  }

  /**
   * The device could not bring to stable storage what it was given, and what that was nobody knows any more: nothing
   * that comes after could be kept either.
   */
  #unflushable(): void {
    if (this.broken) return;
    this.broken = true;
    this.kept?.moved();
    const { um_kernel, um_mountp } = this.ump;
    um_kernel.log(
      'error',
      `${um_mountp.mnt_mntfromname}: what was written last may be lost; nothing more is written to the volume until ` +
        'it is mounted again',
    );
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

/** The write side's state of an inode. */
export function IW(ip: Inode): InodeWrite {
  return (ip.i_private ??= new InodeWrite()) as InodeWrite;
}

/** The write side's state of a mounted volume; null on one that is only read. */
export function writestate(ump: FfsMount): WriteState | null {
  return ump.um_private as WriteState | null;
}

/** The same, where there is one. @throws EROFS */
export function WRITE(ump: FfsMount): WriteState {
  const state = ump.um_private as WriteState | null;
  if (state === null) throw errno(E.EROFS);
  return state;
}

/** How the changes of a volume reach the disk. @throws EROFS on one that is only read */
export function ORDER(ump: FfsMount): Ordering {
  return WRITE(ump).order;
}
