/** The kinds of damage done to ext volumes. Each looks at the sound volume and says which bytes to put where. */
import { SB } from '../../src/fs/ext2fs/disk/sbfields.js';
import type { Mutation } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';
import type { Base } from './bases.js';

interface Scene {
  readonly base: Base;
  readonly random: Random;
  readonly view: DataView;
}

type Kind = (scene: Scene) => Mutation | undefined;
type Field = readonly [name: string, at: number, width: number];

/** Fields of the superblock that have one or two bytes; all others have four. */
const NARROW: Readonly<Record<string, number>> = {
  s_mnt_count: 2, s_max_mnt_count: 2, s_magic: 2, s_state: 2, s_errors: 2, s_def_resuid: 2, s_def_resgid: 2,
  s_inode_size: 2, s_block_group_nr: 2, s_reserved_gdt_blocks: 2, s_def_hash_version: 1, s_jnl_backup_type: 1,
  s_desc_size: 2, s_min_extra_isize: 2, s_want_extra_isize: 2, s_mmp_update_interval: 2, s_log_groups_per_flex: 1,
  s_checksum_type: 1, s_wtime_hi: 1, s_mtime_hi: 1, s_mkfs_time_hi: 1, s_lastcheck_hi: 1, s_encoding: 2,
  s_encoding_flags: 2,
};
const SUPER: readonly Field[] = Object.entries(SB).map(([name, at]) => [name, at, NARROW[name] ?? 4]);
const DESC: readonly Field[] = [
  ['bg_block_bitmap', 0, 4], ['bg_inode_bitmap', 4, 4], ['bg_inode_table', 8, 4], ['bg_free_blocks_count', 0xc, 2],
  ['bg_free_inodes_count', 0xe, 2], ['bg_used_dirs_count', 0x10, 2], ['bg_flags', 0x12, 2],
  ['bg_itable_unused', 0x1c, 2], ['bg_checksum', 0x1e, 2],
];
const INODE: readonly Field[] = [
  ['i_mode', 0, 2], ['i_uid', 2, 2], ['i_size', 4, 4], ['i_atime', 8, 4], ['i_dtime', 0x14, 4], ['i_links', 0x1a, 2],
  ['i_blocks', 0x1c, 4], ['i_flags', 0x20, 4], ['i_generation', 0x64, 4], ['i_file_acl', 0x68, 4],
  ['i_size_high', 0x6c, 4], ['i_faddr', 0x70, 4], ['i_blocks_high', 0x74, 2], ['i_file_acl_high', 0x76, 2],
  ['i_checksum', 0x7c, 2],
];
const INODE_MORE: readonly Field[] = [['i_extra_isize', 0x80, 2], ['i_ctime_extra', 0x84, 4], ['xattr', 0xa0, 4], ['xattr entry', 0xa4, 4]];
const HEADER: readonly Field[] = [['eh_magic', 0, 2], ['eh_entries', 2, 2], ['eh_max', 4, 2], ['eh_depth', 6, 2]];
const DIRENT: readonly Field[] = [['inode', 0, 4], ['rec_len', 4, 2], ['name_len', 6, 1], ['file_type', 7, 1], ['name', 8, 1]];
const JSUPER: readonly Field[] = [
  ['h_magic', 0, 4], ['h_blocktype', 4, 4], ['s_blocksize', 0xc, 4], ['s_maxlen', 0x10, 4], ['s_first', 0x14, 4],
  ['s_sequence', 0x18, 4], ['s_start', 0x1c, 4], ['s_errno', 0x20, 4], ['compat', 0x24, 4], ['incompat', 0x28, 4],
];
const JBLOCK: readonly Field[] = [
  ['h_magic', 0, 4], ['h_blocktype', 4, 4], ['h_sequence', 8, 4], ['tag', 0xc, 4], ['tag flags', 0x10, 4],
  ['tag high', 0x14, 4], ['next tag', 0x2c, 4],
];

/** Numbers that mean something on this volume. */
function numbersOf({ base: { atlas }, random }: Scene): readonly number[] {
  const { fs } = atlas;
  return [
    fs.s_blocks_count, fs.s_blocks_count - 1, fs.s_blocks_count + 1, fs.s_inodes_count, fs.s_inodes_count + 1,
    fs.s_first_ino, 2, 7, 8, 11, fs.bsize, fs.bsize - 1, fs.bsize - 12, fs.s_blocks_per_group, fs.s_inodes_per_group,
    random.pick(atlas.inodes).ino, random.pick(atlas.data), random.pick(atlas.leaves).block,
    random.pick(atlas.descriptors).block, random.pick(atlas.descriptors).inode, 0xf30a, 0x4000, 0x8000, 0xa000,
  ];
}

function set(scene: Scene, what: string, at: number, [name, offset, width]: Field, value?: bigint): Mutation {
  const was = getField(scene.view, at + offset, width, true);
  const now = value ?? interestingValue(scene.random, numbersOf(scene), was, width);
  return {
    label: `${what}.${name} 0x${was.toString(16)} -> 0x${now.toString(16)}`,
    patches: [{ at: at + offset, bytes: fieldBytes(now, width, true) }],
  };
}

const superblock: Kind = (scene) => {
  const { supers } = scene.base.atlas;
  const at = scene.random.once(4) ? scene.random.pick(supers) : 1024;
  return set(scene, `superblock at ${at}`, at, scene.random.pick(SUPER));
};

const feature: Kind = (scene) => {
  const { random } = scene;
  const f = random.pick<Field>([['compat', 0x5c, 4], ['incompat', 0x60, 4], ['ro_compat', 0x64, 4]]);
  const was = getField(scene.view, 1024 + f[1], 4, true);
  return set(scene, 'superblock', 1024, f, was ^ (1n << BigInt(random.below(18))));
};

const descriptor: Kind = (scene) => {
  const { at, g } = scene.random.pick(scene.base.atlas.descriptors);
  return set(scene, `descriptor ${g}`, at, scene.random.pick(DESC));
};

const inode: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const { ino, at } = random.pick(atlas.inodes);
  const fields = atlas.fs.s_inode_size > 128 && random.once(5) ? INODE_MORE : INODE;
  return set(scene, `inode ${ino}`, at, random.pick(fields));
};

const flags: Kind = (scene) => {
  const { ino, at } = scene.random.pick(scene.base.atlas.inodes);
  const bit = scene.random.pick([2, 4, 5, 11, 12, 14, 18, 19, 20, 21, 28, 29, 30]);
  const was = getField(scene.view, at + 0x20, 4, true);
  return set(scene, `inode ${ino}`, at, ['i_flags', 0x20, 4], was ^ (1n << BigInt(bit)));
};

const kind: Kind = (scene) => {
  const { ino, at, mode } = scene.random.pick(scene.base.atlas.inodes);
  const type = scene.random.pick([0, 0x1000, 0x2000, 0x4000, 0x6000, 0x8000, 0xa000, 0xc000, 0xf000]);
  return set(scene, `inode ${ino}`, at, ['i_mode', 0, 2], BigInt((mode & 0xfff) | type));
};

const pointer: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const { ino, at } = random.pick(atlas.inodes);
  return set(scene, `inode ${ino}`, at, [`i_block`, 0x28 + 4 * random.below(15), 4]);
};

function node(scene: Scene, what: string, at: number, entries: number): Mutation {
  const { random } = scene;
  if (random.once(3)) return set(scene, what, at, random.pick(HEADER));
  const e = 12 + 12 * random.below(Math.max(1, Math.min(entries + 1, 20)));
  return set(scene, what, at, random.pick<Field>([
    ['ee_block', e, 4], ['ee_len', e + 4, 2], ['ee_start_hi', e + 6, 2], ['ee_start', e + 8, 4], ['ei_leaf', e + 4, 4],
  ]));
}

const root: Kind = (scene) => {
  const found = scene.base.atlas.inodes.filter(({ extents }) => extents);
  if (found.length === 0) return undefined;
  const { ino, at } = scene.random.pick(found);
  return node(scene, `extents of inode ${ino}`, at + 0x28, scene.view.getUint16(at + 0x2a, true));
};

const extents: Kind = (scene) => {
  const { atlas } = scene.base;
  if (atlas.extents.length === 0) return undefined;
  const { block, ino } = scene.random.pick(atlas.extents);
  const at = block * atlas.fs.bsize;
  return node(scene, `extents of inode ${ino} in block ${block}`, at, scene.view.getUint16(at + 2, true));
};

const indirect: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  if (atlas.pointers.length === 0) return undefined;
  const { block, ino } = random.pick(atlas.pointers);
  const field: Field = ['pointer', 4 * random.below(random.once(3) ? atlas.fs.bsize / 4 : 8), 4];
  return set(scene, `indirect block of inode ${ino}`, block * atlas.fs.bsize, field);
};

const dirent: Kind = (scene) => {
  const at = scene.random.pick(scene.base.atlas.entries);
  return set(scene, `entry at ${at}`, at, scene.random.pick(DIRENT));
};

/** An entry leads to another inode that there is. */
const crosslink: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  const at = random.pick(atlas.entries);
  return set(scene, `entry at ${at}`, at, ['inode', 0, 4], BigInt(random.pick(atlas.inodes).ino));
};

const tree: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  if (atlas.trees.length === 0) return undefined;
  const { block, ino, countat } = random.pick(atlas.trees);
  const e = countat + 8 * random.below(6);
  return set(scene, `tree of inode ${ino} in block ${block}`, block * atlas.fs.bsize, random.pick<Field>([
    ['limit', countat, 2], ['count', countat + 2, 2], ['hash', e, 4], ['block', e + 4, 4], ['hash_version', 0x1c, 1],
    ['indirect_levels', 0x1e, 1], ['info_length', 0x1d, 1], ['flags', 0x1f, 1], ['first rec_len', 4, 2],
  ]));
};

const bitmap: Kind = ({ base: { atlas }, random, view }) => {
  const { block, inode: map } = random.pick(atlas.descriptors);
  const at = random.pick([block, map]) * atlas.fs.bsize + random.below(random.once(2) ? atlas.fs.bsize : 40);
  const byte = random.pick([0, 0xff, view.getUint8(at) ^ (1 << random.below(8)), random.below(256)]);
  return { label: `bitmap: byte at ${at} -> ${byte}`, patches: [{ at, bytes: Uint8Array.of(byte) }] };
};

const journal: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  if (atlas.journal.length === 0) return undefined;
  const first = random.once(3);
  const block = first ? atlas.journal[0]! : random.pick(atlas.journal);
  const [name, offset, width] = random.pick(first ? JSUPER : JBLOCK);
  const at = block * atlas.fs.bsize + offset;
  const was = getField(scene.view, at, width, false);
  const now = interestingValue(random, numbersOf(scene), was, width);
  return {
    label: `journal, block ${block}: ${name} 0x${was.toString(16)} -> 0x${now.toString(16)}`,
    patches: [{ at, bytes: fieldBytes(now, width, false) }],
  };
};

const attribute: Kind = (scene) => {
  const { base: { atlas }, random } = scene;
  if (atlas.attributes.length === 0) return undefined;
  const block = random.pick(atlas.attributes);
  return set(scene, `attributes in block ${block}`, block * atlas.fs.bsize, random.pick<Field>([
    ['h_magic', 0, 4], ['h_refcount', 4, 4], ['h_blocks', 8, 4], ['e_name_len', 0x20, 1], ['e_name_index', 0x21, 1],
    ['e_value_offs', 0x22, 2], ['e_value_inum', 0x24, 4], ['e_value_size', 0x28, 4], ['e_hash', 0x2c, 4],
  ]));
};

/** A block is another one. */
const splice: Kind = ({ base: { atlas, bytes }, random }) => {
  const { bsize } = atlas.fs;
  const pool = [...atlas.leaves, ...atlas.trees, ...atlas.extents, ...atlas.pointers].map(({ block }) => block);
  const from = random.once(3) ? random.pick(atlas.data) : random.pick(pool);
  const to = random.pick(pool);
  const patch = { at: to * bsize, bytes: bytes.slice(from * bsize, (from + 1) * bsize) };
  return { label: `block ${from} put at ${to}`, patches: [patch] };
};

const swap: Kind = ({ base: { atlas, bytes }, random }) => {
  const from = random.pick(atlas.inodes);
  const to = random.pick(atlas.inodes);
  const patch = { at: to.at, bytes: bytes.slice(from.at, from.at + atlas.fs.s_inode_size) };
  return { label: `inode ${from.ino} put at ${to.ino}`, patches: [patch] };
};

const short: Kind = ({ base, random }) => ({
  label: 'the device is shorter',
  patches: [],
  size: Math.max(2048, base.bytes.length - 512 * random.pick([1, 2, 100, 2000, 4000])),
});

const KINDS: readonly (readonly [number, Kind])[] = [
  [6, superblock], [2, feature], [4, descriptor], [8, inode], [3, flags], [3, kind], [4, pointer], [6, root],
  [4, extents], [5, indirect], [8, dirent], [4, crosslink], [4, tree], [3, bitmap], [4, journal], [2, attribute],
  [2, splice], [2, swap], [1, short],
];

export function mutate(base: Base, random: Random): Mutation {
  const scene: Scene = { base, random, view: new DataView(base.bytes.buffer) };
  for (;;) {
    const made = random.weighted(KINDS)(scene);
    if (made !== undefined) return made;
  }
}
