/**
 * What a successor must know of a volume beside its dirty blocks (kernel/keep/state.ts): rows of numbers, by number.
 *
 *   0                 we are writing the volume; whether it is broken
 *   -inode            a file without a name that is in use: its generation
 *   FREE + block      so many blocks from there on become free with the next flush
 *   UNSEALED + block  its checksum is to be made right: what it holds, and the seed
 *   GROUP + group     the checksums of its descriptor and bitmaps are to be made right
 *   LINKS + inode     so many links the disk still counts
 *   DEAD + inode      the inode becomes free with the next flush: its mode
 */
import type { KeptState } from '../../../kernel/keep/state.js';

export const VOLUME = 0;
/** Block numbers have 48 bits, inodes and groups 32. */
export const FREE = 2 ** 49;
export const UNSEALED = 2 ** 50;
export const GROUP = 2 ** 51;
export const LINKS = GROUP + 2 ** 40;
export const DEAD = GROUP + 2 ** 41;

export class Rows {
  constructor(private readonly kept: KeptState) {}

  volume(broken: boolean): void {
    this.kept.put(VOLUME, [1, broken ? 1 : 0]);
  }
  orphan(ino: number, generation: number): void {
    this.kept.put(-ino, [generation]);
  }
  unorphan(ino: number): void {
    this.kept.remove(-ino);
  }
  freeing(block: number, count: number): void {
    this.kept.put(FREE + block, [count]);
  }
  freed(block: number): void {
    this.kept.remove(FREE + block);
  }
  unsealed(block: number, kind: number, seed: number): void {
    this.kept.put(UNSEALED + block, [kind, seed]);
  }
  sealed(block: number): void {
    this.kept.remove(UNSEALED + block);
  }
  group(g: number): void {
    this.kept.put(GROUP + g, []);
  }
  groupsealed(g: number): void {
    this.kept.remove(GROUP + g);
  }
  links(ino: number, n: number): void {
    if (n === 0) this.kept.remove(LINKS + ino);
    else this.kept.put(LINKS + ino, [n]);
  }
  dead(ino: number, mode: number): void {
    this.kept.put(DEAD + ino, [mode]);
  }
  deadgone(ino: number): void {
    this.kept.remove(DEAD + ino);
  }
}
