import type { KeptState } from '../../../kernel/keep/state.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Denode } from '../file/denode.js';
import type { FileNumbers } from '../../lib/filenumbers.js';
import type { Removal } from './order.js';

/**
 * What a successor must know beside the dirty buffers (kernel/keep/state.ts): a row a thing. The key of a row is a
 * number (cluster, place, file number) times {@link KINDS} and its kind.
 */
const KINDS = 8;
const STATE = 0;
/** [clusters] of a chain to be freed. */
const FREE = 1;
/** [] */
const CUT = 2;
/** [dir, slot, places...] */
const REMOVAL = 3;
/** As FileNumbers records it. */
const NUMBER = 4;
/** [next cluster] behind one. */
const LINK = 6;
/** [] of the place of an entry with MOVED_HERE. */
const MARK = 7;
/** [first cluster, size, attributes, mtime, atime, crtime]: a file without an entry. */
const ORPHAN = 5;

/** What one row said. */
export interface Inherited {
  /** [the volume was clean when it was mounted] */
  state: readonly number[] | undefined;
  readonly frees: [first: number, count: number][];
  readonly cuts: number[];
  readonly links: [last: number, next: number][];
  readonly marks: number[];
  readonly removals: [place: number, removal: Removal][];
  readonly numbers: [number: number, words: readonly number[]][];
  readonly orphans: [number: number, words: readonly number[]][];
}

export class KeptRows {
  private readonly kept: KeptState | null;

  constructor(mp: Mount) {
    this.kept = mp.mnt_kept;
  }

  /** What a predecessor put; undefined: there was none, or it had nothing to say. */
  inherited(): Inherited | undefined {
    if (this.kept === null || this.kept.inherited.size === 0) return undefined;
    const all: Inherited = {
      state: undefined,
      frees: [],
      cuts: [],
      links: [],
      marks: [],
      removals: [],
      numbers: [],
      orphans: [],
    };
    for (const [key, words] of this.kept.inherited) {
      const kind = key % KINDS;
      const what = (key - kind) / KINDS;
      if (kind === STATE) all.state = words;
      else if (kind === FREE) all.frees.push([what, words[0]!]);
      else if (kind === CUT) all.cuts.push(what);
      else if (kind === LINK) all.links.push([what, words[0]!]);
      else if (kind === MARK) all.marks.push(what);
      else if (kind === REMOVAL) all.removals.push([what, { dir: words[0]!, slot: words[1]!, places: words.slice(2) }]);
      else if (kind === NUMBER) all.numbers.push([what, words]);
      else if (kind === ORPHAN) all.orphans.push([what, words]);
    }
    return all;
  }

  state(words: readonly number[]): void {
    this.kept?.put(STATE, words);
  }

  free(first: number, count: number | null): void {
    this.put(first, FREE, count === null ? null : [count]);
  }

  cut(last: number, there: boolean): void {
    this.put(last, CUT, there ? [] : null);
  }

  link(last: number, next: number | null): void {
    this.put(last, LINK, next === null ? null : [next]);
  }

  mark(place: number, there: boolean): void {
    this.put(place, MARK, there ? [] : null);
  }

  removal(place: number, removal: Removal | null): void {
    this.put(place, REMOVAL, removal === null ? null : [removal.dir, removal.slot, ...removal.places]);
  }

  numbers(numbers: FileNumbers): void {
    if (this.kept === null) return;
    numbers.record = (number, words) => this.put(number, NUMBER, words);
  }

  /** null: it is no orphan any more. */
  orphan(number: number, dep: Denode | null): void {
    this.put(number, ORPHAN, dep === null ? null : [dep.start, dep.size, dep.attr, dep.mtime, dep.atime, dep.crtime]);
  }

  private put(what: number, kind: number, words: readonly number[] | null): void {
    if (this.kept === null) return;
    if (words === null) this.kept.remove(what * KINDS + kind);
    else this.kept.put(what * KINDS + kind, words);
  }
}
