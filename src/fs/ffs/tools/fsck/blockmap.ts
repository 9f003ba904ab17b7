import type { Fs } from '../../disk/fs.js';
import { setBits } from '../cg_build.js';

/**
 * Which fragments are used: one bit each, in pieces of one cylinder group. A piece exists once something beyond the
 * group's own metadata is used in it, so that a large and empty volume costs little.
 * Fragments claimed more than once are counted apart.
 */
export class BlockMap {
  readonly #groups: (Uint8Array | undefined)[];
  readonly #template: Uint8Array;
  readonly #csend: number;
  /** Fragment -> claims beyond the first. */
  readonly dups = new Map<number, number>();

  constructor(private readonly fs: Fs) {
    this.#groups = new Array<Uint8Array | undefined>(fs.fs_ncg).fill(undefined);
    this.#template = new Uint8Array(Math.ceil(fs.fs_fpg / 8));
    this.#csend = fs.fs_csaddr + Math.ceil(fs.fs_cssize / fs.fs_fsize);
    if (fs.fs_ncg > 0) this.group(fs.dtog(fs.fs_csaddr));
    this.group(0);
  }

  #metadata(c: number, map: Uint8Array): void {
    const { fs } = this;
    const base = fs.cgbase(c);
    const frags = fs.cgfrags(c);
    setBits(map, c === 0 ? 0 : Math.min(fs.cgsblock(c) - base, frags), Math.min(fs.cgdmin(c) - base, frags));
    const from = Math.max(fs.fs_csaddr, base) - base;
    const to = Math.min(this.#csend, base + frags) - base;
    if (from < to) setBits(map, from, to);
  }

  /** The map of group `c`, made if it is not there. */
  group(c: number): Uint8Array {
    let map = this.#groups[c];
    if (map === undefined) {
      map = new Uint8Array(Math.ceil(this.fs.fs_fpg / 8));
      this.#metadata(c, map);
      this.#groups[c] = map;
    }
    return map;
  }

  /** Nothing beyond its own metadata is used in group `c`. */
  pristine(c: number): boolean {
    return this.#groups[c] === undefined;
  }

  /** The map of group `c` for reading; valid until the next call. */
  peek(c: number): Uint8Array {
    const map = this.#groups[c];
    if (map !== undefined) return map;
    this.#template.fill(0);
    this.#metadata(c, this.#template);
    return this.#template;
  }

  /** `fsb` must lie inside the volume. */
  test(fsb: number): boolean {
    const c = Math.floor(fsb / this.fs.fs_fpg);
    const d = fsb - c * this.fs.fs_fpg;
    return (this.group(c)[d >>> 3]! & (1 << (d & 7))) !== 0;
  }

  set(fsb: number): void {
    const c = Math.floor(fsb / this.fs.fs_fpg);
    const d = fsb - c * this.fs.fs_fpg;
    this.group(c)[d >>> 3]! |= 1 << (d & 7);
  }

  clear(fsb: number): void {
    const c = Math.floor(fsb / this.fs.fs_fpg);
    const d = fsb - c * this.fs.fs_fpg;
    this.group(c)[d >>> 3]! &= ~(1 << (d & 7));
  }

  /** Can these fragments belong to a file? (fsck_ffs's chkrange, turned round.) */
  inRange(fsb: number, count: number): boolean {
    const { fs } = this;
    if (!(fsb > 0) || !(count > 0) || count > fs.fs_frag || fsb + count > fs.fs_size) return false;
    if ((fsb % fs.fs_frag) + count > fs.fs_frag) return false;
    const c = Math.floor(fsb / fs.fs_fpg);
    const dmin = fs.cgdmin(c);
    if (fsb >= dmin) return fsb + count <= fs.cgbase(c + 1);
    return c > 0 && fsb + count <= fs.cgsblock(c);
  }
}
