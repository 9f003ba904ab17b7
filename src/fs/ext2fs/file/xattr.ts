import { E, errno } from '../../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../../kernel/fcntl.js';
import { acl_from_disk } from '../disk/acl.js';
import type { XattrEntry } from '../disk/xattr.js';
import { H_CHECKSUM, XATTR_BLOCK_HEADER, XATTR_MAGIC, XI, xattr_checksum, xattr_entries } from '../disk/xattr.js';
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
  const ibp = await em.inodeblock(ip.i_number);
  const inner = ibody(ip.i_fs, ibp.b_data, ibp.b_view, em.inodeat(ip.i_number));
  em.em_bufcache.brelse(ibp);
  if (inner !== null) take(inner, 0, 'the inode');
  if (ip.i_file_acl === 0) return found;
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
  take(bp.b_data.slice(), XATTR_BLOCK_HEADER, `block ${ip.i_file_acl}`);
  return found;
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
