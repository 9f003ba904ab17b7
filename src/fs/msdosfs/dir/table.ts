/** An entry of a directory, as its table has it. */
export interface DirEnt {
  /** Index of the short entry in the directory, and how many entries of a long name are in front of it. */
  readonly slot: number;
  readonly parts: number;
  /** Of the short entry: FileNumbers' place. */
  readonly place: number;
  /** As it is shown, a byte string; null: only its short name could be, and that is none. */
  readonly name: string | null;
  /** 11 bytes. */
  readonly short: string;
  /** The keys that it is found by; the second where the short name says something else. */
  readonly key: string;
  readonly shortkey: string | null;
}

/** Names that the tables of a mount have at most, unless one directory alone has more. */
const NAMES_MAX = 300_000;

/**
 * All entries of a directory, so that names are found and free places known without a walk. Built by the first who
 * wants to know; kept right by whoever changes the directory, which has its lock.
 */
export class DirTable {
  private readonly names = new Map<string, DirEnt>();
  private readonly shorts = new Map<string, DirEnt>();
  /** By entry: not free. Behind `end` all are free. */
  private used = new Uint8Array(64);
  /** Entries up to the first byte that ends the directory. */
  end = 0;
  /** Entries that there is room for. */
  capacity = 0;
  /** Nothing before is free. */
  private hint = 0;

  get size(): number {
    return this.shorts.size;
  }

  get(key: string): DirEnt | undefined {
    return this.names.get(key);
  }

  hasShort(short: string): boolean {
    return this.shorts.has(short);
  }

  entries(): IterableIterator<DirEnt> {
    return this.shorts.values();
  }

  /** The first of several entries with one name counts, as it does for a walk. */
  add(entry: DirEnt): void {
    if (entry.shortkey !== null && !this.names.has(entry.shortkey)) this.names.set(entry.shortkey, entry);
    const other = this.names.get(entry.key);
    if (other === undefined) this.names.set(entry.key, entry);
    // Two short names alike are damage; both stay reachable where their long names differ.
    this.shorts.set(this.shorts.has(entry.short) ? `${entry.short}/${entry.slot}` : entry.short, entry);
  }

  remove(entry: DirEnt): void {
    if (this.names.get(entry.key) === entry) this.names.delete(entry.key);
    if (entry.shortkey !== null && this.names.get(entry.shortkey) === entry) this.names.delete(entry.shortkey);
    if (this.shorts.get(entry.short) === entry) this.shorts.delete(entry.short);
    else this.shorts.delete(`${entry.short}/${entry.slot}`);
  }

  /** The entries from `slot` on are not free. */
  occupy(slot: number, count: number): void {
    if (slot + count > this.used.length) {
      const larger = new Uint8Array(Math.max(this.used.length * 2, slot + count));
      larger.set(this.used);
      this.used = larger;
    }
    this.used.fill(1, slot, slot + count);
    if (slot + count > this.end) this.end = slot + count;
  }

  release(slot: number, count: number): void {
    this.used.fill(0, slot, slot + count);
    if (slot < this.hint) this.hint = slot;
  }

  /**
   * Where `count` free entries in a row begin, all of them in one piece of `piece` entries where that is possible (then
   * they change in one write); -1: nowhere in `capacity`.
   */
  findfree(count: number, piece: number): number {
    let crossing = -1;
    let first = -1;
    while (this.hint < this.end && this.used[this.hint] === 1) this.hint++;
    for (let slot = this.hint, run = 0; slot < this.end; slot++) {
      run = this.used[slot] === 1 ? 0 : run + 1;
      if (run < count) continue;
      first = slot - count + 1;
      if (Math.floor(first / piece) === Math.floor(slot / piece)) return first;
      if (crossing < 0) crossing = first;
    }
    // At the end: what is free there already is used, too.
    let tail = this.end;
    while (tail > this.hint && this.used[tail - 1] === 0) tail--;
    if (count <= piece && Math.floor(tail / piece) !== Math.floor((tail + count - 1) / piece)) {
      const next = Math.ceil(tail / piece) * piece;
      if (next + count <= this.capacity) return next;
    }
    if (
      tail + count <= this.capacity &&
      (count > piece || Math.floor(tail / piece) === Math.floor((tail + count - 1) / piece))
    ) {
      return tail;
    }
    if (crossing >= 0) return crossing;
    return tail + count <= this.capacity ? tail : -1;
  }
}

/** A directory that may have a table. */
interface Tabled {
  table: DirTable | null;
}

/** The tables of a mount in order of use; the least recently used go when there are too many names. */
export class DirTables {
  private readonly all = new Map<Tabled, DirTable>();
  private newest: Tabled | null = null;

  use(dir: Tabled): void {
    if (this.newest === dir) return;
    this.newest = dir;
    this.all.delete(dir);
    this.all.set(dir, dir.table!);
    this.shrink();
  }

  remove(dir: Tabled): void {
    this.all.delete(dir);
    dir.table = null;
    if (this.newest === dir) this.newest = null;
  }

  private shrink(): void {
    let names = 0;
    for (const table of this.all.values()) names += table.size + 16;
    for (const dir of this.all.keys()) {
      if (names <= NAMES_MAX || dir === this.newest) return;
      names -= dir.table!.size + 16;
      this.remove(dir);
    }
  }
}
