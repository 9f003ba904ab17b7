import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { E, errno } from '../../../../kernel/errno.js';
import type { CheckMode } from '../../../format.js';
import { CLUST_FIRST, validCluster } from '../../disk/bpb.js';
import type { Geometry } from '../../disk/bpb.js';
import { CELL_FREE, CELL_MASK, getCell, setCell } from '../../space/fat.js';

/** Problems that are listed; the others are counted. */
const LISTED_MAX = 500;
/** The FAT is written back in pieces of this size, bytes. */
const PIECE_BYTES = 4096;
const READ_BYTES = 1 << 20;

/** How much a check may look at; for one that must not take long. */
export interface Budget {
  readonly fatBytes: number;
  readonly entries: number;
}

/** Thrown when the budget is used up. */
export class TooMuch extends Error {}

/**
 * What a check knows, has found, and has changed. Changes of entries go to the device at once, those of the FAT in the
 * end.
 */
export class FsckContext {
  readonly problems: { message: string; fixed?: string }[] = [];
  problemCount = 0;
  /** Problems that are still there. */
  left = 0;
  /** Of those, and of those that were mended, the ones that make writing dangerous. */
  serious = 0;
  /** The first of these. */
  worst = '';
  modified = false;
  readonly notes: string[] = [];
  readonly mask: number;
  readonly bad: number;
  readonly end: number;
  /** By cluster: index + 1 of the file that has it. */
  readonly owner: Uint32Array;
  entries = 0;
  /** Where to look for a free cluster. */
  private nexttake = CLUST_FIRST;
  private fat: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(this.fat.buffer);
  private readonly dirty = new Set<number>();

  constructor(
    readonly dev: BlockDevice,
    readonly g: Geometry,
    readonly mode: CheckMode,
    readonly budget: Budget | undefined,
  ) {
    this.mask = CELL_MASK[g.type];
    this.end = this.mask - 7;
    this.bad = this.mask - 8;
    if (budget !== undefined && this.fatBytes > budget.fatBytes) throw new TooMuch();
    this.owner = new Uint32Array(g.clusters + CLUST_FIRST);
  }

  /** Bytes of a FAT that hold cells, whole sectors. */
  get fatBytes(): number {
    const { g } = this;
    const bytes = Math.ceil(((g.clusters + CLUST_FIRST) * g.type) / 8);
    return Math.min(g.fatBytes, Math.ceil(bytes / g.sectorBytes) * g.sectorBytes);
  }

  get lastCluster(): number {
    return this.g.clusters + 1;
  }

  /**
   * Something is wrong. `preen`: mending it harms nobody. `serious`: a volume with it must not be written. `fix` mends
   * it, and says in a word what it did. @returns whether it was mended
   */
  async problem(
    message: string,
    how: { readonly preen: boolean; readonly serious?: boolean; readonly fix?: () => Promise<string> | string },
  ): Promise<boolean> {
    this.problemCount++;
    if (how.serious === true && this.serious++ === 0) this.worst = message;
    let fixed: string | undefined;
    if (how.fix !== undefined && (this.mode === 'repair' || (this.mode === 'preen' && how.preen))) {
      fixed = await how.fix();
      this.modified = true;
    } else {
      this.left++;
    }
    if (this.problems.length < LISTED_MAX) this.problems.push(fixed === undefined ? { message } : { message, fixed });
    return fixed !== undefined;
  }

  // ---- the FAT

  private fatAt(i: number): number {
    return this.g.fatOffset + i * this.g.fatBytes;
  }

  private async readFat(i: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(this.fatBytes);
    for (let at = 0; at < bytes.length; at += READ_BYTES) {
      await this.dev.read(bytes, at, Math.min(READ_BYTES, bytes.length - at), this.fatAt(i) + at);
    }
    return bytes;
  }

  /**
   * Reads the FAT in use; the others are compared with it. Where the first does not begin as a FAT does, another one is
   * taken.
   * @throws EIO
   */
  async loadFat(): Promise<void> {
    const { g } = this;
    const all: (Uint8Array | undefined)[] = [];
    for (let i = 0; i < g.fats; i++) {
      if (g.activeFat >= 0 && i !== g.activeFat) all.push(undefined);
      else all.push(await this.readFat(i).catch(() => undefined));
    }
    const ones = g.type === 12 ? 0x0f : 0xff;
    const sound = (fat: Uint8Array | undefined): boolean =>
      fat !== undefined && fat[0] === g.media && (fat[1]! & ones) === ones;
    const chosen = all.find(sound) ?? all.find((fat) => fat !== undefined);
    if (chosen === undefined) throw errno(E.EIO, 'no FAT can be read');
    this.use(chosen);
    if (g.activeFat >= 0) return;
    for (const [i, fat] of all.entries()) {
      if (fat === chosen) continue;
      const different = fat === undefined ? chosen.length : differing(chosen, fat);
      if (different === 0) continue;
      const which = all.indexOf(chosen) + 1;
      const others = { preen: true, fix: async () => (await this.writeCopy(i), `copied from FAT ${which}`) };
      await this.problem(
        fat === undefined
          ? `FAT ${i + 1} cannot be read`
          : `FAT ${i + 1} differs from FAT ${which} in ${different} bytes`,
        others,
      );
    }
    if (!sound(chosen)) {
      await this.problem('the FAT does not begin with the media byte', {
        preen: false,
        fix: () => (this.set(0, (this.mask & ~0xff) | g.media), 'set'),
      });
    }
  }

  private use(fat: Uint8Array): void {
    this.fat = fat;
    this.view = new DataView(fat.buffer);
  }

  private async writeCopy(i: number): Promise<void> {
    for (let at = 0; at < this.fat.length; at += READ_BYTES) {
      await this.dev.write(this.fat, at, Math.min(READ_BYTES, this.fat.length - at), this.fatAt(i) + at);
    }
  }

  get(cluster: number): number {
    return getCell(this.view, this.g.type, cluster, 0);
  }

  set(cluster: number, value: number): void {
    setCell(this.view, this.g.type, cluster, 0, value);
    const at = Math.floor((cluster * this.g.type) / 8);
    this.dirty.add(Math.floor(at / PIECE_BYTES));
    this.dirty.add(Math.floor(Math.min(at + 1, this.fat.length - 1) / PIECE_BYTES));
  }

  endOf(cell: number): boolean {
    return cell >= this.end;
  }

  valid(cluster: number): boolean {
    return validCluster(this.g, cluster);
  }

  /** Changed pieces go to all copies. */
  async writeFat(): Promise<void> {
    const { g } = this;
    for (const piece of this.dirty) {
      const at = piece * PIECE_BYTES;
      const length = Math.min(PIECE_BYTES, this.fat.length - at);
      for (let i = 0; i < g.fats; i++)
        if (g.activeFat < 0 || i === g.activeFat) {
          await this.dev.write(this.fat, at, length, this.fatAt(i) + at);
        }
    }
    this.dirty.clear();
  }

  /** A free cluster, which ends a chain now; 0: there is none. */
  take(): number {
    for (let c = this.nexttake; c <= this.lastCluster; c++) {
      if (this.get(c) !== CELL_FREE) continue;
      this.set(c, this.mask);
      this.nexttake = c + 1;
      return c;
    }
    if (this.nexttake === CLUST_FIRST) return 0;
    // What was freed meanwhile.
    this.nexttake = CLUST_FIRST;
    return this.take();
  }

  // ---- entries

  async patch(offset: number, bytes: Uint8Array): Promise<void> {
    await this.dev.write(bytes, 0, bytes.length, offset);
  }

  counted(entries: number): void {
    this.entries += entries;
    if (this.budget !== undefined && this.entries > this.budget.entries) throw new TooMuch();
  }
}

function differing(a: Uint8Array, b: Uint8Array): number {
  let n = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) n++;
  return n;
}
