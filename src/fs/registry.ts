/**
 * All formats: the only list. What stands here is loaded by every command and every server, so it is names and a few
 * bytes; the formats themselves are loaded when they are needed.
 */
import type { Format } from './format.js';

/** One of these byte strings stands at one of these places; a negative place counts from the end of the device. */
export interface Place {
  readonly at: readonly number[];
  readonly bytes: readonly string[];
}

export interface Registered {
  readonly name: string;
  readonly aliases: readonly string[];
  /**
   * Which devices are worth loading the format for: on each of them all places of at least one hint have their bytes.
   * Only a choice: whether it is that format says its probe. None: it is not found by looking.
   */
  readonly hints: readonly (readonly Place[])[];
  load(): Promise<Format>;
}

/** A hint of one place. */
function magic(at: readonly number[], ...bytes: string[]): readonly Place[] {
  return [{ at, bytes }];
}

/** Where FFS has its superblocks, and the first copies of it; fs_magic stands at their end. Bytes. */
const FFS_MAGICS = [65536, 8192, 0, 262144, 16384, 32768, 73728, 81920, 98304, 131072].map(
  (superblock) => superblock + 1372,
);
/**
 * UFS1, UFS2, UFS2 with extended attributes, Solaris's beyond a terabyte, FreeBSD's while newfs is at work: both byte
 * orders.
 */
const FFS = magic(
  FFS_MAGICS, '\x54\x19\x01\x00', '\x00\x01\x19\x54', '\x19\x01\x54\x19', '\x19\x54\x01\x19', '\x38\x20\x01\x19',
  '\x19\x01\x20\x38', '\xde\xca\xde\x00', '\x00\xde\xca\xde', '\x08\x04\x96\x19', '\x19\x96\x04\x08',
);

/** FileSystemName in the boot sector, or in its backup with sectors of 512 to 4096 bytes. */
const EXFAT = magic([3, 6144 + 3, 12288 + 3, 24576 + 3, 49152 + 3], 'EXFAT   ');

/**
 * Descriptors of ISO 9660 and of High Sierra in sector 16, of 2048 bytes or of an image of raw sectors (rawsectors.ts).
 */
const DISC_SECTORS = [16 * 2048, 16 * 2352 + 16, 16 * 2352 + 24, 16 * 2448 + 16, 16 * 2448 + 24, 16 * 2336 + 8];
const ISO_9660 = magic(DISC_SECTORS.map((sector) => sector + 1), 'CD001');
const HIGH_SIERRA = magic(DISC_SECTORS.map((sector) => sector + 9), 'CDROM');
/**
 * A boot sector that is signed, or the backup of one (sectors of 512 to 4096 bytes); or the FAT behind one that is not,
 * as on floppies and of Atari.
 */
const FAT = magic([510, 3072 + 510, 6144 + 510, 12288 + 510, 24576 + 510], '\x55\xaa');
const FAT_UNSIGNED = magic(
  [512, 1024, 2048, 4096],
  '\xfe\xff\xff',
  '\xfc\xff\xff',
  '\xff\xff\xff',
  '\xfd\xff\xff',
  '\xf9\xff\xff',
  '\xf8\xff\xff',
  '\xf0\xff\xff',
);

/** s_magic of the superblock. */
const EXT2FS = magic([1024 + 56], '\x53\xef');

export const FORMATS: readonly Registered[] = [
  {
    name: 'ffs',
    aliases: ['ufs', 'ufs1', 'ufs2', 'ffsv1', 'ffsv2'],
    hints: [FFS],
    load: async () => (await import('./ffs/format.js')).ffsFormat,
  },
  { name: 'exfat', aliases: [], hints: [EXFAT], load: async () => (await import('./exfat/format.js')).exfatFormat },
  {
    name: 'cd9660',
    aliases: ['iso9660', 'iso'],
    hints: [ISO_9660, HIGH_SIERRA],
    load: async () => (await import('./cd9660/format.js')).cd9660Format,
  },
  {
    name: 'msdosfs',
    aliases: ['fat', 'vfat', 'msdos', 'fat12', 'fat16', 'fat32'],
    hints: [FAT, FAT_UNSIGNED],
    load: async () => (await import('./msdosfs/format.js')).msdosfsFormat,
  },
  {
    name: 'ext2fs',
    aliases: ['ext2', 'ext3', 'ext4'],
    hints: [EXT2FS],
    load: async () => (await import('./ext2fs/format.js')).ext2fsFormat,
  },
  { name: 'tmpfs', aliases: [], hints: [], load: async () => (await import('./tmpfs/format.js')).tmpfsFormat },
  { name: 'zerofs', aliases: [], hints: [], load: async () => (await import('./zerofs/format.js')).zerofsFormat },
];

/** The format of that name or alias, in any case. */
export function formatNamed(type: string): Registered | undefined {
  const name = type.toLowerCase();
  return FORMATS.find((format) => format.name === name || format.aliases.includes(name));
}
