import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { bits_set } from '../../lib/bits.js';
import { bitmap_checksum, desc_bitmap_csum, desc_put_bitmap_csum } from '../disk/bitmap.js';
import {
  BG_BLOCK_UNINIT, BG_INODE_UNINIT, groupdesc, groupdesc_checksum, groupdesc_put, groupdesc_seal,
} from '../disk/groupdesc.js';
import { RO_COMPAT } from '../disk/features.js';
import { BK_ALLOC } from '../order/ordering.js';
import { descblocks } from '../volume/space.js';
import type { WriteState } from '../volume/writestate.js';

/** Descriptors are read so many bytes at a time. */
const READ_BYTES = 1 << 20;

/**
 * The groups of a volume that is written: their counts in memory and in the buffers of the descriptors, and their
 * bitmaps. Checksums are made right by {@link seal}, before anything is written.
 */
export class Groups {
  readonly state: WriteState;
  /** Clusters, inodes. */
  readonly free_blocks: Uint32Array;
  readonly free_inodes: Uint32Array;
  readonly used_dirs: Uint32Array;
  readonly itable_unused: Uint32Array;
  readonly flags: Uint16Array;
  readonly block_bitmap: Float64Array;
  readonly inode_bitmap: Float64Array;
  readonly inode_table: Float64Array;
  /** Sums over all groups. */
  blocks = 0;
  inodes = 0;
  dirs = 0;
  /** Groups whose checksums are not right. */
  private readonly unsealed = new Set<number>();

  constructor(state: WriteState) {
    const { ngroups } = state.em.em_fs;
    this.state = state;
    this.free_blocks = new Uint32Array(ngroups);
    this.free_inodes = new Uint32Array(ngroups);
    this.used_dirs = new Uint32Array(ngroups);
    this.itable_unused = new Uint32Array(ngroups);
    this.flags = new Uint16Array(ngroups);
    this.block_bitmap = new Float64Array(ngroups);
    this.inode_bitmap = new Float64Array(ngroups);
    this.inode_table = new Float64Array(ngroups);
  }

  /** Descriptors and bitmaps carry checksums that make uninitialised parts possible. */
  get lazy(): boolean {
    const { em_fs: fs } = this.state.em;
    return fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
  }

  /**
   * Reads all descriptors. `stale`: groups whose checksums a predecessor has left behind.
   * @returns what is wrong with them; undefined: nothing @throws EIO
   */
  async load(stale: ReadonlySet<number>): Promise<string | undefined> {
    const { em } = this.state;
    const { em_fs: fs, em_dev: dev } = em;
    const chunk = new Uint8Array(Math.min(READ_BYTES, Math.ceil((fs.ngroups * fs.desc_size) / fs.bsize) * fs.bsize));
    const view = new DataView(chunk.buffer);
    const perblock = fs.bsize / fs.desc_size;
    let first = -1;
    let blocks = 0;
    for (let g = 0; g < fs.ngroups; g++) {
      const place = fs.descplace(g);
      if (first < 0 || place.block < first || place.block >= first + blocks) {
        // Descriptors lie in a row but with meta_bg.
        first = place.block;
        blocks = 1;
        const left = Math.ceil((fs.ngroups - g) / perblock);
        while (blocks < left && (blocks + 1) * fs.bsize <= chunk.length) {
          if (fs.descplace(g - (g % perblock) + blocks * perblock).block !== first + blocks) break;
          blocks++;
        }
        if (first + blocks > fs.s_blocks_count) return `the descriptors of group ${g} lie outside of the volume`;
        await dev.read(chunk, 0, blocks * fs.bsize, first * fs.bsize);
      }
      const problem = this.take(g, chunk, view, (place.block - first) * fs.bsize + place.at, stale.has(g));
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  private take(g: number, bytes: Uint8Array, view: DataView, at: number, stale: boolean): string | undefined {
    const { em } = this.state;
    const { em_fs: fs } = em;
    const d = groupdesc(fs, view, at);
    const checksum = stale ? undefined : groupdesc_checksum(fs, bytes, at, g);
    if (checksum !== undefined && checksum !== d.bg_checksum) return `descriptor of group ${g}: checksum is wrong`;
    const table = Math.ceil(fs.s_inodes_per_group / fs.inodes_per_block);
    if (!em.inside(d.bg_block_bitmap, 1) || !em.inside(d.bg_inode_bitmap, 1) || !em.inside(d.bg_inode_table, table))
      return `descriptor of group ${g}: bitmaps at blocks ${d.bg_block_bitmap} and ${d.bg_inode_bitmap}, inodes at ` +
        `${d.bg_inode_table}`;
    if (
      d.bg_free_blocks_count > fs.s_clusters_per_group || d.bg_free_inodes_count > fs.s_inodes_per_group ||
      d.bg_used_dirs_count > fs.s_inodes_per_group || d.bg_itable_unused > fs.s_inodes_per_group
    )
      return `descriptor of group ${g}: its counts cannot be`;
    this.free_blocks[g] = d.bg_free_blocks_count;
    this.free_inodes[g] = d.bg_free_inodes_count;
    this.used_dirs[g] = d.bg_used_dirs_count;
    this.itable_unused[g] = this.lazy ? d.bg_itable_unused : 0;
    this.flags[g] = this.lazy ? d.bg_flags : d.bg_flags & ~(BG_BLOCK_UNINIT | BG_INODE_UNINIT);
    this.block_bitmap[g] = d.bg_block_bitmap;
    this.inode_bitmap[g] = d.bg_inode_bitmap;
    this.inode_table[g] = d.bg_inode_table;
    this.blocks += d.bg_free_blocks_count;
    this.inodes += d.bg_free_inodes_count;
    this.dirs += d.bg_used_dirs_count;
    if (stale) this.unsealed.add(g);
    return undefined;
  }

  /** Clusters of group `g`: the last one may be shorter. */
  clustersof(g: number): number {
    const { em_fs: fs } = this.state.em;
    const blocks = Math.min(fs.s_blocks_per_group, fs.s_blocks_count - fs.groupfirst(g));
    return Math.ceil(blocks / fs.clusterblocks);
  }

  /** The counts of group `g` go into its descriptor's buffer. */
  put(g: number): MaybePromise<void> {
    const { block } = this.state.em.em_fs.descplace(g);
    const bp = this.state.em.bread(block, `descriptor of group ${g}`);
    return bp instanceof Promise ? bp.then((b) => this.putinto(g, b)) : this.putinto(g, bp);
  }

  private putinto(g: number, bp: Buf): void {
    const { em, order, rows } = this.state;
    groupdesc_put(em.em_fs, bp.b_view, em.em_fs.descplace(g).at, {
      bg_block_bitmap: this.block_bitmap[g], bg_inode_bitmap: this.inode_bitmap[g],
      bg_inode_table: this.inode_table[g], bg_free_blocks_count: this.free_blocks[g],
      bg_free_inodes_count: this.free_inodes[g], bg_used_dirs_count: this.used_dirs[g], bg_flags: this.flags[g],
      bg_itable_unused: this.itable_unused[g],
    });
    order.dirty(bp, BK_ALLOC);
    em.em_bufcache.brelse(bp);
    if (!this.unsealed.has(g)) {
      this.unsealed.add(g);
      rows?.group(g);
    }
  }

  /** The bitmap of blocks (clusters) of group `g`, referenced. @throws EIO it is damaged */
  blockbitmap(g: number): MaybePromise<Buf> {
    if ((this.flags[g] & BG_BLOCK_UNINIT) !== 0) return this.newblockbitmap(g);
    const bp = this.state.em.bread(this.block_bitmap[g], `block bitmap of group ${g}`);
    return bp instanceof Promise
      ? bp.then((b) => this.checked(g, b, 'block'))
      : this.checked(g, bp, 'block');
  }

  inodebitmap(g: number): MaybePromise<Buf> {
    if ((this.flags[g] & BG_INODE_UNINIT) !== 0) return this.newinodebitmap(g);
    const bp = this.state.em.bread(this.inode_bitmap[g], `inode bitmap of group ${g}`);
    return bp instanceof Promise
      ? bp.then((b) => this.checked(g, b, 'inode'))
      : this.checked(g, bp, 'inode');
  }

  /** Looks at the checksum of a bitmap, once. */
  private checked(g: number, bp: Buf, kind: 'block' | 'inode'): MaybePromise<Buf> {
    const { em } = this.state;
    if (!em.em_csum || bp.b_private === this) return bp;
    if (this.state.inheriting) {
      bp.b_private = this;
      return bp;
    }
    const { block, at } = em.em_fs.descplace(g);
    const judge = (dp: Buf): Buf => {
      em.em_bufcache.brelse(dp);
      if (bitmap_checksum(em.em_fs, kind, bp.b_data) !== desc_bitmap_csum(em.em_fs, kind, dp.b_view, at)) {
        em.em_bufcache.brelse(bp);
        throw em.em_damage.error(`${kind} bitmap of group ${g}: checksum is wrong`);
      }
      bp.b_private = this;
      return bp;
    };
    const dp = em.bread(block, `descriptor of group ${g}`);
    return dp instanceof Promise ? dp.then(judge) : judge(dp);
  }

  /** What was never written: only the volume's own blocks are in use. */
  private newblockbitmap(g: number): MaybePromise<Buf> {
    const { em } = this.state;
    const { em_fs: fs } = em;
    const bp = em.em_bufcache.getblk(em.em_dev, this.block_bitmap[g] * fs.bsize, fs.bsize);
    bp.b_data.fill(0);
    const first = fs.groupfirst(g);
    const use = (block: number, count: number): void => {
      const from = Math.max(block, first) - first;
      const to = Math.min(block + count, first + fs.s_blocks_per_group) - first;
      if (from < to) bits_set(bp.b_data, Math.floor(from / fs.clusterblocks), Math.ceil(to / fs.clusterblocks));
    };
    const descs = descblocks(fs, g);
    const reserved = fs.hassuper(g) && !fs.onlymeta(g) ? fs.s_reserved_gdt_blocks : 0;
    if (fs.hassuper(g) || descs > 0) use(first, (fs.hassuper(g) ? 1 : 0) + descs + reserved);
    use(this.block_bitmap[g], 1);
    use(this.inode_bitmap[g], 1);
    use(this.inode_table[g], Math.ceil(fs.s_inodes_per_group / fs.inodes_per_block));
    bits_set(bp.b_data, this.clustersof(g), fs.bsize * 8);
    this.flags[g] &= ~BG_BLOCK_UNINIT;
    return this.began(g, bp);
  }

  private newinodebitmap(g: number): MaybePromise<Buf> {
    const { em } = this.state;
    const { em_fs: fs } = em;
    const bp = em.em_bufcache.getblk(em.em_dev, this.inode_bitmap[g] * fs.bsize, fs.bsize);
    bp.b_data.fill(0);
    bits_set(bp.b_data, fs.s_inodes_per_group, fs.bsize * 8);
    this.flags[g] &= ~BG_INODE_UNINIT;
    return this.began(g, bp);
  }

  /** A bitmap that has just been made. */
  private began(g: number, bp: Buf): MaybePromise<Buf> {
    bp.b_private = this;
    this.state.order.dirty(bp, BK_ALLOC);
    const put = this.put(g);
    return put instanceof Promise ? put.then(() => bp) : bp;
  }

  /** Makes the checksums of all groups right that have changed. */
  async seal(): Promise<void> {
    const { em, order, rows } = this.state;
    const { em_fs: fs } = em;
    for (const g of this.unsealed) {
      const { block, at } = fs.descplace(g);
      const got = em.bread(block, `descriptor of group ${g}`);
      const bp = got instanceof Promise ? await got : got;
      if (fs.metadata_csum) {
        if ((this.flags[g] & BG_BLOCK_UNINIT) === 0) await this.sealbitmap(bp, at, this.block_bitmap[g], 'block');
        if ((this.flags[g] & BG_INODE_UNINIT) === 0) await this.sealbitmap(bp, at, this.inode_bitmap[g], 'inode');
      }
      groupdesc_seal(fs, bp.b_data, bp.b_view, at, g);
      order.dirty(bp, BK_ALLOC);
      em.em_bufcache.brelse(bp);
      rows?.groupsealed(g);
    }
    this.unsealed.clear();
  }

  /** Only of one that has been looked at: of another the checksum is as it was. */
  private async sealbitmap(desc: Buf, at: number, block: number, kind: 'block' | 'inode'): Promise<void> {
    const { em } = this.state;
    const got = em.bread(block, 'a bitmap');
    const bp = got instanceof Promise ? await got : got;
    if (bp.b_private === this || this.state.inheriting)
      desc_put_bitmap_csum(em.em_fs, kind, desc.b_view, at, bitmap_checksum(em.em_fs, kind, bp.b_data));
    em.em_bufcache.brelse(bp);
  }
}
