/** The kinds of damage done to FAT volumes. Each looks at the sound volume and says which bytes to put where. */
import { CELL_MASK, getCell, setCell } from '../../src/fs/msdosfs/space/fat.js';
import { field, setField } from '../../testing/fuzz/fields.js';
import type { Field, Fields } from '../../testing/fuzz/fields.js';
import type { Mutation, Patch } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { getField } from '../../testing/fuzz/values.js';
import type { Base } from './bases.js';

const BOOT: readonly Field[] = [
  field('bytesPerSec', 11, 2),
  field('secPerClust', 13, 1),
  field('resSectors', 14, 2),
  field('fats', 16, 1),
  field('rootDirEnts', 17, 2),
  field('sectors', 19, 2),
  field('media', 21, 1),
  field('fatSecs', 22, 2),
  field('hugeSectors', 32, 4),
  field('bigFatSecs', 36, 4),
  field('extFlags', 40, 2),
  field('fsVers', 42, 2),
  field('rootClust', 44, 4),
  field('fsInfo', 48, 2),
  field('backup', 50, 2),
  field('state', 65, 1),
  field('state16', 37, 1),
  field('signature', 510, 2),
];
const INFO: readonly Field[] = [
  field('lead', 0, 4),
  field('struct', 484, 4),
  field('free', 488, 4),
  field('next', 492, 4),
];
const ENTRY: readonly Field[] = [
  field('name[0]', 0, 1),
  field('name[1]', 1, 1),
  field('name[8]', 8, 1),
  field('attr', 11, 1),
  field('lowerCase', 12, 1),
  field('chundredth', 13, 1),
  field('ctime', 14, 2),
  field('cdate', 16, 2),
  field('adate', 18, 2),
  field('highClust', 20, 2),
  field('mtime', 22, 2),
  field('mdate', 24, 2),
  field('startCluster', 26, 2),
  field('startCluster', 26, 2),
  field('fileSize', 28, 4),
  field('fileSize', 28, 4),
];
const PART: readonly Field[] = [
  field('ordinal', 0, 1),
  field('attr', 11, 1),
  field('checksum', 13, 1),
  field('unit[0]', 1, 2),
  field('unit[5]', 14, 2),
  field('unit[12]', 30, 2),
];
const FIRST_BYTES = [0, 0x05, 0x2e, 0x20, 0xe5, 0x2f, 0xff, 0x41];

/** What a mutation is made from. `other` is another volume, for splices. */
interface Scene extends Fields {
  readonly base: Base;
  readonly other: Base;
}

type Kind = (scene: Scene) => Mutation | undefined;

/** Numbers that mean something on this volume. */
function numbersOf({ atlas }: Base, random: Random): readonly number[] {
  const { clusters, clusterBytes, rootCluster, type } = atlas.g;
  const cluster = random.pick(atlas.used);
  return [
    clusters,
    clusters + 1,
    clusters + 2,
    clusterBytes,
    clusterBytes + 1,
    clusterBytes - 1,
    cluster,
    cluster * clusterBytes,
    rootCluster,
    random.pick(atlas.dirstarts),
    CELL_MASK[type],
    CELL_MASK[type] - 8,
  ];
}

const boot: Kind = (scene) => setField(scene, 'boot', 0, scene.random.pick(BOOT));

const info: Kind = (scene) =>
  scene.base.atlas.g.fsInfoOffset === 0
    ? undefined
    : setField(scene, 'FSInfo', scene.base.atlas.g.fsInfoOffset, scene.random.pick(INFO));

const cell: Kind = (scene) => {
  const { base: { atlas: { g, used }, bytes }, random } = scene;
  const cluster = random.once(6) ? random.below(g.clusters + 2) : random.pick(used);
  const mask = CELL_MASK[g.type];
  const to = random.weighted<() => number>([
    [4, () => random.pick(used)], [2, () => cluster], [2, () => Math.max(0, cluster - 1)], [2, () => mask],
    [1, () => mask - 8], [2, () => 0], [1, () => 1], [2, () => g.clusters + random.below(3)],
    [1, () => random.below(mask)],
  ])();
  // In all copies mostly: else they differ, and only that is seen.
  const copies = random.once(5) ? [random.below(g.fats)] : Array.from({ length: g.fats }, (_, i) => i);
  const patches = copies.map((i): Patch => {
    const at = g.fatOffset + i * g.fatBytes + Math.floor((cluster * g.type) / 8);
    const piece = bytes.slice(at, at + 4);
    // As if the FAT began here: an even cluster for an even one.
    const near = g.type === 12 ? cluster & 1 : 0;
    const base = g.type === 12 ? near + (near >> 1) : 0;
    const view = new DataView(piece.buffer);
    setCell(view, g.type, near, base, to);
    return { at, bytes: piece };
  });
  return {
    label: `FAT[${cluster}] 0x${getCell(scene.view, g.type, cluster, -g.fatOffset).toString(16)} -> ` +
      `0x${to.toString(16)} in ${copies.length} copies`,
    patches,
  };
};

function someEntry({ base: { atlas }, random }: Scene): number {
  return random.pick(random.weighted([[6, atlas.files], [4, atlas.directories], [2, atlas.dots]]));
}

const entry: Kind = (scene) => {
  const at = someEntry(scene);
  return setField(scene, `entry at ${at}`, at, scene.random.pick(ENTRY));
};

const part: Kind = (scene) => {
  const at = scene.random.pick(scene.base.atlas.parts);
  return setField(scene, `part at ${at}`, at, scene.random.pick(PART));
};

const first: Kind = (scene) => {
  const { atlas } = scene.base;
  const at = scene.random.once(3)
    ? scene.random.pick(atlas.unused)
    : scene.random.once(2)
      ? scene.random.pick(atlas.parts)
      : someEntry(scene);
  return setField(scene, `entry at ${at}`, at, field('name[0]', 0, 1), BigInt(scene.random.pick(FIRST_BYTES)));
};

/** The content of a file is that of another, or of a directory. */
const crosslink: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const at = someEntry(scene);
  const to = random.once(3) ? random.pick(atlas.dirstarts) : random.pick(atlas.used);
  return setField(scene, `entry at ${at}`, at, field('startCluster', 26, 2), BigInt(to & 0xffff));
};

/** A file becomes a directory, or a directory a file. */
const kind: Kind = (scene) => {
  const at = someEntry(scene);
  return setField(scene, `entry at ${at}`, at, field('attr', 11, 1), getField(scene.view, at + 11, 1, true) ^ 0x10n);
};

/** Entries appear where others were, or where there were none. */
const splice: Kind = (scene) => {
  const { base, other, random } = scene;
  const from = random.once(4) ? other : base;
  const at = random.pick(random.pick([from.atlas.files, from.atlas.directories, from.atlas.parts]));
  const count = random.pick([1, 1, 2, 3, 6]);
  const to = random.once(2) ? random.pick(base.atlas.files) : random.pick(base.atlas.unused);
  return {
    label: `${count} entries of ${from.name} at ${at} put at ${to}`,
    patches: [{ at: to, bytes: from.bytes.slice(at, at + 32 * count) }],
  };
};

const bytes: Kind = ({ base, random }) => {
  const {
    atlas: { g, files },
  } = base;
  const areas: readonly (readonly [number, number])[] = [
    [0, 512],
    [g.fatOffset, Math.min(g.fatBytes, 1024)],
    [random.pick(files), 128],
  ];
  const [start, length] = random.pick(areas);
  const at = start + random.below(length);
  const value = random.below(256);
  return { label: `byte at ${at} -> ${value}`, patches: [{ at, bytes: Uint8Array.of(value) }] };
};

const short: Kind = ({ base, random }) => ({
  label: 'the device is shorter',
  patches: [],
  size: Math.max(512, base.bytes.length - 512 * random.pick([1, 2, 100, 2000, 3000])),
});

const KINDS: readonly (readonly [number, Kind])[] = [
  [4, boot], [1, info], [8, cell], [10, entry], [4, part], [4, first], [5, crosslink], [3, kind], [4, splice],
  [3, bytes], [1, short],
];

export function mutate(base: Base, other: Base, random: Random): Mutation {
  const numbers = (): readonly number[] => numbersOf(base, random);
  const scene: Scene = { base, other, random, view: new DataView(base.bytes.buffer), numbers };
  for (;;) {
    const made = random.weighted(KINDS)(scene);
    if (made !== undefined) return made;
  }
}
