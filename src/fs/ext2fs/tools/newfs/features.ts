/** The features of a new volume: what each kind has by itself, and what is asked for. */
import { E, errno } from '../../../../kernel/errno.js';
import { COMPAT, INCOMPAT, RO_COMPAT } from '../../disk/features.js';

export type Kind = 'ext2' | 'ext3' | 'ext4';

export interface Features {
  compat: number;
  incompat: number;
  ro_compat: number;
}

/** Names that mke2fs takes, too. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  extent: 'extents',
  gdt_csum: 'uninit_bg',
  csum_seed: 'metadata_csum_seed',
  largedir: 'large_dir',
};

/** What a new volume can have. */
const MAKEABLE = {
  compat: ['has_journal', 'ext_attr', 'resize_inode', 'dir_index', 'sparse_super2', 'stable_inodes', 'orphan_file'],
  incompat: [
    'filetype', 'meta_bg', 'extents', '64bit', 'flex_bg', 'ea_inode', 'metadata_csum_seed', 'large_dir', 'inline_data',
    'encrypt', 'casefold',
  ],
  ro_compat: [
    'sparse_super', 'large_file', 'huge_file', 'uninit_bg', 'dir_nlink', 'extra_isize', 'bigalloc', 'metadata_csum',
    'project', 'verity',
  ],
} as const;

/** Why others cannot be had. */
const REASONS: Readonly<Record<string, string>> = {
  quota: 'rumpfuse keeps no quota files',
  mmp: 'rumpfuse does not guard a volume against a second host',
  fast_commit: 'rumpfuse writes no fast commits',
  journal_dev: 'a journal on a disk of its own is made by mke2fs',
  needs_recovery: 'it is the mark of a journal that is to be replayed',
};

const TABLES = { compat: COMPAT, incompat: INCOMPAT, ro_compat: RO_COMPAT } as const;
const WORDS = ['compat', 'incompat', 'ro_compat'] as const;

const BASE = ['ext_attr', 'resize_inode', 'dir_index', 'filetype', 'sparse_super', 'large_file'];
const EXT4 = [
  'has_journal', 'extents', '64bit', 'flex_bg', 'huge_file', 'dir_nlink', 'extra_isize', 'metadata_csum',
];

function bitOf(name: string): { word: (typeof WORDS)[number]; bit: number } {
  const known = OTHER_NAMES[name] ?? name;
  for (const word of WORDS) {
    const table: Readonly<Record<string, number>> = TABLES[word];
    if (!Object.hasOwn(table, known)) continue;
    const makeable: readonly string[] = MAKEABLE[word];
    if (!makeable.includes(known)) {
      const why = REASONS[known] === undefined ? '' : `: ${REASONS[known]}`;
      throw errno(E.EINVAL, `feature ${name} cannot be given to a new volume${why}`);
    }
    return { word, bit: table[known]! };
  }
  const all = WORDS.flatMap((word) => MAKEABLE[word]).join(', ');
  throw errno(E.EINVAL, `there is no feature ${name}; there are ${all}`);
}

/** The bits of some features by name, with `^` before those that are to be taken away. @throws EINVAL */
export function change_features(features: Features, names: readonly string[]): void {
  for (const text of names) {
    const off = text.startsWith('^') || text.startsWith('-');
    const name = off || text.startsWith('+') ? text.slice(1) : text;
    if (name === 'none') {
      Object.assign(features, { compat: 0, incompat: 0, ro_compat: 0 });
      continue;
    }
    const { word, bit } = bitOf(name);
    features[word] = (off ? features[word] & ~bit : features[word] | bit) >>> 0;
  }
}

export function feature_list(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').map((one) => one.trim()).filter((one) => one !== '');
}

/** What a kind of volume has by itself, as mke2fs has it. */
export function default_features(kind: Kind): Features {
  const features: Features = { compat: 0, incompat: 0, ro_compat: 0 };
  change_features(features, BASE);
  if (kind === 'ext3') change_features(features, ['has_journal']);
  if (kind === 'ext4') change_features(features, EXT4);
  return features;
}

/**
 * Settles what goes with what.
 * @param asked by name: what is not, gives way
 * @throws EINVAL what was asked for does not go together
 */
export function settle_features(f: Features, asked: readonly string[], inodeSize: number): void {
  const has = (word: (typeof WORDS)[number], bit: number): boolean => (f[word] & bit) !== 0;
  const wanted = (name: string): boolean => asked.includes(name);
  const conflict = (a: string, b: string): never => {
    throw errno(E.EINVAL, `features ${a} and ${b} do not go together`);
  };
  const without = (word: (typeof WORDS)[number], bit: number, name: string, other: string): void => {
    if (!has(word, bit)) return;
    if (wanted(name)) conflict(name, other);
    f[word] = (f[word] & ~bit) >>> 0;
  };
  const need = (name: string, what: string): never => {
    throw errno(E.EINVAL, `feature ${name} needs ${what}`);
  };
  if (has('ro_compat', RO_COMPAT.metadata_csum))
    without('ro_compat', RO_COMPAT.uninit_bg, 'uninit_bg', 'metadata_csum');
  else if (has('incompat', INCOMPAT.metadata_csum_seed)) need('metadata_csum_seed', 'metadata_csum');
  if (has('incompat', INCOMPAT.meta_bg)) without('compat', COMPAT.resize_inode, 'resize_inode', 'meta_bg');
  if (has('ro_compat', RO_COMPAT.bigalloc)) {
    without('compat', COMPAT.resize_inode, 'resize_inode', 'bigalloc');
    if (!has('incompat', INCOMPAT.extents)) need('bigalloc', 'extents');
  }
  if (!has('ro_compat', RO_COMPAT.sparse_super) && !has('compat', COMPAT.sparse_super2))
    without('compat', COMPAT.resize_inode, 'resize_inode', '^sparse_super');
  if (has('compat', COMPAT.orphan_file) && !has('compat', COMPAT.has_journal)) need('orphan_file', 'has_journal');
  if (inodeSize <= 128) {
    without('ro_compat', RO_COMPAT.extra_isize, 'extra_isize', 'inodes of 128 bytes');
    if (has('ro_compat', RO_COMPAT.project)) need('project', 'inodes of 256 bytes');
    if (has('incompat', INCOMPAT.inline_data)) need('inline_data', 'inodes of 256 bytes');
  }
}
