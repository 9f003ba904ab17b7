import type { Context } from '../../../kernel/context.js';
import { bytestrInto } from '../../../kernel/bytestr.js';
import { E, errno } from '../../../kernel/errno.js';
import { VBLK, VCHR } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { UFS_NXADDR } from '../../ufs/dinode.js';
import { extattr_base, extattr_entries, ufs_extread } from '../../ufs/extattr.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ffs_allocfrags } from '../space/alloc.js';
import { unalloc } from './balloc.js';
import { ufs1_deleteextattr, ufs1_setextattr } from './extattr_ufs1_write.js';
import { FS_UFS2EA_MAGIC } from '../disk/fs_const.js';
import { release, touchmeta, transact } from '../order/changes.js';
import { WRITE } from '../volume/writestate.js';

/**
 * Changing extended attributes of UFS2 (layout: ufs/extattr.ts; those of UFS1: extattr_ufs1_write.ts). The area is
 * small and always written anew to other blocks, so that the disk has the old or the new one.
 */

const EA_MAXNAMELEN = 255;

/** @throws EOPNOTSUPP where the systems that use the volume would not find, or would damage, attributes */
function supported(vp: Vnode): Inode {
  const ip = VTOI(vp);
  const { um_fs, um_dialect } = ip.i_ump;
  if (vp.v_type === VBLK || vp.v_type === VCHR) throw errno(E.EOPNOTSUPP);
  if (um_fs.ufs2 && um_fs.fs_magic !== FS_UFS2EA_MAGIC && um_dialect !== 'freebsd') {
    throw errno(E.EOPNOTSUPP, 'this volume has no extended attributes (NetBSD wants format UFS2ea for them)');
  }
  return ip;
}

/** The area without one attribute, and whether it was there. */
function without(area: Uint8Array, le: boolean, namespace: number, name: string): { rest: Uint8Array; found: boolean } {
  const { entries, problem } = extattr_entries(area, le);
  if (problem !== undefined) throw errno(E.EIO, `extended attributes: ${problem}`);
  const kept = entries.filter((e) => e.namespace !== namespace || e.name !== name);
  let length = 0;
  for (const e of kept) length += e.length;
  const rest = new Uint8Array(length);
  let at = 0;
  for (const e of kept) {
    rest.set(area.subarray(e.at, e.at + e.length), at);
    at += e.length;
  }
  return { rest, found: kept.length < entries.length };
}

function entry(le: boolean, namespace: number, name: string, value: Uint8Array): Uint8Array {
  const base = extattr_base(name.length);
  const padding = (8 - (value.length % 8)) % 8;
  const bytes = new Uint8Array(base + value.length + padding);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, le);
  view.setUint8(4, namespace);
  view.setUint8(5, padding);
  view.setUint8(6, name.length);
  bytestrInto(name, bytes, 7);
  bytes.set(value, base);
  return bytes;
}

/** Gives the inode the area `area` in place of the one it has. @throws ENOSPC EIO; nothing has changed then */
async function replace(ip: Inode, area: Uint8Array, ctx: Context): Promise<void> {
  const { i_ump: ump, i_fs: fs } = ip;
  const state = WRITE(ump);
  const { order } = state;
  if (area.length > UFS_NXADDR * fs.fs_bsize) {
    throw errno(E.ENOSPC, `extended attributes of one file take at most ${UFS_NXADDR * fs.fs_bsize} bytes`);
  }
  const blocks: { fsb: number; frags: number }[] = [];
  try {
    for (let i = 0; i * fs.fs_bsize < area.length; i++) {
      const size = fs.sblksize(area.length, i);
      const frags = size / fs.fs_fsize;
      const fsb = await ffs_allocfrags(ip, i > 0 ? blocks[0]!.fsb + fs.fs_frag : 0, frags, ctx);
      blocks.push({ fsb, frags });
      const bytes = new Uint8Array(size);
      bytes.set(area.subarray(i * fs.fs_bsize, i * fs.fs_bsize + size));
      state.newdata = true;
      state.unflushed = true;
      await ump.um_dev.write(bytes, 0, size, fs.fsbtob(fsb));
    }
  } catch (error) {
    for (const block of blocks) await unalloc(ip, block.fsb, block.frags);
    throw error;
  }
  for (let i = 0; i < UFS_NXADDR; i++) {
    const old = ip.i_extb[i]!;
    if (old > 0 && i * fs.fs_bsize < ip.i_extsize) {
      const frags = fs.sblksize(ip.i_extsize, i) / fs.fs_fsize;
      order.binval(old, frags);
      ip.i_blocks -= (frags * fs.fs_fsize) / 512;
      const wait = release(ip, old, frags);
      if (wait) await wait;
    }
    ip.i_extb[i] = blocks[i]?.fsb ?? 0;
  }
  ip.i_extsize = area.length;
  touchmeta(ip, IN_CHANGE);
}

/** @throws EOPNOTSUPP ENAMETOOLONG ENOSPC EIO */
export async function ffs_setextattr(
  vp: Vnode,
  namespace: number,
  name: string,
  value: Uint8Array,
  ctx: Context,
): Promise<void> {
  const ip = supported(vp);
  if (name.length === 0) throw errno(E.EINVAL);
  if (name.length > EA_MAXNAMELEN) throw errno(E.ENAMETOOLONG);
  const le = ip.i_ump.um_le;
  if (!ip.i_fs.ufs2) return ufs1_setextattr(vp, namespace, name, value, ctx);
  await transact(ip.i_ump, async () => {
    const { rest } = without(await ufs_extread(ip), le, namespace, name);
    const added = entry(le, namespace, name, value);
    const area = new Uint8Array(rest.length + added.length);
    area.set(rest);
    area.set(added, rest.length);
    await replace(ip, area, ctx);
  });
}

/** @throws EOPNOTSUPP ENOATTR ENOSPC EIO */
export async function ffs_deleteextattr(vp: Vnode, namespace: number, name: string, ctx: Context): Promise<void> {
  const ip = supported(vp);
  if (!ip.i_fs.ufs2) return ufs1_deleteextattr(vp, namespace, name, ctx);
  await transact(ip.i_ump, async () => {
    const { rest, found } = without(await ufs_extread(ip), ip.i_ump.um_le, namespace, name);
    if (!found) throw errno(E.ENOATTR);
    await replace(ip, rest, ctx);
  });
}
