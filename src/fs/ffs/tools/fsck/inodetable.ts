import type { Fs } from '../../disk/fs.js';

/** States of an inode during a check (fsck_ffs's names). */
export const USTATE = 0;
export const FSTATE = 1;
/** A directory not (yet) found from the root. */
export const DSTATE = 2;
export const DFOUND = 3;
/** A directory or file to be cleared: bad or duplicate blocks, nothing in it. */
export const DCLEAR = 4;
export const FCLEAR = 5;

/** Beside a type, which has four bits. */
const ZERO_LINKS = 0x80;

/**
 * What is known of each inode: state, type, and how many of the links it counts have not been found yet. Kept by
 * cylinder group and only up to the group's last used inode.
 */
export class InodeTable {
  readonly #state: Uint8Array[];
  readonly #type: Uint8Array[];
  readonly #links: Int32Array[];
  readonly #ipg: number;
  /** Inodes of each group that have been looked at: those behind are free (UFS2: not even initialised). */
  readonly inited: Int32Array;

  constructor(fs: Fs) {
    this.#ipg = fs.fs_ipg;
    const none = new Uint8Array(0);
    this.#state = new Array<Uint8Array>(fs.fs_ncg).fill(none);
    this.#type = new Array<Uint8Array>(fs.fs_ncg).fill(none);
    this.#links = new Array<Int32Array>(fs.fs_ncg).fill(new Int32Array(0));
    this.inited = new Int32Array(fs.fs_ncg);
  }

  /** Entries that group `c` has here. */
  count(c: number): number {
    return this.#state[c]!.length;
  }

  /** Gives group `c` entries for `n` inodes; what it had stays. */
  resize(c: number, n: number): void {
    if (this.#state[c]!.length === n) return;
    const state = new Uint8Array(n);
    const type = new Uint8Array(n);
    const links = new Int32Array(n);
    const keep = Math.min(n, this.#state[c]!.length);
    state.set(this.#state[c]!.subarray(0, keep));
    type.set(this.#type[c]!.subarray(0, keep));
    links.set(this.#links[c]!.subarray(0, keep));
    this.#state[c] = state;
    this.#type[c] = type;
    this.#links[c] = links;
  }

  state(ino: number): number {
    const c = Math.floor(ino / this.#ipg);
    return this.#state[c]?.[ino - c * this.#ipg] ?? USTATE;
  }

  setState(ino: number, state: number): void {
    const c = Math.floor(ino / this.#ipg);
    this.#state[c]![ino - c * this.#ipg] = state;
  }

  /** DT_*. */
  type(ino: number): number {
    const c = Math.floor(ino / this.#ipg);
    return (this.#type[c]?.[ino - c * this.#ipg] ?? 0) & ~ZERO_LINKS;
  }

  setType(ino: number, type: number): void {
    const c = Math.floor(ino / this.#ipg);
    this.#type[c]![ino - c * this.#ipg] = type;
  }

  /** The inode itself says that nothing names it. */
  unlinked(ino: number): boolean {
    const c = Math.floor(ino / this.#ipg);
    return ((this.#type[c]?.[ino - c * this.#ipg] ?? 0) & ZERO_LINKS) !== 0;
  }

  setUnlinked(ino: number): void {
    const c = Math.floor(ino / this.#ipg);
    this.#type[c]![ino - c * this.#ipg]! |= ZERO_LINKS;
  }

  links(ino: number): number {
    const c = Math.floor(ino / this.#ipg);
    return this.#links[c]?.[ino - c * this.#ipg] ?? 0;
  }

  addLinks(ino: number, n: number): void {
    const c = Math.floor(ino / this.#ipg);
    const links = this.#links[c];
    const i = ino - c * this.#ipg;
    if (links !== undefined && i < links.length) links[i]! += n;
  }

  setLinks(ino: number, n: number): void {
    const c = Math.floor(ino / this.#ipg);
    this.#links[c]![ino - c * this.#ipg] = n;
  }

  /** The states of group `c`, by inode number inside the group. */
  states(c: number): Uint8Array {
    return this.#state[c]!;
  }
}
