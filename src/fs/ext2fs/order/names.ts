import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Slot } from '../dir/modify.js';

/** The part of a directory block that a disk writes as a whole, bytes. */
const SECTOR = 512;
/** Names of one file that are remembered. */
const NAMES_MAX = 16;

interface Rank {
  rank: number;
  /** Another block has its rank because of this one. */
  fixed: boolean;
}

interface NewName {
  readonly bp: Buf;
  readonly offset: number;
  /** The directory that has it is itself not known to the disk. */
  readonly dirisnew: boolean;
}

/**
 * The order in which directory blocks may reach a disk without a journal. A block of rank n is written only when those
 * of lower rank are there. A block from which a name goes whose file has got another one since the last flush, gets a
 * rank above that of the block with the new name. A block on which others rely keeps its rank until it is written, so
 * there are no cycles: who would have to raise it must flush first.
 */
export class Names {
  private readonly ranks = new Map<Buf, Rank>();
  private readonly news = new Map<number, NewName[]>();

  added(ino: number, { bp, offset }: Slot, dirisnew: boolean): void {
    const names = this.news.get(ino);
    if (names === undefined) this.news.set(ino, [{ bp, offset, dirisnew }]);
    else if (names.length < NAMES_MAX) names.push({ bp, offset, dirisnew });
    else names[0] = { bp, offset, dirisnew: true };
  }

  /** A name of `ino` goes: those that are new must be on the disk before. False: not without a flush. */
  going(ino: number, { bp, offset }: Slot): boolean {
    for (const name of this.news.get(ino) ?? []) {
      if (name.bp === bp && name.offset === offset) continue;
      if (name.dirisnew || !this.after(name.bp, name.offset, bp, offset)) return false;
    }
    return true;
  }

  /** The name of directory `ino` goes: what has left it must have its new name before. */
  dirgoing(ino: number, { bp }: Slot): boolean {
    for (const block of this.ranks.keys()) {
      if (Math.floor((block.b_private as number) / 8) !== ino || block === bp) continue;
      if (this.rank(block) > 0 && !this.raise(block, bp)) return false;
    }
    return true;
  }

  private after(earlier: Buf, earlierat: number, later: Buf, laterat: number): boolean {
    if (earlier !== later) return this.raise(earlier, later);
    return Math.floor(earlierat / SECTOR) === Math.floor(laterat / SECTOR);
  }

  private raise(earlier: Buf, later: Buf): boolean {
    const before = this.of(earlier);
    const behind = this.of(later);
    if (behind.rank <= before.rank) {
      if (behind.fixed) return false;
      behind.rank = before.rank + 1;
    }
    before.fixed = true;
    return true;
  }

  private of(bp: Buf): Rank {
    let rank = this.ranks.get(bp);
    if (rank === undefined) this.ranks.set(bp, (rank = { rank: 0, fixed: false }));
    return rank;
  }

  rank(bp: Buf): number {
    return this.ranks.get(bp)?.rank ?? 0;
  }

  forget(bp: Buf): void {
    this.ranks.delete(bp);
  }

  /** Everything is on the disk. */
  clear(): void {
    this.ranks.clear();
    this.news.clear();
  }
}
