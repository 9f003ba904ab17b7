import { E, errno } from '../../../kernel/errno.js';
import type { Boot } from '../disk/boot.js';
import { BOOT_REGION_SECTORS, CLUSTERS_MAX, CLUSTER_BYTES_MAX, FIRST_CLUSTER } from '../disk/boot.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** The format has no smaller volume. */
const VOLUME_BYTES_MIN = MIB;

export interface LayoutOptions {
  /** Bytes. */
  readonly sectorSize: number;
  readonly clusterSize?: number | undefined;
  /** FAT and clusters begin at multiples of it, bytes. */
  readonly boundary?: number | undefined;
  /** As SD cards are formatted. */
  readonly sd?: boolean | undefined;
  readonly packBitmap?: boolean | undefined;
  /** Where on its disk the volume begins, bytes: boundaries count from there. */
  readonly partitionOffset?: number | undefined;
  readonly serial: number;
}

/** What lies where: the boot sector's fields, and where the first files of the system are, in clusters. */
export interface Layout {
  readonly boot: Boot;
  readonly clusterBytes: number;
  readonly bitmapBytes: number;
  /** Cluster 2 on: the bitmap, then the up-case table, then the root. */
  readonly bitmapClusters: number;
  readonly upcaseClusters: number;
}

/**
 * Capacity up to which a card has such clusters and boundaries, bytes. Source: SD Association, Part 2, File System
 * Specification.
 */
const SD_CARDS: readonly (readonly [capacity: number, cluster: number, boundary: number])[] = [
  [8 * MIB, 8192, 8192], [64 * MIB, 16384, 16384], [256 * MIB, 16384, 32768], [GIB, 16384, 65536],
  [2 * GIB, 32768, 65536], [32 * GIB, 32768, 4 * MIB], [128 * GIB, 128 << 10, 16 * MIB],
  [512 * GIB, 256 << 10, 32 * MIB], [2048 * GIB, 512 << 10, 64 * MIB],
];

function sd_card(bytes: number): readonly [number, number, number] {
  return SD_CARDS.find(([capacity]) => bytes <= capacity) ?? SD_CARDS[SD_CARDS.length - 1];
}

/** The usual cluster of a volume of that size: that of Windows. */
function usual_cluster(bytes: number, sector: number): number {
  const cluster = bytes <= 256 * MIB ? 4096 : bytes <= 32 * GIB ? 32768 : 128 << 10;
  return Math.max(cluster, sector);
}

function power(value: number, least: number, most: number, what: string): number {
  if (!(value >= least && value <= most && Number.isInteger(Math.log2(value)))) {
    throw errno(E.EINVAL, `${what} of ${value} bytes: a power of two, ${least} to ${most}`);
  }
  return Math.log2(value);
}

/** @throws EINVAL ENOSPC */
export function exfat_layout(bytes: number, upcaseBytes: number, options: LayoutOptions): Layout {
  const sector = options.sectorSize;
  const sectorShift = power(sector, 512, 4096, 'a sector');
  if (bytes < VOLUME_BYTES_MIN) {
    throw errno(E.ENOSPC, `a volume has at least ${VOLUME_BYTES_MIN} bytes, there are ${bytes}`);
  }
  const [, sdCluster, sdBoundary] = sd_card(bytes);
  const usual = options.sd === true ? Math.max(sdCluster, sector) : usual_cluster(bytes, sector);
  let cluster = options.clusterSize ?? usual;
  if (options.clusterSize === undefined) {
    while (bytes / cluster > CLUSTERS_MAX && cluster < CLUSTER_BYTES_MAX) cluster *= 2;
  }
  power(cluster, sector, CLUSTER_BYTES_MAX, 'a cluster');
  let boundary = options.boundary ?? (options.sd === true ? sdBoundary : MIB);
  power(boundary, sector, 2 * GIB, 'a boundary');
  // A small volume would be nothing but boundaries.
  if (options.boundary === undefined) while (boundary > sector && boundary * 16 > bytes) boundary /= 2;
  const base = options.partitionOffset ?? 0;
  if (base % sector !== 0) throw errno(E.EINVAL, `a volume that begins at byte ${base}: no multiple of a sector`);
  const align = (at: number): number => Math.ceil((base + at) / boundary) * boundary - base;
  const volume = bytes - (bytes % sector);
  const fatAt = align(2 * BOOT_REGION_SECTORS * sector);
  // As many clusters as there could be at the most: the FAT is never too short.
  const most = Math.min(CLUSTERS_MAX, Math.floor((volume - fatAt) / cluster));
  const fatBytes = Math.ceil(((most + FIRST_CLUSTER) * 4) / sector) * sector;
  let heapAt = align(fatAt + fatBytes);
  if (options.packBitmap === true) {
    heapAt = packed(fatAt + fatBytes, heapAt, boundary, Math.ceil(Math.ceil(most / 8) / cluster) * cluster);
  }
  const clusters = Math.min(CLUSTERS_MAX, Math.floor((volume - heapAt) / cluster));
  const bitmapBytes = Math.ceil(clusters / 8);
  const bitmapClusters = Math.ceil(bitmapBytes / cluster);
  const upcaseClusters = Math.ceil(upcaseBytes / cluster);
  if (!(clusters >= bitmapClusters + upcaseClusters + 1)) {
    const what = `clusters of ${cluster} bytes from byte ${heapAt} of ${volume} on`;
    throw errno(E.ENOSPC, `${what} leave no room: take smaller ones, or a smaller boundary`);
  }
  const boot: Boot = {
    PartitionOffset: base / sector,
    VolumeLength: volume / sector,
    FatOffset: fatAt / sector,
    FatLength: fatBytes / sector,
    ClusterHeapOffset: heapAt / sector,
    ClusterCount: clusters,
    FirstClusterOfRootDirectory: FIRST_CLUSTER + bitmapClusters + upcaseClusters,
    VolumeSerialNumber: options.serial,
    FileSystemRevision: 0x0100,
    VolumeFlags: 0,
    BytesPerSectorShift: sectorShift,
    SectorsPerClusterShift: Math.log2(cluster / sector),
    NumberOfFats: 1,
    PercentInUse: Math.floor(((bitmapClusters + upcaseClusters + 1) * 100) / clusters),
  };
  return { boot, clusterBytes: cluster, bitmapBytes, bitmapClusters, upcaseClusters };
}

/** Where the clusters begin such that the bitmap ends at a boundary. */
function packed(fatEnd: number, heapAt: number, boundary: number, bitmap: number): number {
  let end = heapAt;
  while (end - bitmap < fatEnd) end += boundary;
  return end - bitmap;
}
