/** The options of FAT, of its mounts and of its tools, as data: --help and the manual page come from here. */
import type { FormatOption } from '../format.js';

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  { name: 'uid', kind: 'number', describe: 'owner of all files; default: who mounts' },
  { name: 'gid', kind: 'number', describe: 'group of all files; default: that of who mounts' },
  { name: 'umask', kind: 'text', describe: 'permissions that nobody has, octal; default: the umask of who mounts' },
  { name: 'fmask', kind: 'text', describe: 'the same for files' },
  { name: 'dmask', kind: 'text', describe: 'the same for directories' },
  { name: 'quiet', kind: 'flag', describe: 'chown does nothing, and says nothing' },
  { name: 'tz', kind: 'text', choices: ['UTC'], describe: 'times on the volume are UTC; default: local time' },
  { name: 'time_offset', kind: 'text', describe: 'times on the volume are so many minutes ahead of UTC' },
  { name: 'codepage', kind: 'text', default: '437', describe: 'of short names' },
  { name: 'iocharset', kind: 'text', default: 'utf8', describe: 'of names here' },
  { name: 'utf8', kind: 'text', optional: true, describe: 'names here are UTF-8; utf8=0: iso8859-1' },
  {
    name: 'shortname',
    kind: 'text',
    choices: ['lower', 'win95', 'winnt', 'mixed'],
    default: 'mixed',
    describe: 'how short names are shown and made',
  },
  { name: 'nonumtail', kind: 'flag', describe: 'short names without ~1, where they are free' },
  { name: 'showexec', kind: 'flag', describe: 'only .EXE, .COM and .BAT are executable' },
  { name: 'rodir', kind: 'flag', describe: 'the read-only attribute counts for directories, too' },
  { name: 'sys_immutable', kind: 'flag', describe: 'files with the system attribute cannot be changed' },
  { name: 'flush', kind: 'flag', describe: 'write back at once what was changed: for sticks that are pulled' },
  { name: 'discard', kind: 'flag', describe: 'tell the device which clusters are free' },
  {
    name: 'errors',
    kind: 'text',
    choices: ['continue', 'remount-ro', 'panic'],
    default: 'remount-ro',
    describe: 'what to do when damage is found',
  },
  { name: 'usefree', kind: 'flag', describe: 'believe the free count although the volume was not unmounted' },
  ...['check', 'nfs', 'allow_utime', 'uni_xlate', 'dos1xfloppy', 'posix'].map((name): FormatOption => ({
    name,
    kind: 'text',
    optional: true,
    describe: 'of Linux; changes nothing',
  })),
];

export const NEWFS_OPTIONS: readonly FormatOption[] = [
  {
    name: 'fat',
    kind: 'text',
    choices: ['12', '16', '32'],
    describe: 'bits of a FAT cell; default: what suits the size',
  },
  { name: 'sector-size', alias: 'S', kind: 'size', describe: '512 to 4096; default: that of the device' },
  {
    name: 'cluster-size',
    alias: ['c', 'b'],
    kind: 'size',
    describe: 'a power of two, up to 128 sectors; default: what suits the size',
  },
  { name: 'fats', alias: 'n', kind: 'number', default: '2', describe: '1 or 2' },
  { name: 'root-entries', alias: 'e', kind: 'number', describe: 'entries of the root directory of FAT12 and FAT16' },
  { name: 'reserved', alias: 'r', kind: 'number', describe: 'sectors in front of the first FAT' },
  {
    name: 'align',
    kind: 'size',
    describe: 'the first cluster begins at a multiple of it; 0: anywhere. Default: as the SD Association has it',
  },
  { name: 'label', alias: 'L', kind: 'text', describe: 'volume label, 11 characters' },
  { name: 'volume-id', alias: 'I', kind: 'text', describe: '8 hexadecimal digits' },
  { name: 'media', alias: 'm', kind: 'text', describe: 'media byte, hexadecimal' },
  { name: 'hidden', alias: 'o', kind: 'number', describe: 'where the partition begins on its disk, in sectors' },
];

export const TUNE_OPTIONS: readonly FormatOption[] = [
  { name: 'label', alias: ['L', 'v'], kind: 'text', describe: 'volume label; empty: none' },
  { name: 'volume-id', alias: 'I', kind: 'text', describe: '8 hexadecimal digits' },
];
