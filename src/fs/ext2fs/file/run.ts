/** Consecutive blocks of a file that lie one behind the other on the disk, or read as zeros. */
export class Run {
  /** First block on the disk; 0: there are none, or they were never written. */
  readonly block: number;
  /** At least 1. */
  readonly blocks: number;
  /** First block on the disk of blocks that were never written; 0: there are none. */
  readonly unwritten: number;

  constructor(block: number, blocks: number, unwritten = 0) {
    this.block = block;
    this.blocks = blocks;
    this.unwritten = unwritten;
  }
}

/** Block numbers of files have 32 bits. */
export const MAX_LBN = 2 ** 32;
