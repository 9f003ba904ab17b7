import { FreeList } from '../space/freelist.js';
import type { Inode } from '../volume/inode.js';

/** An inode that has neither links nor users: what must be known to free it when the disk has forgotten its names. */
export interface DeadInode {
  readonly ino: number;
  readonly mode: number;
  /** 512-byte units. */
  readonly blocks: number;
  readonly size: number;
  readonly db: readonly number[];
  readonly ib: readonly number[];
  readonly extsize: number;
  readonly extb: readonly number[];
}

/** Links by inode number. */
export type LinkCounts = Map<number, number>;
/** Dead inodes by number. */
export type DeadInodes = Map<number, DeadInode>;

/** What is gone in memory and not yet on the disk. A flush works it off. With a journal only frees are ever in it. */
export class Pending {
  /** Blocks that inodes or indirect blocks no longer have, but that the disk still has in their old form. */
  readonly frees = new FreeList();
  /** Those that a flush is about to free. */
  freeing: FreeList | null = null;
  /** Links taken away in memory whose names the disk may still have. The inode block counts them until a flush. */
  readonly linksdown: LinkCounts = new Map();
  /** The same, where the disk has lost the names: the next flush lowers the counts first of all. */
  readonly linksready: LinkCounts = new Map();
  /** Dead inodes whose names the disk may still have, and those whose names it has lost. */
  readonly dead: DeadInodes = new Map();
  readonly deadready: DeadInodes = new Map();
  /**
   * Removed directories that somebody has open, to be emptied once the disk has lost their names, and those of which it
   * has.
   */
  readonly toempty = new Set<Inode>();
  readonly toemptyready = new Set<Inode>();
  /** 512-byte units held by dead inodes. */
  deadblocks = 0;

  /** All frags that are to be freed. */
  get freelists(): readonly FreeList[] {
    return this.freeing === null ? [this.frees] : [this.frees, this.freeing];
  }

  /** Links of `ino` that the inode block still counts though they are gone. */
  linksgone(ino: number): number {
    return (this.linksdown.get(ino) ?? 0) + (this.linksready.get(ino) ?? 0);
  }

  isdead(ino: number): boolean {
    return this.dead.has(ino) || this.deadready.has(ino);
  }

  /** The inode is to be freed once the disk has lost its names. */
  adddead(dead: DeadInode): void {
    this.dead.set(dead.ino, dead);
    this.deadblocks += dead.blocks;
  }

  /** Frags that flushes will free, with frags of `fsize` bytes. */
  frags(fsize: number): number {
    return this.frees.frags + Math.floor((this.deadblocks * 512) / fsize);
  }

  get inodes(): number {
    return this.dead.size + this.deadready.size;
  }
}
