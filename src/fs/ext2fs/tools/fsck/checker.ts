import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { E, Errno, errno } from '../../../../kernel/errno.js';
import type { CheckMode } from '../../../format.js';
import { Dinode, dinode_load, dinode_seal } from '../../disk/dinode.js';
import type { GroupDesc } from '../../disk/groupdesc.js';
import type { Ext2fs } from '../../disk/superblock.js';
import type { Bits } from '../volume/bits.js';
import { cluster_of } from '../volume/copies.js';
import type { MapStore } from '../volume/filemap.js';

/**
 * preen    what a cut of the power leaves; mended without asking
 * damage   mended by a repair only; a preen stops mending where it meets it
 */
export type Severity = 'preen' | 'damage';

export interface Problem {
  readonly message: string;
  readonly code: string;
  readonly fixed?: string;
}

/** Thrown where there is no going on: what was found so far is the answer. */
export class CannotCheck {
  constructor(readonly message: string) {}
}

/** More is not listed. */
const PROBLEMS_MAX = 10_000;
/** Blocks that are kept in memory. */
const CACHE_BLOCKS = 2048;

/** A descriptor as the check goes on with it. Places that cannot be are 0. */
export type Group = { -readonly [K in keyof GroupDesc]: GroupDesc[K] };

/** What an inode in use is. */
export interface Known {
  readonly ino: number;
  readonly mode: number;
  readonly flags: number;
  readonly links: number;
  /** Names that lead to it, and of a directory its own. */
  counted: number;
}

/** A directory: which blocks it has, in order of their places in it; or what lies in its inode. */
export interface Dir {
  readonly ino: number;
  readonly blocks: readonly { readonly lbn: number; readonly block: number }[];
  readonly inline: boolean;
  /** As its ".." says; 0: not known. */
  dotdot: number;
  /** The directory that has a name for it; 0: none yet. */
  parent: number;
}

/** An inode as the disk has it, and where. */
export interface Place {
  readonly ino: number;
  readonly block: number;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly d: Dinode;
}

/** A check at work: the volume, what it has found, and what it may do about it. */
export class Checker implements MapStore {
  readonly problems: Problem[] = [];
  problemCount = 0;
  readonly notes: string[] = [];
  modified = false;
  /** Something is left that is wrong. */
  unresolved = false;
  /** A repair changed what others rest on: look at everything again. */
  again = false;
  private stopped = false;
  /** Set up before anything is walked. */
  fs!: Ext2fs;
  sb!: Uint8Array;
  groups: Group[] = [];
  /** Clusters that somebody has. */
  claimed!: Bits;
  /** Those of the volume's own structures. */
  system!: Bits;
  /** Those of superblocks, descriptors, and what is kept for them. */
  head!: Bits;
  /** Those that more than one claims. */
  shared!: Bits;
  inodes!: Bits;
  readonly known = new Map<number, Known>();
  readonly dirs = new Map<number, Dir>();
  /** Inodes that are cut to their size: what is behind it was being taken away. */
  readonly cut = new Set<number>();
  /** Repairs that need blocks, for when all that are in use are known. */
  readonly later: (() => Promise<void>)[] = [];
  private readonly cache = new Map<number, Uint8Array>();

  constructor(
    public dev: BlockDevice,
    readonly mode: CheckMode,
  ) {}

  /** Notes a problem. @returns whether it is to be mended, as `fixed` says */
  problem(severity: Severity, code: string, message: string, fixed: string): boolean {
    this.problemCount++;
    const mend = !this.stopped && (this.mode === 'repair' || (this.mode === 'preen' && severity === 'preen'));
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(mend ? { message, code, fixed } : { message, code });
    if (!mend) {
      this.unresolved = true;
      if (severity === 'damage') this.stopped = true;
    }
    return mend;
  }

  /** May anything be mended still? */
  get mending(): boolean {
    return this.mode !== 'check' && !this.stopped;
  }

  /** A block, as all others see it: who changes it writes it. @throws CannotCheck */
  async bread(block: number): Promise<Uint8Array> {
    const had = this.cache.get(block);
    if (had !== undefined) return had;
    const { bsize } = this.fs;
    const bytes = new Uint8Array(bsize);
    await this.read(bytes, bsize, block * bsize);
    if (this.cache.size >= CACHE_BLOCKS) this.cache.delete(this.cache.keys().next().value!);
    this.cache.set(block, bytes);
    return bytes;
  }

  async bwrite(block: number, bytes: Uint8Array): Promise<void> {
    await this.write(bytes, block * this.fs.bsize);
    if (this.cache.has(block)) this.cache.set(block, bytes);
  }

  forget(): void {
    this.cache.clear();
  }

  async read(into: Uint8Array, length: number, at: number): Promise<void> {
    try {
      await this.dev.read(into, 0, length, at);
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
      throw new CannotCheck(`cannot read ${length} bytes at ${at}: ${thrown.message}`);
    }
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    this.modified = true;
    try {
      await this.dev.write(bytes, 0, bytes.length, at);
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
      const why = thrown.errno === E.EROFS ? 'the device is read-only' : thrown.message;
      throw new CannotCheck(`cannot write ${bytes.length} bytes at ${at}: ${why}`);
    }
  }

  /** May a block of a file lie there? */
  usable(block: number, count = 1): boolean {
    return block > this.fs.s_first_data_block && count > 0 && block + count <= this.fs.s_blocks_count;
  }

  /** A block that nobody has. @param g in this group only. @throws ENOSPC */
  balloc(g?: number): number {
    const { fs } = this;
    const from = g === undefined ? 0 : g * fs.s_clusters_per_group;
    const last = g === undefined ? fs.s_blocks_count : Math.min(fs.groupfirst(g + 1), fs.s_blocks_count);
    const cluster = this.claimed.nextclear(from, cluster_of(fs, last - 1) + 1);
    if (cluster < 0) throw errno(E.ENOSPC, 'no block is free');
    this.claimed.add(cluster);
    return fs.s_first_data_block + cluster * fs.clusterblocks;
  }

  /** Where an inode is that exists. */
  async inode(ino: number): Promise<Place> {
    const { fs } = this;
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    const i = (ino - 1) % fs.s_inodes_per_group;
    const block = this.groups[g]!.bg_inode_table + Math.floor(i / fs.inodes_per_block);
    const bytes = await this.bread(block);
    const view = new DataView(bytes.buffer);
    const at = (i % fs.inodes_per_block) * fs.s_inode_size;
    const d = new Dinode();
    dinode_load(d, fs, view, at);
    return { ino, block, at, bytes, view, d };
  }

  /** Seals and writes it. */
  async putinode({ ino, block, at, bytes, view }: Place): Promise<void> {
    dinode_seal(this.fs, bytes, view, at, ino);
    await this.bwrite(block, bytes);
  }

  /** Makes an inode one that is not in use, and was never. */
  async clearinode(place: Place): Promise<void> {
    place.bytes.fill(0, place.at, place.at + this.fs.s_inode_size);
    await this.putinode(place);
    this.known.delete(place.ino);
    this.dirs.delete(place.ino);
    this.inodes.remove(place.ino - 1);
    this.again = true;
  }
}
