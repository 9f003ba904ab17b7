/**
 * The boot sector and the boot region of 12 sectors (main at sector 0, backup at sector 12): where everything else
 * lies.
 * Source: Microsoft's exFAT specification, sections 2 and 3.
 */
import { E, errno } from '../../../kernel/errno.js';

/** Sectors of a boot region: boot sector, 8 extended boot sectors, OEM parameters, one reserved, checksums. */
export const BOOT_REGION_SECTORS = 12;
/** Numbers of clusters begin with 2, for the first two cells of a FAT are no cells. */
export const FIRST_CLUSTER = 2;
/** Highest ClusterCount. */
export const CLUSTERS_MAX = 0xffff_fff5;
/** Largest cluster, bytes. */
export const CLUSTER_BYTES_MAX = 32 << 20;
/** A directory cannot be larger, bytes. */
export const DIRECTORY_BYTES_MAX = 256 << 20;

/** VolumeFlags. */
export const ACTIVE_FAT = 1;
export const VOLUME_DIRTY = 2;
export const MEDIA_FAILURE = 4;
export const CLEAR_TO_ZERO = 8;

/** Byte offsets in the boot sector of what changes while a volume is in use; the checksum leaves them out. */
export const VOLUME_FLAGS_AT = 106;
export const PERCENT_IN_USE_AT = 112;

/** PercentInUse where nobody knows. */
export const PERCENT_UNKNOWN = 0xff;

const NAME = 'EXFAT   ';
const TWO32 = 0x1_0000_0000;

/** What the boot sector says. All of it has been held against its bounds ({@link boot_decode}). */
export interface Boot {
  /** Sectors before the volume; 0: not known. May be inexact above 2^53. */
  readonly PartitionOffset: number;
  /** Sectors. */
  readonly VolumeLength: number;
  /** Sectors from the start of the volume. */
  readonly FatOffset: number;
  readonly FatLength: number;
  readonly ClusterHeapOffset: number;
  readonly ClusterCount: number;
  readonly FirstClusterOfRootDirectory: number;
  readonly VolumeSerialNumber: number;
  readonly FileSystemRevision: number;
  readonly VolumeFlags: number;
  readonly BytesPerSectorShift: number;
  readonly SectorsPerClusterShift: number;
  readonly NumberOfFats: number;
  readonly PercentInUse: number;
}

function getu64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO32 + view.getUint32(at, true);
}

/** Does the sector claim to be exFAT's? Nothing else is looked at. */
export function boot_recognised(sector: Uint8Array): boolean {
  if (sector.length < 512 || sector[510] !== 0x55 || sector[511] !== 0xaa) return false;
  for (let i = 0; i < NAME.length; i++) if (sector[3 + i] !== NAME.charCodeAt(i)) return false;
  return true;
}

/** Refuses a field whose value cannot be. */
function must(good: boolean, field: string, value: number): void {
  if (!good) throw errno(E.EFTYPE, `boot sector: ${field} ${value} cannot be`);
}

/**
 * Reads the boot sector and holds every field against its bounds.
 * @param sector at least 512 bytes
 * @throws EFTYPE
 */
export function boot_decode(sector: Uint8Array): Boot {
  if (!boot_recognised(sector)) throw errno(E.EFTYPE, 'no exFAT boot sector');
  for (let i = 11; i < 64; i++) must(sector[i] === 0, `byte ${i}`, sector[i]);
  const view = new DataView(sector.buffer, sector.byteOffset, 512);
  const boot: Boot = {
    PartitionOffset: getu64(view, 64),
    VolumeLength: getu64(view, 72),
    FatOffset: view.getUint32(80, true),
    FatLength: view.getUint32(84, true),
    ClusterHeapOffset: view.getUint32(88, true),
    ClusterCount: view.getUint32(92, true),
    FirstClusterOfRootDirectory: view.getUint32(96, true),
    VolumeSerialNumber: view.getUint32(100, true),
    FileSystemRevision: view.getUint16(104, true),
    VolumeFlags: view.getUint16(VOLUME_FLAGS_AT, true),
    BytesPerSectorShift: view.getUint8(108),
    SectorsPerClusterShift: view.getUint8(109),
    NumberOfFats: view.getUint8(110),
    PercentInUse: view.getUint8(PERCENT_IN_USE_AT),
  };
  boot_check(boot);
  return boot;
}

function boot_check(b: Boot): void {
  must(b.BytesPerSectorShift >= 9 && b.BytesPerSectorShift <= 12, 'BytesPerSectorShift', b.BytesPerSectorShift);
  must(b.SectorsPerClusterShift <= 25 - b.BytesPerSectorShift, 'SectorsPerClusterShift', b.SectorsPerClusterShift);
  must(b.FileSystemRevision >>> 8 === 1, 'FileSystemRevision (major and minor)', b.FileSystemRevision);
  must(b.NumberOfFats === 1 || b.NumberOfFats === 2, 'NumberOfFats', b.NumberOfFats);
  must(b.FatOffset >= 2 * BOOT_REGION_SECTORS, 'FatOffset', b.FatOffset);
  must(b.ClusterCount >= 1 && b.ClusterCount <= CLUSTERS_MAX, 'ClusterCount', b.ClusterCount);
  must(b.FatLength * 2 ** b.BytesPerSectorShift >= (b.ClusterCount + FIRST_CLUSTER) * 4, 'FatLength', b.FatLength);
  must(b.ClusterHeapOffset >= b.FatOffset + b.FatLength * b.NumberOfFats, 'ClusterHeapOffset', b.ClusterHeapOffset);
  const end = b.ClusterHeapOffset + b.ClusterCount * 2 ** b.SectorsPerClusterShift;
  must(end <= b.VolumeLength && b.VolumeLength <= Number.MAX_SAFE_INTEGER / 4096, 'VolumeLength', b.VolumeLength);
  const root = b.FirstClusterOfRootDirectory;
  must(root >= FIRST_CLUSTER && root < b.ClusterCount + FIRST_CLUSTER, 'FirstClusterOfRootDirectory', root);
}

/** Makes a boot sector of 2^BytesPerSectorShift bytes. */
export function boot_encode(b: Boot): Uint8Array {
  const sector = new Uint8Array(2 ** b.BytesPerSectorShift);
  const view = new DataView(sector.buffer);
  sector.set([0xeb, 0x76, 0x90]);
  for (let i = 0; i < NAME.length; i++) sector[3 + i] = NAME.charCodeAt(i);
  const put64 = (at: number, value: number): void => {
    view.setUint32(at, value % TWO32, true);
    view.setUint32(at + 4, Math.floor(value / TWO32), true);
  };
  put64(64, b.PartitionOffset);
  put64(72, b.VolumeLength);
  view.setUint32(80, b.FatOffset, true);
  view.setUint32(84, b.FatLength, true);
  view.setUint32(88, b.ClusterHeapOffset, true);
  view.setUint32(92, b.ClusterCount, true);
  view.setUint32(96, b.FirstClusterOfRootDirectory, true);
  view.setUint32(100, b.VolumeSerialNumber, true);
  view.setUint16(104, b.FileSystemRevision, true);
  view.setUint16(VOLUME_FLAGS_AT, b.VolumeFlags, true);
  view.setUint8(108, b.BytesPerSectorShift);
  view.setUint8(109, b.SectorsPerClusterShift);
  view.setUint8(110, b.NumberOfFats);
  view.setUint8(111, 0x80);
  view.setUint8(PERCENT_IN_USE_AT, b.PercentInUse);
  // BootCode: a processor that jumps here halts.
  sector.fill(0xf4, 120, 510);
  view.setUint16(510, 0xaa55, true);
  return sector;
}

/** The sum over the first 11 sectors of a region that its 12th sector repeats. */
export function boot_checksum(region: Uint8Array, sector_bytes: number): number {
  let sum = 0;
  const end = 11 * sector_bytes;
  for (let i = 0; i < end; i++) {
    if (i === VOLUME_FLAGS_AT || i === VOLUME_FLAGS_AT + 1 || i === PERCENT_IN_USE_AT) continue;
    sum = (((sum & 1) << 31) | (sum >>> 1)) + region[i];
    sum >>>= 0;
  }
  return sum;
}

/** Makes the checksum sector of a region right. */
export function boot_seal(region: Uint8Array, sector_bytes: number): void {
  const sum = boot_checksum(region, sector_bytes);
  const view = new DataView(region.buffer, region.byteOffset, region.length);
  for (let at = 11 * sector_bytes; at < 12 * sector_bytes; at += 4) view.setUint32(at, sum, true);
}

/** Does every word of the checksum sector hold the sum? */
export function boot_sealed(region: Uint8Array, sector_bytes: number): boolean {
  const sum = boot_checksum(region, sector_bytes);
  const view = new DataView(region.buffer, region.byteOffset, region.length);
  for (let at = 11 * sector_bytes; at < 12 * sector_bytes; at += 4) if (view.getUint32(at, true) !== sum) return false;
  return true;
}

/** A whole boot region for `boot`, sealed. */
export function boot_region(boot: Boot): Uint8Array {
  const bytes = 2 ** boot.BytesPerSectorShift;
  const region = new Uint8Array(BOOT_REGION_SECTORS * bytes);
  const view = new DataView(region.buffer);
  region.set(boot_encode(boot));
  for (let sector = 1; sector <= 8; sector++) view.setUint32((sector + 1) * bytes - 4, 0xaa550000, true);
  boot_seal(region, bytes);
  return region;
}
