import type { NewfsVolumeOptions } from '../../../src/fs/ffs/tools/newfs.js';
import type { Feature } from '../../../testing/matrix/fs.js';
import { UNIX_FEATURES, type MountOptions, type Powercut, type Variant } from '../../../testing/variants/variant.js';
import { newdisk } from '../../ffs/write-support.js';

function ffs(name: string, options: NewfsVolumeOptions, more: Pick<Variant, 'harnesses'> & Partial<Variant>): Variant {
  const features: Feature[] = [...UNIX_FEATURES, 'remount'];
  if (options.format === 2 || options.format === '2ea') features.push('times64', 'birthtime');
  if (options.format === '2ea') features.push('xattr');
  return { name, type: 'ffs', disk: (size_bytes) => newdisk(options, size_bytes), features, ...more };
}

const EVERYTHING = { harnesses: ['matrix', 'model', 'fsx'] } as const;

/** With a journal so small that it comes round often. */
function logged(log: MountOptions): Pick<Variant, 'harnesses' | 'mount'> {
  return { harnesses: ['model', 'fsx'], mount: () => log };
}

const NO_TYPES = '4.2BSD directories do not tell the type of an entry';

const POWERCUT_BYTES = 6 * 2 ** 20;
/** Files without a name that were open: the journal's list frees them at the next mount that writes. */
const LOG: Powercut = { promise: 'log', size_bytes: POWERCUT_BYTES, before_recovery: ['JOURNAL_DIRTY', 'UNREF_FILE'] };
const ORDERED: Powercut = {
  promise: 'ordered',
  size_bytes: POWERCUT_BYTES,
  never: ['DUP_BLOCK', 'BAD_BLOCK', 'UNKNOWN_FILE_TYPE', 'CANNOT_READ'],
};

/** Journals that are filled many times over, and journals that keep old transactions for long. */
function cut(promise: Powercut, log?: string): Pick<Variant, 'harnesses' | 'powercut' | 'mount'> {
  return { harnesses: ['powercut'], powercut: promise, ...(log === undefined ? {} : { mount: () => ({ log }) }) };
}

const CUT_2LE: NewfsVolumeOptions = {
  format: 2,
  endian: 'little',
  blockSize: 4096,
  fragSize: 512,
  maxFragsPerGroup: 4096,
};
const CUT_1BE: NewfsVolumeOptions = { format: 1, endian: 'big', blockSize: 8192, fragSize: 2048 };
const CUT_2BE: NewfsVolumeOptions = { format: 2, endian: 'big', blockSize: 8192, fragSize: 1024 };
const CUT_1LE: NewfsVolumeOptions = {
  format: 1,
  endian: 'little',
  blockSize: 4096,
  fragSize: 1024,
  maxFragsPerGroup: 2048,
};

const FAULTY = { harnesses: ['faults'], size_bytes: 4 * 2 ** 20 } as const;

export const variants: readonly Variant[] = [
  // Every format in both byte orders; blocks and fragments of several sizes.
  ffs(
    'ffs0-le',
    { format: 0, endian: 'little' },
    {
      ...EVERYTHING,
      expected: { 'fifo: made, seen, removed': NO_TYPES, 'readdir: every entry once, with its type': NO_TYPES },
    },
  ),
  ffs('ffs1-le', { format: 1, endian: 'little' }, EVERYTHING),
  ffs('ffs1-be', { format: 1, endian: 'big', blockSize: 16384, fragSize: 2048 }, EVERYTHING),
  ffs(
    'ffs2-le',
    { format: 2, endian: 'little', blockSize: 16384, fragSize: 2048 },
    { harnesses: ['matrix', 'mount', 'model', 'fsx'] },
  ),
  ffs('ffs2-be', { format: 2, endian: 'big', blockSize: 8192, fragSize: 8192 }, EVERYTHING),
  ffs('ffs2ea-le', { format: '2ea', endian: 'little', blockSize: 4096, fragSize: 512 }, EVERYTHING),

  ffs('ffs1-le-log', { format: 1, endian: 'little', blockSize: 4096, fragSize: 1024 }, logged({ log: '256k' })),
  ffs('ffs1-be-log', { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 }, logged({ log: '360k' })),
  ffs('ffs2-le-log', { format: 2, endian: 'little', blockSize: 4096, fragSize: 512 }, logged({ log: '256k' })),
  ffs(
    'ffs2-be-log',
    { format: 2, endian: 'big', blockSize: 8192, fragSize: 2048 },
    logged({ log: '360k', 'log-endian': 'little' }),
  ),

  ffs('ffs1-faulty', { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 }, FAULTY),
  ffs('ffs2-faulty', { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, FAULTY),
  ffs(
    'ffs2-faulty-log',
    { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 },
    { ...FAULTY, mount: () => ({ log: true }) },
  ),

  ffs('ffs2-le-cut-log', CUT_2LE, cut(LOG, '384k')),
  ffs('ffs1-be-cut-log', CUT_1BE, cut(LOG, '1m')),
  ffs('ffs2-be-cut-log', CUT_2BE, cut(LOG, '500k')),
  ffs('ffs1-le-cut-log', CUT_1LE, cut(LOG, '384k')),
  ffs('ffs2-le-cut', CUT_2LE, cut(ORDERED)),
  ffs('ffs1-be-cut', CUT_1BE, cut(ORDERED)),
  ffs('ffs2-be-cut', CUT_2BE, cut(ORDERED)),
  ffs('ffs1-le-cut', CUT_1LE, cut(ORDERED)),
  ffs('ffs2-survive', { format: 2 }, { harnesses: ['survive'], survive: { newfs: ['-O', '2'] } }),
  ffs('ffs2-survive-log', { format: 2 }, { harnesses: ['survive'], survive: { newfs: ['-O', '2', '--log'] } }),

  // For the fuzzer that knows no format; FFS has one of its own.
  ffs('ffs1-blind', { format: 1, endian: 'big', blockSize: 4096, fragSize: 512, inodes: 500 }, {
    harnesses: ['fuzz'], size_bytes: 3 * 2 ** 20,
  }),
  ffs('ffs2-le-cut-async', CUT_2LE, cut({ ...ORDERED, promise: 'async' })),
];
