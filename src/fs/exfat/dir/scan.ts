import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { ENTRY_BYTES, F_SECONDARY_COUNT, IN_USE, SECONDARIES_MAX, SECONDARY, T_END, T_FILE } from '../disk/entry.js';
import type { Directory } from './directory.js';
import { DIRBLOCK_BYTES } from './directory.js';
import { FileSet } from './fileset.js';

/** What a walk over a directory tells of. Whoever answers false ends it. */
export interface Visitor {
  /**
   * A file: its set, whose structure is right, the byte offset of its first entry, and where that lies on the device.
   * `set` is valid until the call returns.
   */
  file(set: FileSet, offset: number, at: number): boolean;
  /** Another primary entry that is in use. */
  other?(type: number, offset: number, bp: Buf, into: number): boolean;
  /** A block has been looked at, entries `from`..`to`-1 bytes of it. */
  block?(bp: Buf, base: number, from: number, to: number): void;
  /** Entries of a file that make no sense. */
  bad?(problem: string, offset: number): void;
}

/**
 * Walks over the entries of a directory from byte `offset` on, set by set, up to the entry that ends it. A set that was
 * changed
 * while the walk waited for the device may be met twice or not at all: whoever calls holds the directory's lock.
 * States: between sets (need 0) -> in the set of a file (`need` entries are missing) -> between sets.
 */
class Walk {
  private readonly set = new FileSet();
  private need = 0;
  private start = 0;
  private startat = 0;
  /** Clusters of a chain that it has been in, by where they lie. */
  private readonly seen = new Set<number>();

  constructor(
    private readonly dir: Directory,
    private offset: number,
    private readonly visitor: Visitor,
  ) {}

  /** @returns the offset of the entry that ends the directory, or its size; -1: the visitor ended the walk */
  go(): MaybePromise<number> {
    const { dir } = this;
    while (this.offset < dir.bytes) {
      const bp = dir.block(this.offset);
      if (bp instanceof Promise) {
        return bp.then((b) => {
          const ended = this.entries(b);
          return ended !== undefined ? ended : this.go();
        });
      }
      const ended = this.entries(bp);
      if (ended !== undefined) return ended;
    }
    if (this.need > 0) this.broken('the directory ends in the middle of it');
    return dir.bytes;
  }

  /** The first block of a cluster. @throws EIO it has been there: the chain leads in a circle */
  private enter(bp: Buf): void {
    const { em, number } = this.dir;
    const at = bp.b_offset;
    if (!this.seen.has(at)) {
      this.seen.add(at);
      return;
    }
    em.em_bufcache.brelse(bp);
    throw em.em_damage.error(`directory ${number}: its chain leads back, at byte ${this.offset} of it`);
  }

  private broken(problem: string): void {
    this.need = 0;
    this.visitor.bad?.(problem, this.start);
  }

  /** The entries of one block. undefined: it goes on behind it. */
  private entries(bp: Buf): number | undefined {
    const { visitor, dir } = this;
    const base = this.offset - (this.offset % DIRBLOCK_BYTES);
    const from = this.offset - base;
    const end = Math.min(DIRBLOCK_BYTES, dir.bytes - base);
    if (base % dir.em.em_clbytes === 0 && !dir.chain.contiguous && dir.chain.count > 1) this.enter(bp);
    let into = from;
    try {
      for (; into < end; into += ENTRY_BYTES) {
        const type = bp.b_data[into];
        if (this.need > 0 && (type & (IN_USE | SECONDARY)) !== (IN_USE | SECONDARY)) {
          this.broken(`type 0x${type.toString(16)} among its secondary entries`);
        }
        if (type === T_END) return base + into;
        if (this.need > 0) {
          if (!this.secondary(bp, into)) return -1;
        } else if (type === T_FILE) {
          this.first(bp, base, into);
        } else if ((type & (IN_USE | SECONDARY)) === IN_USE && visitor.other?.(type, base + into, bp, into) === false) {
          return -1;
        }
      }
      return undefined;
    } finally {
      this.offset = base + into;
      visitor.block?.(bp, base, from, Math.min(into, end));
      dir.em.em_bufcache.brelse(bp);
    }
  }

  private first(bp: Buf, base: number, into: number): void {
    const secondaries = bp.b_data[into + F_SECONDARY_COUNT];
    this.start = base + into;
    this.startat = bp.b_offset + into;
    if (secondaries === 0 || secondaries > SECONDARIES_MAX) return this.broken(`SecondaryCount ${secondaries}`);
    this.set.bytes.set(bp.b_data.subarray(into, into + ENTRY_BYTES));
    this.set.count = 1;
    this.need = secondaries;
  }

  private secondary(bp: Buf, into: number): boolean {
    const { set } = this;
    set.bytes.set(bp.b_data.subarray(into, into + ENTRY_BYTES), set.count++ * ENTRY_BYTES);
    if (--this.need > 0) return true;
    const problem = set.problem();
    if (problem === undefined) return this.visitor.file(set, this.start, this.startat);
    this.broken(problem);
    return true;
  }
}

/** Walks over `dir` from byte `offset` on. @returns as {@link Walk.go} says @throws EIO */
export function dir_walk(dir: Directory, offset: number, visitor: Visitor): MaybePromise<number> {
  return new Walk(dir, offset, visitor).go();
}
