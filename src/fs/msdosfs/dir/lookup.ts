import { E, errno, errnoOf } from '../../../kernel/errno.js';
import type { Context } from '../../../kernel/context.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { DT_DIR, DT_REG } from '../../../kernel/stat.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Cookie, ReaddirEmit } from '../../../kernel/vfs/vnops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { DIRENT_BYTES } from '../disk/bpb.js';
import { ATTR_DIRECTORY, D, LFN_SLOTS_MAX, SLOT_EMPTY } from '../disk/direntry.js';
import { VTODE } from '../file/denode.js';
import type { Denode } from '../file/denode.js';
import { ROOT_NUMBER } from '../volume/msdosmount.js';
import { dir_block, dir_capacity, dir_clusters, dir_piece, dir_place, dir_table, entry_names } from './build.js';
import { EntryParser, isdot, shortName } from './parse.js';
import { parent_number } from './parent.js';
import type { DirTable } from './table.js';

/** Finding names in a directory and listing it. */

export function msdosfs_lookup(dvp: Vnode, name: string, _ctx: Context): MaybePromise<Vnode | null> {
  const dir = VTODE(dvp);
  if (name === '..') return dotdot(dvp, dir);
  const table = dir_table(dir);
  return table instanceof Promise ? table.then((t) => enter(dvp, dir, t, name)) : enter(dvp, dir, table, name);
}

function enter(dvp: Vnode, dir: Denode, table: DirTable, name: string): MaybePromise<Vnode | null> {
  const { pmp } = dir;
  const entry = dir.nlink === 0 ? undefined : table.get(pmp.pm_options.names.fold(name));
  if (entry === undefined) return null;
  const vp = pmp.pm_kernel.vcache_get(dvp.v_mount, pmp.pm_numbers.numberAt(entry.place));
  return vp instanceof Promise ? vp.then((v) => entered(dir, v), dangling) : entered(dir, vp);
}

function dangling(thrown: unknown): never {
  // An entry that a lookup has found is there: what cannot be made of it is damaged.
  throw errnoOf(thrown) === E.ESTALE ? errno(E.EIO) : thrown;
}

function entered(dir: Denode, vp: Vnode): Vnode {
  VTODE(vp).parentStart = dir.isroot ? 0 : dir.start;
  return vp;
}

async function dotdot(dvp: Vnode, dir: Denode): Promise<Vnode> {
  if (dir.nlink === 0) throw errno(E.ENOENT);
  return dvp.v_mount.mnt_kernel.vcache_get(dvp.v_mount, await parent_number(dir));
}

/** How the directory spells the entry that `name` finds. */
export function msdosfs_spelling(dvp: Vnode, name: string): MaybePromise<string> {
  const dir = VTODE(dvp);
  const { names } = dir.pmp.pm_options;
  const spelled = (table: DirTable): string => table.get(names.fold(name))?.name ?? name;
  const table = dir_table(dir);
  return table instanceof Promise ? table.then(spelled) : spelled(table);
}

/** Cookies: 0 is ".", 1 is "..", entry n of the directory is n + 2. */
const DOTS = 2;

export function msdosfs_readdir(vp: Vnode, cookie: Cookie, _ctx: Context, emit: ReaddirEmit): MaybePromise<boolean> {
  const dir = VTODE(vp);
  const from = Number(cookie);
  if (!(from >= 0) || from % 1 !== 0) throw errno(E.EINVAL, `directory offset ${cookie}`);
  if (dir.nlink === 0) return true;
  if (from <= 0 && !emit(dir.number, DT_DIR, '.', 1)) return false;
  if (from <= 1) return fromdotdot(dir, emit);
  return list(dir, from - DOTS, emit);
}

function fromdotdot(dir: Denode, emit: ReaddirEmit): MaybePromise<boolean> {
  const parent = dir.isroot ? ROOT_NUMBER : parent_number(dir);
  // A ".." that leads nowhere is found when somebody goes there.
  if (parent instanceof Promise) {
    return parent
      .catch(() => dir.number)
      .then((number) => (emit(number, DT_DIR, '..', DOTS) ? list(dir, 0, emit) : false));
  }
  return emit(parent, DT_DIR, '..', DOTS) ? list(dir, 0, emit) : false;
}

/** Entries from `slot` on. The walk begins a little before: the name of the first may be in front of it. */
function list(dir: Denode, slot: number, emit: ReaddirEmit): MaybePromise<boolean> {
  const known = dir_clusters(dir);
  const piece = dir_piece(dir);
  const begin = Math.floor(Math.max(0, slot - LFN_SLOTS_MAX) / piece) * piece;
  const parser = new EntryParser();
  return known instanceof Promise
    ? known.then(() => listfrom(dir, begin, slot, parser, emit))
    : listfrom(dir, begin, slot, parser, emit);
}

/** What came of a block: go on, the caller has no room, the directory ends here. */
type Listed = 'on' | 'full' | 'end';

function listfrom(
  dir: Denode,
  at: number,
  slot: number,
  parser: EntryParser,
  emit: ReaddirEmit,
): MaybePromise<boolean> {
  const piece = dir_piece(dir);
  const capacity = dir_capacity(dir);
  while (at < capacity) {
    const got = dir_block(dir, at);
    if (got instanceof Promise) {
      const from = at;
      return got.then((bp) => {
        const listed = block(dir, bp, from, slot, capacity, parser, emit);
        return listed === 'on' ? listfrom(dir, from + piece, slot, parser, emit) : listed === 'end';
      });
    }
    const listed = block(dir, got, at, slot, capacity, parser, emit);
    if (listed !== 'on') return listed === 'end';
    at += piece;
  }
  return true;
}

/** Takes the reference to `bp`. */
function block(
  dir: Denode,
  bp: Buf,
  first: number,
  slot: number,
  capacity: number,
  parser: EntryParser,
  emit: ReaddirEmit,
): Listed {
  const { pmp } = dir;
  const { b_data: bytes, b_view: view } = bp;
  const removals = pmp.pm_order?.removals;
  try {
    const most = Math.min(bp.b_bcount / DIRENT_BYTES, capacity - first);
    for (let i = 0; i < most; i++) {
      const at = i * DIRENT_BYTES;
      if (bytes[at] === SLOT_EMPTY) return 'end';
      if (!parser.feed(bytes, view, at) || first + i < slot || isdot(bytes, at)) continue;
      const place = dir_place(dir, first + i);
      if (removals !== undefined && removals.size > 0 && removals.has(place)) continue;
      const { name } = entry_names(dir, shortName(bytes, at), bytes[at + D.lowerCase]!, parser.long);
      if (name === null) continue;
      const type = (bytes[at + D.attr]! & ATTR_DIRECTORY) !== 0 ? DT_DIR : DT_REG;
      if (!emit(pmp.pm_numbers.numberAt(place), type, name, first + i + 1 + DOTS)) return 'full';
    }
    return 'on';
  } finally {
    pmp.pm_bufcache.brelse(bp);
  }
}
