/** Where the content of a file lies: sizes, chains, and clusters that others have. */
import { FileSet } from '../../dir/fileset.js';
import {
  ALLOCATION_POSSIBLE, ENTRY_BYTES, NO_FAT_CHAIN, S_DATA_LENGTH, S_FIRST_CLUSTER, S_FLAGS, get_length, name_entries,
} from '../../disk/entry.js';
import { CHAIN_END } from '../../space/fat.js';
import type { Checker } from './checker.js';
import type { PlacedSet } from './placed.js';
import { set_away, set_back } from './placed.js';

/** A file that is to get clusters of its own. */
export interface Copied {
  readonly placed: PlacedSet;
  /** The clusters that it shares with others, and those that are its own, in their order. */
  readonly clusters: number[];
  /** It is another file by a second name. */
  readonly again: boolean;
}

export interface Content {
  readonly changed: boolean;
  /** Of a directory. */
  readonly clusters: number[];
  readonly bytes: number;
}

/** Clusters of a directory or of a chain that are remembered one by one. */
const LIST_MAX = 1 << 20;

/** The clusters that a stream has, as far as they are good. */
class Follower {
  readonly clusters: number[] = [];
  count = 0;
  /** Clusters before this one are nobody else's. */
  own = 0;
  /** Why it goes no further; undefined: it is whole. */
  stopped: string | undefined;
  shared = false;
  last = 0;

  constructor(private readonly c: Checker) {}

  async chain(first: number, want: number): Promise<void> {
    const { c } = this;
    const seen = new Set<number>();
    for (let cluster = first; this.count < want; ) {
      if (!c.volume.iscluster(cluster)) {
        const to = cluster === CHAIN_END ? 'the end' : String(cluster);
        this.stopped = this.count === 0 ? `FirstCluster ${cluster}` : `cluster ${this.last} leads to ${to}`;
        return;
      }
      const taken = c.used.has(cluster);
      if (seen.has(cluster) || (taken && !this.shared && this.count > this.own)) {
        this.stopped = `cluster ${this.last} leads back to ${cluster}`;
        return;
      }
      if (taken) this.shared = true;
      if (!this.shared) {
        c.used.add(cluster, 1);
        this.own++;
      }
      // What is its own tells a circle by itself.
      if (this.shared || this.own === this.count + 1) seen.add(cluster);
      this.took(cluster);
      if (this.count < want) cluster = await c.cell(cluster);
    }
  }

  row(first: number, want: number): void {
    const { c } = this;
    if (!c.volume.iscluster(first)) {
      this.stopped = `FirstCluster ${first}`;
      return;
    }
    const count = Math.min(want, c.volume.end - first);
    this.own = c.used.row(first, count, false);
    this.shared = this.own < count;
    c.used.add(first, this.own);
    for (let i = 0; i < Math.min(count, LIST_MAX); i++) this.clusters.push(first + i);
    this.count = count;
    if (count < want) this.stopped = `clusters behind ${c.volume.end - 1} lie outside the volume`;
  }

  private took(cluster: number): void {
    if (this.clusters.length < LIST_MAX) this.clusters.push(cluster);
    this.last = cluster;
    this.count++;
  }
}

/** Takes a file out of its directory. */
async function remove(c: Checker, placed: PlacedSet, message: string, severity: 'preen' | 'damage'): Promise<null> {
  const fix = c.problem(severity, message);
  if (fix !== null) {
    await set_away(c, placed);
    fix.fixed = 'REMOVED';
  }
  return null;
}

/** @returns null: the file is to be left out. */
export async function check_content(
  c: Checker, placed: PlacedSet, isdir: boolean, shared: Copied[],
): Promise<Content | null> {
  const { set, path } = placed;
  const { clbytes, boot, dirclusters } = c.volume;
  const first = set.firstcluster;
  const size = set.datalength;
  const contiguous = (set.flags & NO_FAT_CHAIN) !== 0;
  await check_extra(c, set);
  if (isdir && (first === 0 || size === 0)) return remove(c, placed, `${path}: a directory without clusters`, 'damage');
  if (size === 0 && first === 0) return { changed: await check_flags(c, placed), clusters: [], bytes: 0 };
  if (size === 0) {
    const fix = c.problem('damage', `${path}: FirstCluster ${first} of an empty file`);
    if (fix !== null) {
      set.setstream(ALLOCATION_POSSIBLE, 0, 0, 0);
      fix.fixed = 'CLEARED';
    }
    return { changed: fix !== null, clusters: [], bytes: 0 };
  }
  const most = isdir ? Math.min(dirclusters, boot.ClusterCount) : boot.ClusterCount;
  const want = clusters_wanted(set, clbytes, most, contiguous);
  const follower = new Follower(c);
  const again = c.met.has(first);
  if (!again) c.met.put(placed);
  if (again && isdir) return remove(c, placed, `${path}: ${UNFINISHED}`, 'preen');
  if (contiguous) follower.row(first, want);
  else await follower.chain(first, want);
  if (isdir && follower.own === 0) {
    return remove(c, placed, `${path}: the clusters of the directory belong to something else`, 'damage');
  }
  return sized(c, placed, follower, { size, want, contiguous, isdir, again, shared });
}

/** A row of a length that cannot be would have what others have: it counts as far as its data do. */
function clusters_wanted(set: FileSet, clbytes: number, most: number, contiguous: boolean): number {
  const want = Math.ceil(set.datalength / clbytes);
  if (want <= most) return want;
  const valid = Math.ceil(set.validlength / clbytes);
  return !contiguous ? most : valid > 0 && valid <= most ? valid : 1;
}

interface Sized {
  readonly size: number;
  readonly want: number;
  readonly contiguous: boolean;
  readonly isdir: boolean;
  /** Another file begins with the same cluster. */
  readonly again: boolean;
  readonly shared: Copied[];
}

async function sized(
  c: Checker, placed: PlacedSet, follower: Follower, { size, want, contiguous, isdir, again, shared }: Sized,
): Promise<Content> {
  const { set, path } = placed;
  const { clbytes } = c.volume;
  let changed = await check_flags(c, placed);
  let bytes = size;
  let good = follower.count;
  if (follower.shared && isdir) good = follower.own;
  if (good < Math.ceil(size / clbytes)) {
    const cut = follower.stopped ?? 'no file can be so long';
    const why = follower.shared && isdir ? 'other clusters belong to something else' : cut;
    const fix = c.problem('damage', `${path}: DataLength ${size}, but only ${good} clusters: ${why}`);
    if (fix !== null) {
      bytes = good * clbytes;
      set.setstream(
        good === 0 ? ALLOCATION_POSSIBLE : set.flags, good === 0 ? 0 : set.firstcluster,
        Math.min(set.validlength, bytes), bytes,
      );
      if (good > 0 && !contiguous) c.ends.add(good === follower.count ? follower.last : follower.clusters[good - 1]);
      fix.fixed = `CUT TO ${bytes} BYTES`;
      changed = true;
    }
  } else if (!contiguous && !follower.shared && follower.count === want) {
    const next = await c.cell(follower.last);
    if (next !== CHAIN_END) {
      const fix = c.problem('safe', `${path}: its chain is longer than the file`);
      if (fix !== null) {
        c.ends.add(follower.last);
        fix.fixed = 'CUT';
      }
    }
  }
  if (follower.shared && !isdir) share(c, placed, follower, again, shared);
  changed = check_valid(c, placed, isdir) || changed;
  return { changed, clusters: follower.clusters.slice(0, Math.ceil(bytes / clbytes)), bytes };
}

/**
 * A rename gives the new name before it takes the old one. Where nobody can tell which is which, both stay: the new one
 * may have replaced a file.
 */
const UNFINISHED = 'the same file goes by another name: a rename that was not finished';

function share(c: Checker, placed: PlacedSet, follower: Follower, again: boolean, shared: Copied[]): void {
  const from = follower.clusters[follower.own];
  const message = again ? UNFINISHED : `clusters from ${from} on belong to another file, too`;
  const fix = c.problem(again ? 'preen' : 'damage', `${placed.path}: ${message}`);
  if (fix === null) return;
  const set = new FileSet();
  set.bytes.set(placed.set.bytes);
  set.count = placed.set.count;
  shared.push({ placed: { ...placed, set, places: [...placed.places] }, clusters: follower.clusters, again });
  fix.fixed = 'COPIED';
}

/** ValidDataLength. @returns whether the set was changed */
function check_valid(c: Checker, { set, path }: PlacedSet, isdir: boolean): boolean {
  const { validlength: valid, datalength: size } = set;
  if (valid === size || (!isdir && valid < size)) return false;
  const fix = c.problem(isdir ? 'safe' : 'damage', `${path}: ValidDataLength ${valid}, DataLength ${size}`);
  if (fix === null) return false;
  set.setstream(set.flags, set.firstcluster, size, size);
  fix.fixed = 'SET';
  return true;
}

async function check_flags(c: Checker, { set, path }: PlacedSet): Promise<boolean> {
  const none = set.firstcluster === 0 && (set.flags & NO_FAT_CHAIN) !== 0;
  if ((set.flags & ALLOCATION_POSSIBLE) !== 0 && !none) return false;
  const fix = c.problem('safe', `${path}: GeneralSecondaryFlags 0x${set.flags.toString(16)}`);
  if (fix === null) return false;
  set.setstream(
    (set.flags | ALLOCATION_POSSIBLE) & ~(none ? NO_FAT_CHAIN : 0), set.firstcluster, set.validlength, set.datalength,
  );
  fix.fixed = 'SET';
  return true;
}

/** Clusters of entries that vendors have added to a file. */
async function check_extra(c: Checker, set: FileSet): Promise<void> {
  for (let i = 2 + name_entries(set.namelength); i < set.count; i++) {
    const at = i * ENTRY_BYTES;
    const first = set.view.getUint32(at + S_FIRST_CLUSTER, true);
    const want = Math.ceil(get_length(set.view, at + S_DATA_LENGTH) / c.volume.clbytes);
    if ((set.bytes[at + S_FLAGS] & ALLOCATION_POSSIBLE) === 0 || first === 0 || !(want <= c.volume.boot.ClusterCount)) {
      continue;
    }
    const follower = new Follower(c);
    if ((set.bytes[at + S_FLAGS] & NO_FAT_CHAIN) !== 0) follower.row(first, want);
    else await follower.chain(first, want);
  }
}

/** So many clusters that nobody has, in a row if there is one; they are somebody's then. null: there are too few. */
function room_for(c: Checker, count: number): number[] | null {
  const { used, volume } = c;
  const row = c.vacant(count);
  const own: number[] = [];
  for (let cluster = row !== null && row.count >= count ? row.first : 2; own.length < count; ) {
    cluster += used.row(cluster, volume.end - cluster, true);
    if (cluster >= volume.end) return null;
    const n = used.row(cluster, Math.min(count - own.length, volume.end - cluster), false);
    for (let i = 0; i < n; i++) own.push(cluster + i);
    cluster += n;
  }
  for (const cluster of own) used.add(cluster, 1);
  return own;
}

/** Gives a file clusters of its own, with what is in those that it shares. Without room it loses them. */
export async function copy_shared(c: Checker, { placed, clusters, again }: Copied): Promise<void> {
  const { set } = placed;
  const { volume } = c;
  const own = room_for(c, clusters.length);
  c.again = true;
  if (own === null) {
    c.notes.push(`${placed.path}: no room for a copy of what it shares`);
    if (again) return set_away(c, placed);
    set.setstream(ALLOCATION_POSSIBLE, 0, 0, 0);
    return set_back(c, placed);
  }
  const content = new Uint8Array(volume.clbytes);
  for (let i = 0; i < clusters.length; i++) {
    await c.read(content, content.length, volume.at(clusters[i]));
    await c.write(content, volume.at(own[i]));
  }
  const inrow = own.every((cluster, i) => cluster === own[0] + i);
  if (!inrow) for (let i = 0; i < own.length; i++) await c.setcell(own[i], own[i + 1] ?? CHAIN_END);
  const bytes = Math.min(set.datalength, clusters.length * volume.clbytes);
  const flags = ALLOCATION_POSSIBLE | (inrow ? NO_FAT_CHAIN : 0);
  set.setstream(flags, own[0], Math.min(set.validlength, bytes), bytes);
  await set_back(c, placed);
}
