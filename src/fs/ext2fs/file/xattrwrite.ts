import { bytestrToBytes } from '../../../kernel/bytestr.js';
import { KERNEL_CONTEXT } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { EXTATTR_NAMESPACE_USER } from '../../../kernel/fcntl.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { FL } from '../disk/dinode.js';
import { COMPAT } from '../disk/features.js';
import { SB } from '../disk/sbfields.js';
import {
  XATTR_BLOCK_HEADER, XATTR_ENTRY, XATTR_IBODY_HEADER, XATTR_MAGIC, XI, xattr_block_hash, xattr_entries,
  xattr_entry_hash,
} from '../disk/xattr.js';
import type { XattrEntry } from '../disk/xattr.js';
import { BK_LEAF, BK_NEW } from '../order/ordering.js';
import { SEAL_XATTR } from '../order/seals.js';
import { ext2_alloc } from '../space/balloc.js';
import { BLOCK_XATTR } from '../volume/verified.js';
import type { WriteState } from '../volume/writestate.js';
import { WRITE, transact } from '../volume/transact.js';
import type { Inode } from './inode.js';
import { VTOI } from './inode.js';
import { T_CHANGE, inode_put, inode_touch } from './store.js';
import { xattr_area, xattr_block } from './xattr.js';
import { H_REFCOUNT, xattr_free } from './xattrfree.js';

/**
 * VOP_SETEXTATTR, VOP_DELETEEXTATTR. An attribute goes into the inode if there is room for it, else into the file's
 * block
 * of attributes; an area that changes is put together anew. A block that several files share, or that a volume without
 * a
 * journal has, is never changed: a new one takes its place.
 */

/** Bytes of a value. Source: Linux XATTR_SIZE_MAX. */
const VALUE_MAX = 65536;

/** An attribute on its way into an area. */
interface Attr {
  readonly index: number;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** index and name of an attribute. @throws EOPNOTSUPP it is none that can be set */
function keyof(namespace: number, name: string): { index: number; name: Uint8Array } {
  if (namespace === EXTATTR_NAMESPACE_USER) return { index: XI.USER, name: bytestrToBytes(name) };
  for (const [prefix, index] of [['trusted.', XI.TRUSTED], ['security.', XI.SECURITY]] as const)
    if (name.startsWith(prefix)) return { index, name: bytestrToBytes(name.slice(prefix.length)) };
  throw errno(E.EOPNOTSUPP);
}

function is(attr: { index: number; name: Uint8Array }, other: { index: number; name: Uint8Array }): boolean {
  return attr.index === other.index && attr.name.length === other.name.length &&
    attr.name.every((byte, i) => byte === other.name[i]);
}

/** @throws EOPNOTSUPP a value lies in an inode of its own */
function attrs(area: Uint8Array, entries: readonly XattrEntry[]): Attr[] {
  return entries.map(({ index, name, value_inum, value_offs, value_size }) => {
    if (value_inum !== 0) throw errno(E.EOPNOTSUPP, 'attributes in inodes of their own are only read');
    return { index, name: bytestrToBytes(name), value: area.slice(value_offs, value_offs + value_size) };
  });
}

const round = (n: number): number => (n + 3) & ~3;

/** Bytes that attributes take in an area, with the zeros that end them. */
function bytesof(list: readonly Attr[]): number {
  return list.reduce((sum, { name, value }) => sum + round(XATTR_ENTRY + name.length) + round(value.length), 4);
}

/** As Linux looks for them in a block. */
function order(a: Attr, b: Attr): number {
  if (a.index !== b.index) return a.index - b.index;
  if (a.name.length !== b.name.length) return a.name.length - b.name.length;
  for (let i = 0; i < a.name.length; i++) if (a.name[i] !== b.name[i]) return a.name[i] - b.name[i];
  return 0;
}

/** Puts attributes into an area: entries from `first` on, values from its end down. */
function fill(area: Uint8Array, first: number, list: readonly Attr[]): void {
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  area.fill(0, first);
  let at = first;
  let end = area.length;
  for (const { index, name, value } of list) {
    end -= round(value.length);
    area[at] = name.length;
    area[at + 1] = index;
    view.setUint16(at + 2, value.length === 0 ? 0 : end, true);
    view.setUint32(at + 8, value.length, true);
    view.setUint32(at + 12, xattr_entry_hash(name, value), true);
    area.set(name, at + XATTR_ENTRY);
    area.set(value, end);
    at += round(XATTR_ENTRY + name.length);
  }
}

/** @throws ENOSPC there is no room in inode and block; EIO */
export function ext2_setextattr(vp: Vnode, namespace: number, name: string, value: Uint8Array): Promise<void> {
  const key = keyof(namespace, name);
  if (value.length > VALUE_MAX) throw errno(E.ENOSPC);
  return change(vp, key, { ...key, value: value.slice() });
}

/** @throws ENOATTR EIO */
export function ext2_deleteextattr(vp: Vnode, namespace: number, name: string): Promise<void> {
  return change(vp, keyof(namespace, name), null);
}

async function change(vp: Vnode, key: { index: number; name: Uint8Array }, now: Attr | null): Promise<void> {
  const ip = VTOI(vp);
  if (ip.has(FL.EA_INODE)) throw errno(E.EOPNOTSUPP);
  if (ip.i_fs.s_rev_level === 0) throw errno(E.EOPNOTSUPP, 'volumes of revision 0 have no attributes');
  const state = WRITE(ip.i_em);
  await transact(state, async () => {
    if (now !== null) await feature(state);
    const inner = await xattr_area(ip);
    const outer = await xattr_block(ip);
    const body = inner.entries === null ? [] : attrs(inner.area, inner.entries);
    const block = outer === null ? [] : attrs(outer, xattr_entries(outer, XATTR_BLOCK_HEADER).entries);
    const rest = body.filter((attr) => !is(attr, key));
    const blockrest = block.filter((attr) => !is(attr, key));
    if (now === null && rest.length === body.length && blockrest.length === block.length) throw errno(E.ENOATTR);
    let intobody = rest;
    let intoblock = blockrest;
    if (now !== null) {
      if (bytesof([...rest, now]) <= inner.area.length) intobody = [...rest, now];
      else if (bytesof([...blockrest, now]) <= ip.i_fs.bsize - XATTR_BLOCK_HEADER) intoblock = [...blockrest, now];
      else throw errno(E.ENOSPC);
    }
    // The block first: it alone can lack room.
    if (intoblock !== block && (intoblock.length !== block.length || intoblock.includes(now!)))
      await putblock(state, ip, intoblock);
    if (intobody.length !== body.length || (now !== null && intobody.includes(now))) await putbody(ip, intobody);
    inode_touch(ip, T_CHANGE);
    await inode_put(ip);
  });
}

/** Says on the volume that it has attributes. */
async function feature(state: WriteState): Promise<void> {
  if (state.em.em_fs.compat(COMPAT.ext_attr) || state.attributes) return;
  state.attributes = true;
  await state.sb.change((view, at) => {
    view.setUint32(at + SB.s_feature_compat, view.getUint32(at + SB.s_feature_compat, true) | COMPAT.ext_attr, true);
  });
}

/** Takes away the attribute that holds data of the file in its inode. The caller stores the inode. @throws EIO */
export async function xattr_drop_data(ip: Inode): Promise<void> {
  const { area, entries } = await xattr_area(ip);
  if (entries === null) return;
  const rest = entries.filter(({ index, name }) => index !== XI.SYSTEM || name !== 'data');
  if (rest.length < entries.length) await putbody(ip, attrs(area, rest));
}

/** The caller stores the inode, which makes its checksum right. */
async function putbody(ip: Inode, list: readonly Attr[]): Promise<void> {
  const { i_em: em, i_fs: fs } = ip;
  const bp = await em.inodeblock(ip.i_number);
  const at = em.inodeat(ip.i_number);
  const start = at + 128 + ip.i_extra_isize;
  bp.b_view.setUint32(start, XATTR_MAGIC, true);
  fill(bp.b_data.subarray(start + XATTR_IBODY_HEADER, at + fs.s_inode_size), 0, list);
  em.em_bufcache.brelse(bp);
}

async function putblock(state: WriteState, ip: Inode, list: readonly Attr[]): Promise<void> {
  const { i_em: em, i_fs: fs } = ip;
  if (list.length === 0) return xattr_free(state, ip);
  let number = ip.i_file_acl;
  let kind = BK_LEAF;
  if (number === 0 || !state.order.journalled || (await references(ip)) > 1) {
    const { block } = await ext2_alloc(state, em.groupgoal(ip.i_number), 1, KERNEL_CONTEXT);
    await xattr_free(state, ip);
    number = block;
    kind = BK_NEW;
    ip.i_file_acl = block;
    ip.i_blocks += (fs.bsize * fs.clusterblocks) / 512;
  }
  const bp = em.em_bufcache.getblk(em.em_dev, number * fs.bsize, fs.bsize);
  const sorted = [...list].sort(order);
  bp.b_data.fill(0);
  fill(bp.b_data, XATTR_BLOCK_HEADER, sorted);
  bp.b_view.setUint32(0, XATTR_MAGIC, true);
  bp.b_view.setUint32(H_REFCOUNT, 1, true);
  bp.b_view.setUint32(8, 1, true);
  bp.b_view.setUint32(12, xattr_block_hash(xattr_entries(bp.b_data, XATTR_BLOCK_HEADER).entries), true);
  bp.b_private = BLOCK_XATTR;
  state.order.dirty(bp, kind);
  state.seals.mark(bp, SEAL_XATTR, 0);
  em.em_bufcache.brelse(bp);
}

async function references(ip: Inode): Promise<number> {
  const bp = await ip.i_em.bread(ip.i_file_acl, `inode ${ip.i_number}: block of extended attributes`);
  ip.i_em.em_bufcache.brelse(bp);
  return bp.b_view.getUint32(H_REFCOUNT, true);
}
