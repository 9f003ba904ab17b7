/** The kinds of damage done to exFAT volumes. Each looks at the sound volume and says which bytes to put where. */
import { T_FILE } from '../../src/fs/exfat/disk/entry.js';
import { field, setField } from '../../testing/fuzz/fields.js';
import type { Field, Fields } from '../../testing/fuzz/fields.js';
import type { Mutation, Patch } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { getField, interestingValue } from '../../testing/fuzz/values.js';
import type { Group } from './atlas.js';
import type { Base } from './bases.js';

const BOOT: readonly Field[] = [
  field('PartitionOffset', 64, 8),
  field('VolumeLength', 72, 8),
  field('FatOffset', 80, 4),
  field('FatLength', 84, 4),
  field('ClusterHeapOffset', 88, 4),
  field('ClusterCount', 92, 4),
  field('FirstClusterOfRootDirectory', 96, 4),
  field('VolumeSerialNumber', 100, 4),
  field('FileSystemRevision', 104, 2),
  field('VolumeFlags', 106, 2),
  field('BytesPerSectorShift', 108, 1),
  field('SectorsPerClusterShift', 109, 1),
  field('NumberOfFats', 110, 1),
  field('PercentInUse', 112, 1),
  field('BootSignature', 510, 2),
  field('MustBeZero', 20, 1),
];
const FILE: readonly Field[] = [
  field('EntryType', 0, 1),
  field('SecondaryCount', 1, 1),
  field('SetChecksum', 2, 2),
  field('FileAttributes', 4, 2),
  field('CreateTimestamp', 8, 4),
  field('LastModifiedTimestamp', 12, 4),
  field('LastAccessedTimestamp', 16, 4),
  field('Create10msIncrement', 20, 1),
  field('CreateUtcOffset', 22, 1),
];
const STREAM: readonly Field[] = [
  field('EntryType', 0, 1),
  field('GeneralSecondaryFlags', 1, 1),
  field('NameLength', 3, 1),
  field('NameHash', 4, 2),
  field('ValidDataLength', 8, 8),
  field('FirstCluster', 20, 4),
  field('DataLength', 24, 8),
];
const NAME: readonly Field[] = [
  field('EntryType', 0, 1),
  field('GeneralSecondaryFlags', 1, 1),
  ...Array.from({ length: 15 }, (_, i) => field(`FileName[${i}]`, 2 + 2 * i, 2)),
];
const SYSTEM: readonly Field[] = [
  field('EntryType', 0, 1),
  field('BitmapFlags', 1, 1),
  field('TableChecksum', 4, 4),
  field('FirstCluster', 20, 4),
  field('DataLength', 24, 8),
];
const TYPES = [
  0, 1, 0x05, 0x40, 0x41, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0xa0, 0xa1, 0xa2, 0xc0, 0xc1, 0xc2, 0xe0, 0xe1, 0xff,
];

/** What a mutation is made from. `other` is another volume, for splices. */
interface Scene extends Fields {
  readonly base: Base;
  readonly other: Base;
}

type Kind = (scene: Scene) => Mutation | undefined;

/** Numbers that mean something on this volume. */
function numbersOf({ atlas }: Base, random: Random): readonly number[] {
  const { boot, clbytes } = atlas;
  const cluster = random.pick(atlas.used);
  return [
    boot.ClusterCount,
    boot.ClusterCount + 1,
    boot.ClusterCount + 2,
    clbytes,
    clbytes + 1,
    clbytes - 1,
    cluster,
    cluster * clbytes,
    boot.VolumeLength,
    boot.FirstClusterOfRootDirectory,
    0xfffffff7,
    256 * 2 ** 20,
  ];
}

function fileOf(scene: Scene): Group {
  return scene.random.pick(scene.base.atlas.groups.filter(({ type }) => type === T_FILE));
}

const boot: Kind = (scene) => setField(
  scene, 'boot', scene.random.once(4) ? 12 * scene.base.atlas.secbytes : 0, scene.random.pick(BOOT),
);

const cell: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const cluster = random.once(6) ? random.below(atlas.boot.ClusterCount + 2) : random.pick(atlas.used);
  const to = random.weighted<() => bigint>([
    [4, () => BigInt(random.pick(atlas.used))], [2, () => BigInt(cluster)], [2, () => BigInt(Math.max(0, cluster - 1))],
    [2, () => 0xffff_ffffn], [1, () => 0xffff_fff7n], [1, () => 0n], [1, () => 1n],
    [2, () => interestingValue(random, scene.numbers(), BigInt(cluster), 4)],
  ])();
  return setField(scene, `FAT[${cluster}]`, atlas.fatat + 4 * cluster, field('next', 0, 4), to);
};

const entry: Kind = (scene) => {
  const group = scene.random.pick(scene.base.atlas.groups);
  const i = group.type === T_FILE ? scene.random.pick([0, 0, 1, 1, 1, scene.random.below(group.entries.length)]) : 0;
  const fields = group.type !== T_FILE ? SYSTEM : i === 0 ? FILE : i === 1 ? STREAM : NAME;
  return setField(scene, `entry at ${group.entries[i]}`, group.entries[i]!, scene.random.pick(fields));
};

const type: Kind = (scene) => {
  const place = scene.random.once(3) ? scene.random.pick(scene.base.atlas.unused) : scene.random.pick(
    scene.random.pick(scene.base.atlas.groups).entries,
  );
  return setField(scene, `entry at ${place}`, place, field('EntryType', 0, 1), BigInt(scene.random.pick(TYPES)));
};

/** The content of a file is that of another, of a directory, or of the system. */
const crosslink: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const to = random.once(4) ? atlas.boot.FirstClusterOfRootDirectory : random.pick(
    atlas.groups.filter(({ first }) => first !== 0),
  ).first;
  return setField(
    scene, 'file', fileOf(scene).entries[1]!, field('FirstCluster', 20, 4), BigInt(to + random.pick([0, 0, 0, 1])),
  );
};

/** A file becomes a directory, or a directory a file. */
const kind: Kind = (scene) => {
  const place = fileOf(scene).entries[0]!;
  return setField(
    scene, 'file', place, field('FileAttributes', 4, 2), getField(scene.view, place + 4, 2, true) ^ 0x10n,
  );
};

const flags: Kind = (scene) => setField(
  scene, 'file', fileOf(scene).entries[1]!, field('GeneralSecondaryFlags', 1, 1), BigInt(scene.random.below(8)),
);

/** Entries appear where others were, or where there were none. */
const splice: Kind = (scene) => {
  const { base, other, random } = scene;
  const from = random.once(4) ? other : base;
  const group = random.pick(from.atlas.groups);
  const to = random.once(2) ? random.pick(base.atlas.groups).entries[0]! : random.pick(base.atlas.unused);
  const patches: Patch[] = group.entries.map((at, i) => ({ at: to + 32 * i, bytes: from.bytes.slice(at, at + 32) }));
  return { label: `entries of ${from.name} at ${group.entries[0]} put at ${to}`, patches };
};

const bitmap: Kind = ({ base: { atlas }, random }) => {
  const at = atlas.bitmapat + random.below(atlas.bitmapbytes);
  const byte = random.pick([0, 0xff, 0x55, random.below(256)]);
  return { label: `bitmap: byte at ${at} -> ${byte}`, patches: [{ at, bytes: Uint8Array.of(byte) }] };
};

const upcase: Kind = ({ base: { atlas }, random }) => {
  const at = atlas.upcaseat + 2 * random.below(atlas.upcasebytes / 2);
  const unit = random.pick([0xffff, 0, 0x2f, 0x41, random.below(65536)]);
  return {
    label: `up-case table: unit at ${at} -> 0x${unit.toString(16)}`,
    patches: [{ at, bytes: Uint8Array.of(unit & 255, unit >>> 8) }],
  };
};

const bytes: Kind = ({ base, random }) => {
  const { atlas } = base;
  const areas: readonly (readonly [number, number])[] = [
    [0, 24 * atlas.secbytes], [atlas.fatat, 4 * (atlas.boot.ClusterCount + 2)],
    [random.pick(atlas.groups).entries[0]!, 128],
  ];
  const [start, length] = random.pick(areas);
  const at = start + random.below(length);
  const value = random.below(256);
  return { label: `byte at ${at} -> ${value}`, patches: [{ at, bytes: Uint8Array.of(value) }] };
};

const short: Kind = ({ base, random }) => ({
  label: 'the device is shorter',
  patches: [],
  size: Math.max(512, base.bytes.length - 512 * random.pick([1, 2, 100, 3000, 5000])),
});

const KINDS: readonly (readonly [number, Kind])[] = [
  [4, boot], [6, cell], [12, entry], [4, type], [5, crosslink], [3, kind], [3, flags], [4, splice], [3, bitmap],
  [1, upcase], [3, bytes], [1, short],
];

export function mutate(base: Base, other: Base, random: Random): Mutation {
  const numbers = (): readonly number[] => numbersOf(base, random);
  const scene: Scene = { base, other, random, view: new DataView(base.bytes.buffer), numbers };
  for (;;) {
    const made = random.weighted(KINDS)(scene);
    if (made !== undefined) return made;
  }
}
