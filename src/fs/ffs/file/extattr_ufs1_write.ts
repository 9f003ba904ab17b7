import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { W_OK, X_OK } from '../../../kernel/fcntl.js';
import { vop_access } from '../../../kernel/vfs/genfs.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { VREG, Vattr } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import { ufs_dirlookup } from '../../ufs/lookup.js';
import { ffs_create } from '../dir/create.js';
import {
  UFS_EXTATTR_ATTR_FLAG_INUSE, UFS_EXTATTR_HEADER, UFS_EXTATTR_MAGIC, UFS_EXTATTR_VERSION,
  beside, withfile, child, openbacking, record, recordplace, withsubdir,
} from './extattr_ufs1.js';
import type { Backing } from './extattr_ufs1.js';
import { ffs_write } from './write.js';
import { touchmeta, transact } from '../order/changes.js';

/**
 * Changing extended attributes of UFS1 (layout: extattr_ufs1.ts) as NetBSD does: a record is written in place, header
 * and value in one; a new attribute gets its file with room for 1024 bytes a record, where who sets it may make a file.
 * FreeBSD makes none by itself, and so none is made on its volumes. What a removed file had stays, void by its
 * generation.
 */

/** NetBSD's ufs_extattr_autocreate. */
const AUTOCREATE_ROOM = 1024;

/** The file of a new attribute, empty and referenced. @throws ENOATTR EACCES ENOSPC EIO */
async function autocreate(vp: Vnode, subdir: Vnode, name: string, length: number, ctx: Context): Promise<Vnode> {
  if (VTOI(vp).i_ump.um_dialect !== 'netbsd') throw errno(E.ENOATTR, 'the attribute has no file under /.attribute');
  if (length > AUTOCREATE_ROOM) throw errno(E.ENOSPC, `a new extended attribute has room for ${AUTOCREATE_ROOM} bytes`);
  return beside(vp, subdir, true, async () => {
    // Somebody may have made it meanwhile.
    if ((await ufs_dirlookup(VTOI(subdir), name)) !== null) {
      const file = await child(subdir, name, VREG);
      if (file === null) throw errno(E.EIO, `/.attribute: ${name} is no file`);
      return file;
    }
    await vop_access(subdir, W_OK | X_OK, ctx);
    const vap = new Vattr();
    vap.va_type = VREG;
    vap.va_mode = 0o600;
    const file = await ffs_create(subdir, name, vap, ctx);
    subdir.v_mount.mnt_kernel.cache_enter(subdir, name, file);
    return file;
  });
}

function three(le: boolean, a: number, b: number, c: number, more = 0): Uint8Array {
  const bytes = new Uint8Array(UFS_EXTATTR_HEADER + more);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, a, le);
  view.setUint32(4, b, le);
  view.setUint32(8, c, le);
  return bytes;
}

async function writeat(file: Vnode, bytes: Uint8Array, offset: number, ctx: Context): Promise<void> {
  await ffs_write(file, new Uio(bytes, 0, bytes.length, offset), 0, ctx);
}

/** The file of an attribute, with a header if it had none yet. @throws EIO */
async function ready(file: Vnode, name: string, ctx: Context): Promise<Backing> {
  const { i_ump: ump, i_size } = VTOI(file);
  if (i_size === 0 && ump.um_dialect === 'netbsd') {
    await writeat(file, three(ump.um_le, UFS_EXTATTR_MAGIC, UFS_EXTATTR_VERSION, AUTOCREATE_ROOM), 0, ctx);
  }
  const backing = await openbacking(file, name);
  if (backing === undefined) throw errno(E.EIO, `/.attribute: the file of ${name} has no valid header`);
  return backing;
}

/**
 * Changes an attribute in its file: `open` gives that, referenced, `change` runs with it locked. Then the file whose
 * attribute it is has its time of change.
 */
async function changing(
  vp: Vnode, namespace: number, open: (subdir: Vnode) => Promise<Vnode>, change: (file: Vnode) => Promise<void>,
): Promise<void> {
  await withsubdir(vp.v_mount, namespace, async (subdir) => {
    const file = await open(subdir);
    await withfile(vp, file, true, () => change(file));
    await transact(VTOI(vp).i_ump, () => touchmeta(VTOI(vp), IN_CHANGE));
  });
}

/** @throws EINVAL ENOATTR EACCES ENOSPC EIO; EOPNOTSUPP the volume has no attributes of that namespace */
export async function ufs1_setextattr(
  vp: Vnode,
  namespace: number,
  name: string,
  value: Uint8Array,
  ctx: Context,
): Promise<void> {
  if (name === '.' || name === '..' || name.includes('/')) throw errno(E.EINVAL);
  const open = async (subdir: Vnode) =>
    (await child(subdir, name, VREG)) ?? (await autocreate(vp, subdir, name, value.length, ctx));
  await changing(vp, namespace, open, async (file) => {
    const backing = await ready(file, name, ctx);
    if (value.length > backing.room) {
      throw errno(E.ENOSPC, `extended attribute ${name} has room for ${backing.room} bytes`);
    }
    const { i_number, i_gen } = VTOI(vp);
    const bytes = three(backing.le, UFS_EXTATTR_ATTR_FLAG_INUSE, value.length, i_gen, value.length);
    bytes.set(value, UFS_EXTATTR_HEADER);
    await writeat(file, bytes, recordplace(backing, i_number), ctx);
  });
}

/** @throws ENOATTR EIO; EOPNOTSUPP the volume has no attributes of that namespace */
export async function ufs1_deleteextattr(vp: Vnode, namespace: number, name: string, ctx: Context): Promise<void> {
  const open = async (subdir: Vnode) => {
    const file = await child(subdir, name, VREG);
    if (file === null) throw errno(E.ENOATTR);
    return file;
  };
  await changing(vp, namespace, open, async (file) => {
    const backing = await openbacking(file, name);
    if (backing === undefined || (await record(backing, VTOI(vp))) === undefined) throw errno(E.ENOATTR);
    const { i_number, i_gen } = VTOI(vp);
    await writeat(file, three(backing.le, 0, 0, i_gen), recordplace(backing, i_number), ctx);
  });
}
