import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { VDIR, VLNK, VNON, iftovt } from '../../../kernel/vfs/vattr.js';
import type { Dinode } from '../disk/dinode.js';
import { FL, dinode_load, dinode_sealed } from '../disk/dinode.js';
import { EXT2_ROOTINO } from '../disk/superblock.js';
import { XI, xattr_entries } from '../disk/xattr.js';
import type { Ext2Mount } from '../volume/ext2mount.js';
import type { Inode } from './inode.js';
import { MAX_LBN } from './run.js';
import { ibody } from './ibody.js';

/** Reads an inode, whatever it is for. @throws EIO damage; ESTALE it is not in use */
export function inode_fill(ip: Inode): MaybePromise<void> {
  const bp = ip.i_em.inodeblock(ip.i_number);
  return bp instanceof Promise ? bp.then((b) => fromblock(ip, b)) : fromblock(ip, bp);
}

/** Takes the reference to `bp`. */
function fromblock(ip: Inode, bp: Buf): void {
  const em = ip.i_em;
  const at = em.inodeat(ip.i_number);
  em.em_bufcache.brelse(bp);
  dinode_load(ip, ip.i_fs, bp.b_view, at);
  if (ip.i_mode === 0) throw errno(E.ESTALE);
  if (em.em_csum && !dinode_sealed(ip.i_fs, bp.b_data, bp.b_view, at, ip.i_number))
    throw em.em_damage.error(`inode ${ip.i_number}: checksum is wrong`);
  if (ip.has(FL.INLINE_DATA)) {
    const data = inline_data(ip, ibody(ip.i_fs, bp.b_data, bp.b_view, at));
    if (typeof data === 'string') throw em.em_damage.error(`inode ${ip.i_number}: data in the inode: ${data}`);
    ip.i_inline = data;
  }
  const problem = inode_problem(em, ip, iftovt(ip.i_mode));
  if (problem !== undefined) throw em.em_damage.error(`inode ${ip.i_number}: ${problem}`);
}

/**
 * What an inode has of its data: first the place of its block numbers, then the attribute system.data. A text says what
 * is wrong.
 */
function inline_data(ip: Inode, area: Uint8Array | null): Uint8Array | string {
  const { entries } = area === null ? { entries: [] } : xattr_entries(area, 0);
  const entry = entries.find(({ index, name }) => index === XI.SYSTEM && name === 'data');
  if (entry === undefined)
    return ip.i_size > ip.i_block.length ? `${ip.i_size} bytes, but no attribute system.data` : ip.i_block;
  if (entry.value_inum !== 0) return 'the attribute system.data lies in another inode';
  const data = new Uint8Array(ip.i_block.length + entry.value_size);
  data.set(ip.i_block);
  data.set(area!.subarray(entry.value_offs, entry.value_offs + entry.value_size), ip.i_block.length);
  return ip.i_size > data.length ? `${ip.i_size} bytes, of which only ${data.length} are there` : data;
}

/** May a name lead to this inode? Those below the first ordinary one are the volume's own. */
export function inode_ordinary(em: Ext2Mount, ino: number): boolean {
  return ino === EXT2_ROOTINO || (ino >= em.em_fs.s_first_ino && ino <= em.em_fs.s_inodes_count);
}

/** What of an inode in use cannot be right. */
export function inode_problem(em: Ext2Mount, d: Dinode, type: number): string | undefined {
  const { bsize, s_blocks_count } = em.em_fs;
  if (type === VNON) return `mode 0${d.i_mode.toString(8)} is of no type`;
  if (d.i_size > MAX_LBN * bsize || !Number.isSafeInteger(d.i_size)) return `size ${d.i_size}`;
  // A directory has no holes.
  if (type === VDIR && d.i_size > s_blocks_count * bsize)
    return `directory of ${d.i_size} bytes, more than the volume has`;
  if (type === VLNK && d.i_size > bsize) return `symbolic link of ${d.i_size} bytes`;
  if (!Number.isSafeInteger(d.i_blocks)) return `${d.i_blocks} blocks`;
  return undefined;
}
