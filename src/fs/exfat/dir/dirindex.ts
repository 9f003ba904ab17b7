import { ENTRY_BYTES, IN_USE } from '../disk/entry.js';
import type { Directory } from './directory.js';
import { DIRBLOCK_BYTES, DIRBLOCK_ENTRIES } from './directory.js';

const EMPTY = 0;
const GONE = 1;
const FIRST = 2;
const MIN_SLOTS = 32;

/** Hash of a name that is up-cased. The format's own has but 16 bits: too few for a large directory. */
export function name_key_hash(key: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

/**
 * What is known of a directory that has been looked through: a hash table from names to the places of their sets, and
 * the free
 * room of each block. Names are not kept: whoever looks up compares the name in the set. Kept right by whoever changes
 * the
 * directory.
 *
 * The table is open addressing over a power of two of slots: the hash, and 0 never used, 1 emptied, else place / 32 +
 * 2.
 */
export class DirIndex {
  private readonly dir: Directory;
  private hashes = new Uint32Array(MIN_SLOTS);
  private slots = new Uint32Array(MIN_SLOTS);
  private mask = MIN_SLOTS - 1;
  private filled = 0;
  /** Files. */
  live = 0;
  /** Subdirectories among them. */
  subdirs = 0;
  /** Byte offset of the entry that ends the directory, or its size. */
  end = 0;
  /** The longest row of unused entries of each block before `end`, 0..16. */
  private room = new Uint8Array(16);
  /** No block before hint[n] has a row of n. */
  private readonly hint = new Int32Array(DIRBLOCK_ENTRIES + 1);

  constructor(dir: Directory) {
    this.dir = dir;
  }

  get bytes(): number {
    return this.slots.length * 8 + this.room.length + 256;
  }

  drop(): void {
    if (this.dir.index === this) this.dir.index = null;
  }

  /** Walks the places that may have the name: begin with -1, go on with the last answer; -1 at the end. */
  next(hash: number, slot: number): number {
    const { slots, hashes, mask } = this;
    for (let i = slot < 0 ? hash & mask : (slot + 1) & mask; slots[i] !== EMPTY; i = (i + 1) & mask) {
      if (hashes[i] === hash && slots[i] !== GONE) return i;
    }
    return -1;
  }

  /** Byte offset of the set that a slot stands for. */
  offset(slot: number): number {
    return (this.slots[slot] - FIRST) * ENTRY_BYTES;
  }

  add(hash: number, offset: number): void {
    if ((this.filled + 1) * 4 > this.slots.length * 3) this.rehash();
    const { slots, mask } = this;
    let i = hash & mask;
    while (slots[i] > GONE) i = (i + 1) & mask;
    if (slots[i] === EMPTY) this.filled++;
    slots[i] = offset / ENTRY_BYTES + FIRST;
    this.hashes[i] = hash;
    this.live++;
  }

  remove(hash: number, offset: number): void {
    for (let slot = this.next(hash, -1); slot >= 0; slot = this.next(hash, slot)) {
      if (this.offset(slot) !== offset) continue;
      this.slots[slot] = GONE;
      this.live--;
      return;
    }
  }

  private rehash(): void {
    const { slots, hashes } = this;
    const size = this.live * 2 > this.filled ? slots.length * 2 : slots.length;
    this.slots = new Uint32Array(size);
    this.hashes = new Uint32Array(size);
    this.mask = size - 1;
    for (let k = 0; k < slots.length; k++) {
      if (slots[k] <= GONE) continue;
      let i = hashes[k] & this.mask;
      while (this.slots[i] !== EMPTY) i = (i + 1) & this.mask;
      this.slots[i] = slots[k];
      this.hashes[i] = hashes[k];
    }
    this.filled = this.live;
  }

  /** Looks at the free room of the block that begins at byte `base`. */
  look(data: Uint8Array, base: number): void {
    const block = base / DIRBLOCK_BYTES;
    if (block >= this.room.length) {
      const larger = new Uint8Array(Math.max(block + 1, this.room.length * 2));
      larger.set(this.room);
      this.room = larger;
    }
    let longest = 0;
    let row = 0;
    // What lies behind the end is given out by itself.
    const to = Math.min(DIRBLOCK_BYTES, this.end - base);
    for (let at = 0; at < to; at += ENTRY_BYTES) {
      row = (data[at] & IN_USE) === 0 ? row + 1 : 0;
      if (row > longest) longest = row;
    }
    this.room[block] = longest;
    for (let n = longest; n > 0; n--) if (this.hint[n] > block) this.hint[n] = block;
  }

  /** Byte offset of the first block before the end that has `n` (1..16) unused entries in a row; -1: none has. */
  roomy(n: number): number {
    const { room } = this;
    const blocks = Math.ceil(this.end / DIRBLOCK_BYTES);
    let block = this.hint[n];
    while (block < blocks && room[block] < n) block++;
    this.hint[n] = block;
    return block < blocks ? block * DIRBLOCK_BYTES : -1;
  }
}

/** Byte offset in a block of the first `n` unused entries in a row that begin before `to`; -1: there are none. */
export function unused_row(data: Uint8Array, n: number, to: number): number {
  let row = 0;
  for (let at = 0; at < to; at += ENTRY_BYTES) {
    row = (data[at] & IN_USE) === 0 ? row + 1 : 0;
    if (row === n) return at - (n - 1) * ENTRY_BYTES;
  }
  return -1;
}
