import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { DIRENT_BYTES, clusterOffset, validCluster } from '../disk/bpb.js';
import { ATTR_DIRECTORY, ATTR_VOLUME, D, SLOT_DELETED, SLOT_EMPTY, getStart, isLong } from '../disk/direntry.js';
import { Denode } from '../file/denode.js';
import { ROOT_NUMBER } from '../volume/msdosmount.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { dir_block, dir_capacity, dir_clusters, dir_piece, dir_place } from './build.js';
import { isdot } from './parse.js';

/**
 * The number of the directory above one. It has no pointer upwards but the first cluster that ".." names.
 * @throws EIO
 */
export function parent_number(dir: Denode): MaybePromise<number> {
  if (dir.isroot || dir.parentStart === 0) return ROOT_NUMBER;
  const loaded = dir.parentStart > 0 ? dir.pmp.pm_dirs.get(dir.parentStart) : undefined;
  return loaded !== undefined && loaded.nlink > 0 ? loaded.number : search(dir);
}

async function search(dir: Denode): Promise<number> {
  const { pmp } = dir;
  if (dir.parentStart < 0) dir.parentStart = await dotdot_start(pmp, dir.start, dir.what);
  const start = dir.parentStart;
  if (start === 0) return ROOT_NUMBER;
  const loaded = pmp.pm_dirs.get(start);
  if (loaded !== undefined) return loaded.number;
  // Its entry is in the directory above it.
  const above = await dotdot_start(pmp, start, dir.what);
  const grandparent = new Denode(pmp, above === 0 ? ROOT_NUMBER : -1, above === 0);
  grandparent.attr = ATTR_DIRECTORY;
  grandparent.start = above === 0 ? pmp.pm_geometry.rootCluster : above;
  const place = await entry_of(grandparent, start);
  if (place === undefined) {
    throw pmp.pm_damage.error(`${dir.what}: ".." names cluster ${start}, which no directory begins with`);
  }
  return pmp.pm_numbers.numberAt(place);
}

/** First cluster of the directory above the one that begins with `start`; 0: the root. @throws EIO */
export async function dotdot_start(pmp: MsdosMount, start: number, what: string): Promise<number> {
  const g = pmp.pm_geometry;
  if (!validCluster(g, start)) throw pmp.pm_damage.error(`${what}: a directory that begins with cluster ${start}`);
  const got = pmp.pm_bufcache.bread(pmp.pm_dev, clusterOffset(g, start), pmp.pm_dirblock);
  const bp = got instanceof Promise ? await got : got;
  try {
    const at = DIRENT_BYTES;
    if (!isdot(bp.b_data, at) || bp.b_data[at + 1] !== 46) {
      throw pmp.pm_damage.error(`${what}: the directory at cluster ${start} has no ".."`);
    }
    const above = pmp.dirStart(getStart(bp.b_view, at, pmp.fat32));
    if (above !== 0 && !validCluster(g, above)) throw pmp.pm_damage.error(`${what}: ".." names cluster ${above}`);
    return above;
  } finally {
    pmp.pm_bufcache.brelse(bp);
  }
}

/** The place of the entry in `dir` that names the directory which begins with `start`. */
async function entry_of(dir: Denode, start: number): Promise<number | undefined> {
  await dir_clusters(dir);
  const capacity = dir_capacity(dir);
  for (let slot = 0; slot < capacity; slot += dir_piece(dir)) {
    const bp = await dir_block(dir, slot);
    try {
      for (let at = 0; at < bp.b_bcount && slot + at / DIRENT_BYTES < capacity; at += DIRENT_BYTES) {
        if (bp.b_data[at] === SLOT_EMPTY) return undefined;
        if (names(dir.pmp, bp, at, start)) return dir_place(dir, slot + at / DIRENT_BYTES);
      }
    } finally {
      dir.pmp.pm_bufcache.brelse(bp);
    }
  }
  return undefined;
}

function names(pmp: MsdosMount, { b_data, b_view }: Buf, at: number, start: number): boolean {
  const attr = b_data[at + D.attr]!;
  if (
    b_data[at] === SLOT_DELETED ||
    isLong(b_data, at) ||
    (attr & (ATTR_DIRECTORY | ATTR_VOLUME)) !== ATTR_DIRECTORY ||
    isdot(b_data, at)
  ) {
    return false;
  }
  return getStart(b_view, at, pmp.fat32) === start;
}

