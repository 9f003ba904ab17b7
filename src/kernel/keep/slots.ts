/** Smallest piece, bytes; larger ones are powers of two. */
const SLOT_MIN = 512;

/** A piece of the memory: where it begins, and how long it is. */
export interface Slot {
  readonly at: number;
  readonly bytes: number;
}

/**
 * Room for copies of blocks. Freed pieces are used again for blocks of their size class, which are few: a volume has
 * two or three.
 */
export class Slots {
  /** Ranges never used, in order; a range is used from its front. */
  private readonly gaps: { from: number; to: number }[] = [];
  private readonly free = new Map<number, number[]>();

  /** Room in from..to, but for `taken` (until each is released). */
  constructor(from: number, to: number, taken: readonly Slot[]) {
    const used = [...taken].sort((a, b) => a.at - b.at);
    let at = from;
    for (const slot of used) {
      if (slot.at > at) this.gaps.push({ from: at, to: slot.at });
      at = Math.max(at, slot.at + Slots.classof(slot.bytes));
    }
    if (at < to) this.gaps.push({ from: at, to });
  }

  /** Where `bytes` have room; -1: nowhere. */
  take(bytes: number): number {
    const size = Slots.classof(bytes);
    const reused = this.free.get(size)?.pop();
    if (reused !== undefined) return reused;
    for (const gap of this.gaps) {
      if (gap.to - gap.from < size) continue;
      gap.from += size;
      return gap.from - size;
    }
    return -1;
  }

  release(at: number, bytes: number): void {
    const size = Slots.classof(bytes);
    const list = this.free.get(size);
    if (list === undefined) this.free.set(size, [at]);
    else list.push(at);
  }

  private static classof(bytes: number): number {
    let size = SLOT_MIN;
    while (size < bytes) size *= 2;
    return size;
  }
}
