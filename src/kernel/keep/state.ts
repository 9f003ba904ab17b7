/**
 * What a successor needs of a volume whose driver keeps everything in buffers (Vfsops.vfs_survives "buffers"), or
 * nearly: beside its dirty blocks, what the driver puts here, small rows of numbers by number. The VFS layer makes one
 * for each mount of such a driver, where the kernel has memory that outlives it, attaches it while the volume can be
 * written, and gives what a predecessor had put to the driver before it mounts (Mount.mnt_kept).
 *
 * States: waiting (rows may be put, nobody records them) -> attached (recorded at each commit) -> waiting again, when
 * the volume is only read or unmounted.
 */
import { DRIVER_RECORDS } from './keep.js';
import type { Inheritance, KeptDriver } from './keep.js';
import type { RecordWriter } from './records.js';

/** [key, words...]; the last one of a key counts. */
const ROW = DRIVER_RECORDS;
/** [key]: there is none any more. */
const GONE = DRIVER_RECORDS + 1;

export class KeptState implements KeptDriver {
  /** What a predecessor had put; empty where there was none. */
  readonly inherited: ReadonlyMap<number, readonly number[]>;
  private readonly rows = new Map<number, readonly number[]>();
  private readonly touched = new Set<number>();
  whole = true;

  /**
   * @param atrest no operation that changes the volume is half done
   * @param settled does the write of file data that was put off
   */
  constructor(
    from: Inheritance | undefined,
    private readonly atrest: () => boolean,
    private readonly settled: () => void,
  ) {
    const inherited = new Map<number, readonly number[]>();
    for (const { type, words } of from?.records ?? []) {
      if (type === ROW) inherited.set(words[0]!, [...words.subarray(1)]);
      else if (type === GONE) inherited.delete(words[0]!);
    }
    this.inherited = inherited;
  }

  /** A row for a successor; `key` and words are finite numbers. */
  put(key: number, words: readonly number[]): void {
    this.rows.set(key, words);
    this.touched.add(key);
  }

  remove(key: number): void {
    if (this.rows.delete(key)) this.touched.add(key);
  }

  get quiet(): boolean {
    return this.atrest();
  }

  get changed(): boolean {
    return this.whole || this.touched.size > 0;
  }

  delta(out: RecordWriter): void {
    for (const key of this.touched) {
      const words = this.rows.get(key);
      out.begin(words === undefined ? GONE : ROW);
      out.put(key);
      out.putall(words ?? []);
      out.end();
    }
    this.touched.clear();
  }

  snapshot(out: RecordWriter): void {
    for (const [key, words] of this.rows) {
      out.begin(ROW);
      out.put(key);
      out.putall(words);
      out.end();
    }
    this.touched.clear();
    this.whole = false;
  }

  forget(): void {
    this.touched.clear();
    this.whole = true;
  }

  settle(): void {
    this.settled();
  }
}
