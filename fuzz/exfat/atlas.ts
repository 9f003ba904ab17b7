/** Where the structures of a sound volume lie. */
import { boot_decode } from '../../src/fs/exfat/disk/boot.js';
import type { Boot } from '../../src/fs/exfat/disk/boot.js';
import {
  ENTRY_BYTES, IN_USE, NO_FAT_CHAIN, T_BITMAP, T_FILE, T_UPCASE, get_length,
} from '../../src/fs/exfat/disk/entry.js';

/** Entries that belong together: a file's set, or one entry of another kind. */
export interface Group {
  /** Byte offsets of its entries. */
  readonly entries: readonly number[];
  readonly type: number;
  /** FirstCluster; 0: none. */
  readonly first: number;
}

export interface Atlas {
  readonly boot: Boot;
  readonly secbytes: number;
  readonly clbytes: number;
  readonly fatat: number;
  readonly heapat: number;
  readonly groups: readonly Group[];
  /** Byte offsets of entries that are not in use, or behind the end of a directory. */
  readonly unused: readonly number[];
  /** Clusters in use. */
  readonly used: readonly number[];
  readonly bitmapat: number;
  readonly bitmapbytes: number;
  readonly upcaseat: number;
  readonly upcasebytes: number;
}

export function makeAtlas(bytes: Uint8Array): Atlas {
  const view = new DataView(bytes.buffer);
  const boot = boot_decode(bytes.subarray(0, 512));
  const secbytes = 2 ** boot.BytesPerSectorShift;
  const clbytes = secbytes * 2 ** boot.SectorsPerClusterShift;
  const fatat = boot.FatOffset * secbytes;
  const heapat = boot.ClusterHeapOffset * secbytes;
  const at = (cluster: number): number => heapat + (cluster - 2) * clbytes;
  const clustersOf = (first: number, count: number, contiguous: boolean): number[] => {
    const clusters: number[] = [];
    for (
      let c = first;
      clusters.length < count && c >= 2 && c < boot.ClusterCount + 2;
      c = contiguous ? c + 1 : view.getUint32(fatat + 4 * c, true)
    ) {
      clusters.push(c);
    }
    return clusters;
  };
  const groups: Group[] = [];
  const unused: number[] = [];
  const used: number[] = [];
  let system = { bitmapat: 0, bitmapbytes: 0, upcaseat: 0, upcasebytes: 0 };
  const queue = [clustersOf(boot.FirstClusterOfRootDirectory, Infinity, false)];
  for (let clusters = queue.pop(); clusters !== undefined; clusters = queue.pop()) {
    used.push(...clusters);
    const places = clusters.flatMap(
      (c) => Array.from({ length: clbytes / ENTRY_BYTES }, (_, i) => at(c) + i * ENTRY_BYTES),
    );
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      const type = bytes[place]!;
      if ((type & IN_USE) === 0) {
        if (unused.length < 200) unused.push(place);
        continue;
      }
      const count = type === T_FILE ? bytes[place + 1]! + 1 : 1;
      const entries = places.slice(i, i + count);
      const stream = type === T_FILE ? entries[1]! : place;
      const has = type === T_FILE || type === T_BITMAP || type === T_UPCASE;
      const first = has ? view.getUint32(stream + 20, true) : 0;
      groups.push({ entries, type, first });
      i += count - 1;
      if (!has) continue;
      const length = get_length(view, stream + 24);
      const own = clustersOf(
        first, Math.ceil(length / clbytes), type === T_FILE && (bytes[stream + 1]! & NO_FAT_CHAIN) !== 0,
      );
      if (type === T_FILE && (bytes[place + 4]! & 0x10) !== 0) queue.push(own);
      else used.push(...own);
      if (type === T_BITMAP) system = { ...system, bitmapat: at(first), bitmapbytes: length };
      if (type === T_UPCASE) system = { ...system, upcaseat: at(first), upcasebytes: length };
    }
  }
  return { boot, secbytes, clbytes, fatat, heapat, groups, unused, used, ...system };
}
