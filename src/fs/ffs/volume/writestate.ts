import { E, errno } from '../../../kernel/errno.js';
import type { Inode } from './inode.js';
import type { DirDep } from '../dir/dirdep.js';
import type { FfsMount } from './ffsmount.js';
import type { Order } from '../order/order.js';

/** Where the write side hangs on mounts and inodes. */

/** What the write side knows of an inode in memory: ip.i_private, made when first needed. */
export class InodeWrite {
  /** The flush (Order.epoch) before which the inode was allocated: until that flush the disk does not know it. */
  newepoch = 0;
  /** Names which the disk may not have yet: their chunks and directories; valid while namesepoch is Order.namesepoch. */
  readonly newnames: { dep: DirDep; chunk: number; dir: Inode }[] = [];
  namesepoch = 0;
  /** There are more names than newnames keeps. */
  manynames = false;
  /** Size, pointers or attributes changed since the last flush: fdatasync must write the inode. */
  metadirty = false;
}

/** The write side's state of an inode. */
export function IW(ip: Inode): InodeWrite {
  return (ip.i_private ??= new InodeWrite()) as InodeWrite;
}

/** The write side's state of a mounted volume; only volumes mounted for writing have one. @throws EROFS */
export function ORDER(ump: FfsMount): Order {
  const order = ump.um_private as Order | null;
  if (order === null) throw errno(E.EROFS);
  return order;
}
