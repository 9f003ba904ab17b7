import { E, errno } from '../../../kernel/errno.js';

const FORM = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;

/** A GUID as its 16 bytes: the first three fields little-endian. @throws EINVAL */
export function guid_bytes(text: string): Uint8Array {
  const match = FORM.exec(text);
  if (match === null) throw errno(E.EINVAL, `"${text}" is no GUID: 8-4-4-4-12 hexadecimal digits are`);
  const digits = match.slice(1).join('');
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

export function guid_text(bytes: Uint8Array): string {
  const b = bytes.slice(0, 16);
  b.subarray(0, 4).reverse();
  b.subarray(4, 6).reverse();
  b.subarray(6, 8).reverse();
  const digits = [...b].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
