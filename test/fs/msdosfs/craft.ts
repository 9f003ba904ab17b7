/** A small FAT volume with a tree that is known byte by byte, for damage by hand. */
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { clusterOffset, decodeGeometry } from '../../../src/fs/msdosfs/disk/bpb.js';
import type { FatType, Geometry } from '../../../src/fs/msdosfs/disk/bpb.js';
import { newfs } from '../../../src/fs/msdosfs/tools/newfs.js';
import { MIB, VOL, mountFat, pattern, writeFile } from './volumes.js';

const SIZES: Readonly<Record<FatType, number>> = { 12: 1440 * 1024, 16: 3 * MIB, 32: 34 * MIB };
export const LONG = 'a long name, of three entries.text';

/** What is on it: of directories null. Clusters have 512 bytes. */
export const CONTENT: ReadonlyMap<string, Buffer | null> = new Map([
  ['/alpha', pattern(5 * 512, 1)],
  ['/BETA.BIN', pattern(6 * 512 - 100, 2)],
  [`/${LONG}`, pattern(1200, 3)],
  ['/dir', null],
  ['/dir/inner', pattern(700, 4)],
  ['/dir/other', pattern(100, 5)],
  ['/dir/sub', null],
  ['/dir/sub/deep', pattern(3000, 6)],
  ['/EMPTY', pattern(0, 7)],
]);

export interface Entry {
  /** Byte offsets of the short entry and of those of the long name in front of it, on the volume. */
  readonly at: number;
  readonly parts: readonly number[];
}

export class Crafted {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly g: Geometry;
  /** Byte offset of the cluster of /dir/sub, when all was well. */
  sub = 0;

  constructor(content: Uint8Array) {
    this.bytes = Buffer.from(content);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    this.g = decodeGeometry(this.bytes.subarray(0, 1024), this.view, this.bytes.length);
  }

  copy(): Crafted {
    return Object.assign(new Crafted(this.bytes), { sub: this.sub });
  }

  device(): MemoryDevice {
    return new MemoryDevice({ content: Uint8Array.from(this.bytes) });
  }

  /** The cell of a cluster in copy `fat`. */
  cell(cluster: number, fat = 0): number {
    const base = this.g.fatOffset + fat * this.g.fatBytes;
    if (this.g.type === 32) return this.view.getUint32(base + cluster * 4, true) & 0x0fffffff;
    if (this.g.type === 16) return this.view.getUint16(base + cluster * 2, true);
    const two = this.view.getUint16(base + cluster + (cluster >> 1), true);
    return cluster % 2 === 1 ? two >> 4 : two & 0xfff;
  }

  /** Changes the cell of a cluster in one copy of the FAT. */
  setIn(fat: number, cluster: number, value: number): void {
    const base = this.g.fatOffset + fat * this.g.fatBytes;
    if (this.g.type === 32) this.view.setUint32(base + cluster * 4, value, true);
    else if (this.g.type === 16) this.view.setUint16(base + cluster * 2, value, true);
    else {
      const at = base + cluster + (cluster >> 1);
      const two = this.view.getUint16(at, true);
      this.view.setUint16(at, cluster % 2 === 1 ? (two & 0xf) | (value << 4) : (two & 0xf000) | value, true);
    }
  }

  set(cluster: number, value: number): void {
    for (let fat = 0; fat < this.g.fats; fat++) this.setIn(fat, cluster, value);
  }

  get eoc(): number {
    return this.g.type === 32 ? 0x0fffffff : this.g.type === 16 ? 0xffff : 0xfff;
  }

  start(at: number): number {
    const low = this.view.getUint16(at + 26, true);
    return this.g.type === 32 ? low + this.view.getUint16(at + 20, true) * 65536 : low;
  }

  setStart(at: number, cluster: number): void {
    this.view.setUint16(at + 26, cluster & 0xffff, true);
    if (this.g.type === 32) this.view.setUint16(at + 20, cluster >>> 16, true);
  }

  chain(first: number): number[] {
    const all: number[] = [];
    for (let c = first; c >= 2 && c <= this.g.clusters + 1 && all.length < 10_000; c = this.cell(c)) all.push(c);
    return all;
  }

  chainOf(path: string): number[] {
    return this.chain(this.start(this.entry(path).at));
  }

  /** Clusters that are free, from the end of the volume on. */
  free(count: number): number[] {
    const all: number[] = [];
    for (let c = this.g.clusters + 1; all.length < count; c--) if (this.cell(c) === 0) all.push(c);
    return all;
  }

  offset(cluster: number): number {
    return clusterOffset(this.g, cluster);
  }

  /** Byte offsets of all entries of a directory, used or not. */
  slots(path: string): number[] {
    const { g } = this;
    const root = path === '' || path === '/';
    const pieces =
      root && g.type !== 32
        ? [[g.rootOffset, g.rootBytes] as const]
        : (root ? this.chain(g.rootCluster) : this.chainOf(path)).map((c) => [this.offset(c), g.clusterBytes] as const);
    return pieces.flatMap(([from, length]) => Array.from({ length: length / 32 }, (_, i) => from + i * 32));
  }

  /** The first free entry of a directory that ends there. */
  end(path: string): number {
    return this.slots(path).find((at) => this.bytes[at] === 0)!;
  }

  /** By its last name, long or short. @throws Error */
  entry(path: string): Entry {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    let parts: number[] = [];
    let long = '';
    for (const at of this.slots(path.slice(0, slash))) {
      if (this.bytes[at] === 0) break;
      if (this.bytes[at] === 0xe5) {
        parts = [];
        long = '';
        continue;
      }
      if (this.bytes[at + 11] === 0x0f) {
        parts.push(at);
        const units = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30].map((i) => this.view.getUint16(at + i, true));
        long = String.fromCharCode(...units).replace(/\0.*$/s, '') + long;
        continue;
      }
      const base = this.bytes.toString('latin1', at, at + 8).trimEnd();
      const extension = this.bytes.toString('latin1', at + 8, at + 11).trimEnd();
      if (long === name || `${base}${extension === '' ? '' : '.'}${extension}` === name) return { at, parts };
      parts = [];
      long = '';
    }
    throw new Error(`no ${path}`);
  }
}

/** A sound volume with {@link CONTENT}. */
export async function crafted(type: FatType): Promise<Crafted> {
  const dev = new MemoryDevice({ size_bytes: SIZES[type] });
  await newfs(dev, { type, clusterBytes: 512, volumeId: 0x1234abcd, label: 'CRAFTED' });
  const m = await mountFat(dev);
  for (const [path, bytes] of CONTENT) {
    if (bytes === null) await m.sys.mkdir(VOL + path, 0o755);
    else await writeFile(m.sys, VOL + path, bytes);
  }
  await m.close();
  const bytes = new Uint8Array(dev.size_bytes);
  await dev.read(bytes, 0, bytes.length, 0);
  const made = new Crafted(bytes);
  made.sub = made.offset(made.chainOf('/dir/sub')[0]!);
  return made;
}
