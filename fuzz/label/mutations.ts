/** The kinds of damage done to partition tables. Each looks at the sound disk and says which bytes to put where. */
import { crc32 } from '../../src/blockdev/label/crc32.js';
import { mbrSector } from '../../test/blockdev/label-fixtures.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';
import type { Mutation, Patch } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';
import type { Disk, Table } from './disks.js';

type Kind = (disk: Disk, other: Disk, random: Random) => Mutation | undefined;

const SECTOR = 512;

function meaningful(disk: Disk): readonly number[] {
  const sectors = disk.bytes.length / SECTOR;
  return [
    sectors,
    sectors - 1,
    sectors + 1,
    sectors / 2,
    disk.bytes.length,
    2048,
    4096,
    8192,
    128,
    92,
    0x82564557,
    0x600ddeee,
    0xdabe,
    0xaa55,
  ];
}

const field: Kind = (disk, _other, random) => {
  const table = random.pick(disk.tables);
  const f = random.pick(table.fields);
  const view = new DataView(disk.bytes.buffer, disk.bytes.byteOffset, disk.bytes.length);
  const was = getField(view, table.at + f.offset, f.width, table.le);
  const now = interestingValue(random, meaningful(disk), was, f.width);
  return {
    label: `${table.name}.${f.name} 0x${was.toString(16)} -> 0x${now.toString(16)}`,
    patches: [{ at: table.at + f.offset, bytes: fieldBytes(now, f.width, table.le) }],
  };
};

const bits: Kind = (disk, _other, random) => {
  const table = random.pick(disk.tables);
  const patches: Patch[] = [];
  for (let n = 1 + random.below(6); n > 0; n--) {
    const at = table.at + random.below(table.length);
    patches.push({ at, bytes: Uint8Array.of(disk.bytes[at]! ^ (1 << random.below(8))) });
  }
  return { label: `${table.name}: bits flipped at ${patches.map((p) => p.at - table.at).join(', ')}`, patches };
};

const filled: Kind = (disk, _other, random) => {
  const table = random.pick(disk.tables);
  const start = random.below(table.length);
  const bytes = new Uint8Array(1 + random.below(table.length - start));
  const how = random.below(4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = how === 0 ? 0 : how === 1 ? 0xff : how === 2 ? random.below(256) : 0x1b;
  }
  return {
    label: `${table.name}: ${bytes.length} bytes at ${start} ${['cleared', 'set', 'random', 'escapes'][how]!}`,
    patches: [{ at: table.at + start, bytes }],
  };
};

/** A table where another one is, or one more next to it. */
const moved: Kind = (disk, other, random) => {
  const from = random.pick(other.tables);
  const to = random.once(3) ? SECTOR * random.below(64) : random.pick(disk.tables).at;
  const bytes = other.bytes.slice(from.at, from.at + Math.min(from.length, disk.bytes.length - to));
  return { label: `${from.name} of ${other.name} at ${to}`, patches: [{ at: to, bytes }] };
};

/** Logical partitions: long chains, circles, tables that lead out of the disk. */
const chain: Kind = (disk, _other, random) => {
  if (disk.name !== 'mbr') return undefined;
  const first = disk.bytes.length / 2 / SECTOR;
  const count = random.pick([1, 2, 5, 127, 128, 129, 500]);
  const step = random.pick([1, 1, 2, 0]);
  const patches: Patch[] = [];
  for (let i = 0; i < count; i++) {
    const next = random.once(40) ? random.u32() : random.once(40) ? 0 : (i + 1) * step;
    patches.push({
      at: (first + i * step) * SECTOR,
      bytes: mbrSector([
        { type: 0x83, start: random.pick([0, 1, 8, 0xffffffff]), size: random.pick([1, 8, 0xffffffff]) },
        { type: random.pick([5, 0xf, 0x85]), start: next, size: random.pick([1, 0xffffffff]) },
      ]),
    });
  }
  return { label: `a chain of ${count} logical partitions, ${step} sectors each`, patches };
};

const cut: Kind = (disk, _other, random) => {
  const size = random.pick([
    0,
    1,
    511,
    512,
    513,
    1024,
    4096,
    8192,
    16384,
    65536,
    random.below(disk.bytes.length),
    disk.bytes.length - 1,
    disk.bytes.length - 512,
    disk.bytes.length * 3,
    2 ** 41,
    2 ** 52,
  ]);
  return { label: `disk of ${size} bytes`, patches: [], size };
};

const KINDS: readonly (readonly [weight: number, kind: Kind])[] = [
  [14, field],
  [3, bits],
  [2, filled],
  [3, moved],
  [4, chain],
  [1, cut],
];

export function mutate(disk: Disk, other: Disk, random: Random): Mutation {
  for (;;) {
    const mutation = random.weighted(KINDS)(disk, other, random);
    if (mutation !== undefined) return mutation;
  }
}

function words(view: DataView, length: number, le: boolean): number {
  let sum = 0;
  for (let i = 0; i + 2 <= length; i += 2) sum ^= view.getUint16(i, le);
  return sum;
}

/** Makes the checksum of a table right again, as far as its lengths make sense. */
function amendTable(dev: MutantDevice, table: Table): void {
  const put = (offset: number, value: number, width: 2 | 4): void =>
    dev.put(fieldBytes(BigInt(value), width, table.le), 0, width, table.at + offset);
  const head = new Uint8Array(4096);
  dev.get(head, 0, head.length, table.at);
  const view = new DataView(head.buffer);
  switch (table.sum) {
    case 'none': return;
    case 'sun':
      view.setUint16(510, 0, table.le);
      return put(510, words(view, 512, table.le), 2);
    case 'bsd':
      view.setUint16(136, 0, table.le);
      return put(136, words(view, 148 + 16 * Math.min(view.getUint16(138, table.le), 52), table.le), 2);
    case 'gpt': {
      const length = view.getUint32(80, true) * view.getUint32(84, true);
      const at = Number(view.getBigUint64(72, true)) * (table.at % 4096 === 0 ? 4096 : SECTOR);
      if (length <= 1 << 20 && Number.isSafeInteger(at)) {
        const entries = new Uint8Array(length);
        dev.get(entries, 0, length, at);
        view.setUint32(88, crc32(entries), true);
        put(88, view.getUint32(88, true), 4);
      }
      view.setUint32(16, 0, true);
      return put(16, crc32(head.subarray(0, Math.min(head.length, view.getUint32(12, true)))), 4);
    }
  }
}

export function amend(dev: MutantDevice, disk: Disk): void {
  for (const table of disk.tables) if (table.at + table.length <= disk.bytes.length) amendTable(dev, table);
}
