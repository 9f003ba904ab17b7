import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { B, DIRENT_BYTES, MAX_CLUSTERS } from '../disk/bpb.js';
import type { FatType } from '../disk/bpb.js';
import { ATTR_VOLUME, D, setMtime } from '../disk/direntry.js';
import { HOST_ZONE } from '../../lib/dostime.js';
import { FSINFO_BYTES, encodeFsInfo } from '../disk/fsinfo.js';
import { CELL_MASK, setCell } from '../space/fat.js';
import { NO_LABEL, encodeLabel } from './label.js';

/** Making a volume: any geometry that the specification allows. */
export interface NewfsOptions {
  /** Default: what suits the size. */
  readonly type?: FatType;
  /** 512 to 4096; default: that of the device. */
  readonly sectorBytes?: number;
  /** A power of two, up to 128 sectors; default: what suits the size. */
  readonly clusterBytes?: number;
  /** 1 or 2. */
  readonly fats?: number;
  /** FAT12 and FAT16. */
  readonly rootEntries?: number;
  /** Sectors in front of the first FAT, at the least. */
  readonly reserved?: number;
  /**
   * The first cluster begins at a multiple of it, bytes; 0: where it comes to lie. Default: what suits flash memory,
   * for FAT32.
   */
  readonly align?: number;
  /** Byte string (UTF-8). */
  readonly label?: string;
  /** Default: from the clock. */
  readonly volumeId?: number;
  readonly media?: number;
  /** Where the partition begins on its disk, sectors. */
  readonly hidden?: number;
  /** How much of the device is used, bytes. */
  readonly size?: number;
  /** Seconds since 1970. */
  readonly now?: number;
}

export interface Layout {
  readonly type: FatType;
  readonly sectorBytes: number;
  readonly secPerClust: number;
  readonly reserved: number;
  readonly fats: number;
  readonly fatSecs: number;
  readonly rootEntries: number;
  readonly sectors: number;
  readonly clusters: number;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Clusters that the types have at the least. */
const MIN_CLUSTERS: Readonly<Record<FatType, number>> = { 12: 1, 16: MAX_CLUSTERS[12] + 1, 32: MAX_CLUSTERS[16] + 1 };
const MAX_SECTORS = 0xffffffff;
const MAX_CLUSTER_SECTORS = 128;
/** What Windows and others can read, bytes. */
const PORTABLE_CLUSTER_BYTES = 65536;
const RESERVED_FAT32 = 32;
const BACKUP_SECTOR = 6;

/** Floppies: what drives of these sizes always had. Size in KiB. */
const FLOPPIES = new Map([
  [160, { media: 0xfe, rootEntries: 64, secPerClust: 1, secPerTrack: 8, heads: 1 }],
  [180, { media: 0xfc, rootEntries: 64, secPerClust: 1, secPerTrack: 9, heads: 1 }],
  [320, { media: 0xff, rootEntries: 112, secPerClust: 2, secPerTrack: 8, heads: 2 }],
  [360, { media: 0xfd, rootEntries: 112, secPerClust: 2, secPerTrack: 9, heads: 2 }],
  [720, { media: 0xf9, rootEntries: 112, secPerClust: 2, secPerTrack: 9, heads: 2 }],
  [1200, { media: 0xf9, rootEntries: 224, secPerClust: 1, secPerTrack: 15, heads: 2 }],
  [1440, { media: 0xf0, rootEntries: 224, secPerClust: 1, secPerTrack: 18, heads: 2 }],
  [2880, { media: 0xf0, rootEntries: 240, secPerClust: 2, secPerTrack: 36, heads: 2 }],
]);

function invalid(what: string): never {
  throw errno(E.EINVAL, `newfs: ${what}`);
}

function powerOfTwo(n: number, min: number, max: number, what: string): number {
  if (!(n >= min && n <= max) || (n & (n - 1)) !== 0) {
    invalid(`${what} is a power of two from ${min} to ${max}, not ${n}`);
  }
  return n;
}

/** By size, as Windows does it: FAT12 on floppies and the smallest sticks, FAT16 below 512 MiB, else FAT32. */
function defaultType(bytes: number, sectorBytes: number): FatType {
  return bytes < Math.max(8 * MIB, 4200 * sectorBytes) ? 12 : bytes < 512 * MIB ? 16 : 32;
}

/**
 * The cluster size that Windows and the SD Association use for the size, or the next one with which the type is legal;
 * bytes.
 */
function defaultCluster(type: FatType, bytes: number, sectorBytes: number): number {
  if (type === 32) {
    return Math.max(
      sectorBytes,
      bytes <= 260 * MIB ? 512 : bytes <= 8 * GIB ? 4096 : bytes <= 16 * GIB ? 8192 : bytes <= 32 * GIB ? 16384 : 32768,
    );
  }
  let cluster = Math.max(sectorBytes, type === 12 ? 512 : 2048);
  while (bytes / cluster > MAX_CLUSTERS[type] && cluster < PORTABLE_CLUSTER_BYTES) cluster *= 2;
  while (type === 16 && bytes / cluster < MIN_CLUSTERS[16] + 64 && cluster > sectorBytes) cluster /= 2;
  return cluster;
}

/** What the first cluster is aligned to, unless told: the boundary units that the SD Association names. Bytes. */
function defaultAlign(type: FatType, bytes: number): number {
  if (type !== 32 || bytes < 256 * MIB) return 0;
  return bytes <= 2 * GIB ? MIB : bytes <= 32 * GIB ? 4 * MIB : 16 * MIB;
}

/** @throws EINVAL options that do not go together; ENOSPC the device is too small */
export function layoutOf(deviceBytes: number, deviceSectorBytes: number, options: NewfsOptions): Layout {
  const sectorBytes = powerOfTwo(
    options.sectorBytes ?? Math.min(4096, Math.max(512, deviceSectorBytes)),
    512,
    4096,
    'the sector size',
  );
  const bytes = options.size ?? deviceBytes;
  if (bytes > deviceBytes) invalid(`the device has ${deviceBytes} bytes, not ${bytes}`);
  const sectors = Math.min(Math.floor(bytes / sectorBytes), MAX_SECTORS);
  const floppy = sectorBytes === 512 ? FLOPPIES.get(bytes / 1024) : undefined;
  const type = options.type ?? (floppy !== undefined ? 12 : defaultType(bytes, sectorBytes));
  const floppyCluster = floppy !== undefined && type === 12 ? floppy.secPerClust * sectorBytes : undefined;
  const clusterBytes = powerOfTwo(
    options.clusterBytes ?? floppyCluster ?? defaultCluster(type, bytes, sectorBytes),
    sectorBytes,
    MAX_CLUSTER_SECTORS * sectorBytes,
    'the cluster size',
  );
  const fats = options.fats ?? 2;
  if (fats !== 1 && fats !== 2) invalid(`there are 1 or 2 FATs, not ${fats}`);
  const rootEntries = type === 32 ? 0 : options.rootEntries ?? floppy?.rootEntries ?? 512;
  if (type === 32 && (options.rootEntries ?? 0) > 0) invalid('the root directory of FAT32 has no fixed size');
  if (
    (type !== 32 && !(rootEntries >= 1 && rootEntries <= 65535)) ||
    (rootEntries * DIRENT_BYTES) % sectorBytes !== 0
  ) {
    invalid(
      `the entries of the root directory fill whole sectors: multiples of ${sectorBytes / DIRENT_BYTES}, up to 65535`,
    );
  }
  const secPerClust = clusterBytes / sectorBytes;
  const least = options.reserved ?? (type === 32 ? RESERVED_FAT32 : 1);
  if (!(least >= (type === 32 ? BACKUP_SECTOR + 3 : 1) && least <= 65535)) {
    invalid(`from ${type === 32 ? BACKUP_SECTOR + 3 : 1} to 65535 sectors can be reserved, not ${least}`);
  }
  const fixed = { type, sectorBytes, secPerClust, fats, rootEntries, sectors };
  const layout = aligned(fixed, least, options.align ?? defaultAlign(type, bytes), options.align !== undefined);
  const { clusters } = layout;
  if (clusters < MIN_CLUSTERS[type] && clusters < 1) {
    throw errno(E.ENOSPC, `newfs: ${bytes} bytes are too few for a FAT volume`);
  }
  if (clusters < MIN_CLUSTERS[type]) {
    invalid(
      `FAT${type} needs at least ${MIN_CLUSTERS[type]} clusters, these are ${clusters}: use smaller clusters or ` +
        `FAT${type === 32 ? 16 : 12}`,
    );
  }
  if (clusters > MAX_CLUSTERS[type]) {
    invalid(
      `FAT${type} has at most ${MAX_CLUSTERS[type]} clusters, these are ${clusters}: use larger ` +
        `clusters${type === 32 ? '' : ` or FAT${type === 12 ? 16 : 32}`}`,
    );
  }
  return layout;
}

type Fixed = Omit<Layout, 'reserved' | 'fatSecs' | 'clusters'>;

/**
 * Finds the smallest FAT that has a cell for each cluster behind it, and so many reserved sectors that the clusters are
 * aligned.
 */
function aligned(fixed: Fixed, least: number, align: number, asked: boolean): Layout {
  const { sectorBytes, secPerClust, fats, rootEntries, sectors, type } = fixed;
  const rootSecs = (rootEntries * DIRENT_BYTES) / sectorBytes;
  if (align > 0) powerOfTwo(align, sectorBytes, 64 * MIB, 'the alignment');
  let reserved = least;
  let fatSecs = 1;
  for (;;) {
    const clusters = Math.floor((sectors - reserved - rootSecs - fats * fatSecs) / secPerClust);
    const needed = Math.ceil(Math.ceil(((Math.max(0, clusters) + 2) * type) / 8) / sectorBytes);
    if (needed > fatSecs) {
      fatSecs = needed;
      continue;
    }
    const off = align > 0 ? ((reserved + rootSecs + fats * fatSecs) * sectorBytes) % align : 0;
    const more = off === 0 ? 0 : (align - off) / sectorBytes;
    if (more === 0) return { ...fixed, reserved, fatSecs, clusters };
    if (reserved + more > 65535) {
      if (asked) invalid(`an alignment of ${align} would need more than 65535 reserved sectors`);
      return { ...fixed, reserved, fatSecs, clusters };
    }
    reserved += more;
  }
}

/** The code of a boot sector that is none: it hands over to the BIOS, which says that there is nothing to boot. */
const BOOT_CODE = [0xcd, 0x18, 0xf4, 0xeb, 0xfd];

function bootSector(layout: Layout, options: NewfsOptions, label: string, volumeId: number, media: number): Uint8Array {
  const { type, sectors } = layout;
  const fat32 = type === 32;
  const k = fat32 ? 1 : 0;
  const bytes = new Uint8Array(layout.sectorBytes);
  const view = new DataView(bytes.buffer);
  const text = (at: number, value: string) => bytes.set(Uint8Array.from(value, (c) => c.charCodeAt(0)), at);
  const code = B.fileSysType[k] + 8;
  bytes.set([0xeb, code - 2, 0x90]);
  // Some systems look for names like this one before they believe the rest.
  text(B.oemName, 'MSWIN4.1');
  view.setUint16(B.bytesPerSec, layout.sectorBytes, true);
  bytes[B.secPerClust] = layout.secPerClust;
  view.setUint16(B.resSectors, layout.reserved, true);
  bytes[B.fats] = layout.fats;
  view.setUint16(B.rootDirEnts, layout.rootEntries, true);
  if (sectors < 65536 && !fat32) view.setUint16(B.sectors, sectors, true);
  else view.setUint32(B.hugeSectors, sectors, true);
  bytes[B.media] = media;
  const floppy = FLOPPIES.get((sectors * layout.sectorBytes) / 1024);
  view.setUint16(B.secPerTrack, floppy?.secPerTrack ?? 63, true);
  view.setUint16(B.heads, floppy?.heads ?? 255, true);
  view.setUint32(B.hiddenSecs, options.hidden ?? 0, true);
  if (fat32) {
    view.setUint32(B.bigFatSecs, layout.fatSecs, true);
    view.setUint32(B.rootClust, 2, true);
    view.setUint16(B.fsInfo, 1, true);
    view.setUint16(B.backup, BACKUP_SECTOR, true);
  } else {
    view.setUint16(B.fatSecs, layout.fatSecs, true);
  }
  bytes[B.driveNumber[k]] = media === 0xf8 ? 0x80 : 0;
  bytes[B.bootSignature[k]] = 0x29;
  view.setUint32(B.volumeId[k], volumeId, true);
  text(B.volumeLabel[k], label);
  text(B.fileSysType[k], `FAT${type}   `);
  bytes.set(BOOT_CODE, code);
  bytes.set([0x55, 0xaa], B.signature);
  return bytes;
}

export interface NewfsResult {
  readonly layout: Layout;
  readonly volumeId: number;
  readonly warnings: readonly string[];
}

/** Makes the volume; what was there is lost. @throws EINVAL ENOSPC EIO EROFS */
export async function newfs(dev: BlockDevice, options: NewfsOptions = {}): Promise<NewfsResult> {
  const layout = layoutOf(dev.size_bytes, dev.sector_bytes, options);
  const label = options.label === undefined || options.label === '' ? NO_LABEL : encodeLabel(options.label);
  const now = options.now ?? Math.floor(Date.now() / 1000);
  const volumeId = (options.volumeId ?? Math.imul(now, 2654435761)) >>> 0;
  const floppy = FLOPPIES.get((layout.sectors * layout.sectorBytes) / 1024);
  const media = options.media ?? (layout.type === 12 && floppy !== undefined ? floppy.media : 0xf8);
  if (media !== 0xf0 && !(media >= 0xf8 && media <= 0xff)) {
    invalid(`the media byte is 0xf0 or 0xf8 to 0xff, not ${media}`);
  }
  const { sectorBytes, type } = layout;
  const fatAt = layout.reserved * sectorBytes;
  const rootAt = fatAt + layout.fats * layout.fatSecs * sectorBytes;
  const rootBytes = type === 32 ? layout.secPerClust * sectorBytes : layout.rootEntries * DIRENT_BYTES;
  // The boot sector last: until then there is no volume.
  const boot = bootSector(layout, options, label, volumeId, media);
  await clear(dev, 0, rootAt + rootBytes);
  await writeFats(dev, layout, media, fatAt);
  if (label !== NO_LABEL) await writeLabel(dev, rootAt, label, now);
  if (type === 32) {
    const info = new Uint8Array(sectorBytes);
    encodeFsInfo(new DataView(info.buffer, 0, FSINFO_BYTES), { free: layout.clusters - 1, next: 2 });
    const third = new Uint8Array(sectorBytes);
    third.set([0x55, 0xaa], B.signature);
    for (const base of [BACKUP_SECTOR, 0]) {
      await dev.write(info, 0, sectorBytes, (base + 1) * sectorBytes);
      await dev.write(third, 0, sectorBytes, (base + 2) * sectorBytes);
    }
    await dev.write(boot, 0, sectorBytes, BACKUP_SECTOR * sectorBytes);
  }
  await dev.flush();
  await dev.write(boot, 0, sectorBytes, 0);
  await dev.flush();
  const warnings: string[] = [];
  if (layout.secPerClust * sectorBytes > PORTABLE_CLUSTER_BYTES) {
    warnings.push('clusters of more than 64 KiB are not read by all systems');
  }
  return { layout, volumeId, warnings };
}

/** Takes the volume away again: what it is recognised by, and the backup of that. @throws EIO */
export async function unmake(dev: BlockDevice, { type, sectorBytes, reserved }: Layout): Promise<void> {
  const zeros = new Uint8Array(sectorBytes);
  for (const sector of type === 32 ? [BACKUP_SECTOR, reserved, 0] : [reserved, 0]) {
    await dev.write(zeros, 0, sectorBytes, sector * sectorBytes);
  }
  await dev.flush();
}

/** Cells 0 and 1 of all FATs, and that of FAT32's root directory. */
async function writeFats(
  dev: BlockDevice,
  { type, fats, fatSecs, sectorBytes }: Layout,
  media: number,
  at: number,
): Promise<void> {
  const first = new Uint8Array(sectorBytes);
  const view = new DataView(first.buffer);
  const mask = CELL_MASK[type];
  setCell(view, type, 0, 0, (mask & ~0xff) | media);
  setCell(view, type, 1, 0, mask);
  if (type === 32) setCell(view, type, 2, 0, mask);
  for (let i = 0; i < fats; i++) await dev.write(first, 0, sectorBytes, at + i * fatSecs * sectorBytes);
}

async function writeLabel(dev: BlockDevice, at: number, label: string, now: number): Promise<void> {
  const entry = new Uint8Array(DIRENT_BYTES);
  entry.set(Uint8Array.from(label, (c) => c.charCodeAt(0)));
  entry[D.attr] = ATTR_VOLUME;
  setMtime(new DataView(entry.buffer), 0, HOST_ZONE, now);
  await dev.write(entry, 0, DIRENT_BYTES, at);
}

/** Makes a range zeros; what is zeros already is left alone, so that an image stays as sparse as it is. */
async function clear(dev: BlockDevice, from: number, to: number): Promise<void> {
  const zeros = new Uint8Array(MIB);
  const there = new Uint8Array(MIB);
  for (let at = from; at < to; at += MIB) {
    const length = Math.min(MIB, to - at);
    await dev.read(there, 0, length, at);
    if (there.subarray(0, length).some((byte) => byte !== 0)) await dev.write(zeros, 0, length, at);
  }
}
