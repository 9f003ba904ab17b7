/** Makes a WAPBL journal as NetBSD leaves it after a power cut (layout: src/fs/ffs/journal/header.ts and replay.ts). */
import {
  WAPBL_WC_BLOCKS,
  WAPBL_WC_HEADER,
  WAPBL_WC_INODES,
  WAPBL_WC_REVOCATIONS,
} from '../../src/fs/ffs/journal/header.js';

const SECTOR = 512;
const ENTRIES = (SECTOR - 16) / 16;

export interface JournalRecord {
  /** Byte offset in the image, and what it is. */
  readonly at: number;
  readonly type: number;
  readonly entries: number;
}

export interface Journal {
  /** Byte offset of the first header. */
  readonly start: number;
  readonly le: boolean;
  readonly records: readonly JournalRecord[];
}

/**
 * Writes a journal into `image` from `start` to its end: it holds what differs in `after` from `image`, in units of
 * `unit` bytes, so that replaying it makes one the other.
 */
export function writeJournal(image: Uint8Array, after: Uint8Array, start: number, unit: number, le: boolean): Journal {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const records: JournalRecord[] = [];
  const changed: number[] = [];
  for (let at = 0; at + unit <= start; at += unit)
    if (Buffer.compare(image.subarray(at, at + unit), after.subarray(at, at + unit)) !== 0) {
      changed.push(at);
    }
  const ring = start + 2 * SECTOR;
  let at = ring;
  const head = (type: number, count: number, length: number): void => {
    view.setUint32(at, type, le);
    view.setInt32(at + 4, length, le);
    view.setInt32(at + 8, count, le);
    records.push({ at, type, entries: count });
  };
  for (let first = 0; first < changed.length; first += ENTRIES) {
    const part = changed.slice(first, first + ENTRIES);
    head(WAPBL_WC_BLOCKS, part.length, SECTOR + part.length * unit);
    part.forEach((from, i) => {
      view.setBigInt64(at + 16 + 16 * i, BigInt(from / SECTOR), le);
      view.setInt32(at + 16 + 16 * i + 12, unit, le);
      image.set(after.subarray(from, from + unit), at + SECTOR + i * unit);
    });
    at += SECTOR + part.length * unit;
  }
  // A block that was written and then freed, an inode without a name.
  head(WAPBL_WC_REVOCATIONS, 1, SECTOR);
  view.setBigInt64(at + 16, BigInt((start - unit) / SECTOR), le);
  view.setInt32(at + 28, unit, le);
  at += SECTOR;
  head(WAPBL_WC_INODES, 1, SECTOR);
  view.setUint32(at + 16, 77, le);
  view.setUint32(at + 20, 0o100644, le);
  at += SECTOR;
  const room = Math.floor((image.length - ring) / unit) * unit;
  if (at - ring > room) throw new Error(`the journal of ${at - ring} bytes does not fit its ${room}`);
  for (const [i, generation] of [7, 8].entries()) {
    const h = start + i * SECTOR;
    view.setUint32(h, WAPBL_WC_HEADER, le);
    view.setInt32(h + 4, SECTOR, le);
    view.setUint32(h + 12, generation, le);
    view.setUint32(h + 40, 9, le);
    view.setUint32(h + 44, Math.log2(unit), le);
    view.setBigUint64(h + 48, BigInt(at - start), le);
    view.setBigUint64(h + 56, BigInt(ring - start), le);
    view.setBigUint64(h + 64, BigInt(ring - start), le);
    view.setBigUint64(h + 72, BigInt(room), le);
  }
  return { start, le, records };
}
