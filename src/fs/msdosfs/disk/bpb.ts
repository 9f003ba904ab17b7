import type { BlockDevice } from '../../../kernel/blkdev.js';
import { bytestrFromBytes } from '../../../kernel/bytestr.js';
import { E, errno } from '../../../kernel/errno.js';

/**
 * The boot sector: where everything is. Sources: Microsoft FAT specification 1.03 (2000), facts of Linux fs/fat/inode.c
 * for what others write. All fields are little-endian.
 */

export type FatType = 12 | 16 | 32;

/** Data clusters that the types can have: the number alone decides the type of a volume with the old layout. */
export const MAX_CLUSTERS: Readonly<Record<FatType, number>> = { 12: 4084, 16: 65524, 32: 0x0ffffff5 };

/** Offsets of fields. Behind 36 the two layouts differ. */
export const B = {
  oemName: 3,
  bytesPerSec: 11,
  secPerClust: 13,
  resSectors: 14,
  fats: 16,
  rootDirEnts: 17,
  sectors: 19,
  media: 21,
  fatSecs: 22,
  secPerTrack: 24,
  heads: 26,
  hiddenSecs: 28,
  hugeSectors: 32,
  bigFatSecs: 36,
  extFlags: 40,
  fsVers: 42,
  rootClust: 44,
  fsInfo: 48,
  backup: 50,
  /** By type: the first is that of FAT12 and FAT16. */
  driveNumber: [36, 64],
  state: [37, 65],
  bootSignature: [38, 66],
  volumeId: [39, 67],
  volumeLabel: [43, 71],
  fileSysType: [54, 82],
  signature: 510,
} as const;

/** extFlags: the FATs are no copies of each other; bits 0-3 name the one in use. */
export const FATMIRROR_OFF = 0x80;
export const FATNUM = 0x0f;
/** State byte: the volume was not unmounted; the disk gave errors. */
export const STATE_DIRTY = 1;
export const STATE_ERRORS = 2;

export const DIRENT_BYTES = 32;
export const CLUST_FIRST = 2;

/** What the boot sector says, checked; sizes and offsets in bytes. */
export interface Geometry {
  readonly type: FatType;
  readonly sectorBytes: number;
  readonly clusterBytes: number;
  readonly fats: number;
  /** Of one FAT. */
  readonly fatBytes: number;
  /** The first FAT. */
  readonly fatOffset: number;
  /** The one FAT in use, or -1: all are kept equal, the first is read. */
  readonly activeFat: number;
  /** The root directory of FAT12 and FAT16, which has a fixed place and size; 0 bytes on FAT32. */
  readonly rootOffset: number;
  readonly rootBytes: number;
  /** Cluster 2. */
  readonly dataOffset: number;
  /** Data clusters; the last one is clusters + 1. */
  readonly clusters: number;
  /** First cluster of the root directory; 0 but on FAT32. */
  readonly rootCluster: number;
  /** Of the FSInfo sector and the backup of the boot sector; 0: none. */
  readonly fsInfoOffset: number;
  readonly backupOffset: number;
  readonly media: number;
  readonly totalBytes: number;
  /** Where the state byte, id and label are; -1: the boot sector has no such fields. */
  readonly stateOffset: number;
  readonly volumeId: number | undefined;
  /** Byte string in the OEM code page, 11 bytes; undefined: none is kept there. */
  readonly bootLabel: string | undefined;
  readonly oemName: string;
  /** What the boot sector says of itself that contradicts something else; the volume is read all the same. */
  readonly oddities: readonly string[];
}

/**
 * Floppies of DOS 1.x have no parameters in their boot sector: size in sectors of 512 bytes -> what DOS took for
 * granted.
 */
const DOS1 = new Map([
  [320, { media: 0xfe, secPerClust: 1, rootDirEnts: 64, fatSecs: 1 }],
  [360, { media: 0xfc, secPerClust: 1, rootDirEnts: 64, fatSecs: 2 }],
  [640, { media: 0xff, secPerClust: 2, rootDirEnts: 112, fatSecs: 1 }],
  [720, { media: 0xfd, secPerClust: 2, rootDirEnts: 112, fatSecs: 2 }],
]);

function refuse(field: string, value: number | string): never {
  throw errno(E.EFTYPE, `boot sector: ${field} is ${value}`);
}

function powerOfTwo(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0;
}

/**
 * Reads and checks the boot sector.
 * @throws EFTYPE it is no FAT volume: the message says which field contradicts it; EIO
 */
export async function readGeometry(dev: BlockDevice): Promise<Geometry> {
  const bytes = new Uint8Array(1024);
  const there = Math.min(bytes.length, dev.size_bytes);
  if (there < 512) throw errno(E.EFTYPE, `the device has ${dev.size_bytes} bytes: too small for a boot sector`);
  await dev.read(bytes, 0, there, 0);
  const view = new DataView(bytes.buffer);
  if (view.getUint16(B.bytesPerSec, true) === 0) {
    const dos1 = dos1Geometry(bytes, view, dev.size_bytes);
    if (dos1 !== undefined) return dos1;
  }
  return decodeGeometry(bytes, view, dev.size_bytes);
}

function dos1Geometry(bytes: Uint8Array, view: DataView, size: number): Geometry | undefined {
  const known = DOS1.get(size / 512);
  // The first bytes of the FAT, in sector 1, are the media byte and ones.
  if (known === undefined || bytes[512] !== known.media || bytes[513] !== 0xff || bytes[514] !== 0xff) return undefined;
  const boot = new Uint8Array(512);
  const made = new DataView(boot.buffer);
  made.setUint16(B.bytesPerSec, 512, true);
  boot[B.secPerClust] = known.secPerClust;
  made.setUint16(B.resSectors, 1, true);
  boot[B.fats] = 2;
  made.setUint16(B.rootDirEnts, known.rootDirEnts, true);
  made.setUint16(B.sectors, size / 512, true);
  boot[B.media] = known.media;
  made.setUint16(B.fatSecs, known.fatSecs, true);
  return {
    ...decodeGeometry(boot, made, size),
    stateOffset: -1,
    oemName: bytestrFromBytes(bytes, B.oemName, B.oemName + 8),
  };
}

/** `deviceBytes`: how large the device is, which a volume may not exceed to be written. @throws EFTYPE */
export function decodeGeometry(bytes: Uint8Array, view: DataView, deviceBytes: number): Geometry {
  const oemName = bytestrFromBytes(bytes, B.oemName, B.oemName + 8);
  if (oemName === 'NTFS    ' || oemName === 'EXFAT   ' || oemName === '-FVE-FS-') {
    refuse('the name of the format', oemName.trim());
  }
  const oddities: string[] = [];
  const sectorBytes = view.getUint16(B.bytesPerSec, true);
  if (!powerOfTwo(sectorBytes) || sectorBytes < 512 || sectorBytes > 4096) refuse('the sector size', sectorBytes);
  const secPerClust = bytes[B.secPerClust]!;
  if (!powerOfTwo(secPerClust)) refuse('the number of sectors in a cluster', secPerClust);
  const resSectors = view.getUint16(B.resSectors, true);
  if (resSectors === 0) refuse('the number of reserved sectors', resSectors);
  const fats = bytes[B.fats]!;
  if (fats === 0 || fats > 4) refuse('the number of FATs', fats);
  const media = bytes[B.media]!;
  if (media < 0xf8 && media !== 0xf0) refuse('the media byte', `0x${media.toString(16)}`);
  const oldFatSecs = view.getUint16(B.fatSecs, true);
  const fat32 = oldFatSecs === 0;
  const fatSecs = fat32 ? view.getUint32(B.bigFatSecs, true) : oldFatSecs;
  if (fatSecs === 0) refuse('the size of a FAT', fatSecs);
  const rootDirEnts = view.getUint16(B.rootDirEnts, true);
  if (!fat32 && rootDirEnts === 0) refuse('the size of the root directory', rootDirEnts);
  const sectors = view.getUint16(B.sectors, true) || view.getUint32(B.hugeSectors, true);
  const rootSecs = Math.ceil((rootDirEnts * DIRENT_BYTES) / sectorBytes);
  const dataSec = resSectors + fats * fatSecs + rootSecs;
  if (sectors <= dataSec) refuse('the number of sectors', sectors);
  const clusterBytes = secPerClust * sectorBytes;
  const counted = Math.floor((sectors - dataSec) / secPerClust);
  const type: FatType = fat32 ? 32 : counted <= MAX_CLUSTERS[12] ? 12 : 16;
  const fatBytes = fatSecs * sectorBytes;
  const holds = Math.floor((fatBytes * 8) / type) - CLUST_FIRST;
  const clusters = Math.min(counted, holds, MAX_CLUSTERS[type]);
  if (clusters < 1) refuse('the number of clusters', clusters);
  if (counted > clusters) {
    oddities.push(`the FAT has room for ${clusters} of ${counted} clusters; the others are not used`);
  }
  const totalBytes = sectors * sectorBytes;
  if (totalBytes > deviceBytes) {
    oddities.push(`the volume is larger (${totalBytes} bytes) than the device (${deviceBytes})`);
  }
  const version = fat32 ? view.getUint16(B.fsVers, true) : 0;
  if (version !== 0) refuse('the version', `${version >> 8}.${version & 255}`);
  const extFlags = fat32 ? view.getUint16(B.extFlags, true) : 0;
  const activeFat = (extFlags & FATMIRROR_OFF) !== 0 ? extFlags & FATNUM : -1;
  if (activeFat >= fats) refuse('the number of the FAT in use', activeFat);
  const rootCluster = fat32 ? view.getUint32(B.rootClust, true) & 0x0fffffff : 0;
  if (fat32 && (rootCluster < CLUST_FIRST || rootCluster > clusters + 1)) {
    refuse('the first cluster of the root directory', rootCluster);
  }
  const layout = fat32 ? 1 : 0;
  const extended = (bytes[B.bootSignature[layout]]! & 0xfe) === 0x28;
  const fsInfo = view.getUint16(B.fsInfo, true);
  const backup = view.getUint16(B.backup, true);
  const reserved = (sector: number) => (fat32 && sector > 0 && sector < resSectors ? sector * sectorBytes : 0);
  return {
    type, sectorBytes, clusterBytes, fats, fatBytes, fatOffset: resSectors * sectorBytes, activeFat,
    rootOffset: (resSectors + fats * fatSecs) * sectorBytes,
    rootBytes: fat32 ? 0 : rootDirEnts * DIRENT_BYTES,
    dataOffset: dataSec * sectorBytes,
    clusters, rootCluster,
    fsInfoOffset: reserved(fsInfo),
    backupOffset: backup === fsInfo ? 0 : reserved(backup),
    media, totalBytes,
    // Without the signature of the fields behind it the byte is code (DOS before 4, Atari).
    stateOffset: fat32 || extended ? B.state[layout] : -1,
    volumeId: extended ? view.getUint32(B.volumeId[layout], true) : undefined,
    bootLabel:
      bytes[B.bootSignature[layout]] === 0x29
        ? bytestrFromBytes(bytes, B.volumeLabel[layout], B.volumeLabel[layout] + 11)
        : undefined,
    oemName,
    oddities,
  };
}

/** Byte offset of a cluster, which is in range. */
export function clusterOffset(g: Geometry, cluster: number): number {
  return g.dataOffset + (cluster - CLUST_FIRST) * g.clusterBytes;
}

/** Does the number name a data cluster? */
export function validCluster(g: Geometry, cluster: number): boolean {
  return cluster >= CLUST_FIRST && cluster <= g.clusters + 1;
}
