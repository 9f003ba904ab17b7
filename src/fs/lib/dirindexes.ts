/** What has to do with memory of an index: how much it takes, and how its owner forgets it. */
export interface Droppable {
  readonly bytes: number;
  drop(): void;
}

/** Memory for the indexes of a mount, bytes: those of directories with about three million files. */
const LIMIT_BYTES = 48 * 1024 * 1024;

/** The indexes of a mount in order of use; those used least recently go when all together take too much memory. */
export class DirIndexes<T extends Droppable> {
  private readonly used = new Set<T>();
  private last: T | null = null;

  constructor(private readonly limit_bytes = LIMIT_BYTES) {}

  /** The index was used. */
  use(index: T): void {
    if (this.last === index) return;
    this.used.delete(index);
    this.used.add(index);
    this.last = index;
  }

  /** Room for one that has just been made or has grown. */
  shrink(): void {
    let bytes = 0;
    for (const index of this.used) bytes += index.bytes;
    for (const index of this.used) {
      if (bytes <= this.limit_bytes || index === this.last) return;
      bytes -= index.bytes;
      this.used.delete(index);
      index.drop();
    }
  }

  remove(index: T): void {
    this.used.delete(index);
    if (this.last === index) this.last = null;
  }
}
