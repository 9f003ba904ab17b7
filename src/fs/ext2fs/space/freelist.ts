import type { Rows } from '../order/rows.js';

/** Blocks that files no longer have, but that the disk may still count on: free after the next flush. */
export class FreeList {
  private runs: number[] = [];
  /** Blocks. */
  count = 0;
  readonly groups = new Set<number>();

  constructor(
    private readonly rows: Rows | null,
    private readonly groupof: (block: number) => number,
  ) {}

  push(block: number, count: number): void {
    const n = this.runs.length;
    // A row grows by the run behind it or before it: what is cut from the end comes in descending order.
    if (n > 0 && this.runs[n - 2] + this.runs[n - 1] === block) this.runs[n - 1] += count;
    else if (n > 0 && block + count === this.runs[n - 2]) {
      this.rows?.freed(this.runs[n - 2]);
      this.runs[n - 2] = block;
      this.runs[n - 1] += count;
    } else this.runs.push(block, count);
    const last = this.runs.length - 2;
    this.rows?.freeing(this.runs[last], this.runs[last + 1]);
    this.count += count;
    const end = this.groupof(block + count - 1);
    for (let g = this.groupof(block); g <= end; g++) this.groups.add(g);
  }

  /** Takes them all: first, count, ... */
  take(): number[] {
    const { runs } = this;
    this.runs = [];
    this.count = 0;
    this.groups.clear();
    return runs;
  }
}
