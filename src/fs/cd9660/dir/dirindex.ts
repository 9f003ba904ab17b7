import type { IsoNode } from '../file/node.js';

/** Names of all indexed directories together, at most: about 60 MB. */
const NAMES_MAX = 500_000;

/**
 * Names of directories that were looked into, with the file numbers; the directories used longest ago are forgotten
 * first.
 */
export class DirectoryIndex {
  private readonly directories = new Map<IsoNode, ReadonlyMap<string, number>>();
  private names = 0;

  get(dir: IsoNode): ReadonlyMap<string, number> | undefined {
    const index = this.directories.get(dir);
    if (index === undefined) return undefined;
    this.directories.delete(dir);
    this.directories.set(dir, index);
    return index;
  }

  /** Does an index of so many names fit at all? */
  fits(names: number): boolean {
    return names <= NAMES_MAX;
  }

  put(dir: IsoNode, index: ReadonlyMap<string, number>): void {
    this.forget(dir);
    this.directories.set(dir, index);
    this.names += index.size;
    for (const oldest of this.directories.keys()) {
      if (this.names <= NAMES_MAX) break;
      this.forget(oldest);
    }
  }

  forget(dir: IsoNode): void {
    const index = this.directories.get(dir);
    if (index === undefined) return;
    this.names -= index.size;
    this.directories.delete(dir);
  }
}
