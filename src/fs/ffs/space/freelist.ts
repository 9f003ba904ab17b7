import { ffs_blkfree } from './blkfree.js';
import type { FfsMount } from '../volume/ffsmount.js';

/** Runs of frags that are to be freed once nothing on the disk points to them. */
export class FreeList {
  /** Pairs: first frag, number of frags. */
  #runs: number[] = [];
  /** Sum of the lengths. */
  frags = 0;

  push(fsb: number, n: number): void {
    const runs = this.#runs;
    const last = runs.length - 2;
    this.frags += n;
    // Files are let go from the end as often as from the beginning.
    if (last >= 0 && runs[last]! + runs[last + 1]! === fsb) {
      runs[last + 1]! += n;
    } else if (last >= 0 && fsb + n === runs[last]) {
      runs[last] = fsb;
      runs[last + 1]! += n;
    } else {
      runs.push(fsb, n);
    }
  }

  /** Everything in it, as a list of its own; this one is empty then. */
  take(): FreeList {
    const taken = new FreeList();
    taken.#runs = this.#runs;
    taken.frags = this.frags;
    this.#runs = [];
    this.frags = 0;
    return taken;
  }

  putback(list: FreeList): void {
    for (let i = 0; i < list.#runs.length; i += 2) this.push(list.#runs[i]!, list.#runs[i + 1]!);
  }

  each(run: (fsb: number, n: number) => void): void {
    for (let i = 0; i < this.#runs.length; i += 2) run(this.#runs[i]!, this.#runs[i + 1]!);
  }

  /** Frees them all. A run that turns out to be free already stops nothing: it is damage, which is logged. */
  async release(ump: FfsMount): Promise<void> {
    const runs = this.#runs;
    this.#runs = [];
    this.frags = 0;
    for (let i = 0; i < runs.length; i += 2) {
      try {
        const wait = ffs_blkfree(ump, runs[i]!, runs[i + 1]!);
        if (wait) await wait;
      } catch {
        // ffs_blkfree has logged it; what is not freed is lost until the volume is checked.
      }
    }
  }
}
