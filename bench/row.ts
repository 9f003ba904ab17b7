import type { Session } from './session.js';

/** One line of the table. */
export interface Row {
  /** Short, for --rows. */
  readonly name: string;
  readonly title: string;
  /** `s` is better when lower, the others when higher. */
  readonly unit: 'MB/s' | '/s' | 's';
  /** Must reach this part of the null file system's speed. */
  readonly ofNull?: number;
  /**
   * The host answers from its own caches; what is behind the mount is as good as another then, and differences are
   * noise.
   */
  readonly hostCached?: boolean;
  /**
   * Median of the real NetBSD rump kernel in C behind libfuse 3 on a machine of 2 cores, in the row's unit; to be
   * beaten by 2.
   */
  readonly rumpkernel?: number;
  /** The same with its journal, to be beaten by 2 with ours. */
  readonly rumpkernelLog?: number;
}

/** Rows that are measured in one go, because one prepares the next. */
export interface Scenario {
  readonly rows: readonly Row[];
  /** Not for systems that only read. */
  readonly writes?: boolean;
  /** One round for one system; the answers are in the order and the units of `rows`. */
  run(session: Session): Promise<number[]>;
}

/** MB/s, with a megabyte of 10^6 bytes. */
export function megabytes(bytes: number, seconds: number): number {
  return bytes / 1e6 / seconds;
}

/** How much faster `a` is than `b`, both in the row's unit. */
export function speedup(row: Row, a: number, b: number): number {
  return row.unit === 's' ? b / a : a / b;
}
