/**
 * The attributes of files on FAT and exFAT as extended attributes, under the names by which programs know them
 * elsewhere:
 *
 *   system.dos_attrib       one byte: Linux's ntfs3
 *   system.ntfs_attrib      four bytes, little-endian: Linux's ntfs3, ntfs-3g
 *   system.ntfs_attrib_be   four bytes, big-endian: the same
 *   user.DOSATTRIB          "0x21": Samba; for users who are not root
 *
 * The last one is listed for files whose attributes are out of the ordinary only: copies of others need not carry it.
 */
import { E, errno } from '../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../kernel/fcntl.js';

export const DOS_READONLY = 0x01;
export const DOS_HIDDEN = 0x02;
export const DOS_SYSTEM = 0x04;
export const DOS_DIRECTORY = 0x10;
export const DOS_ARCHIVE = 0x20;
/** Those that may be set. */
export const DOS_SETTABLE = DOS_READONLY | DOS_HIDDEN | DOS_SYSTEM | DOS_ARCHIVE;

const SYSTEM: readonly string[] = ['dos_attrib', 'ntfs_attrib', 'ntfs_attrib_be'];
const USER = 'DOSATTRIB';

/** Is it one of these names? */
export function dosattrib_known(namespace: number, name: string): boolean {
  if (namespace === EXTATTR_NAMESPACE_USER) return name === USER;
  return namespace === EXTATTR_NAMESPACE_SYSTEM && SYSTEM.includes(name);
}

/** The value of a name that is known, for a file with attributes `attr`. */
export function dosattrib_value(name: string, attr: number): Uint8Array {
  if (name === USER) return Uint8Array.from(`0x${attr.toString(16)}`, (c) => c.charCodeAt(0));
  if (name === 'dos_attrib') return Uint8Array.of(attr);
  return name === 'ntfs_attrib' ? Uint8Array.of(attr, 0, 0, 0) : Uint8Array.of(0, 0, 0, attr);
}

function number_of(name: string, value: Uint8Array): number {
  const { length } = value;
  if (name === USER) {
    // As Samba writes it, with or without a NUL behind.
    const text = String.fromCharCode(...value.subarray(0, 16)).replace(/\0$/, '');
    return /^0x[0-9a-f]{1,8}$/i.test(text) ? Number(text) : NaN;
  }
  if (name === 'dos_attrib') return length === 1 ? value[0]! : NaN;
  return length === 4 ? new DataView(value.buffer, value.byteOffset, 4).getUint32(0, name === 'ntfs_attrib') : NaN;
}

/** The attributes that a value stands for; those that cannot be set are as in `attr`. @throws EINVAL */
export function dosattrib_parse(name: string, value: Uint8Array, attr: number): number {
  const wanted = number_of(name, value);
  if (Number.isNaN(wanted) || (wanted & ~(DOS_SETTABLE | DOS_DIRECTORY)) !== 0) throw errno(E.EINVAL);
  return (attr & ~DOS_SETTABLE) | (wanted & DOS_SETTABLE);
}

/** The names to be listed. */
export function dosattrib_list(namespace: number, attr: number): string[] {
  if (namespace === EXTATTR_NAMESPACE_SYSTEM) return [...SYSTEM];
  const unusual = (attr & (DOS_READONLY | DOS_HIDDEN | DOS_SYSTEM)) !== 0;
  return namespace === EXTATTR_NAMESPACE_USER && unusual ? [USER] : [];
}
