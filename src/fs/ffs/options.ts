/** The options of FFS, of its mounts and of its tools, as data: --help and the manual page come from here. */
import type { FormatOption } from '../format.js';
import { FFS_DIALECTS } from './disk/dialects.js';

const MINFREE: FormatOption = {
  name: 'minfree',
  alias: 'm',
  kind: 'number',
  describe: 'percent kept for the superuser',
};

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  {
    name: 'log',
    kind: 'text',
    optional: true,
    describe: 'keep a journal (WAPBL), and make one, of this size, if there is none; log=remove: take it away',
  },
  { name: 'nolog', kind: 'flag', describe: 'do not log; a journal stays where it is, empty' },
  {
    name: 'log-endian', kind: 'text', choices: ['little', 'big'],
    describe: 'byte order of a journal that is made, that of the machine which is to replay it',
  },
  {
    name: 'dialect', kind: 'text', choices: FFS_DIALECTS,
    describe: 'who has written the volume, where it does not tell',
  },
  {
    name: 'stale-quotas',
    kind: 'flag',
    describe: 'write although quota.user or quota.group in the root directory will no longer be right',
  },
];

export const NEWFS_OPTIONS: readonly FormatOption[] = [
  {
    name: 'format',
    alias: 'O',
    kind: 'text',
    choices: ['0', '1', '2', '2ea'],
    default: '2',
    describe: '0 4.3BSD, 1 UFS1, 2 UFS2, 2ea UFS2 with extended attributes',
  },
  {
    name: 'byte-order',
    alias: 'B',
    kind: 'text',
    choices: ['le', 'be'],
    default: 'le',
    describe: 'little-endian or big-endian',
  },
  { name: 'block-size', alias: 'b', kind: 'size', describe: '4096 to 65536' },
  { name: 'frag-size', alias: 'f', kind: 'size', describe: 'an eighth of the block size up to the whole' },
  { name: 'inode-density', alias: 'i', kind: 'size', describe: 'bytes for each inode' },
  MINFREE,
  { name: 'label', alias: 'L', kind: 'text', describe: 'volume name' },
  {
    name: 'log',
    kind: 'size',
    optional: true,
    describe: 'with a journal (WAPBL): of this size, or without one of the size that suits',
  },
];

export const FSCK_OPTIONS: readonly FormatOption[] = [
  { name: 'superblock', alias: 'b', kind: 'number', describe: 'use this alternate superblock (sector number)' },
];

export const DUMPFS_OPTIONS: readonly FormatOption[] = [
  { name: 'superblock', alias: 's', kind: 'flag', describe: 'the superblock' },
  { name: 'alternates', alias: 'a', kind: 'flag', describe: 'its copies in the groups' },
  { name: 'summary', alias: 'm', kind: 'flag', describe: 'free counts of all groups' },
  { name: 'groups', alias: 'c', kind: 'flag', describe: 'the cylinder groups' },
  { name: 'inodes', alias: 'i', kind: 'flag', describe: 'the inodes in use' },
  { name: 'journal', alias: 'j', kind: 'flag', describe: 'the journal' },
  { name: 'freelist', alias: 'f', kind: 'flag', describe: 'the numbers of the free fragments' },
  { name: 'newfs', kind: 'flag', describe: 'the newfs command for such a volume' },
  { name: 'all', kind: 'flag', describe: 'the same as -s -a -m -c -i -j' },
];

export const TUNEFS_OPTIONS: readonly FormatOption[] = [
  { name: 'label', alias: ['v', 'L'], kind: 'text', describe: 'volume name' },
  MINFREE,
  { name: 'optimization', alias: 'o', kind: 'text', choices: ['space', 'time'], describe: 'what to save' },
  { name: 'maxbpg', alias: 'e', kind: 'number', describe: 'blocks that one file may take of a group' },
  { name: 'avgfilesize', alias: 'g', kind: 'number', describe: 'expected bytes in a file' },
  { name: 'avgfpdir', alias: 'h', kind: 'number', describe: 'expected files in a directory' },
  {
    name: 'log',
    alias: 'l',
    kind: 'size',
    optional: true,
    describe:
      'journal (WAPBL) of this size, without one of the size that suits, 0 to remove it; the next mount does it',
  },
  { name: 'alternates', alias: 'A', kind: 'flag', describe: 'the copies of the superblock too' },
];
