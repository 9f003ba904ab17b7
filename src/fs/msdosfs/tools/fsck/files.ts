import { printable } from '../../../../kernel/printable.js';
import { bytestrToUnicode } from '../../../../kernel/bytestr.js';

/** A file or directory that the walk has found. */
export interface Found {
  /** Byte offset of its short entry on the device; -1: the root directory. */
  readonly offset: number;
  /** Of the entries of its long name, in front of it. */
  readonly parts: readonly number[];
  readonly name: string;
  readonly dir: Found | null;
  readonly isdir: boolean;
  start: number;
  size: number;
  /** Attribute byte and creation time, for telling twins. */
  readonly born: string;
  /** Another entry of the directory has the same name. */
  namesake: boolean;
  /** Its clusters. */
  clusters: number;
  removed: boolean;
  /** Of a directory: what is in it is known. */
  walked: boolean;
  /** The entry has MOVED_HERE. */
  readonly moved: boolean;
}

/** For messages. */
export function pathOf(file: Found): string {
  const names: string[] = [];
  for (let one: Found | null = file, depth = 0; one !== null && one.offset >= 0 && depth < 64; one = one.dir, depth++) {
    names.unshift(one.name);
  }
  return printable(`/${bytestrToUnicode(names.join('/'))}`);
}
