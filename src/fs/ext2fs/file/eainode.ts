import { crc32c } from '../../lib/crc32c.js';
import { FL } from '../disk/dinode.js';
import type { XattrEntry } from '../disk/xattr.js';
import { Inode } from './inode.js';
import { inode_fill } from './fill.js';
import { ext2_readall } from './read.js';

/** Largest value, bytes. Source: Linux XATTR_SIZE_MAX; e2fsprogs allows no more. */
const VALUE_MAX = 65536;

/**
 * A value that lies in an inode of its own. Its hash, where the volume keeps checksums, is in the access time. @throws
 * EIO
 */
export async function ea_inode_value(owner: Inode, entry: XattrEntry): Promise<Uint8Array> {
  const em = owner.i_em;
  const bad = (what: string): Error =>
    em.em_damage.error(
      `inode ${owner.i_number}: extended attribute "${entry.name}" in inode ${entry.value_inum}: ${what}`,
    );
  if (entry.value_inum > em.em_fs.s_inodes_count) throw bad('there is no such inode');
  const ip = new Inode(em, entry.value_inum);
  await inode_fill(ip);
  if (!ip.has(FL.EA_INODE) || (ip.i_mode & 0xf000) !== 0x8000) throw bad('it is not for attributes');
  if (ip.i_size !== entry.value_size) throw bad(`it has ${ip.i_size} bytes instead of ${entry.value_size}`);
  if (entry.value_size > VALUE_MAX) throw bad(`${entry.value_size} bytes are more than ${VALUE_MAX}`);
  const value = await ext2_readall(ip, entry.value_size);
  // Lustre's, which are older, name their owner instead.
  if (ip.i_mtime === owner.i_number && ip.i_generation === owner.i_generation) return value;
  if (em.em_csum && crc32c(em.em_fs.csum_seed, value, 0, value.length) !== (ip.i_atime & 0xffffffff) >>> 0)
    throw bad('hash of the value is wrong');
  return value;
}
