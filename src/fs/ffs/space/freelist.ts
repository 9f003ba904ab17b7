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
    // Files are freed from the end as often as from the beginning.
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

  /** All runs: pairs of first frag and number of frags. The list is empty then. */
  takeruns(): readonly number[] {
    const runs = this.#runs;
    this.#runs = [];
    this.frags = 0;
    return runs;
  }

  putback(list: FreeList): void {
    for (let i = 0; i < list.#runs.length; i += 2) this.push(list.#runs[i]!, list.#runs[i + 1]!);
  }

  each(run: (fsb: number, n: number) => void): void {
    for (let i = 0; i < this.#runs.length; i += 2) run(this.#runs[i]!, this.#runs[i + 1]!);
  }
}
