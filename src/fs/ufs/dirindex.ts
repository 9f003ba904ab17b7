import type { DirFormat } from './dir.js';
import { DIRECTSIZ, DIRENT_HEADER, dirent_namlen, ufs_dirbadentry } from './dir.js';

/**
 * Index of a large directory: a hash table from names to the byte offsets of their entries, and the free room of each
 * chunk (NetBSD's dirhash). Names are not kept: who looks up compares the name in the entry itself. Lookups build it
 * (lookup.ts); whoever changes the directory keeps it right with add, remove, setfree and truncate, or drops it.
 *
 * The table is open addressing with linear probing over two arrays of a power of two of slots: the full hash, and what
 * the slot holds: 0 never used, 1 emptied, else offset / 4 + 2 (offsets are multiples of 4 below 2^31).
 */
const EMPTY = 0;
const GONE = 1;
const FIRST = 2;
const MIN_SLOTS = 256;
/** Largest free room that is told apart: an entry with a name of 255 bytes needs 264. In units of 4 bytes. */
const MAX_UNITS = DIRECTSIZ(255) / 4;

export function dirhash_name(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

function dirhash_bytes(bytes: Uint8Array, start: number, length: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < start + length; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}

export class DirIndex {
  private hashes: Uint32Array;
  private slots: Uint32Array;
  private mask: number;
  /** Entries, and slots that are not EMPTY. */
  private live = 0;
  private filled = 0;
  /** Free room of each chunk that compaction could gather, in units of 4 bytes, at most 255. */
  private free: Uint8Array;
  /** Chunks of the directory. */
  private nchunks = 0;
  /** No chunk before hint[units] has that much room. */
  private readonly hint = new Int32Array(MAX_UNITS + 1);
  private readonly dirblksiz: number;
  /** Links of {@link DirIndexCache}: neighbours in order of use. */
  newer: DirIndex | null = null;
  older: DirIndex | null = null;
  /** Forgets this index in its inode. */
  readonly drop: () => void;

  /** @param expected entries, to size the table */
  constructor(dirblksiz: number, chunks: number, expected: number, drop: () => void) {
    let slots = MIN_SLOTS;
    while (slots * 3 < expected * 4) slots *= 2;
    this.hashes = new Uint32Array(slots);
    this.slots = new Uint32Array(slots);
    this.mask = slots - 1;
    this.free = new Uint8Array(Math.max(chunks, 16));
    this.dirblksiz = dirblksiz;
    this.drop = drop;
  }

  /** Memory, bytes. */
  get bytes(): number {
    return this.slots.length * 8 + this.free.length + 512;
  }
  get entries(): number {
    return this.live;
  }

  /**
   * Walks the slots that may hold a name: start with `slot` -1, go on with the last answer; -1 at the end. The entry at
   * {@link offset} of a slot must be compared.
   */
  next(hash: number, slot: number): number {
    const { slots, hashes, mask } = this;
    // The table is never full, so the walk ends at an EMPTY slot.
    for (let i = slot < 0 ? hash & mask : (slot + 1) & mask; slots[i] !== EMPTY; i = (i + 1) & mask) {
      if (hashes[i] === hash && slots[i] !== GONE) return i;
    }
    return -1;
  }

  /** Byte offset of the entry that a slot stands for. */
  offset(slot: number): number {
    return (this.slots[slot] - FIRST) * 4;
  }

  /** An entry with this name was written at byte `offset`. */
  add(name: string, offset: number): void {
    this.insert(dirhash_name(name), offset);
  }

  /** The entry with this name at byte `offset` is gone. */
  remove(name: string, offset: number): void {
    const hash = dirhash_name(name);
    for (let slot = this.next(hash, -1); slot >= 0; slot = this.next(hash, slot)) {
      if (this.offset(slot) !== offset) continue;
      this.slots[slot] = GONE;
      this.live--;
      return;
    }
  }

  /** The entry with this name moved (compaction of its chunk). */
  move(name: string, from: number, to: number): void {
    const hash = dirhash_name(name);
    for (let slot = this.next(hash, -1); slot >= 0; slot = this.next(hash, slot)) {
      if (this.offset(slot) !== from) continue;
      this.slots[slot] = to / 4 + FIRST;
      return;
    }
  }

  /**
   * The chunk that begins at byte `chunk` has `bytes` of room: what is behind its entries' names, and whole free
   * entries, added up. A chunk behind the last known one makes the directory longer.
   */
  setfree(chunk: number, bytes: number): void {
    const c = chunk / this.dirblksiz;
    if (c >= this.free.length) {
      const larger = new Uint8Array(Math.max(c + 1, this.free.length * 2));
      larger.set(this.free);
      this.free = larger;
    }
    if (c >= this.nchunks) this.nchunks = c + 1;
    const units = Math.min(bytes >>> 2, 255);
    this.free[c] = units;
    for (let u = Math.min(units, MAX_UNITS); u >= 0; u--) if (this.hint[u] > c) this.hint[u] = c;
  }

  /** The first chunk with room for an entry of `bytes` (DIRECTSIZ of its name): its byte offset, or -1. */
  findfree(bytes: number): number {
    const units = bytes >>> 2;
    const { free, nchunks } = this;
    let c = this.hint[units];
    while (c < nchunks && free[c] < units) c++;
    this.hint[units] = c;
    return c < nchunks ? c * this.dirblksiz : -1;
  }

  /**
   * Byte offset behind the last chunk that holds an entry (the directory may be cut there), given the empty chunk's
   * room.
   */
  enduseful(): number {
    const empty = Math.min(this.dirblksiz >>> 2, 255);
    let c = this.nchunks;
    while (c > 0 && this.free[c - 1] >= empty) c--;
    return c * this.dirblksiz;
  }

  /** The directory now ends at byte `size`; entries behind it have been removed. */
  truncate(size: number): void {
    const n = Math.ceil(size / this.dirblksiz);
    if (n >= this.nchunks) return;
    this.free.fill(0, n, this.nchunks);
    this.nchunks = n;
    for (let u = 0; u <= MAX_UNITS; u++) if (this.hint[u] > n) this.hint[u] = n;
  }

  /**
   * Takes in the entries of a block of the directory; a chunk with a bad entry is taken in up to it and counts as full.
   * @param base byte offset of the block in the directory
   * @returns what is wrong with the first bad entry, with its offset; or undefined
   */
  addblock(bytes: Uint8Array, view: DataView, valid: number, base: number, fmt: DirFormat): string | undefined {
    let problem: string | undefined;
    for (let chunk = 0; chunk < valid; chunk += this.dirblksiz) {
      const end = Math.min(chunk + this.dirblksiz, valid);
      let room = 0;
      let sound = true;
      for (let at = chunk; at < end; ) {
        const bad = ufs_dirbadentry(bytes, view, at, end, fmt);
        if (bad !== undefined) {
          problem ??= `entry at ${base + at}: ${bad}`;
          sound = false;
          break;
        }
        const reclen = view.getUint16(at + 4, fmt.le);
        if (view.getUint32(at, fmt.le) === 0) {
          room += reclen;
        } else {
          const namlen = dirent_namlen(view, at, fmt);
          room += reclen - DIRECTSIZ(namlen);
          this.insert(dirhash_bytes(bytes, at + DIRENT_HEADER, namlen), base + at);
        }
        at += reclen;
      }
      this.setfree(base + chunk, sound ? room : 0);
    }
    return problem;
  }

  private insert(hash: number, offset: number): void {
    if ((this.filled + 1) * 4 > this.slots.length * 3) this.rehash();
    const { slots, mask } = this;
    let i = hash & mask;
    while (slots[i] > GONE) i = (i + 1) & mask;
    if (slots[i] === EMPTY) this.filled++;
    slots[i] = offset / 4 + FIRST;
    this.hashes[i] = hash;
    this.live++;
  }

  /** Twice as large, or of the same size if half of it is emptied slots. */
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
}

/** Default memory for the indexes of a mount, bytes: a directory of about three million entries. */
export const DIRINDEX_BYTES = 48 * 1024 * 1024;

/** All indexes of a mount, in order of use; the least recently used are dropped when they take too much memory. */
export class DirIndexCache {
  private newest: DirIndex | null = null;
  private oldest: DirIndex | null = null;
  readonly limit_bytes: number;

  constructor(limit_bytes = DIRINDEX_BYTES) {
    this.limit_bytes = limit_bytes;
  }

  /** `index` was used, for the first time or again. */
  use(index: DirIndex): void {
    if (this.newest === index) return;
    this.remove(index);
    index.older = this.newest;
    if (this.newest === null) this.oldest = index;
    else this.newest.newer = index;
    this.newest = index;
    this.shrink();
  }

  /** `index` is not used any more. */
  remove(index: DirIndex): void {
    if (index.newer !== null) index.newer.older = index.older;
    else if (this.newest === index) this.newest = index.older;
    if (index.older !== null) index.older.newer = index.newer;
    else if (this.oldest === index) this.oldest = index.newer;
    index.newer = index.older = null;
  }

  /** Bytes of all indexes. */
  get bytes(): number {
    let bytes = 0;
    for (let i = this.newest; i !== null; i = i.older) bytes += i.bytes;
    return bytes;
  }

  private shrink(): void {
    // The sizes change as entries come; they are few, so they are added up anew.
    let bytes = this.bytes;
    while (bytes > this.limit_bytes && this.oldest !== null && this.oldest !== this.newest) {
      const victim = this.oldest;
      bytes -= victim.bytes;
      this.remove(victim);
      victim.drop();
    }
  }
}
