/**
 * Byte strings: inside the kernel a file name is a JavaScript string with one character 0..255 for each byte on the
 * disk. That keeps every name exact whatever its encoding, hashes fast, and compares by bytes.
 * At the system call boundary a `string` is taken as Unicode and becomes UTF-8; a `Uint8Array` is taken as it is.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8');
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// eslint-disable-next-line no-control-regex -- the ASCII test is the point
const ASCII = /^[\x00-\x7f]*$/;

export function bytestrFromBytes(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let s = '';
  for (let i = start; i < end; i++) s += String.fromCharCode(bytes[i]!);
  return s;
}

/** From what a caller of a system call passed. */
export function bytestrFromPath(path: string | Uint8Array): string {
  if (typeof path !== 'string') return bytestrFromBytes(path);
  return ASCII.test(path) ? path : bytestrFromBytes(encoder.encode(path));
}

/** Copies the bytes to `into` at `offset`; the caller has made room. Returns the offset behind the last byte. */
export function bytestrInto(name: string, into: Uint8Array, offset: number): number {
  for (let i = 0; i < name.length; i++) into[offset++] = name.charCodeAt(i);
  return offset;
}

export function bytestrToBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length);
  bytestrInto(name, bytes, 0);
  return bytes;
}

/** The name as Unicode; undefined if it is no valid UTF-8. */
export function bytestrDecode(name: string): string | undefined {
  if (ASCII.test(name)) return name;
  try {
    return strict.decode(bytestrToBytes(name));
  } catch {
    return undefined;
  }
}

/** For people: the name as Unicode, with U+FFFD for what is not UTF-8. */
export function bytestrToUnicode(name: string): string {
  return ASCII.test(name) ? name : decoder.decode(bytestrToBytes(name));
}
