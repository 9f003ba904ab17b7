import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Inode } from '../volume/inode.js';

/**
 * How changes of metadata reach the disk such that a power cut at any moment leaves a volume that can be repaired
 * without losing what was fsynced. One interface with two implementations: {@link OrderedWrites} (ordered.ts) on a
 * volume without a journal, {@link JournalledWrites} (journal/journal.ts) on one with. See "Write ordering" and "The
 * journal" in README.md.
 *
 * Every change happens in memory, inside a transaction (begin .. end), and marks buffers and inodes as changed. A flush
 * waits until no transaction is open and brings what is marked to the disk. What the two share lies in WriteState
 * (volume/writestate.ts), what is built from the members here in changes.ts.
 */
export interface Ordering extends Transactions, TransactionSize, Marks, LinkOrder, NameOrder {
  /** The volume has a journal, and this writes it. */
  readonly journalled: boolean;
}

/** What a dirty buffer holds; decides when ordered writes send it to the disk. A journal makes no difference. */
/** New on the disk and nothing on the disk points to it yet: indirect blocks, newly initialised inode blocks. */
export const BK_NEW = 0;
/** Inode blocks, and indirect blocks that the disk knows. */
export const BK_INODE = 1;
/** Directory blocks; how far they are new is told by their DirDep (dirdep.ts). */
export const BK_DIR = 2;
/** Cylinder groups. */
export const BK_CG = 3;

export interface Transactions {
  /**
   * Opens a transaction; do not nest. Returns a promise only if it has to wait.
   * @throws EROFS on a read-only mount; EIO after damage
   */
  begin(): MaybePromise<void>;
  /** Closes a transaction: all that it changed is consistent, or has been taken back. */
  end(): void;
  /** A transaction is open. */
  readonly shared: boolean;
  /** In the middle of a transaction, with everything in memory consistent: closes it, flushes, opens another. */
  reopen(): Promise<void>;
  /** After this error, would a flush make room? */
  roomcoming(error: unknown): boolean;
  /**
   * Brings everything that is dirty to the device, in order, and returns when it is on stable storage. Outside of
   * transactions.
   * @param full also what a check of the volume could find out by itself: clears dead inodes, frees blocks, writes
   *   cylinder groups and superblock
   * @throws EIO
   */
  flush(full: boolean): Promise<void>;
  /**
   * For fdatasync: data written in place are durable afterwards. With -o async that is promised to nobody.
   * @throws EIO
   */
  settledata(): MaybePromise<void>;
}

/** How much one transaction may change: a journal must hold it as a whole. */
export interface TransactionSize {
  /** The open transaction should end before it changes more. */
  readonly crowded: boolean;
  /** Bytes of a file that may be allocated in one transaction. */
  readonly mostalloc: number;
  /** Bytes by which a directory may be cut in one transaction. */
  readonly mosttrim: number;
  /** How far from byte `offset` on, up to `end`, blocks of a file may be freed in one transaction. @throws EIO */
  punchreach(ip: Inode, offset: number, end: number): MaybePromise<number>;
  /**
   * Outside of transactions, before a file is cut to `length` bytes: cuts it, in transactions of its own, so far that
   * one more can do the rest. @throws EIO
   */
  reduce(ip: Inode, length: number): MaybePromise<void>;
  /** May a file lose its last link now, although somebody may still have it open? @throws ENOSPC */
  mayorphan(): void;
}

export interface Marks {
  /**
   * Delayed write of a metadata buffer (`kind`: BK_*); the reference stays the caller's.
   * @param from bytes from here on
   * @param to and before here have changed; all if not given
   */
  bdwrite(bp: Buf, kind: number, from?: number, to?: number): void;
  /**
   * Like bdwrite, of an inode block in which only an access time has changed; may be called outside of transactions.
   */
  bdwriteatime(bp: Buf): void;
  /** cg_initediblk of the group in `bp` was raised. */
  initedcg(bp: Buf): void;
  /** Forgets the cached metadata in frags fsb..fsb+n-1, which are being freed or moved. */
  binval(fsb: number, n: number): void;
  /** IN_CHANGE, IN_UPDATE or IN_MODIFIED: the times that are to be set; the inode is to be written. */
  touch(ip: Inode, flags: number): void;
  /** Frags fsb..fsb+n-1, which the disk may know to be in use, are free once nothing on the disk points to them. */
  freelater(fsb: number, n: number): void;
}

export interface LinkOrder {
  /**
   * Takes `n` links away from an inode. The disk learns it only after the names have gone from it.
   * @param unknown the disk never had what counted for these links
   */
  linkdown(ip: Inode, n: number, unknown?: boolean): void;
  /** The inode has lost its last link and lives until its last user has gone. */
  orphan(ino: number, gen: number, mode: number): void;
  /**
   * In the transaction that removes directory `ip`: its blocks, with nothing but "." and ".." in them, are freed. On a
   * volume without a journal not before the disk has lost its name, since files that were moved out of it may have
   * their only name on the disk there. @throws EIO
   */
  emptyremoved(ip: Inode): MaybePromise<void>;
  /** It has gone, or has turned out to be no such inode. */
  unorphan(ino: number): void;
  /**
   * The last user of an inode without links has gone: the inode and its blocks are freed, now or by a flush. Outside of
   * transactions. @returns true: the vnode can be recycled. @throws EIO
   */
  discard(ip: Inode): MaybePromise<boolean>;
}

/** The order in which names may appear on the disk and go from it. */
export interface NameOrder {
  /** A name of `ip` was written into a chunk of `bp`, a block of directory `dir`. */
  nameadded(ip: Inode, dir: Inode, bp: Buf, chunk: number): void;
  /** A name of `ip` is about to go from a chunk of `bp`, a block of `dp`. False: only after reopen(). */
  namegoing(ip: Inode, dp: Inode, bp: Buf, chunk: number): boolean;
  /**
   * The name of a directory is about to go from a chunk of `bp`; chunks of its own have ranks up to `rank`. False: as
   * above.
   */
  rankfloor(rank: number, bp: Buf, chunk: number): boolean;
  /**
   * May directory `ip` get a name in `dp` now? Not if the disk knows it and does not know `dp`: a checker that finds
   * `dp` without its name, but with this one in it, would take the old name for the one too many. False: flush first.
   */
  mayenter(ip: Inode, dp: Inode): boolean;
}
