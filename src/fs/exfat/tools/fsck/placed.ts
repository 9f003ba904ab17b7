import type { FileSet } from '../../dir/fileset.js';
import { ENTRY_BYTES, IN_USE } from '../../disk/entry.js';
import type { Checker } from './checker.js';

/** A set with the places of its entries. */
export interface PlacedSet {
  readonly set: FileSet;
  /** Byte offset on the device of each entry. */
  readonly places: number[];
  readonly path: string;
}

/** Writes the entries of a set back, with a checksum that is right. */
export async function set_back(c: Checker, { set, places }: PlacedSet): Promise<void> {
  set.sum();
  for (let i = 0; i < places.length; i++) {
    await c.write(set.bytes.slice(i * ENTRY_BYTES, (i + 1) * ENTRY_BYTES), places[i]);
  }
}

/** The entries are in use no more. */
export async function set_away(c: Checker, { set, places }: PlacedSet): Promise<void> {
  for (let i = 0; i < places.length; i++) await c.write(Uint8Array.of(set.bytes[i * ENTRY_BYTES] & ~IN_USE), places[i]);
}
