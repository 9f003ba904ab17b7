import { VREG } from '../../../kernel/vfs/vattr.js';
import type { IsoNode } from './node.js';

/** Files with several names that are remembered. Beyond it, each name is a file of its own. */
const LINKS_MAX = 200_000;

interface Seen {
  /** File number of the record, not of the file. */
  readonly record: number;
  readonly generation: number;
}

/**
 * Files with several names: Rock Ridge says that there are several, and they share their data. What such a file is
 * called
 * by is its first block, so that it has one number whatever the name. Which record it was found by is remembered here;
 * a server that has not seen any looks for one (directory.ts).
 */
export class Hardlinks {
  private readonly seen = new Map<number, Seen>();

  /** Has its record others beside it? Empty files have no data by which to know them. */
  static candidate(node: IsoNode): boolean {
    return node.type === VREG && node.nlink > 1 && node.recorded > 0;
  }

  /**
   * May `node`, found in record `record`, be called `number`? Not if that is a file which only shares its first block.
   */
  claim(number: number, record: number, node: IsoNode): boolean {
    const first = this.seen.get(number);
    if (first !== undefined) return first.generation === node.generation;
    if (this.seen.size >= LINKS_MAX) return false;
    this.seen.set(number, { record, generation: node.generation });
    return true;
  }

  record(number: number): number | undefined {
    return this.seen.get(number)?.record;
  }
}
