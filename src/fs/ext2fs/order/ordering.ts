import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Slot } from '../dir/modify.js';
import type { Inode } from '../file/inode.js';

/**
 * How changes of metadata reach the disk such that a power cut at any moment leaves a volume that can be repaired
 * without losing what was fsynced. Two implementations: {@link Journalled} (journal/journalled.ts) on a volume with a
 * journal, {@link Ordered} (ordered.ts) on one without.
 *
 * Operations change buffers between begin and end, and mark them; a flush waits until no operation is open. What
 * the two share lies in WriteState (volume/writestate.ts).
 */
export interface Ordering {
  readonly journalled: boolean;
  /** An operation begins; do not nest. Test the result before awaiting it. @throws EROFS EIO */
  begin(): MaybePromise<void>;
  end(): void;
  /** In the middle of an operation, with everything in memory consistent: ends it, flushes, begins another. */
  reopen(): Promise<void>;
  /** The operation should end before it changes more. */
  readonly crowded: boolean;
  /**
   * Brings all changes to stable storage. Outside of operations.
   * @param full also what a checker could find out by itself @throws EIO
   */
  flush(full: boolean): Promise<void>;
  /** A buffer of metadata has changed; `kind` (BK_*) says when ordered writes send it. */
  dirty(bp: Buf, kind: number): void;
  /** The block, which held metadata, is being freed: no older copy of it may come back. */
  forget(block: number): void;

  /** Takes `n` links away from an inode, which the caller stores. The disk counts them until the names have gone. */
  linkdown(ip: Inode, n: number): void;
  /** Links that the disk is to count beside those that are left. */
  linksgone(ino: number): number;
  /**
   * The last user of an inode without links has gone: inode and blocks are freed, now or by a flush. Outside of
   * operations. @throws EIO
   */
  discard(ip: Inode): Promise<void>;
  /** A name of `ip` was written into `dir`. */
  nameadded(ip: Inode, dir: Inode, slot: Slot): void;
  /** A name of `ip` is about to go, while others stay. False: only after {@link reopen}. */
  namegoing(ip: Inode, slot: Slot): boolean;
  /** The same of the name of a directory that is empty now. */
  dirgoing(ip: Inode, slot: Slot): boolean;
  /** Takes up what a predecessor had put off. */
  inherit(what: 'links' | 'dead', ino: number, n: number): MaybePromise<void>;
}

/** New on the disk, and nothing on the disk points to it yet. */
export const BK_NEW = 0;
/** Superblock, descriptors, bitmaps. */
export const BK_ALLOC = 1;
/** Inodes. */
export const BK_INODE = 2;
/** Inner nodes of extent trees, trees of directories: they must be there before what has been split below them. */
export const BK_INDEX = 3;
/** Leaves of extent trees, indirect blocks, blocks of attributes. */
export const BK_LEAF = 4;
/** Blocks of directories. */
export const BK_DIR = 5;
