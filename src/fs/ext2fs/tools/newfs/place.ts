/** Where the bitmaps and the tables of inodes of a new volume lie. */
import { E, errno } from '../../../../kernel/errno.js';
import { INCOMPAT } from '../../disk/features.js';
import type { Ext2fs } from '../../disk/superblock.js';
import { group_end, head_blocks, table_blocks } from '../volume/copies.js';

export interface GroupPlaces {
  bg_block_bitmap: number;
  bg_inode_bitmap: number;
  bg_inode_table: number;
}

/** Gives out blocks in order, around the heads of groups. */
class Cursor {
  private next: number;

  constructor(
    private readonly fs: Ext2fs,
    first: number,
    private readonly end: number,
  ) {
    this.next = first;
  }

  /** The first of `count` blocks in a row. @throws ENOSPC */
  take(count: number): number {
    const { fs } = this;
    for (let g = this.groupof(this.next); g <= this.groupof(this.next + count - 1) && g < fs.ngroups; g++) {
      const head = fs.groupfirst(g);
      const behind = head + head_blocks(fs, g);
      if (this.next < behind && this.next + count > head) this.next = behind;
    }
    const at = this.next;
    if (at + count > this.end)
      throw errno(E.ENOSPC, 'the tables of inodes leave no room: fewer inodes, or larger blocks');
    this.next += count;
    return at;
  }

  private groupof(block: number): number {
    return Math.floor((block - this.fs.s_first_data_block) / this.fs.s_blocks_per_group);
  }
}

/**
 * Of all groups. With flex_bg those of some groups in a row lie together: all bitmaps of blocks, all of inodes, all
 * tables; without it each group has its own.
 */
export function place_groups(fs: Ext2fs): GroupPlaces[] {
  const flex = fs.incompat(INCOMPAT.flex_bg) ? 2 ** Math.min(fs.s_log_groups_per_flex, 31) : 1;
  const table = table_blocks(fs);
  const places: GroupPlaces[] = [];
  for (let first = 0; first < fs.ngroups; first += flex) {
    const count = Math.min(flex, fs.ngroups - first);
    const cursor = new Cursor(fs, fs.groupfirst(first), group_end(fs, first + count - 1));
    const own = Array.from({ length: count }, () => ({ bg_block_bitmap: 0, bg_inode_bitmap: 0, bg_inode_table: 0 }));
    for (const one of own) one.bg_block_bitmap = cursor.take(1);
    for (const one of own) one.bg_inode_bitmap = cursor.take(1);
    for (const one of own) one.bg_inode_table = cursor.take(table);
    for (const one of own) places.push(one);
  }
  return places;
}
