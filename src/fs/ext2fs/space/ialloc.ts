import { E, errno } from '../../../kernel/errno.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { bits_clear, bits_set, bits_used_run } from '../../lib/bits.js';
import { BK_ALLOC, BK_INODE } from '../order/ordering.js';
import { EXT2_ROOTINO } from '../disk/superblock.js';
import type { Groups } from './groups.js';
import type { WriteState } from '../volume/writestate.js';

function groupof(groups: Groups, ino: number): number {
  return Math.floor((ino - 1) / groups.state.em.em_fs.s_inodes_per_group);
}

/**
 * The group for a new directory below `parent`, after Linux' fs/ext4/ialloc.c (find_group_orlov): those of the root are
 * spread over the groups that have room above the average and few directories, others stay near their parent.
 */
function dirgroup(groups: Groups, parent: number, random: number): number {
  const { ngroups } = groups.state.em.em_fs;
  const inodes = groups.inodes / ngroups;
  const blocks = groups.blocks / ngroups;
  const home = groupof(groups, parent);
  if (parent === EXT2_ROOTINO) {
    let best = -1;
    const from = random % ngroups;
    for (let i = 0; i < ngroups; i++) {
      const g = (from + i) % ngroups;
      if (groups.free_inodes[g] === 0 || groups.free_inodes[g] < inodes || groups.free_blocks[g] < blocks) continue;
      if (best < 0 || groups.used_dirs[g] < groups.used_dirs[best]) best = g;
    }
    if (best >= 0) return best;
  }
  const mostdirs = groups.dirs / ngroups + groups.state.em.em_fs.s_inodes_per_group / 16;
  for (let i = 0; i < ngroups; i++) {
    const g = (home + i) % ngroups;
    if (groups.free_inodes[g] === 0 || groups.used_dirs[g] > mostdirs) continue;
    if (groups.free_inodes[g] >= inodes / 4 && groups.free_blocks[g] >= blocks / 4) return g;
  }
  return home;
}

/** The group for another file: its directory's, or the next with inodes and blocks, by quadratic probing first. */
function filegroup(groups: Groups, parent: number): number {
  const { ngroups } = groups.state.em.em_fs;
  const home = groupof(groups, parent);
  const fits = (g: number): boolean => groups.free_inodes[g] > 0 && groups.free_blocks[g] > 0;
  if (fits(home)) return home;
  let g = (home + parent) % ngroups;
  for (let step = 1; step < ngroups; step *= 2) {
    g = (g + step) % ngroups;
    if (fits(g)) return g;
  }
  return home;
}

/** A free inode, from now on in use: its number. Its bytes are not touched. @throws ENOSPC EIO */
export async function ext2_ialloc(state: WriteState, parent: number, isdir: boolean): Promise<number> {
  const { groups, em } = state;
  const { ngroups } = em.em_fs;
  const first = isdir ? dirgroup(groups, parent, state.random()) : filegroup(groups, parent);
  for (let i = 0; i < ngroups; i++) {
    const g = (first + i) % ngroups;
    if (groups.free_inodes[g] === 0) continue;
    const ino = await ingroup(state, g, isdir);
    if (ino > 0) return ino;
  }
  throw errno(E.ENOSPC);
}

/** 0: none is free, whatever the count says. */
async function ingroup(state: WriteState, g: number, isdir: boolean): Promise<number> {
  const { em, groups, order } = state;
  const { em_fs: fs } = em;
  const got = groups.inodebitmap(g);
  const bp = got instanceof Promise ? await got : got;
  const least = g === 0 ? fs.s_first_ino - 1 : 0;
  const index = least + bits_used_run(bp.b_data, least, fs.s_inodes_per_group);
  if (index >= fs.s_inodes_per_group) {
    em.em_bufcache.brelse(bp);
    em.em_damage.note(`group ${g}: ${groups.free_inodes[g]} inodes are said to be free, and none is`);
    groups.inodes -= groups.free_inodes[g];
    groups.free_inodes[g] = 0;
    return 0;
  }
  // Taken before anything is awaited: others look for one, too.
  bits_set(bp.b_data, index, index + 1);
  order.dirty(bp, BK_ALLOC);
  em.em_bufcache.brelse(bp);
  await initialise(state, g, index);
  groups.free_inodes[g]--;
  groups.inodes--;
  if (isdir) {
    groups.used_dirs[g]++;
    groups.dirs++;
  }
  const put = groups.put(g);
  if (put) await put;
  return g * fs.s_inodes_per_group + index + 1;
}

/** Inodes up to `index` of a group are in a state that a checker may look at: those never used are zeros. */
async function initialise(state: WriteState, g: number, index: number): Promise<void> {
  const { em, groups, order } = state;
  const { em_fs: fs } = em;
  const known = fs.s_inodes_per_group - groups.itable_unused[g];
  if (index < known) return;
  const size = fs.s_inode_size;
  groups.itable_unused[g] = fs.s_inodes_per_group - index - 1;
  for (let i = known; i <= index; ) {
    const block = Math.floor(i / fs.inodes_per_block);
    const end = Math.min((block + 1) * fs.inodes_per_block, index + 1);
    const at = groups.inode_table[g] + block;
    let bp: Buf;
    if (i % fs.inodes_per_block === 0) {
      bp = em.em_bufcache.getblk(em.em_dev, at * fs.bsize, fs.bsize);
      bp.b_data.fill(0);
    } else {
      const got = em.bread(at, 'an inode table');
      bp = got instanceof Promise ? await got : got;
      bp.b_data.fill(0, (i % fs.inodes_per_block) * size, ((end - 1) % fs.inodes_per_block) * size + size);
    }
    order.dirty(bp, BK_INODE);
    em.em_bufcache.brelse(bp);
    i = end;
  }
}

/** Frees an inode in memory, at once. @throws EIO it was free */
export async function ext2_ifree(state: WriteState, ino: number, isdir: boolean, tolerant = false): Promise<void> {
  const { em, groups, order } = state;
  const { em_fs: fs } = em;
  const g = groupof(groups, ino);
  const index = (ino - 1) % fs.s_inodes_per_group;
  const got = groups.inodebitmap(g);
  const bp = got instanceof Promise ? await got : got;
  const cleared = bits_clear(bp.b_data, index, index + 1);
  order.dirty(bp, BK_ALLOC);
  em.em_bufcache.brelse(bp);
  groups.free_inodes[g] += cleared;
  groups.inodes += cleared;
  if (isdir && cleared > 0 && groups.used_dirs[g] > 0) {
    groups.used_dirs[g]--;
    groups.dirs--;
  }
  const put = groups.put(g);
  if (put) await put;
  if (cleared === 0 && !tolerant) throw state.damage(`inode ${ino} is freed that was free`);
}
