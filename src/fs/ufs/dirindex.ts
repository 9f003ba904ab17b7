/**
 * The index of a large directory: name to byte offset. Lookups build it when they first need it; whoever changes the
 * directory tells it with {@link DirIndex.add} and {@link DirIndex.remove} (or drops it).
 */
export interface DirIndex {
  /** Offset of the entry with that name in the directory, or -1: it is certainly not there. */
  lookup(name: string): number;
  /** An entry was written at `offset`. */
  add(name: string, offset: number): void;
  /** The entry at `offset` was removed. */
  remove(name: string, offset: number): void;
  /** The entry moved inside its chunk (compaction). */
  move(name: string, from: number, to: number): void;
}
