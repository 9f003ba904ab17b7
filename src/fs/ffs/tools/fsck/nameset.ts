import type { FsckContext } from './context.js';
import { scanDirectory } from './dirscan.js';
import type { DirInfo } from './dirtable.js';
import { KEEPON, STOP, ginode } from './walk.js';

/** Names whose hashes are equal and which are then looked for: more than this in one directory are taken for equal. */
const MAX_LOOKS = 64;

/**
 * The names of one directory, kept as hashes of 52 bits. Where two hashes are equal, the directory is gone through
 * again for the name itself, so that only equal names are called equal.
 */
export class NameSet {
  readonly #hashes = new Set<number>();
  #looks = 0;

  /** @returns false if the directory has this name already */
  add(name: string, ctx: FsckContext, dir: DirInfo): boolean | Promise<boolean> {
    let a = 0x811c9dc5;
    let b = 0x9747b28c;
    for (let i = 0; i < name.length; i++) {
      a = Math.imul(a ^ name.charCodeAt(i), 0x01000193);
      b = Math.imul(b ^ name.charCodeAt(i), 0x85ebca6b) ^ (b >>> 13);
    }
    const hash = (a >>> 6) * 0x4000000 + (b >>> 6);
    if (!this.#hashes.has(hash)) {
      this.#hashes.add(hash);
      return true;
    }
    return this.#looks++ >= MAX_LOOKS ? false : this.#twice(name, ctx, dir);
  }

  async #twice(name: string, ctx: FsckContext, dir: DirInfo): Promise<boolean> {
    const { inode } = await ginode(ctx, dir.ino);
    let found = 0;
    await scanDirectory(ctx, inode, dir.size, {
      entry: (e) => (e.ino !== 0 && e.is(name) && ++found > 1 ? STOP : KEEPON),
    });
    return found < 2;
  }
}
