import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf, BufferCache } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { DamageLog } from '../../lib/damage.js';
import type { DirIndex } from '../dir/dirindex.js';
import { DirIndexes } from '../../lib/dirindexes.js';
import type { GroupDesc } from '../disk/groupdesc.js';
import { groupdesc, groupdesc_checksum } from '../disk/groupdesc.js';
import type { Ext2fs } from '../disk/superblock.js';
import type { Ext2Options } from './options.js';
import type { WriteState } from './writestate.js';

/** A mounted volume: mp.mnt_data. What changes while it is written is in em_write. */
export class Ext2Mount {
  readonly em_mountp: Mount;
  readonly em_kernel: Kernel;
  /** As the journal, replayed into memory, shows it. */
  em_dev: BlockDevice;
  readonly em_bufcache: BufferCache;
  em_fs: Ext2fs;
  /** Checksums of metadata (crc32c) are kept, and looked at. */
  readonly em_csum: boolean;
  /** The same of group descriptors, which have had crc16 before. */
  readonly em_groupcsum: boolean;
  readonly em_damage: DamageLog;
  readonly em_indexes = new DirIndexes<DirIndex>();
  em_options: Ext2Options;
  /** null: the volume is only read. */
  em_write: WriteState | null = null;
  /** First block of the inode table of each group that has been asked for. */
  private readonly tables = new Map<number, number>();

  constructor(mp: Mount, dev: BlockDevice, fs: Ext2fs, options: Ext2Options) {
    const checks = options.check;
    this.em_options = options;
    this.em_mountp = mp;
    this.em_kernel = mp.mnt_kernel;
    this.em_dev = dev;
    this.em_bufcache = mp.mnt_kernel.bufcache;
    this.em_fs = fs;
    this.em_csum = checks && fs.metadata_csum;
    this.em_groupcsum = checks;
    this.em_damage = new DamageLog((level, message) => this.em_kernel.log(level, message), mp.mnt_mntfromname);
  }

  /** Block `block` of the volume, referenced. @throws EIO it is outside */
  bread(block: number, what: string): MaybePromise<Buf> {
    const { bsize } = this.em_fs;
    if (!this.inside(block, 1))
      throw this.em_damage.error(
        `${what}: block ${block} is outside of the volume, which has ${this.em_fs.s_blocks_count} blocks`,
      );
    return this.em_bufcache.bread(this.em_dev, block * bsize, bsize);
  }

  /** May `count` blocks of a file begin at `block`? The superblock's is nobody's. */
  inside(block: number, count: number): boolean {
    return block > this.em_fs.s_first_data_block && block + count <= this.em_fs.s_blocks_count;
  }

  /** Where to look for room for inode `ino`: in its group, and files of a directory not all at the same place. */
  groupgoal(ino: number): number {
    const { em_fs: fs } = this;
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    const first = fs.groupfirst(g);
    const blocks = Math.min(fs.s_blocks_per_group, fs.s_blocks_count - first);
    return first + Math.floor(blocks / 16) * (ino % 16);
  }

  /** The descriptor of group `g`, which is below ngroups. @throws EIO its checksum is wrong */
  groupdesc(g: number): MaybePromise<GroupDesc> {
    const { block, at } = this.em_fs.descplace(g);
    const bp = this.bread(block, `descriptor of group ${g}`);
    return bp instanceof Promise ? bp.then((b) => this.descfrom(b, at, g)) : this.descfrom(bp, at, g);
  }

  /** Takes the reference to `bp`. */
  private descfrom(bp: Buf, at: number, g: number): GroupDesc {
    const desc = groupdesc(this.em_fs, bp.b_view, at);
    const checksum = this.em_groupcsum ? groupdesc_checksum(this.em_fs, bp.b_data, at, g) : undefined;
    this.em_bufcache.brelse(bp);
    if (checksum !== undefined && checksum !== desc.bg_checksum) {
      throw this.em_damage.error(
        `descriptor of group ${g}: checksum 0x${desc.bg_checksum.toString(16)} should be 0x${checksum.toString(16)}`,
      );
    }
    return desc;
  }

  /** First block of the inode table of group `g`, of which all blocks lie in the volume. */
  inodetable(g: number): MaybePromise<number> {
    const known = this.em_write?.groups.inode_table[g] ?? this.tables.get(g);
    if (known !== undefined) return known;
    const desc = this.groupdesc(g);
    return desc instanceof Promise ? desc.then((d) => this.tablefrom(d, g)) : this.tablefrom(desc, g);
  }

  private tablefrom(desc: GroupDesc, g: number): number {
    const blocks = Math.ceil(this.em_fs.s_inodes_per_group / this.em_fs.inodes_per_block);
    if (!this.inside(desc.bg_inode_table, blocks))
      throw this.em_damage.error(`descriptor of group ${g}: inode table at block ${desc.bg_inode_table}`);
    this.tables.set(g, desc.bg_inode_table);
    return desc.bg_inode_table;
  }

  /** The buffer that holds inode `ino` (1..s_inodes_count), referenced. */
  inodeblock(ino: number): MaybePromise<Buf> {
    const fs = this.em_fs;
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    const block = Math.floor(((ino - 1) % fs.s_inodes_per_group) / fs.inodes_per_block);
    const table = this.inodetable(g);
    if (table instanceof Promise) return table.then((first) => this.bread(first + block, `inode ${ino}`));
    return this.bread(table + block, `inode ${ino}`);
  }

  /** Its byte in there. */
  inodeat(ino: number): number {
    return (((ino - 1) % this.em_fs.s_inodes_per_group) % this.em_fs.inodes_per_block) * this.em_fs.s_inode_size;
  }
}

export function VFSTOEXT2(mp: Mount): Ext2Mount {
  return mp.mnt_data as Ext2Mount;
}
