import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Dump } from '../../format.js';
import { dateInWords } from '../../lib/words.js';
import { INCOMPAT } from '../disk/features.js';
import type { GroupDesc } from '../disk/groupdesc.js';
import { BG_BLOCK_UNINIT, BG_INODE_UNINIT, BG_INODE_ZEROED, groupdesc, groupdesc_checksum } from '../disk/groupdesc.js';
import type { Ext2fs } from '../disk/superblock.js';
import { SBOFF } from '../disk/superblock.js';
import { open_superblock } from '../volume/opensuper.js';
import { features_of, state_text, uuid_text } from './describe.js';

function superblock(fs: Ext2fs): string[] {
  const hex = (n: number): string => `0x${n.toString(16)}`;
  const rows: [string, string | number][] = [
    ['volume name', fs.s_volume_name === '' ? '(none)' : fs.s_volume_name],
    ['last mounted on', fs.s_last_mounted === '' ? '(never)' : fs.s_last_mounted],
    ['uuid', uuid_text(fs.s_uuid)],
    ['revision', fs.s_rev_level],
    ['features', features_of(fs).join(' ')],
    ['flags', hex(fs.s_flags)],
    ['state', state_text(fs)],
    ['errors counted', fs.s_error_count],
    ['inode count', fs.s_inodes_count],
    ['block count', fs.s_blocks_count],
    ['reserved blocks', fs.s_r_blocks_count],
    ['free blocks', fs.s_free_blocks_count],
    ['free inodes', fs.s_free_inodes_count],
    ['first block', fs.s_first_data_block],
    ['block size', fs.bsize],
    ['cluster size', fs.bsize * fs.clusterblocks],
    ['descriptor size', fs.desc_size],
    ['reserved descriptor blocks', fs.s_reserved_gdt_blocks],
    ['blocks per group', fs.s_blocks_per_group],
    ['clusters per group', fs.s_clusters_per_group],
    ['inodes per group', fs.s_inodes_per_group],
    ['groups', fs.ngroups],
    ['groups per flex', fs.incompat(INCOMPAT.flex_bg) ? 2 ** fs.s_log_groups_per_flex : 1],
    ['first inode', fs.s_first_ino],
    ['inode size', fs.s_inode_size],
    ['journal inode', fs.s_journal_inum],
    ['journal uuid', uuid_text(fs.s_journal_uuid)],
    ['first orphan inode', fs.s_last_orphan],
    ['orphan file inode', fs.s_orphan_file_inum],
    ['hash of directories', fs.s_def_hash_version],
    ['hash seed', fs.s_hash_seed.map((w) => w.toString(16).padStart(8, '0')).join('-')],
    ['checksum seed', hex(fs.csum_seed)],
    ['encoding', fs.s_encoding],
    ['quota inodes', `${fs.s_usr_quota_inum} ${fs.s_grp_quota_inum} ${fs.s_prj_quota_inum}`],
    ['created', dateInWords(fs.s_mkfs_time)],
    ['last mounted', dateInWords(fs.s_mtime)],
    ['last written', dateInWords(fs.s_wtime)],
    ['last checked', dateInWords(fs.s_lastcheck)],
    ['mount count', `${fs.s_mnt_count} of ${fs.s_max_mnt_count}`],
    ['kilobytes written', fs.s_kbytes_written],
  ];
  return rows.map(([name, value]) => `${name.padEnd(28)}${value}`);
}

function group(fs: Ext2fs, g: number, d: GroupDesc, checksum: number | undefined): string {
  const first = fs.groupfirst(g);
  const last = Math.min(first + fs.s_blocks_per_group, fs.s_blocks_count) - 1;
  const flags = [
    (d.bg_flags & BG_INODE_UNINIT) !== 0 ? 'INODE_UNINIT' : '',
    (d.bg_flags & BG_BLOCK_UNINIT) !== 0 ? 'BLOCK_UNINIT' : '',
    (d.bg_flags & BG_INODE_ZEROED) !== 0 ? 'ITABLE_ZEROED' : '',
  ];
  const hex = (crc: number): string => `0x${crc.toString(16).padStart(4, '0')}`;
  const wrong = checksum === undefined || checksum === d.bg_checksum ? '' : ` (wrong: should be ${hex(checksum)})`;
  return [
    `group ${g}: blocks ${first}-${last}`,
    `block bitmap ${d.bg_block_bitmap} inode bitmap ${d.bg_inode_bitmap} inode table ${d.bg_inode_table}`,
    `free blocks ${d.bg_free_blocks_count * fs.clusterblocks} free inodes ${d.bg_free_inodes_count}`,
    `directories ${d.bg_used_dirs_count} unused inodes ${d.bg_itable_unused}`,
    ...(checksum === undefined ? [] : [`csum ${hex(d.bg_checksum)}${wrong}`]),
    `[${flags.filter((f) => f !== '').join(' ')}]`,
    ...(fs.hassuper(g) ? ['with superblock'] : []),
  ].join(' ');
}

/** Groups that are shown; each takes a line. */
const GROUPS_MAX = 65536;

/** Superblock and group descriptors as text; wrong checksums are shown, and no obstacle. @throws EFTYPE EIO */
export const ext2_dump: Dump = async (dev: BlockDevice) => {
  const fs = await open_superblock(dev, SBOFF, false);
  const lines = superblock(fs);
  const desc = new Uint8Array(fs.desc_size);
  const view = new DataView(desc.buffer);
  for (let g = 0; g < Math.min(fs.ngroups, GROUPS_MAX); g++) {
    const { block, at } = fs.descplace(g);
    await dev.read(desc, 0, desc.length, block * fs.bsize + at);
    lines.push(group(fs, g, groupdesc(fs, view, 0), groupdesc_checksum(fs, desc, 0, g)));
  }
  if (fs.ngroups > GROUPS_MAX) lines.push(`(${fs.ngroups - GROUPS_MAX} more groups)`);
  return `${lines.join('\n')}\n`;
};
