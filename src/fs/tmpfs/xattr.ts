import { E, errno } from '../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER, NAME_MAX } from '../../kernel/fcntl.js';
import type { TmpfsNode } from './node.js';

/** Bytes of one value; Linux's limit (XATTR_SIZE_MAX). */
const VALUE_MAX = 65536;

/** The key in tn_xattr: one character for the namespace, then the name. */
function keyOf(namespace: number, name: string): string {
  if (namespace !== EXTATTR_NAMESPACE_USER && namespace !== EXTATTR_NAMESPACE_SYSTEM) throw errno(E.EOPNOTSUPP);
  if (name.length === 0) throw errno(E.EINVAL);
  if (name.length > NAME_MAX) throw errno(E.ENAMETOOLONG);
  return String.fromCharCode(namespace) + name;
}

export function xattrGet(node: TmpfsNode, namespace: number, name: string): Uint8Array {
  const value = node.tn_xattr?.get(keyOf(namespace, name));
  if (value === undefined) throw errno(E.ENOATTR);
  return new Uint8Array(value);
}

export function xattrSet(node: TmpfsNode, namespace: number, name: string, value: Uint8Array): void {
  const key = keyOf(namespace, name);
  if (value.length > VALUE_MAX) throw errno(E.E2BIG);
  const old = node.tn_xattr?.get(key);
  const more = value.length - (old === undefined ? -key.length : old.length);
  if (more > 0) node.tn_volume.take(more);
  else node.tn_volume.give(-more);
  (node.tn_xattr ??= new Map()).set(key, new Uint8Array(value));
}

export function xattrDelete(node: TmpfsNode, namespace: number, name: string): void {
  const key = keyOf(namespace, name);
  const old = node.tn_xattr?.get(key);
  if (old === undefined) throw errno(E.ENOATTR);
  node.tn_xattr!.delete(key);
  node.tn_volume.give(key.length + old.length);
}

export function xattrList(node: TmpfsNode, namespace: number): string[] {
  const names: string[] = [];
  if (node.tn_xattr !== null) {
    for (const key of node.tn_xattr.keys()) if (key.charCodeAt(0) === namespace) names.push(key.slice(1));
  }
  return names;
}
