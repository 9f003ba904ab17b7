/** The second part of a check: all directories, from the root on. */
import { FileSet } from '../../dir/fileset.js';
import {
  ATTR_DIRECTORY, ENTRY_BYTES, F_SECONDARY_COUNT, IN_USE, SECONDARIES_MAX, SECONDARY, T_END, T_FILE,
} from '../../disk/entry.js';
import type { Checker } from './checker.js';
import { TooMuch } from './checker.js';
import { check_content } from './content.js';
import type { Copied } from './content.js';
import { check_name } from './name.js';
import type { PlacedSet } from './placed.js';
import { set_away, set_back } from './placed.js';
import { unfinished_rename } from './rename.js';

interface Dir {
  readonly path: string;
  readonly clusters: readonly number[];
  /** DataLength. */
  readonly bytes: number;
}

/** What the walk leaves to be done. */
export interface Walked {
  /** Files that share clusters with others and are to get their own. */
  readonly shared: Copied[];
}

const PIECE_BYTES = 1 << 20;

class DirWalk {
  private readonly set = new FileSet();
  private places: number[] = [];
  private need = 0;
  private readonly keys = new Set<string>();

  constructor(
    private readonly c: Checker,
    private readonly dir: Dir,
    private readonly queue: Dir[],
    private readonly walked: Walked,
  ) {}

  async go(): Promise<void> {
    const { c, dir } = this;
    const { clbytes } = c.volume;
    const piece = new Uint8Array(Math.min(PIECE_BYTES, clbytes));
    let left = dir.bytes;
    for (const cluster of dir.clusters) {
      for (let into = 0; into < clbytes && left > 0; into += piece.length) {
        const n = Math.min(piece.length, left);
        left -= n;
        if (c.budget !== undefined && (c.budget.directoryBytes -= n) < 0) {
          throw new TooMuch('its directories are so large');
        }
        await c.read(piece, n, c.volume.at(cluster) + into);
        if (!(await this.entries(piece, n, c.volume.at(cluster) + into))) return;
      }
    }
    if (this.need > 0) await this.broken('the directory ends in the middle of it');
  }

  /** @returns false at the end of the directory */
  private async entries(piece: Uint8Array, length: number, at: number): Promise<boolean> {
    for (let into = 0; into + ENTRY_BYTES <= length; into += ENTRY_BYTES) {
      const type = piece[into];
      if (this.need > 0 && (type & (IN_USE | SECONDARY)) !== (IN_USE | SECONDARY)) {
        await this.broken(`type 0x${type.toString(16)} among its secondary entries`);
      }
      if (type === T_END) return false;
      const { set, places } = this;
      if (this.need > 0) {
        set.bytes.set(piece.subarray(into, into + ENTRY_BYTES), set.count++ * ENTRY_BYTES);
        places.push(at + into);
        if (--this.need === 0) await this.complete();
      } else if (type === T_FILE) {
        set.bytes.set(piece.subarray(into, into + ENTRY_BYTES));
        set.count = 1;
        this.places = [at + into];
        this.need = piece[into + F_SECONDARY_COUNT];
        if (this.need === 0 || this.need > SECONDARIES_MAX) await this.broken(`SecondaryCount ${this.need}`);
      } else if ((type & (IN_USE | SECONDARY)) === (IN_USE | SECONDARY)) {
        const what = `secondary entry of type 0x${type.toString(16)} that belongs to no file, at byte ${at + into}`;
        const fix = this.c.problem('safe', `${this.dir.path}: ${what}`);
        if (fix !== null) {
          await this.c.write(Uint8Array.of(type & ~IN_USE), at + into);
          fix.fixed = 'REMOVED';
        }
      }
    }
    return true;
  }

  private async broken(problem: string): Promise<void> {
    this.need = 0;
    const { c, set, places, dir } = this;
    // The clusters of a file that nobody can reach stay in use.
    const fix = c.problem('preen', `${dir.path}: entries of a file at byte ${places[0]} make no sense: ${problem}`);
    if (fix === null) return;
    await set_away(c, { set, places, path: dir.path });
    fix.fixed = 'REMOVED';
  }

  private async complete(): Promise<void> {
    const { c, set, places, dir, keys } = this;
    const problem = set.problem();
    if (problem !== undefined) return this.broken(problem);
    const shown = JSON.stringify(set.name()).slice(1, -1);
    const placed: PlacedSet = { set, places, path: `${dir.path === '/' ? '' : dir.path}/${shown}` };
    if (await unfinished_rename(c, placed)) return;
    let changed = await check_name(c, placed, keys);
    const isdir = (set.attributes & ATTR_DIRECTORY) !== 0;
    const content = await check_content(c, placed, isdir, this.walked.shared);
    if (content === null) return;
    changed = content.changed || changed;
    if (!changed && !set.summed) {
      const fix = c.problem('safe', `${placed.path}: SetChecksum is wrong`);
      if (fix !== null) {
        fix.fixed = 'SET';
        changed = true;
      }
    }
    if (changed) await set_back(c, placed);
    if (isdir) {
      c.directories++;
      this.queue.push({ path: placed.path, clusters: content.clusters, bytes: content.bytes });
    } else {
      c.files++;
    }
  }
}

/** Walks over everything. */
export async function check_directories(c: Checker, rootclusters: readonly number[]): Promise<Walked> {
  const walked: Walked = { shared: [] };
  const queue: Dir[] = [{ path: '/', clusters: rootclusters, bytes: rootclusters.length * c.volume.clbytes }];
  // Each directory has clusters of its own, or it would not be here: the walk ends.
  for (let dir = queue.pop(); dir !== undefined; dir = queue.pop()) await new DirWalk(c, dir, queue, walked).go();
  return walked;
}
