/** Runs workloads on recording disks and cuts the power: what `npm run powercut` and the test of it do. */
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { MNT_ASYNC } from '../../src/kernel/fcntl.js';
import { lcg } from '../../test/ffs/dice.js';
import { workload } from './workload.js';
import { mountFfs } from '../../test/ffs/volumes.js';
import { bytesOf, newdisk } from '../../test/ffs/write-support.js';
import { CutDisks, examine, randomcut } from './examine.js';
import type { PowercutMode } from './examine.js';

const GEOMETRIES: readonly NewfsVolumeOptions[] = [
  { format: 2, endian: 'little', blockSize: 4096, fragSize: 512, maxFragsPerGroup: 4096 },
  { format: 1, endian: 'big', blockSize: 8192, fragSize: 2048 },
  { format: 2, endian: 'big', blockSize: 8192, fragSize: 1024 },
  { format: 1, endian: 'little', blockSize: 4096, fragSize: 1024, maxFragsPerGroup: 2048 },
];
const JOURNALS = ['384k', '1m', '500k'] as const;
const VOLUME_BYTES = 6 * 2 ** 20;

export interface PowercutOptions {
  readonly mode: PowercutMode;
  readonly points: number;
  readonly seed: number;
  /** Operations of a workload, and cuts of it. */
  readonly steps: number;
  readonly cuts: number;
  /** Only this geometry. */
  readonly geometry?: number;
  readonly progress?: (figures: PowercutFigures) => void;
}

export interface PowercutFigures {
  points: number;
  workloads: number;
  events: number;
  writes: number;
  barriers: number;
  promises: number;
  violations: { seed: number; cut: string; what: string[] }[];
}

export async function powercut(options: PowercutOptions): Promise<PowercutFigures> {
  const figures: PowercutFigures = { points: 0, workloads: 0, events: 0, writes: 0, barriers: 0, promises: 0, violations: [] };
  for (let seed = options.seed; figures.points < options.points; seed++) await one(options, seed, figures);
  return figures;
}

async function one(options: PowercutOptions, seed: number, figures: PowercutFigures): Promise<void> {
  const { mode, steps } = options;
  const geometry = GEOMETRIES[options.geometry ?? seed % GEOMETRIES.length]!;
  const disk = await newdisk(geometry, VOLUME_BYTES);
  // Journals that are filled many times over, and journals that keep old transactions for long.
  const mount: Record<string, string> = mode === 'log' ? { log: JOURNALS[Math.floor(seed / GEOMETRIES.length) % JOURNALS.length]! } : {};
  if (mode === 'log') await (await mountFfs(disk, 0, mount)).close();
  const before = bytesOf(disk);
  const work = await workload(disk, seed, steps, { mount, flags: mode === 'async' ? MNT_ASYNC : 0, orphans: true });
  figures.workloads++;
  figures.events += work.events.length;
  figures.promises += work.claims.length;
  for (const event of work.events) {
    if (event.op === 'write') figures.writes++;
    else if (event.op === 'flush') figures.barriers++;
  }
  const random = lcg(seed);
  const cuts = Math.min(options.cuts, options.points - figures.points);
  const at: number[] = [];
  for (let n = 0; n < cuts; n++) at.push(cuts > work.events.length ? n % (work.events.length + 1) : Math.floor(random() * (work.events.length + 1)));
  at.sort((a, b) => a - b);
  const disks = new CutDisks(before, work.events);
  for (let n = 0; n < cuts; n++) {
    const cut = randomcut(work.events, at[n]!, n, random);
    const what = await examine(mode, disks.after(cut), work, cut.events);
    figures.points++;
    if (what.length === 0) continue;
    const trace = work.trace.filter((line) => Number(line.split(':')[0]) <= cut.events).slice(-10);
    figures.violations.push({ seed, cut: `cut ${n} at event ${cut.events} of ${work.events.length}`, what: [...what, 'last steps:', ...trace] });
  }
  options.progress?.(figures);
}
