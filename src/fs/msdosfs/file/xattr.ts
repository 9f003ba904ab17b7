import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { ATTR_ARCHIVE, ATTR_DIRECTORY, ATTR_HIDDEN, ATTR_READONLY, ATTR_SYSTEM } from '../disk/direntry.js';
import { VTODE, entry_store } from './denode.js';
import type { Denode } from './denode.js';

/**
 * The attributes of a file as extended attributes, under the names by which programs know them elsewhere:
 *
 *   system.dos_attrib       one byte: Linux's ntfs3
 *   system.ntfs_attrib      four bytes, little-endian: Linux's ntfs3, ntfs-3g
 *   system.ntfs_attrib_be   four bytes, big-endian: the same
 *   user.DOSATTRIB          "0x21": Samba; for users who are not root
 *
 * The last one is listed for files whose attributes are out of the ordinary only: copies of others need not carry it.
 */
const BITS = ATTR_READONLY | ATTR_HIDDEN | ATTR_SYSTEM | ATTR_ARCHIVE;
const SYSTEM = ['dos_attrib', 'ntfs_attrib', 'ntfs_attrib_be'];
const USER = 'DOSATTRIB';

function known(namespace: number, name: string): boolean {
  return namespace === EXTATTR_NAMESPACE_USER
    ? name === USER
    : namespace === EXTATTR_NAMESPACE_SYSTEM && SYSTEM.includes(name);
}

export function msdosfs_getextattr(vp: Vnode, namespace: number, name: string, _ctx: Context): Uint8Array {
  if (!known(namespace, name)) throw errno(E.ENOATTR);
  const attr = VTODE(vp).attr & (BITS | ATTR_DIRECTORY);
  if (name === USER) return Uint8Array.from(`0x${attr.toString(16)}`, (c) => c.charCodeAt(0));
  if (name === 'dos_attrib') return Uint8Array.of(attr);
  return name === 'ntfs_attrib' ? Uint8Array.of(attr, 0, 0, 0) : Uint8Array.of(0, 0, 0, attr);
}

function parse(name: string, value: Uint8Array): number {
  const length = value.length;
  if (name === USER) {
    // As Samba writes it, with or without a NUL behind.
    const text = String.fromCharCode(...value.subarray(0, 16)).replace(/\0$/, '');
    return /^0x[0-9a-f]{1,8}$/i.test(text) ? Number(text) : NaN;
  }
  if (name === 'dos_attrib') return length === 1 ? value[0]! : NaN;
  if (length !== 4) return NaN;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, name === 'ntfs_attrib');
}

export function msdosfs_setextattr(
  vp: Vnode,
  namespace: number,
  name: string,
  value: Uint8Array,
  _ctx: Context,
): MaybePromise<void> {
  if (!known(namespace, name)) {
    throw errno(
      E.EOPNOTSUPP,
      'FAT keeps no extended attributes but its own: user.DOSATTRIB, system.dos_attrib, system.ntfs_attrib',
    );
  }
  const dep = VTODE(vp);
  const order = dep.pmp.writable();
  const wanted = parse(name, value);
  if (Number.isNaN(wanted) || (wanted & ~(BITS | ATTR_DIRECTORY)) !== 0) throw errno(E.EINVAL);
  if (dep.isroot) throw errno(E.EPERM, 'the root directory has no attributes');
  return order.run(() => setattributes(dep, wanted));
}

function setattributes(dep: Denode, wanted: number): MaybePromise<void> {
  dep.attr = (dep.attr & ~BITS) | (wanted & BITS);
  return entry_store(dep);
}

export function msdosfs_deleteextattr(_vp: Vnode, namespace: number, name: string, _ctx: Context): never {
  throw errno(known(namespace, name) ? E.EPERM : E.ENOATTR);
}

export function msdosfs_listextattr(vp: Vnode, namespace: number, _ctx: Context): string[] {
  if (namespace === EXTATTR_NAMESPACE_SYSTEM) return [...SYSTEM];
  return (VTODE(vp).attr & (ATTR_READONLY | ATTR_HIDDEN | ATTR_SYSTEM)) !== 0 ? [USER] : [];
}
