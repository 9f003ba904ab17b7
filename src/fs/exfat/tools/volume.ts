/**
 * A volume as tools see it that work on a device of their own, without a mount: clusters, cells of the FAT, entries of
 * the root.
 */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Boot } from '../disk/boot.js';
import { ACTIVE_FAT, DIRECTORY_BYTES_MAX, FIRST_CLUSTER } from '../disk/boot.js';
import { ENTRY_BYTES, T_END } from '../disk/entry.js';

const FAT_PIECE_BYTES = 65536;

export class Volume {
  readonly dev: BlockDevice;
  readonly boot: Boot;
  readonly secbytes: number;
  readonly clbytes: number;
  readonly heapat: number;
  /** Number behind the last cluster. */
  readonly end: number;
  /** Byte offset and length of the active FAT. */
  readonly fatat: number;
  readonly fatbytes: number;
  private readonly piece = new Uint8Array(FAT_PIECE_BYTES);
  private readonly view = new DataView(this.piece.buffer);
  private pieceat = -1;

  constructor(dev: BlockDevice, boot: Boot) {
    this.dev = dev;
    this.boot = boot;
    this.secbytes = 2 ** boot.BytesPerSectorShift;
    this.clbytes = 2 ** (boot.BytesPerSectorShift + boot.SectorsPerClusterShift);
    this.heapat = boot.ClusterHeapOffset * this.secbytes;
    this.end = boot.ClusterCount + FIRST_CLUSTER;
    this.fatat = (boot.FatOffset + this.active * boot.FatLength) * this.secbytes;
    this.fatbytes = boot.FatLength * this.secbytes;
  }

  /** Which FAT and bitmap are active, 0 or 1. */
  get active(): number {
    return this.boot.NumberOfFats === 2 ? this.boot.VolumeFlags & ACTIVE_FAT : 0;
  }

  iscluster(cluster: number): boolean {
    return cluster >= FIRST_CLUSTER && cluster < this.end;
  }

  at(cluster: number): number {
    return this.heapat + (cluster - FIRST_CLUSTER) * this.clbytes;
  }

  /** Clusters of the largest directory. */
  get dirclusters(): number {
    return Math.max(1, DIRECTORY_BYTES_MAX / this.clbytes);
  }

  /** The cell of a cluster. @throws EIO */
  async cell(cluster: number): Promise<number> {
    await this.load(cluster);
    return this.view.getUint32(cluster * 4 - this.pieceat, true);
  }

  async setcell(cluster: number, next: number): Promise<void> {
    await this.load(cluster);
    const into = cluster * 4 - this.pieceat;
    this.view.setUint32(into, next, true);
    await this.dev.write(this.piece, into, 4, this.fatat + cluster * 4);
  }

  private async load(cluster: number): Promise<void> {
    const start = cluster * 4 - ((cluster * 4) % FAT_PIECE_BYTES);
    if (start === this.pieceat) return;
    this.pieceat = -1;
    await this.dev.read(this.piece, 0, Math.min(FAT_PIECE_BYTES, this.fatbytes - start), this.fatat + start);
    this.pieceat = start;
  }

  /** The clusters of the root directory, as far as its chain can be followed; `broken` says why no further. */
  async rootchain(): Promise<{ clusters: number[]; broken: string | undefined }> {
    const clusters = [this.boot.FirstClusterOfRootDirectory];
    const seen = new Set(clusters);
    for (;;) {
      const last = clusters[clusters.length - 1];
      const next = await this.cell(last);
      if (next === 0xffff_ffff) return { clusters, broken: undefined };
      if (!this.iscluster(next)) return { clusters, broken: `cluster ${last} leads to ${next}` };
      if (seen.has(next)) return { clusters, broken: `cluster ${last} leads back to ${next}` };
      if (clusters.length >= this.dirclusters) return { clusters, broken: 'it is longer than a directory can be' };
      clusters.push(next);
      seen.add(next);
    }
  }

  /**
   * The entries of the root directory, each with its byte offset on the device, and at last the place where one could
   * be added
   * (`bytes` is null; there is none if the directory is full).
   */
  async *rootentries(): AsyncGenerator<{ at: number; bytes: Uint8Array | null }> {
    const { clusters } = await this.rootchain();
    const content = new Uint8Array(this.clbytes);
    for (const cluster of clusters) {
      await this.dev.read(content, 0, content.length, this.at(cluster));
      for (let into = 0; into < content.length; into += ENTRY_BYTES) {
        if (content[into] === T_END) {
          yield { at: this.at(cluster) + into, bytes: null };
          return;
        }
        yield { at: this.at(cluster) + into, bytes: content.slice(into, into + ENTRY_BYTES) };
      }
    }
  }
}
