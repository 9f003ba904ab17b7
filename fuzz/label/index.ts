/** Partition tables, and the search for a volume's superblock: what is parsed of a disk before any driver sees it. */
import type { Partition } from '../../src/blockdev/label/partition-table.js';
import { listPartitions, partitionDevice, scan, selectPartition } from '../../src/blockdev/label/scan.js';
import { describe } from '../../src/fs/ffs/tools/describe.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { Random } from '../../testing/fuzz/random.js';
import { CONTROL } from '../../testing/fuzz/values.js';
import { diskNames, diskOf, prepareDisks } from './disks.js';
import { amend, mutate } from './mutations.js';

/** What one look at the tables may cost. */
const MAX_READS = 5000;
const MAX_BYTES = 16 * 2 ** 20;
const MAX_PARTITIONS = 5000;
/** Partitions of a mutant that are looked into. */
const LOOKED_INTO = 12;

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = diskNames[index % diskNames.length]!;
  const mutations: Mutation[] = [];
  for (let n = random.pick([1, 1, 2, 2, 3, 4, 6]); n > 0; n--) {
    mutations.push(mutate(diskOf(name), diskOf(random.pick(diskNames)), random));
  }
  return { base: name, mutations, seed: random.u32(), how: random.once(4) ? {} : { sum: true } };
}

/** What no caller may be told, whatever is on the disk. */
function judge(probe: Probe, dev: MutantDevice, partitions: readonly Partition[]): void {
  const wrong = (what: string, p: Partition): void => probe.violation('answer', 'scan', what, JSON.stringify(p));
  for (const p of partitions) {
    if (!Number.isSafeInteger(p.offset_bytes) || !Number.isSafeInteger(p.size_bytes)) wrong('numbers', p);
    if (
      p.problem === undefined &&
      !(p.offset_bytes >= 0 && p.size_bytes >= 0 && p.offset_bytes + p.size_bytes <= dev.size_bytes)
    ) {
      wrong('bounds', p);
    }
    if (CONTROL.test(`${p.path}${p.label ?? ''}${p.type}${p.type_name}${p.problem ?? ''}`)) {
      wrong('control characters', p);
    }
  }
  if (partitions.length > MAX_PARTITIONS) probe.violation('answer', 'scan', 'count', `${partitions.length} partitions`);
}

async function run(m: Mutant, probe: Probe): Promise<void> {
  const disk = diskOf(m.base);
  const dev = new MutantDevice(disk.bytes, m.mutations, { readonly: true });
  if (m.how.sum === true) amend(dev, disk);
  const found = await probe.op('scan', () => scan(dev));
  if (dev.reads > MAX_READS || dev.bytes_read > MAX_BYTES) {
    probe.violation('answer', 'scan', 'reads', `${dev.reads} reads of ${dev.bytes_read} bytes`);
  }
  const partitions = found?.partitions ?? [];
  if (found !== undefined) judge(probe, dev, partitions);
  for (const remark of found?.remarks ?? [])
    if (CONTROL.test(remark)) {
      probe.violation('answer', 'scan', 'remark', JSON.stringify(remark));
    }
  if (partitions.length > 0) probe.count('with partitions');
  probe.count('partitions', partitions.length);
  await probe.op('list', () => listPartitions(partitions));
  for (const p of partitions.slice(0, LOOKED_INTO)) {
    await probe.op('selectPartition', () => selectPartition(dev, p.path));
    const part = await probe.op('partitionDevice', () => partitionDevice(dev, p));
    if (part === undefined) continue;
    await probe.op('superblock search', () => ffs_superblock_search(part));
    if ((await probe.op('describe', () => describe(part))) !== undefined) probe.count('volumes described');
  }
  for (const spec of ['a', 'root', '1', 's1a']) await probe.op('selectPartition', () => selectPartition(dev, spec));
  await probe.op('superblock search', () => ffs_superblock_search(dev));
  await probe.op('describe', () => describe(dev));
  if (dev.writes !== 0) probe.violation('wrote', 'scan', '', `${dev.writes} writes`);
}

export const fuzzFormat: FuzzFormat = {
  name: 'label',
  bases: diskNames,
  prepare: prepareDisks,
  digest: (base) => diskOf(base).digest,
  mutant,
  run,
};
