import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { FileNumbers } from '../../lib/filenumbers.js';
import { Directory } from '../dir/directory.js';
import type { FileSet } from '../dir/fileset.js';
import { dir_walk } from '../dir/scan.js';
import { ATTR_DIRECTORY, ENTRY_BYTES, NO_FAT_CHAIN } from '../disk/entry.js';
import { Chain } from '../space/chain.js';
import type { ExfatMount } from './exfatmount.js';

/** The root directory's number. Places begin behind it. */
export const ROOT_NUMBER = 1;

/** Where the entry of a file is. */
export interface Place {
  readonly dir: Directory;
  /** Byte offset in the directory. */
  readonly offset: number;
}

/** What a search for a directory walks over at the most, directories: it then says that there is no such file. */
const SEARCH_MAX = 1 << 20;

/**
 * Which number is which file: numbers are places of entries (lib/filenumbers.ts), places lie in clusters, and clusters
 * belong to
 * directories. Known are the directories that have been looked into; what is not known is searched for from the root.
 */
export class Whereabouts {
  private readonly em: ExfatMount;
  readonly numbers: FileNumbers;
  readonly root: Directory;
  private readonly directories = new Map<number, Directory>();
  /** Of clusters of directories: whose they are, and the byte offset in the directory. */
  private readonly clusters = new Map<number, Place>();

  constructor(em: ExfatMount, root: Directory) {
    this.em = em;
    this.root = root;
    this.directories.set(root.number, root);
    this.numbers = new FileNumbers(ROOT_NUMBER + 1, Math.floor(em.em_dev.size_bytes / ENTRY_BYTES));
  }

  /** The number of the file whose first entry is at byte `at` of the device, in `dir` at byte `offset`. */
  numberOf(dir: Directory, offset: number, at: number): number {
    const cluster = this.clusterOf(at);
    if (!this.clusters.has(cluster)) this.note(cluster, dir, offset - (offset % this.em.em_clbytes));
    return this.numbers.numberAt(at / ENTRY_BYTES);
  }

  private note(cluster: number, dir: Directory, offset: number): void {
    this.clusters.set(cluster, { dir, offset });
    dir.noted.push(cluster);
  }

  private clusterOf(at: number): number {
    const { em } = this;
    return Math.floor((at - em.em_heapat) / em.em_clbytes) + 2;
  }

  /** Where the entry of the file with that number is; undefined: no file has it. @throws EIO */
  locate(number: number): MaybePromise<Place | undefined> {
    const place = this.numbers.placeOf(number);
    if (place === undefined) return undefined;
    const at = place * ENTRY_BYTES;
    const cluster = this.clusterOf(at);
    if (!this.em.iscluster(cluster)) return undefined;
    const known = this.clusters.get(cluster);
    if (known !== undefined) return this.within(known, at);
    return this.search(cluster).then((found) => (found === undefined ? undefined : this.within(found, at)));
  }

  private within(known: Place, at: number): Place {
    return { dir: known.dir, offset: known.offset + ((at - this.em.em_heapat) % this.em.em_clbytes) };
  }

  /** Walks over all directories until it meets the cluster. */
  private async search(cluster: number): Promise<Place | undefined> {
    const { em } = this;
    const queue: Directory[] = [this.root];
    const seen = new Set(queue);
    for (let i = 0; i < queue.length && i < SEARCH_MAX; i++) {
      const dir = queue[i];
      try {
        await this.owns(dir);
        const found = this.clusters.get(cluster);
        if (found !== undefined) return found;
        const children: Directory[] = [];
        await dir_walk(dir, 0, {
          file: (set, offset, at) => {
            if ((set.attributes & ATTR_DIRECTORY) === 0) return true;
            // One that is known may be on its way to this place: it keeps its number.
            const known = this.clusters.get(set.firstcluster)?.dir;
            const child = known ?? this.directory(this.numberOf(dir, offset, at), dir.number, set);
            // One that leads back to what was seen is no way on.
            if (child !== undefined && !seen.has(child)) {
              seen.add(child);
              children.push(child);
            }
            return true;
          },
        });
        queue.push(...children);
      } catch (thrown) {
        em.em_damage.note(`directory ${dir.number} cannot be searched: ${String(thrown)}`);
      }
    }
    return undefined;
  }

  /** Notes all clusters of a directory. */
  private async owns(dir: Directory): Promise<void> {
    for (let i = 0; i < dir.chain.count; ) {
      const run = await dir.chain.run(this.em, i, dir.chain.count - i);
      for (let k = 0; k < run.count; k++) {
        if (!this.clusters.has(run.cluster + k)) this.note(run.cluster + k, dir, (i + k) * this.em.em_clbytes);
      }
      i += run.count;
    }
  }

  /** The directory of that number, made of its set if need be; undefined: what the set says cannot be. */
  directory(number: number, parent: number, set: FileSet): Directory | undefined {
    const { em } = this;
    const first = set.firstcluster;
    const known = this.directories.get(number);
    if (known !== undefined && known.chain.first === first) return known;
    const bytes = set.datalength;
    const count = em.clustersof(bytes);
    const contiguous = (set.flags & NO_FAT_CHAIN) !== 0;
    if (count === 0 || count > em.em_dirclusters || !em.iscluster(first)) return undefined;
    if (contiguous && first + count > em.em_clend) return undefined;
    if (em.touches_system(first, contiguous ? count : 1)) return undefined;
    const dir = new Directory(em, number, parent, new Chain(first, count, contiguous), bytes - (bytes % ENTRY_BYTES));
    if (known !== undefined) this.forget(known);
    this.directories.set(number, dir);
    if (!this.clusters.has(first)) this.note(first, dir, 0);
    return dir;
  }

  /** Another directory that has this cluster; undefined: none that is known. */
  otherowner(dir: Directory, cluster: number): Directory | undefined {
    const owner = this.clusters.get(cluster)?.dir;
    return owner === dir ? undefined : owner;
  }

  /** The directory is gone. */
  forget(dir: Directory): void {
    this.directories.delete(dir.number);
    for (const cluster of dir.noted) this.clusters.delete(cluster);
  }
}
