/** Runs workloads on recording disks and cuts the power: what `npm run powercut` and the test of it do. */
import { MNT_ASYNC } from '../../src/kernel/fcntl.js';
import { lcg } from '../../test/ffs/dice.js';
import { bytesOf } from '../../test/ffs/write-support.js';
import type { Variant } from '../variants/variant.js';
import { mountVolume, newDisk } from '../variants/volume.js';
import { CutDisks, examine, randomcut } from './examine.js';
import { workload } from './workload.js';

export interface PowercutOptions {
  /** They take turns; each has its promise (Variant.powercut). */
  readonly variants: readonly Variant[];
  readonly points: number;
  readonly seed: number;
  /** Operations of a workload, and cuts of it. */
  readonly steps: number;
  readonly cuts: number;
  readonly progress?: (figures: PowercutFigures) => void;
}

export interface PowercutFigures {
  points: number;
  workloads: number;
  events: number;
  writes: number;
  barriers: number;
  promises: number;
  violations: { variant: string; seed: number; cut: string; what: string[] }[];
}

export async function powercut(options: PowercutOptions): Promise<PowercutFigures> {
  const figures: PowercutFigures = {
    points: 0,
    workloads: 0,
    events: 0,
    writes: 0,
    barriers: 0,
    promises: 0,
    violations: [],
  };
  for (let seed = options.seed; figures.points < options.points; seed++) await one(options, seed, figures);
  return figures;
}

async function one(options: PowercutOptions, seed: number, figures: PowercutFigures): Promise<void> {
  const { variants, steps } = options;
  const variant = variants[seed % variants.length]!;
  const { promise, size_bytes, orphans } = variant.powercut!;
  const disk = (await newDisk(variant, size_bytes))!;
  // The first mount makes the journal.
  if (promise === 'log') await (await mountVolume(variant, disk)).close();
  const before = bytesOf(disk);
  const work = await workload(variant, disk, seed, steps, {
    flags: promise === 'async' ? MNT_ASYNC : 0,
    orphans: orphans ?? true,
  });
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
  for (let n = 0; n < cuts; n++) {
    at.push(cuts > work.events.length ? n % (work.events.length + 1) : Math.floor(random() * (work.events.length + 1)));
  }
  at.sort((a, b) => a - b);
  const disks = new CutDisks(before, work.events);
  for (let n = 0; n < cuts; n++) {
    const cut = randomcut(work.events, at[n]!, n, random);
    const what = await examine(variant, disks.after(cut), work, cut.events, n);
    figures.points++;
    if (what.length === 0) continue;
    const trace = work.trace.filter((line) => Number(line.split(':')[0]) <= cut.events).slice(-10);
    figures.violations.push({
      variant: variant.name,
      seed,
      cut: `cut ${n} at event ${cut.events} of ${work.events.length}`,
      what: [...what, 'last steps:', ...trace],
    });
  }
  options.progress?.(figures);
}
