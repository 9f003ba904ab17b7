/**
 * C structures as field offsets. A request or reply is a byte array in the host's own byte order, aligned to 8 bytes;
 * its fields are read and written in place through typed arrays (message.ts), so a structure is nothing but numbers.
 */

export type FieldBytes = 1 | 2 | 4 | 8;
type Fields = Readonly<Record<string, FieldBytes>>;

/** Offset of each field in bytes, and the size of the whole. */
export type Layout<F extends Fields> = { readonly [K in keyof F]: number } & { readonly SIZEOF: number };

/**
 * Lays fields out one behind the other. The protocol's structures have no implicit padding: a misaligned field throws.
 */
export function layout<const F extends Fields>(name: string, fields: F): Layout<F> {
  const offsets: Record<string, number> = {};
  let at = 0;
  for (const [field, bytes] of Object.entries(fields)) {
    if (at % bytes !== 0) throw new Error(`${name}.${field}: offset ${at} is not a multiple of ${bytes}`);
    offsets[field] = at;
    at += bytes;
  }
  offsets['SIZEOF'] = at;
  return Object.freeze(offsets) as Layout<F>;
}
