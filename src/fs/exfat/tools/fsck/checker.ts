import type { BlockDevice } from '../../../../kernel/blkdev.js';
import { E, Errno } from '../../../../kernel/errno.js';
import type { CheckMode } from '../../../format.js';
import type { NameRules } from '../../dir/name.js';
import type { Volume } from '../volume.js';
import { ClusterSet } from './clusterset.js';
import { Met } from './rename.js';

/**
 * How bad something is.
 *
 *   safe      nothing that is written makes it worse: the volume may be mounted for writing as it is
 *   preen     what unplugging leaves; mended without asking
 *   damage    mended by a repair only
 */
export type Severity = 'safe' | 'preen' | 'damage';

export interface Problem {
  readonly message: string;
  readonly severity: Severity;
  fixed?: string;
}

/** What a quick look at a volume may cost; more, and it is no quick look. */
export interface Budget {
  /** Bytes of directories, and cells of the FAT. */
  directoryBytes: number;
  cells: number;
}

/** Thrown when the budget is used up. */
export class TooMuch {
  constructor(readonly what: string) {}
}

/** Thrown where there is no going on: what was found so far is the answer. */
export class CannotCheck {
  constructor(readonly message: string) {}
}

/** More is not listed. */
const PROBLEMS_MAX = 10_000;

/** A check at work: the volume, what it has found, and what it may do about it. */
export class Checker {
  readonly dev: BlockDevice;
  readonly mode: CheckMode;
  readonly budget: Budget | undefined;
  readonly problems: Problem[] = [];
  problemCount = 0;
  readonly notes: string[] = [];
  modified = false;
  /** Something is left that is wrong. */
  unresolved = false;
  /** It may not be mounted for writing as it is. */
  unsafe = false;
  /** A repair changed what others rest on: look at everything again. */
  again = false;
  files = 0;
  directories = 0;
  /** Set up before anything is walked. */
  volume!: Volume;
  names!: NameRules;
  /** Cells of the FAT that are to end their chains, once nobody who shares these needs them any more. */
  readonly ends = new Set<number>();
  /** Clusters that somebody has. */
  readonly used = new ClusterSet();
  readonly met = new Met();

  constructor(dev: BlockDevice, mode: CheckMode, budget?: Budget) {
    this.dev = dev;
    this.mode = mode;
    this.budget = budget;
  }

  /** Notes a problem. @returns it if it is to be mended: say what was done in `fixed`; else null */
  problem(severity: Severity, message: string): Problem | null {
    this.problemCount++;
    const problem: Problem = { message, severity };
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
    if (severity !== 'safe') this.unsafe = true;
    if (this.mode === 'repair' || (this.mode === 'preen' && severity !== 'damage')) return problem;
    this.unresolved = true;
    return null;
  }

  /** A problem that nothing can be done about. */
  hopeless(message: string): void {
    this.problemCount++;
    this.problems.push({ message, severity: 'damage' });
    this.unsafe = true;
    this.unresolved = true;
  }

  async read(into: Uint8Array, length: number, at: number): Promise<void> {
    try {
      await this.dev.read(into, 0, length, at);
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
      throw new CannotCheck(`cannot read ${length} bytes at ${at}: ${thrown.message}`);
    }
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    this.modified = true;
    try {
      await this.dev.write(bytes, 0, bytes.length, at);
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
      const why = thrown.errno === E.EROFS ? 'the device is read-only' : thrown.message;
      throw new CannotCheck(`cannot write ${bytes.length} bytes at ${at}: ${why}`);
    }
  }

  /** The cell of a cluster. */
  async cell(cluster: number): Promise<number> {
    const { budget } = this;
    if (budget !== undefined && budget.cells-- <= 0) throw new TooMuch('so many clusters are chained');
    return this.volume.cell(cluster);
  }

  async setcell(cluster: number, next: number): Promise<void> {
    this.modified = true;
    await this.volume.setcell(cluster, next);
  }

  /**
   * Clusters in a row that nobody has, at most `want`; null: there are none. Looks for the first that are enough, else
   * the longest.
   */
  vacant(want: number): { first: number; count: number } | null {
    const { volume, used } = this;
    let best: { first: number; count: number } | null = null;
    for (let cluster = 2; cluster < volume.end; ) {
      cluster += used.row(cluster, volume.end - cluster, true);
      if (cluster >= volume.end) break;
      const count = used.row(cluster, Math.min(want, volume.end - cluster), false);
      if (best === null || count > best.count) best = { first: cluster, count };
      if (count >= want) break;
      cluster += count;
    }
    return best;
  }
}
