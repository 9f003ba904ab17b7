import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import {
  DOS_DIRECTORY, DOS_SETTABLE, dosattrib_known, dosattrib_list, dosattrib_parse, dosattrib_value,
} from '../../lib/dosattrib.js';
import { VTOE } from './node.js';
import { node_store } from './store.js';
import { node_touch } from './times.js';

/** The attributes of a file as extended attributes (lib/dosattrib.ts); the format keeps no others. */
export function exfat_getextattr(vp: Vnode, namespace: number, name: string): Uint8Array {
  if (!dosattrib_known(namespace, name)) throw errno(E.ENOATTR);
  return dosattrib_value(name, VTOE(vp).en_attributes & (DOS_SETTABLE | DOS_DIRECTORY));
}

/** Inside an operation. @throws EOPNOTSUPP EINVAL EPERM EIO */
export async function exfat_setextattr(vp: Vnode, namespace: number, name: string, value: Uint8Array): Promise<void> {
  if (!dosattrib_known(namespace, name)) {
    throw errno(
      E.EOPNOTSUPP,
      'exFAT keeps no extended attributes but its own: user.DOSATTRIB, system.dos_attrib, system.ntfs_attrib',
    );
  }
  const node = VTOE(vp);
  const attributes = dosattrib_parse(name, value, node.en_attributes);
  if (node.isroot) throw errno(E.EPERM, 'the root directory has no attributes');
  node.en_attributes = attributes;
  node_touch(node, false);
  const stored = node_store(node);
  if (stored) await stored;
}

export function exfat_deleteextattr(namespace: number, name: string): never {
  throw errno(dosattrib_known(namespace, name) ? E.EPERM : E.ENOATTR);
}

export function exfat_listextattr(vp: Vnode, namespace: number): string[] {
  return dosattrib_list(namespace, VTOE(vp).en_attributes);
}
