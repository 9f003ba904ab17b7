import { E, errno } from '../../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../../kernel/fcntl.js';
import { acl_from_disk } from '../disk/acl.js';
import type { XattrEntry } from '../disk/xattr.js';
import {
  H_CHECKSUM, XATTR_BLOCK_HEADER, XATTR_IBODY_HEADER, XATTR_MAGIC, XI, xattr_checksum, xattr_entries,
} from '../disk/xattr.js';
import { BLOCK_XATTR, verified } from '../volume/verified.js';
import { ea_inode_value } from './eainode.js';
import { ibody } from './ibody.js';
import type { Inode } from './inode.js';

/** An attribute, and the area that its value lies in if it does not lie in an inode. */
interface Found {
  readonly area: Uint8Array;
  readonly entry: XattrEntry;
}


/** All attributes of a file, those of the inode first. Damage is logged, and what is sound returned. @throws EIO */
async function load(ip: Inode): Promise<Found[]> {
  const em = ip.i_em;
  const found: Found[] = [];
  const take = (area: Uint8Array, first: number, where: string): void => {
    const { entries, problem } = xattr_entries(area, first);
    if (problem !== undefined) em.em_damage.note(`inode ${ip.i_number}: extended attributes in ${where}, ${problem}`);
    for (const entry of entries) found.push({ area, entry });
  };
  const inner = await xattr_area(ip);
  if (inner.entries !== null) take(inner.area, 0, 'the inode');
  const outer = await xattr_block(ip);
  if (outer !== null) take(outer, XATTR_BLOCK_HEADER, `block ${ip.i_file_acl}`);
  return found;
}

/** The place for attributes in an inode, a copy, and its entries; null: it holds none. @throws EIO */
export async function xattr_area(ip: Inode): Promise<{ area: Uint8Array; entries: XattrEntry[] | null }> {
  const { i_em: em, i_fs: fs } = ip;
  const bp = await em.inodeblock(ip.i_number);
  const at = em.inodeat(ip.i_number);
  const area = ibody(fs, bp.b_data, bp.b_view, at);
  em.em_bufcache.brelse(bp);
  if (area !== null) return { area, entries: xattr_entries(area, 0).entries };
  const room = ip.i_extra_isize === 0 ? 0 : fs.s_inode_size - 128 - ip.i_extra_isize - XATTR_IBODY_HEADER;
  return { area: new Uint8Array(Math.max(0, room)), entries: null };
}

/** The block of attributes of a file, a copy; null: it has none. @throws EIO */
export async function xattr_block(ip: Inode): Promise<Uint8Array | null> {
  const { i_em: em } = ip;
  if (ip.i_file_acl === 0) return null;
  const bp = await em.bread(ip.i_file_acl, `inode ${ip.i_number}: block of extended attributes`);
  em.em_bufcache.brelse(bp);
  if (!verified(bp, BLOCK_XATTR, 0)) {
    const magic = bp.b_view.getUint32(0, true);
    if (magic !== XATTR_MAGIC)
      throw em.em_damage.error(
        `inode ${ip.i_number}: block of extended attributes ${ip.i_file_acl}: h_magic 0x${magic.toString(16)}`,
      );
    if (em.em_csum && xattr_checksum(ip.i_fs, bp.b_data, ip.i_file_acl) !== bp.b_view.getUint32(H_CHECKSUM, true)) {
      throw em.em_damage.error(
        `inode ${ip.i_number}: block of extended attributes ${ip.i_file_acl}: checksum is wrong`,
      );
    }
    bp.b_private = BLOCK_XATTR;
  }
  return bp.b_data.slice();
}

/**
 * What an attribute is called here: its namespace, and its name as the kernel's calls have it; undefined: nobody may
 * see it.
 */
function called({ index, name }: XattrEntry): { namespace: number; name: string } | undefined {
  const system = EXTATTR_NAMESPACE_SYSTEM;
  switch (index) {
    case XI.USER:
      return { namespace: EXTATTR_NAMESPACE_USER, name };
    case XI.ACL_ACCESS:
      return name === '' ? { namespace: system, name: 'posix_acl_access' } : undefined;
    case XI.ACL_DEFAULT:
      return name === '' ? { namespace: system, name: 'posix_acl_default' } : undefined;
    case XI.TRUSTED:
      return { namespace: system, name: `trusted.${name}` };
    case XI.SECURITY:
      return { namespace: system, name: `security.${name}` };
    default:
      return undefined;
  }
}

/** The value of an attribute, in memory of its own. @throws ENOATTR EIO */
export async function ext2_getextattr(ip: Inode, namespace: number, name: string): Promise<Uint8Array> {
  for (const { area, entry } of await load(ip)) {
    const as = called(entry);
    if (as?.namespace !== namespace || as.name !== name) continue;
    const value =
      entry.value_inum === 0
        ? area.slice(entry.value_offs, entry.value_offs + entry.value_size)
        : await ea_inode_value(ip, entry);
    if (entry.index !== XI.ACL_ACCESS && entry.index !== XI.ACL_DEFAULT) return value;
    const acl = acl_from_disk(value);
    if (acl === undefined) throw ip.i_em.em_damage.error(`inode ${ip.i_number}: ${name} is no ACL`);
    return acl;
  }
  throw errno(E.ENOATTR);
}

/** The names in a namespace. @throws EIO */
export async function ext2_listextattr(ip: Inode, namespace: number): Promise<string[]> {
  const names = new Set<string>();
  for (const { entry } of await load(ip)) {
    const as = called(entry);
    if (as?.namespace === namespace) names.add(as.name);
  }
  return [...names];
}
