/** Renames that were cut off: a file has a new name already and an old one still. */
import { FileSet } from '../../dir/fileset.js';
import { CHAIN_END } from '../../space/fat.js';
import { ENTRY_BYTES, NO_FAT_CHAIN } from '../../disk/entry.js';
import type { Checker } from './checker.js';
import type { PlacedSet } from './placed.js';
import { set_away } from './placed.js';

/** Which files have been met, by their first clusters. */
export class Met {
  /** Byte offset on the device of the first entry of the file that begins with a cluster. */
  private readonly places = new Map<number, number>();
  /** Of sets that do not lie in one piece: the offsets of all entries, by the first. */
  private readonly split = new Map<number, number[]>();

  /** What has been met with that first cluster; undefined: nothing, or not what it was. @throws CannotCheck */
  async get(c: Checker, first: number): Promise<PlacedSet | undefined> {
    const at = this.places.get(first);
    if (at === undefined) return undefined;
    const set = new FileSet();
    const room = set.bytes.length / ENTRY_BYTES;
    const places = this.split.get(at) ?? Array.from({ length: room }, (_, i) => at + i * ENTRY_BYTES);
    for (const place of places) {
      if (place + ENTRY_BYTES > c.dev.size_bytes) break;
      await c.read(set.bytes.subarray(set.count * ENTRY_BYTES), ENTRY_BYTES, place);
      set.count++;
    }
    set.count = Math.min(set.count, set.bytes[1] + 1);
    if (set.problem() !== undefined || set.firstcluster !== first) return undefined;
    return { set, places: places.slice(0, set.count), path: set.name() };
  }

  has(first: number): boolean {
    return this.places.has(first);
  }

  put({ set, places }: PlacedSet): void {
    this.places.set(set.firstcluster, places[0]);
    if (places.some((place, i) => place !== places[0] + i * ENTRY_BYTES)) this.split.set(places[0], [...places]);
  }
}

/** Marks the clusters of a stream without a word. What the old name called too long a chain is not cut. */
async function occupy(c: Checker, set: FileSet): Promise<void> {
  const { volume, used } = c;
  const seen = new Set<number>();
  let left = Math.ceil(set.datalength / volume.clbytes);
  if (!(left <= volume.boot.ClusterCount)) return;
  for (let at = set.firstcluster; left > 0 && volume.iscluster(at) && !seen.has(at); left--) {
    seen.add(at);
    used.add(at, 1);
    c.ends.delete(at);
    const next = (set.flags & NO_FAT_CHAIN) !== 0 ? at + 1 : await c.cell(at);
    if (next === CHAIN_END) return;
    at = next;
  }
}

/**
 * Is the set one of two names of a file, and is it known which of them is the older (FileSet.newerthan)? That one goes.
 * @returns there is no more to be done about this set in this run
 */
export async function unfinished_rename(c: Checker, placed: PlacedSet): Promise<boolean> {
  const { set, path } = placed;
  if (set.firstcluster === 0 || set.datalength === 0) return false;
  const other = await c.met.get(c, set.firstcluster);
  const newer = other === undefined ? undefined : set.newerthan(other.set);
  if (other === undefined || newer === undefined) return false;
  const [old, by] = newer ? [other, path] : [placed, other.path];
  const now = `the file is called ${JSON.stringify(by)} by now: a rename that was not finished`;
  const fix = c.problem('preen', `${newer ? JSON.stringify(old.path) : path}: ${now}`);
  if (fix !== null) {
    await set_away(c, old);
    fix.fixed = 'OLD NAME REMOVED';
    c.again = true;
  }
  if (newer) {
    c.met.put(placed);
    await occupy(c, set);
  }
  return true;
}
