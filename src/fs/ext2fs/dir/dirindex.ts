/** 0 is a slot that was never used; this one is used no more. */
const GONE = 0xffffffff;
const FIRST = 1;
const MIN_SLOTS = 256;
/** Offsets are multiples of 4. */
const UNIT = 4;
/** The largest directory whose offsets fit. */
export const DIRINDEX_MAX_BYTES = 2 ** 33;

export function dirhash_name(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

export function dirhash_bytes(bytes: Uint8Array, start: number, length: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < start + length; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

/**
 * Index of a directory: an open hash table from names to the byte offsets of their entries, at most three quarters
 * full.
 * Names are not kept: whoever looks up compares the name in the entry.
 */
export class DirIndex {
  private hashes = new Uint32Array(MIN_SLOTS);
  private slots = new Uint32Array(MIN_SLOTS);
  private mask = MIN_SLOTS - 1;
  private filled = 0;
  readonly drop: () => void;

  constructor(drop: () => void) {
    this.drop = drop;
  }

  /** Memory, bytes. */
  get bytes(): number {
    return this.slots.length * 8;
  }

  /** Walks the slots that may hold a name: start with `slot` -1, go on with the last answer; -1 at the end. */
  next(hash: number, slot: number): number {
    const { slots, hashes, mask } = this;
    for (let i = slot < 0 ? hash & mask : (slot + 1) & mask; slots[i] !== 0; i = (i + 1) & mask)
      if (hashes[i] === hash && slots[i] !== GONE) return i;
    return -1;
  }

  /** Byte offset of the entry that a slot stands for. */
  offset(slot: number): number {
    return (this.slots[slot] - FIRST) * UNIT;
  }

  add(hash: number, offset: number): void {
    if ((this.filled + 1) * 4 > this.slots.length * 3) this.grow();
    this.put(hash, offset / UNIT + FIRST);
    this.filled++;
  }

  remove(hash: number, offset: number): void {
    for (let slot = this.next(hash, -1); slot >= 0; slot = this.next(hash, slot)) {
      if (this.offset(slot) !== offset) continue;
      this.slots[slot] = GONE;
      return;
    }
  }

  private put(hash: number, value: number): void {
    const { slots, mask } = this;
    let i = hash & mask;
    while (slots[i] !== 0) i = (i + 1) & mask;
    slots[i] = value;
    this.hashes[i] = hash;
  }

  private grow(): void {
    const { slots, hashes } = this;
    this.slots = new Uint32Array(slots.length * 2);
    this.hashes = new Uint32Array(slots.length * 2);
    this.mask = slots.length * 2 - 1;
    this.filled = 0;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === 0 || slots[i] === GONE) continue;
      this.put(hashes[i], slots[i]);
      this.filled++;
    }
  }
}
