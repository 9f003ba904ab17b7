/** Where the structures of a sound volume lie. */
import { DIRENT_BYTES, clusterOffset, decodeGeometry } from '../../src/fs/msdosfs/disk/bpb.js';
import type { Geometry } from '../../src/fs/msdosfs/disk/bpb.js';
import {
  ATTR_DIRECTORY,
  ATTR_VOLUME,
  D,
  SLOT_DELETED,
  SLOT_EMPTY,
  getStart,
  isLong,
} from '../../src/fs/msdosfs/disk/direntry.js';
import { isdot } from '../../src/fs/msdosfs/dir/parse.js';
import { CELL_MASK, getCell } from '../../src/fs/msdosfs/space/fat.js';

export interface Atlas {
  readonly g: Geometry;
  /** Byte offsets of entries: of files, of directories, "." and "..", parts of long names, and free ones. */
  readonly files: readonly number[];
  readonly directories: readonly number[];
  readonly dots: readonly number[];
  readonly parts: readonly number[];
  readonly unused: readonly number[];
  /** Clusters in use. */
  readonly used: readonly number[];
  /** First clusters of directories. */
  readonly dirstarts: readonly number[];
}

export function makeAtlas(bytes: Uint8Array): Atlas {
  const view = new DataView(bytes.buffer);
  const g = decodeGeometry(bytes, view, bytes.length);
  const cell = (c: number): number => getCell(view, g.type, c, -g.fatOffset);
  const chain = (first: number): number[] => {
    const all: number[] = [];
    for (let c = first; c >= 2 && c < CELL_MASK[g.type] - 8 && all.length < g.clusters; c = cell(c)) all.push(c);
    return all;
  };
  const atlas = {
    g,
    files: [] as number[],
    directories: [] as number[],
    dots: [] as number[],
    parts: [] as number[],
    unused: [] as number[],
    used: [] as number[],
    dirstarts: [] as number[],
  };
  const placesOf = (clusters: readonly number[]): number[] =>
    clusters.flatMap((c) => places(clusterOffset(g, c), g.clusterBytes));
  const queue = [g.type === 32 ? placesOf(chain(g.rootCluster)) : places(g.rootOffset, g.rootBytes)];
  if (g.type === 32) atlas.used.push(...chain(g.rootCluster));
  for (let dir = queue.pop(); dir !== undefined; dir = queue.pop()) {
    for (const at of dir) {
      if (bytes[at] === SLOT_EMPTY || bytes[at] === SLOT_DELETED) {
        if (atlas.unused.length < 200) atlas.unused.push(at);
      } else if (isLong(bytes, at)) atlas.parts.push(at);
      else if (isdot(bytes, at)) atlas.dots.push(at);
      else if ((bytes[at + D.attr]! & ATTR_VOLUME) === 0) {
        const start = getStart(view, at, g.type === 32);
        const clusters = chain(start);
        atlas.used.push(...clusters);
        if ((bytes[at + D.attr]! & ATTR_DIRECTORY) === 0) {
          atlas.files.push(at);
          continue;
        }
        atlas.directories.push(at);
        atlas.dirstarts.push(start);
        queue.push(placesOf(clusters));
      }
    }
  }
  return atlas;
}

function places(from: number, length: number): number[] {
  return Array.from({ length: length / DIRENT_BYTES }, (_, i) => from + i * DIRENT_BYTES);
}
