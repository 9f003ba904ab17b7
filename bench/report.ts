import { MEMORY_LIMIT } from './memory.js';
import type { Memory } from './processes.js';
import { type Row, speedup } from './row.js';
import { FULL, type Sizes, type System } from './system.js';

/** All values of a row and a system, in the order of the rounds; the row's name, then the system's. */
export type Values = Map<string, Map<string, number[]>>;

export interface Goal {
  text: string;
  value: number;
  limit: number;
  pass: boolean;
}

/** Two that answer from the same cache are as fast as each other, give or take this much. */
const NOISE = 0.1;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function best(row: Row, values: readonly number[]): number {
  return row.unit === 's' ? Math.min(...values) : Math.max(...values);
}

function number(row: Row, value: number): string {
  return row.unit === 's' ? value.toFixed(value < 1 ? 3 : 2) : value.toFixed(0);
}

/** The table: a line a row, the median of each system and the best in brackets. */
export function table(rows: readonly Row[], systems: readonly System[], values: Values): string {
  const lines = [['', '', ...systems.map((system) => system.title)]];
  for (const row of rows) {
    const cells = systems.map((system) => {
      const got = values.get(row.name)?.get(system.name);
      return got === undefined || got.length === 0
        ? '-'
        : `${number(row, median(got))} (${number(row, best(row, got))})`;
    });
    lines.push([row.title, row.unit, ...cells]);
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * The goals that can be judged from what was measured, for FFS and ISO 9660. With small sizes nothing is: it is mostly
 * starting that is measured then.
 */
export function goals(rows: readonly Row[], sizes: Sizes, values: Values, memory: Memory | undefined): Goal[] {
  const found: Goal[] = [];
  if (sizes !== FULL) return found;
  const judge = (text: string, value: number, limit: number, pass: boolean) => found.push({ text, value, limit, pass });
  for (const row of rows) {
    const of = (system: string) => {
      const got = values.get(row.name)?.get(system);
      return got === undefined || got.length === 0 ? undefined : median(got);
    };
    const log = of('ffs-log');
    if (log !== undefined && row.rumpkernelLog !== undefined) {
      const ratio = speedup(row, log, row.rumpkernelLog);
      judge(
        `${row.title}, -o log: times as fast as NetBSD's rump kernel in C with its journal (${row.rumpkernelLog} ` +
          `${row.unit})`,
        ratio,
        2,
        ratio >= 2,
      );
    }
    const none = of('null');
    const [iso, fuseiso] = [of('iso'), of('fuseiso')];
    if (iso !== undefined && none !== undefined && row.ofNull !== undefined) {
      const part = speedup(row, iso, none);
      judge(`${row.title}, ISO 9660: part of the null file system's speed`, part, row.ofNull, part >= row.ofNull);
    }
    if (iso !== undefined && fuseiso !== undefined) {
      const limit = row.hostCached === true ? 1 - NOISE : 1;
      const times = speedup(row, iso, fuseiso);
      judge(`${row.title}, ISO 9660: times as fast as fuseiso`, times, limit, times > limit);
    }
    const ffs = of('ffs');
    if (ffs === undefined) continue;
    const fuse2fs = of('fuse2fs');
    const ratio = (other: number) => speedup(row, ffs, other);
    if (none !== undefined && row.ofNull !== undefined) {
      judge(`${row.title}: part of the null file system's speed`, ratio(none), row.ofNull, ratio(none) >= row.ofNull);
    }
    if (fuse2fs !== undefined) {
      const limit = row.hostCached === true ? 1 - NOISE : 1;
      judge(`${row.title}: times as fast as fuse2fs`, ratio(fuse2fs), limit, ratio(fuse2fs) > limit);
    }
    if (row.rumpkernel !== undefined) {
      judge(
        `${row.title}: times as fast as NetBSD's rump kernel in C (${row.rumpkernel} ${row.unit})`,
        ratio(row.rumpkernel),
        2,
        ratio(row.rumpkernel) >= 2,
      );
    }
  }
  // Supervisor, server and stand-by run the same program: what they share is there once.
  if (memory !== undefined) {
    judge(
      'resident memory for a 1 TiB volume, MB, shared pages once',
      memory.pss / 1e6,
      MEMORY_LIMIT / 1e6,
      memory.pss <= MEMORY_LIMIT,
    );
  }
  return found;
}

export function goalLines(list: readonly Goal[]): string {
  const width = Math.max(0, ...list.map((goal) => goal.text.length));
  return list
    .map(
      (goal) =>
        `${goal.pass ? 'pass' : 'MISS'}  ${goal.text.padEnd(width)}  ${goal.value.toFixed(2).padStart(7)}  (goal ` +
          `${goal.limit})`,
    )
    .join('\n');
}

export function memoryLine(system: System, memory: Memory): string {
  const mb = (bytes: number) => (bytes / 1e6).toFixed(0);
  return `${system.title}: ${memory.processes} process${memory.processes === 1 ? '' : 'es'}, ${mb(memory.rss)} MB ` +
    `resident (${mb(memory.pss)} MB with shared pages divided), peak ${mb(memory.peak)} MB`;
}
