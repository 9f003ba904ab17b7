/** tunefs: settings of a volume that is not mounted, and sound. */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { OptionValues, Tune } from '../../format.js';
import { INCOMPAT, RO_COMPAT } from '../disk/features.js';
import { groupdesc_seal } from '../disk/groupdesc.js';
import { SB, put_blocks, superblock_seal } from '../disk/sbfields.js';
import { Ext2fs, SBOFF, SBSIZE, STATE_ERROR, STATE_VALID } from '../disk/superblock.js';
import { open_superblock } from '../volume/opensuper.js';
import { uuid_text } from './describe.js';
import { uuid_bytes } from './make.js';
import { feature_list } from './newfs/features.js';
import { label_bytes } from './newfs/layout.js';
import { group_head, head_shift } from './volume/copies.js';

const ERRORS = ['continue', 'remount-ro', 'panic'] as const;
/** s_default_mount_opts. Source: Linux fs/ext4/ext4.h, EXT4_DEFM_*. */
const MOUNT_OPTS: Readonly<Record<string, number>> = {
  debug: 0x1, bsdgroups: 0x2, user_xattr: 0x4, acl: 0x8, uid16: 0x10, journal_data: 0x20, journal_data_ordered: 0x40,
  journal_data_writeback: 0x60, nobarrier: 0x100, block_validity: 0x200, discard: 0x400, nodelalloc: 0x800,
};
const JOURNAL_MODES = 0x60;
const DAY = 86400;

/** Features that are a matter of what may come: setting them changes nothing that is there. */
const SETTABLE: Readonly<Record<string, readonly ['compat' | 'incompat' | 'ro_compat', number]>> = {
  dir_index: ['compat', 0x20],
  ext_attr: ['compat', 0x8],
  stable_inodes: ['compat', 0x800],
  extents: ['incompat', INCOMPAT.extents],
  extent: ['incompat', INCOMPAT.extents],
  ea_inode: ['incompat', INCOMPAT.ea_inode],
  large_dir: ['incompat', INCOMPAT.large_dir],
  encrypt: ['incompat', INCOMPAT.encrypt],
  large_file: ['ro_compat', RO_COMPAT.large_file],
  huge_file: ['ro_compat', RO_COMPAT.huge_file],
  dir_nlink: ['ro_compat', RO_COMPAT.dir_nlink],
  verity: ['ro_compat', RO_COMPAT.verity],
};
const WORDS = { compat: SB.s_feature_compat, incompat: SB.s_feature_incompat, ro_compat: SB.s_feature_ro_compat };

/** A change to be made, and how it is said. */
interface Change {
  readonly line: string;
  put(view: DataView, sb: Uint8Array): void;
}

function range(name: string, value: number, low: number, high: number): number {
  if (!(value >= low && value <= high)) throw errno(E.EINVAL, `${name} ${value}: ${low} to ${high} can be`);
  return value;
}

function mount_options(fs: Ext2fs, text: string): number {
  let bits = fs.s_default_mount_opts;
  for (const one of text.split(',').filter((name) => name !== '')) {
    const off = one.startsWith('^');
    const name = off ? one.slice(1) : one;
    const bit = MOUNT_OPTS[name];
    if (bit === undefined || !Object.hasOwn(MOUNT_OPTS, name))
      throw errno(E.EINVAL, `there is no mount option ${name}; there are ${Object.keys(MOUNT_OPTS).join(', ')}`);
    if ((bit & JOURNAL_MODES) !== 0) bits &= ~JOURNAL_MODES;
    bits = off ? bits & ~bit : bits | bit;
  }
  return bits >>> 0;
}

function features(fs: Ext2fs, text: string): Change[] {
  return feature_list(text).map((one) => {
    const name = one.replace(/^\+/, '');
    if (name.startsWith('^')) {
      const why = 'what uses it would have to be rewritten';
      throw errno(E.EOPNOTSUPP, `feature ${name.slice(1)} cannot be taken away: ${why}`);
    }
    const found = Object.hasOwn(SETTABLE, name) ? SETTABLE[name] : undefined;
    if (found === undefined) {
      const all = Object.keys(SETTABLE).join(', ');
      throw errno(E.EOPNOTSUPP, `feature ${name} cannot be given to a volume that is there; these can: ${all}`);
    }
    const [word, bit] = found;
    const at = WORDS[word];
    if (fs.s_rev_level === 0) throw errno(E.EOPNOTSUPP, 'a volume of revision 0 has no features');
    return {
      line: `features: +${name}`,
      put: (view) => view.setUint32(at, (view.getUint32(at, true) | bit) >>> 0, true),
    };
  });
}

/** A new UUID; checksums that were made with the old one go on to be. */
function new_uuid(fs: Ext2fs, text: string): Change {
  const uuid = text === 'random' ? random_bytes() : uuid_bytes(text);
  const seeded = fs.metadata_csum && !fs.incompat(INCOMPAT.metadata_csum_seed);
  const note = seeded ? ' (checksums keep their seed: feature metadata_csum_seed)' : '';
  return {
    line: `uuid: ${uuid_text(fs.s_uuid)} -> ${uuid_text(uuid)}${note}`,
    put: (view, sb) => {
      sb.set(uuid, SB.s_uuid);
      if (!seeded) return;
      view.setUint32(SB.s_checksum_seed, fs.csum_seed, true);
      const bits = view.getUint32(SB.s_feature_incompat, true);
      view.setUint32(SB.s_feature_incompat, (bits | INCOMPAT.metadata_csum_seed) >>> 0, true);
    },
  };
}

function random_bytes(): Uint8Array {
  const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** Nothing is changed before everything has been found to be possible. @throws EINVAL EOPNOTSUPP */
function changes(fs: Ext2fs, values: OptionValues): Change[] {
  const list: Change[] = [];
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const number = (name: string): number | undefined => values[name] as number | undefined;
  const label = text('label');
  if (label !== undefined) {
    const bytes = label_bytes(label);
    list.push({
      line: `label: "${fs.s_volume_name}" -> "${label}"`,
      put: (_, sb) => sb.fill(0, SB.s_volume_name, SB.s_volume_name + 16).set(bytes, SB.s_volume_name),
    });
  }
  const uuid = text('uuid');
  if (uuid !== undefined) list.push(new_uuid(fs, uuid));
  const reserved = number('reserved');
  if (reserved !== undefined) {
    const blocks = Math.floor((fs.s_blocks_count * range('reserved percent', reserved, 0, 50)) / 100);
    list.push({
      line: `reserved blocks: ${fs.s_r_blocks_count} -> ${blocks}`,
      put: (view) => put_blocks(view, SB.s_r_blocks_count_lo, SB.s_r_blocks_count_hi, blocks),
    });
  }
  const mounts = number('max-mount-count');
  if (mounts !== undefined) {
    range('mounts between checks:', mounts, -1, 32767);
    list.push({
      line: `maximum mount count: ${fs.s_max_mnt_count} -> ${mounts}`,
      put: (view) => view.setInt16(SB.s_max_mnt_count, mounts, true),
    });
  }
  const days = number('interval');
  if (days !== undefined) {
    const seconds = range('days between checks:', days, 0, 36500) * DAY;
    list.push({
      line: `check interval: ${days} days`,
      put: (view) => view.setUint32(SB.s_checkinterval, seconds, true),
    });
  }
  const errors = text('errors');
  if (errors !== undefined) {
    const value = ERRORS.indexOf(errors as (typeof ERRORS)[number]) + 1;
    list.push({ line: `errors: ${errors}`, put: (view) => view.setUint16(SB.s_errors, value, true) });
  }
  const options = text('mount-options');
  if (options !== undefined) {
    const bits = mount_options(fs, options);
    list.push({
      line: `default mount options: 0x${fs.s_default_mount_opts.toString(16)} -> 0x${bits.toString(16)}`,
      put: (view) => view.setUint32(SB.s_default_mount_opts, bits, true),
    });
  }
  const more = text('features');
  if (more !== undefined) list.push(...features(fs, more));
  return list;
}

/** Descriptors whose checksum is made with the UUID (uninit_bg) get it anew, in all groups that have some. */
async function reseal(dev: BlockDevice, fs: Ext2fs): Promise<void> {
  if (!fs.ro_compat(RO_COMPAT.uninit_bg) || fs.metadata_csum) return;
  const per = fs.bsize / fs.desc_size;
  for (let g = 0; g < fs.ngroups; g++) {
    const { superblock, descriptors } = group_head(fs, g);
    const first = fs.groupfirst(g) + head_shift(fs, g) + superblock;
    const own = descriptors === 1 && fs.incompat(INCOMPAT.meta_bg) && Math.floor(g / per) >= fs.s_first_meta_bg;
    for (let b = 0; b < descriptors; b++) {
      const bytes = new Uint8Array(fs.bsize);
      const view = new DataView(bytes.buffer);
      await dev.read(bytes, 0, fs.bsize, (first + b) * fs.bsize);
      const from = (own ? Math.floor(g / per) : b) * per;
      for (let i = 0; i < per && from + i < fs.ngroups; i++)
        groupdesc_seal(fs, bytes, view, i * fs.desc_size, from + i);
      await dev.write(bytes, 0, fs.bsize, (first + b) * fs.bsize);
    }
  }
}

/** tunefs by the options of the command line. */
export const ext2_tune: Tune = async (dev, values, { dryRun }) => {
  const fs = await open_superblock(dev);
  const list = changes(fs, values);
  if (list.length === 0) throw errno(E.EINVAL, 'tunefs: what is to change? (rumpfuse tunefs --help says what can)');
  if ((fs.s_state & (STATE_VALID | STATE_ERROR)) !== STATE_VALID || fs.incompat(INCOMPAT.needs_recovery))
    throw errno(E.EFTYPE, 'it was not unmounted cleanly; run rumpfuse fsck');
  const lines = list.map(({ line }) => line);
  if (dryRun) return lines;
  const copies: number[] = [];
  for (let g = fs.ngroups - 1; g > 0; g--) if (fs.hassuper(g)) copies.push(g);
  let changed = fs;
  for (const g of [...copies, 0]) {
    const at = g === 0 ? SBOFF : fs.groupfirst(g) * fs.bsize;
    const sb = fs.bytes.slice(0, SBSIZE);
    const view = new DataView(sb.buffer);
    for (const change of list) change.put(view, sb);
    view.setUint16(SB.s_block_group_nr, Math.min(g, 65535), true);
    superblock_seal(sb);
    changed = new Ext2fs(sb, dev.name);
    if (g === 0 && values['uuid'] !== undefined) await reseal(dev, changed);
    await dev.write(sb, 0, SBSIZE, at);
  }
  await dev.flush();
  return lines;
};
