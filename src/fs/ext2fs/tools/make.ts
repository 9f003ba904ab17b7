import { E, errno } from '../../../kernel/errno.js';
import type { Make, OptionValues } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import { feature_list } from './newfs/features.js';
import type { Kind } from './newfs/features.js';
import { newfs, unmake } from './newfs/index.js';
import type { NewfsOptions } from './newfs/layout.js';

/** 16 bytes of a UUID as text, with or without hyphens. @throws EINVAL */
export function uuid_bytes(text: string): Uint8Array {
  const digits = text.replace(/-/g, '');
  if (!/^[0-9a-f]{32}$/i.test(digits)) throw errno(E.EINVAL, `"${text}" is no UUID: 32 hexadecimal digits are`);
  return Uint8Array.from({ length: 16 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** What the command line says. */
export function newfs_options(values: OptionValues): NewfsOptions {
  const number = (name: string): number | undefined => values[name] as number | undefined;
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const uuid = text('uuid');
  return {
    kind: text('kind') as Kind | undefined,
    features: feature_list(text('features')),
    blockSize: number('block-size'),
    clusterSize: number('cluster-size'),
    inodeSize: number('inode-size'),
    bytesPerInode: number('bytes-per-inode'),
    inodes: number('inodes'),
    blocksPerGroup: number('blocks-per-group'),
    flexSize: number('flex-size'),
    label: text('label'),
    uuid: uuid === undefined ? undefined : uuid_bytes(uuid),
    reserved: number('reserved'),
    journalSize: number('journal-size'),
    lazy: values['all-tables'] !== true,
  };
}

/** newfs by the options of the command line. */
export const ext2_make: Make = async (dev, values, { size_bytes, uid, gid }) => {
  const { fs, journalBlocks, warnings } = await newfs(dev, { ...newfs_options(values), size: size_bytes, uid, gid });
  const journal = journalBlocks === 0 ? 'no journal' : `a journal of ${sizeInWords(journalBlocks * fs.bsize)}`;
  return {
    summary:
      `${sizeInWords(fs.s_blocks_count * fs.bsize)} of ext${fs.version}, ${fs.s_blocks_count} blocks of ` +
      `${sizeInWords(fs.bsize)}, ${fs.s_inodes_count} inodes, ${journal}`,
    warnings,
    unmake: () => unmake(dev),
  };
};
