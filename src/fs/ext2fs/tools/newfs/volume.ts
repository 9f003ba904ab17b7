/** A volume that is being made: what of it is in use, and its inodes until they are written. */
import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { E, errno } from '../../../../kernel/errno.js';
import { S_IFDIR, S_IFMT } from '../../../../kernel/stat.js';
import { FL, dinode_seal, inode_seed } from '../../disk/dinode.js';
import { INCOMPAT } from '../../disk/features.js';
import type { Ext2fs } from '../../disk/superblock.js';
import { Bits } from '../volume/bits.js';
import { cluster_of, group_end, head_blocks, table_blocks } from '../volume/copies.js';
import type { FileRun, MapStore } from '../volume/filemap.js';
import { put_extents, put_pointers } from '../volume/filemap.js';
import type { GroupPlaces } from './place.js';

const EXTRA_ISIZE = 32;

export interface NewInode {
  readonly mode: number;
  readonly links: number;
  readonly size: number;
  readonly uid?: number;
  readonly gid?: number;
}

export class NewVolume implements MapStore {
  /** Clusters in use. */
  readonly used: Bits;
  /** Highest inode in use of each group that has some, counted from 1 in it. */
  readonly inodes = new Map<number, number>();
  /** Directories in each group that has some. */
  readonly dirs = new Map<number, number>();
  /** Bytes written. */
  written = 0;
  private readonly tables = new Map<number, Uint8Array>();
  /** Clusters in the whole volume. */
  readonly clusters: number;

  constructor(
    readonly dev: BlockDevice,
    readonly fs: Ext2fs,
    readonly places: readonly GroupPlaces[],
    private readonly time: number,
  ) {
    this.used = new Bits(fs.s_clusters_per_group);
    this.clusters = cluster_of(fs, fs.s_blocks_count - 1) + 1;
    for (let ino = 1; ino < fs.s_first_ino; ino++) this.occupy(ino);
    const table = table_blocks(fs);
    for (let g = 0; g < fs.ngroups; g++) {
      this.mark(fs.groupfirst(g), head_blocks(fs, g));
      const { bg_block_bitmap, bg_inode_bitmap, bg_inode_table } = places[g]!;
      this.mark(bg_block_bitmap, 1);
      this.mark(bg_inode_bitmap, 1);
      this.mark(bg_inode_table, table);
    }
  }

  private mark(block: number, count: number): void {
    const first = cluster_of(this.fs, block);
    for (let c = first; c <= cluster_of(this.fs, block + count - 1); c++) this.used.add(c);
  }

  /** One block, in a cluster of its own. */
  balloc(): number {
    return this.alloc(1, 0)[0]!.start;
  }

  /** `count` blocks, in a row if there are so many, looked for from group `g` on. @throws ENOSPC */
  alloc(count: number, g: number): FileRun[] {
    const { fs, used, clusters } = this;
    const want = Math.ceil(count / fs.clusterblocks);
    const from = g * fs.s_clusters_per_group;
    let first = used.findclear(from, clusters, want);
    if (first < 0) first = used.findclear(0, clusters, want);
    const runs: FileRun[] = [];
    for (let left = want, at = first < 0 ? 0 : first; left > 0; ) {
      at = used.nextclear(at, clusters);
      if (at < 0) throw errno(E.ENOSPC, 'the volume is too small for what is to be on it');
      const length = used.nextset(at, Math.min(clusters, at + left)) - at;
      used.addrun(at, length);
      runs.push({
        lbn: (want - left) * fs.clusterblocks,
        start: fs.s_first_data_block + at * fs.clusterblocks,
        length: Math.min(length * fs.clusterblocks, count - (want - left) * fs.clusterblocks),
      });
      left -= length;
      at += length;
    }
    return runs;
  }

  /** Writes inode `ino`, whose blocks are `runs`. */
  async inode(ino: number, what: NewInode, runs: readonly FileRun[]): Promise<void> {
    const place = this.dinode(ino, what);
    const { bytes, view, at } = place;
    const { fs } = this;
    const i_block = new DataView(bytes.buffer, bytes.byteOffset + at + 0x28, 60);
    const data = runs.reduce((sum, { length }) => sum + Math.ceil(length / fs.clusterblocks), 0);
    let meta: number;
    if (fs.incompat(INCOMPAT.extents)) {
      view.setUint32(at + 0x20, FL.EXTENTS, true);
      meta = await put_extents(this, i_block, runs, fs.metadata_csum ? this.seed(ino) : undefined);
    } else meta = await put_pointers(this, i_block, runs);
    this.putblocks(view, at, (data + meta) * fs.clusterblocks);
    dinode_seal(fs, bytes, view, at, ino);
  }

  /** i_blocks of an inode that has `blocks` blocks. */
  putblocks(view: DataView, at: number, blocks: number): void {
    const sectors = (blocks * this.fs.bsize) / 512;
    view.setUint32(at + 0x1c, sectors % 2 ** 32, true);
    view.setUint16(at + 0x74, Math.floor(sectors / 2 ** 32), true);
  }

  seed(ino: number): number {
    return inode_seed(this.fs, ino, 0);
  }

  /** An inode without blocks, to be filled and sealed. */
  dinode(ino: number, what: NewInode): { bytes: Uint8Array; view: DataView; at: number } {
    const { fs, time } = this;
    const { g, i } = this.occupy(ino);
    if ((what.mode & S_IFMT) === S_IFDIR) this.dirs.set(g, (this.dirs.get(g) ?? 0) + 1);
    const block = this.places[g]!.bg_inode_table + Math.floor(i / fs.inodes_per_block);
    const bytes = this.table(block);
    const view = new DataView(bytes.buffer);
    const at = (i % fs.inodes_per_block) * fs.s_inode_size;
    bytes.fill(0, at, at + fs.s_inode_size);
    view.setUint16(at, what.mode, true);
    const { uid = 0, gid = 0 } = what;
    view.setUint16(at + 2, uid & 0xffff, true);
    view.setUint16(at + 0x78, uid >>> 16, true);
    view.setUint16(at + 0x18, gid & 0xffff, true);
    view.setUint16(at + 0x7a, gid >>> 16, true);
    view.setUint32(at + 4, what.size % 2 ** 32, true);
    view.setUint32(at + 0x6c, Math.floor(what.size / 2 ** 32), true);
    for (const field of [8, 0xc, 0x10]) view.setUint32(at + field, time % 2 ** 32, true);
    view.setUint16(at + 0x1a, what.links, true);
    if (fs.s_inode_size > 128) {
      view.setUint16(at + 0x80, EXTRA_ISIZE, true);
      view.setUint32(at + 0x90, time % 2 ** 32, true);
      const epoch = Math.floor(time / 2 ** 32);
      for (const field of [0x84, 0x88, 0x8c, 0x94]) view.setUint32(at + field, epoch, true);
    }
    return { bytes, view, at };
  }

  /** Inode `ino` is in use. @returns its group, and which of it it is */
  private occupy(ino: number): { g: number; i: number } {
    const g = Math.floor((ino - 1) / this.fs.s_inodes_per_group);
    const i = (ino - 1) % this.fs.s_inodes_per_group;
    this.inodes.set(g, Math.max(this.inodes.get(g) ?? 0, i + 1));
    return { g, i };
  }

  private table(block: number): Uint8Array {
    let bytes = this.tables.get(block);
    if (bytes === undefined) this.tables.set(block, (bytes = new Uint8Array(this.fs.bsize)));
    return bytes;
  }

  /** The 60 bytes of an inode's map. */
  i_block(ino: number): Uint8Array {
    const { fs, places } = this;
    const i = (ino - 1) % fs.s_inodes_per_group;
    const { bg_inode_table } = places[Math.floor((ino - 1) / fs.s_inodes_per_group)]!;
    const at = (i % fs.inodes_per_block) * fs.s_inode_size + 0x28;
    return this.table(bg_inode_table + Math.floor(i / fs.inodes_per_block)).slice(at, at + 60);
  }

  /** Writes all inodes. */
  async writetables(): Promise<void> {
    for (const [block, bytes] of this.tables) await this.bwrite(block, bytes);
  }

  async bwrite(block: number, bytes: Uint8Array): Promise<void> {
    this.written += bytes.length;
    await this.dev.write(bytes, 0, bytes.length, block * this.fs.bsize);
  }

  /** Makes blocks zero, writing only where they are not. */
  async zero(block: number, count: number): Promise<void> {
    const { bsize } = this.fs;
    await zero_bytes(this.dev, block * bsize, (block + count) * bsize);
  }

  /** Is all of group `g` free but for its head? */
  untouched(g: number): boolean {
    const { fs } = this;
    const first = fs.groupfirst(g) + head_blocks(fs, g);
    const end = group_end(fs, g);
    if (first >= end) return false;
    const from = cluster_of(fs, first + fs.clusterblocks - 1);
    const to = cluster_of(fs, end - 1) + 1;
    return this.used.nextset(from, to) === to;
  }
}

const PIECE_BYTES = 2 ** 20;

/** Makes bytes zero, writing only where they are not: a sparse image stays sparse. */
export async function zero_bytes(dev: BlockDevice, from: number, to: number): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  const words = new Int32Array(piece.buffer);
  for (let at = from; at < to; at += piece.length) {
    const n = Math.min(piece.length, to - at);
    piece.fill(0, n);
    await dev.read(piece, 0, n, at);
    let i = 0;
    while (i < words.length && words[i] === 0) i++;
    if (i === words.length) continue;
    piece.fill(0);
    await dev.write(piece, 0, n, at);
  }
}
