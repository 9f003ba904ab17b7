import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Description, VolumeFacts } from '../../format.js';
import { dateInWords, sizeInWords } from '../../lib/words.js';
import { COMPAT, INCOMPAT, RO_COMPAT, feature_names } from '../disk/features.js';
import type { Ext2fs } from '../disk/superblock.js';
import { STATE_ERROR, STATE_VALID } from '../disk/superblock.js';
import { open_superblock } from '../volume/opensuper.js';

export interface Ext2Facts extends VolumeFacts {
  readonly uuid: string;
  readonly block_size: number;
  readonly blocks: number;
  readonly inodes: number;
  readonly inode_size: number;
  /** As the superblock has it, bytes. */
  readonly free: number;
  readonly features: readonly string[];
}

export function uuid_text(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export function features_of(fs: Ext2fs): string[] {
  return [
    ...feature_names(fs.s_feature_compat, COMPAT, 'C'),
    ...feature_names(fs.s_feature_incompat, INCOMPAT, 'I'),
    ...feature_names(fs.s_feature_ro_compat, RO_COMPAT, 'R'),
  ];
}

/** Clean, or why not. */
export function state_text(fs: Ext2fs): string {
  const marks = [(fs.s_state & STATE_VALID) !== 0 ? 'clean' : 'not cleanly unmounted'];
  if (fs.incompat(INCOMPAT.needs_recovery)) marks.push('the journal is to be replayed');
  if ((fs.s_state & STATE_ERROR) !== 0) marks.push('marked as damaged');
  return marks.join(', ');
}

/** What ext volume is on `dev`. @throws EFTYPE there is none, or its superblock is damaged; EIO */
export async function describe(dev: BlockDevice): Promise<Description> {
  const fs = await open_superblock(dev);
  const features = features_of(fs);
  const free = fs.s_free_blocks_count * fs.bsize;
  const facts: Ext2Facts = {
    format: `ext${fs.version}`,
    label: fs.s_volume_name,
    size: fs.s_blocks_count * fs.bsize,
    clean:
      (fs.s_state & STATE_VALID) !== 0 && (fs.s_state & STATE_ERROR) === 0 && !fs.incompat(INCOMPAT.needs_recovery),
    last_mounted_on: fs.s_last_mounted,
    readonly_because: 'writing ext2, ext3 and ext4 volumes is not there yet',
    uuid: uuid_text(fs.s_uuid),
    block_size: fs.bsize,
    blocks: fs.s_blocks_count,
    inodes: fs.s_inodes_count,
    inode_size: fs.s_inode_size,
    free,
    features,
  };
  const lines: [string, string][] = [
    ['format', `ext${fs.version}, revision ${fs.s_rev_level}`],
    ['label', fs.s_volume_name === '' ? '(none)' : fs.s_volume_name],
    ['uuid', facts.uuid],
    ['size', `${sizeInWords(facts.size)}, ${fs.s_blocks_count} blocks of ${sizeInWords(fs.bsize)}`],
    ['free', `${sizeInWords(free)}, ${fs.s_free_inodes_count} of ${fs.s_inodes_count} inodes`],
    ['features', features.join(' ')],
    ['last written', fs.s_wtime === 0 ? 'never' : dateInWords(fs.s_wtime)],
    ['last mounted on', fs.s_last_mounted === '' ? '(never)' : fs.s_last_mounted],
    ['state', state_text(fs)],
    ['read-only', facts.readonly_because ?? ''],
  ];
  return { facts, lines };
}
