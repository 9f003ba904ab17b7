import {
  ATTR_DIRECTORY,
  ATTR_VOLUME,
  D,
  LFN_LAST,
  LFN_SLOTS_MAX,
  LFN_UNITS,
  SLOT_DELETED,
  isLong,
  lfnChecksum,
  lfnSum,
  lfnUnits,
} from '../disk/direntry.js';

/**
 * Takes the entries of a directory one by one and puts long names together. After `feed` has answered true the entry is
 * that of a file, and `long` and `parts` say whether a long name belongs to it.
 */
export class EntryParser {
  /** UTF-16; null: the file has no long name, or what stands there is not its. */
  long: string | null = null;
  /** Entries of the long name. */
  parts = 0;
  /** Parts that are still missing; 0: no long name is being put together. */
  private missing = 0;
  private total = 0;
  private sum = 0;
  private units = '';

  /** Whatever came before is no part of what comes next. */
  reset(): void {
    this.missing = 0;
  }

  /** Does the entry at `at` name a file (or directory)? Its first byte is not 0, which ends the directory. */
  feed(bytes: Uint8Array, view: DataView, at: number): boolean {
    if (bytes[at] === SLOT_DELETED) {
      this.missing = 0;
      return false;
    }
    if (isLong(bytes, at)) {
      this.part(bytes, view, at);
      return false;
    }
    const complete = this.missing === 1 && lfnChecksum(bytes, at) === this.sum;
    this.long = complete ? this.units : null;
    this.parts = complete ? this.total : 0;
    this.missing = 0;
    return (bytes[at + D.attr]! & ATTR_VOLUME) === 0;
  }

  private part(bytes: Uint8Array, view: DataView, at: number): void {
    const n = bytes[at]! & ~LFN_LAST;
    if ((bytes[at]! & LFN_LAST) !== 0) {
      if (n < 1 || n > LFN_SLOTS_MAX) {
        this.missing = 0;
        return;
      }
      this.total = n;
      this.sum = lfnSum(bytes, at);
      this.units = lfnUnits(view, at, '');
    } else {
      if (n === 0 || n !== this.missing - 1 || lfnSum(bytes, at) !== this.sum) {
        this.missing = 0;
        return;
      }
      const before = this.units.length;
      this.units = lfnUnits(view, at, this.units);
      // A name that ends before its last part.
      if (this.units.length !== before + LFN_UNITS) {
        this.missing = 0;
        return;
      }
    }
    this.missing = n;
  }
}

/** Is it "." or ".."? */
export function isdot(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 46 || (bytes[at + D.attr]! & ATTR_DIRECTORY) === 0) return false;
  for (let i = bytes[at + 1] === 46 ? 2 : 1; i < 11; i++) if (bytes[at + i] !== 32) return false;
  return true;
}

/** The 11 bytes of a short name as a byte string. */
export function shortName(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(
    bytes[at]!,
    bytes[at + 1]!,
    bytes[at + 2]!,
    bytes[at + 3]!,
    bytes[at + 4]!,
    bytes[at + 5]!,
    bytes[at + 6]!,
    bytes[at + 7]!,
    bytes[at + 8]!,
    bytes[at + 9]!,
    bytes[at + 10]!,
  );
}
