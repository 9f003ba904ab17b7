/** The options of exFAT, of its mounts and of its tools, as data: --help and the manual page come from here. */
import type { FormatOption } from '../format.js';

export const MOUNT_OPTIONS: readonly FormatOption[] = [
  { name: 'uid', kind: 'number', default: '0', describe: 'owner of all files' },
  { name: 'gid', kind: 'number', default: '0', describe: 'group of all files' },
  { name: 'umask', kind: 'text', default: '022', describe: 'permission bits that nothing has, octal' },
  { name: 'fmask', kind: 'text', describe: 'the same for files alone' },
  { name: 'dmask', kind: 'text', describe: 'the same for directories alone' },
  {
    name: 'tz', kind: 'text', choices: ['UTC'],
    describe: 'clocks that do not say how far they are from UTC show UTC; the default',
  },
  {
    name: 'time_offset', kind: 'text',
    describe: 'how many minutes they are ahead of it, -1440 to 1440; also of the times that are written',
  },
  { name: 'sys_tz', kind: 'flag', describe: 'they go by the zone of this host' },
  {
    name: 'errors', kind: 'text', choices: ['continue', 'remount-ro'], default: 'remount-ro',
    describe: 'where the volume contradicts itself',
  },
  { name: 'discard', kind: 'flag', describe: 'tell the device what is free' },
  { name: 'quiet', kind: 'flag', describe: 'chown and chmod that the format cannot keep change nothing, and succeed' },
  { name: 'keep_last_dots', kind: 'flag', describe: 'dots at the end of a name belong to it' },
  { name: 'flush', kind: 'flag', describe: 'write what a file has when it is closed' },
  { name: 'utf8', kind: 'flag', describe: 'names are UTF-8, as always here' },
  { name: 'iocharset', kind: 'text', choices: ['utf8', 'utf-8', 'UTF-8'], describe: 'the same' },
];

const LABEL: FormatOption = { name: 'label', alias: 'L', kind: 'text', describe: 'volume name, up to 11 characters' };
const SERIAL: FormatOption = {
  name: 'serial', alias: 'i', kind: 'text', describe: 'serial number, up to 8 hexadecimal digits',
};
const GUID: FormatOption = {
  name: 'guid', alias: 'U', kind: 'text',
  describe: 'identification of the volume, as 8-4-4-4-12 hexadecimal digits',
};

export const NEWFS_OPTIONS: readonly FormatOption[] = [
  { name: 'cluster-size', alias: 'c', kind: 'size', describe: 'one sector to 32m' },
  { name: 'sector-size', alias: 'S', kind: 'size', describe: '512 to 4096; that of the device' },
  { name: 'boundary-align', alias: 'b', kind: 'size', describe: 'FAT and clusters begin at multiples of this; 1m' },
  { name: 'sd', kind: 'flag', describe: 'clusters and alignment as the makers of SD cards have them' },
  { name: 'pack-bitmap', kind: 'flag', describe: 'the bitmap lies before the boundary that files begin at' },
  { name: 'partition-offset', kind: 'size', describe: 'where on its disk the volume begins' },
  LABEL, SERIAL, GUID,
];

export const TUNEFS_OPTIONS: readonly FormatOption[] = [LABEL, SERIAL, GUID];
