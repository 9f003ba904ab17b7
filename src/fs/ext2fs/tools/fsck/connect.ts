/** The third and the fourth pass: everything hangs together, and has as many names as it says. */
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../../kernel/stat.js';
import { FL, inode_seed } from '../../disk/dinode.js';
import { TAIL_BYTES, dirent_put, dirent_putlen, dirent_reclen, dirent_room, dirent_seal } from '../../disk/dirent.js';
import { INCOMPAT, RO_COMPAT } from '../../disk/features.js';
import { BG_INODE_UNINIT } from '../../disk/groupdesc.js';
import { EXT2_ROOTINO } from '../../disk/superblock.js';
import { directory_block } from '../newfs/content.js';
import type { FileRun } from '../volume/filemap.js';
import { put_group } from './backup.js';
import type { Checker, Dir } from './checker.js';
import { filetype } from './directories.js';
import { file_map } from './map.js';
import { is_system } from './pass1.js';
import { add_run, remap } from './remap.js';

/** A directory with more subdirectories says that it has one link. */
const LINK_MAX = 65000;
const FT_DIR = 2;
const LOST = 'lost+found';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

/** The directories whose chain of parents leads to the root. */
function attached(c: Checker): Set<number> {
  const good = new Set<number>([EXT2_ROOTINO]);
  for (const start of c.dirs.values()) {
    const path: number[] = [];
    let dir: Dir | undefined = start;
    const here = new Set<number>();
    while (dir !== undefined && !good.has(dir.ino) && dir.parent !== 0 && !here.has(dir.ino)) {
      here.add(dir.ino);
      path.push(dir.ino);
      dir = c.dirs.get(dir.parent);
    }
    if (dir !== undefined && good.has(dir.ino)) for (const ino of path) good.add(ino);
  }
  return good;
}

/** Directories that no path leads to, and what their ".." says. */
export async function check_paths(c: Checker): Promise<void> {
  const root = c.dirs.get(EXT2_ROOTINO);
  if (root === undefined) {
    if (c.problem('damage', 'root', 'there is no root directory', 'MADE')) await make_root(c);
    return;
  }
  root.parent = EXT2_ROOTINO;
  let good = attached(c);
  for (const dir of c.dirs.values()) {
    if (good.has(dir.ino)) continue;
    // A circle is cut where it is met first.
    const what = `directory inode ${dir.ino} has no way from the root`;
    if (!c.problem('preen', 'unconnected', what, `PUT IN ${LOST}`)) continue;
    if (!(await into_lost(c, dir.ino, S_IFDIR))) continue;
    dir.parent = await lost_ino(c);
    good = attached(c);
  }
  for (const dir of c.dirs.values()) {
    if (dir.parent === 0 || !good.has(dir.ino)) continue;
    // ".." counts as a name of what it leads to, once it is right.
    const parent = c.known.get(dir.parent);
    if (parent !== undefined) parent.counted++;
    if (dir.dotdot === dir.parent) continue;
    const what = `directory inode ${dir.ino}: ".." leads to ${dir.dotdot} instead of ${dir.parent}`;
    if (c.problem('preen', 'parent', what, 'SET')) await put_dotdot(c, dir);
  }
}

/** After repairs there is a place for what the next ones find. */
export async function check_lost(c: Checker): Promise<void> {
  if (!c.mending || !c.modified || !c.dirs.has(EXT2_ROOTINO) || (await named_lost(c)) !== 0) return;
  await make_lost(c);
}

async function put_dotdot(c: Checker, dir: Dir): Promise<void> {
  const place = await c.inode(dir.ino);
  if (dir.inline) {
    place.view.setUint32(place.at + 0x28, dir.parent, true);
    await c.putinode(place);
    return;
  }
  const first = dir.blocks.find(({ lbn }) => lbn === 0);
  if (first === undefined) return;
  const data = await c.bread(first.block);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const at = dirent_reclen(view, 0, c.fs.bsize);
  if (at + 12 > data.length) return;
  view.setUint32(at, dir.parent, true);
  await put_leaf(c, dir.ino, first.block, data);
  // The checksum of a tree's root is made right by the look at trees.
  c.again = true;
}

/** Writes a block of a directory, sealed if it has a tail. */
async function put_leaf(c: Checker, ino: number, block: number, data: Uint8Array): Promise<void> {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const tail = data.length - TAIL_BYTES;
  if (c.fs.metadata_csum && data[tail + 7] === 0xde && view.getUint32(tail, true) === 0) {
    const { d } = await c.inode(ino);
    dirent_seal(inode_seed(c.fs, ino, d.i_generation), data, view);
  }
  await c.bwrite(block, data);
}

/** Makes an empty directory in an inode that is free. @returns whether there was room */
async function new_directory(c: Checker, ino: number, parent: number, mode: number): Promise<boolean> {
  const { fs } = c;
  const place = await c.inode(ino);
  place.bytes.fill(0, place.at, place.at + fs.s_inode_size);
  const { view, at } = place;
  view.setUint16(at, mode, true);
  view.setUint32(at + 4, fs.bsize, true);
  view.setUint16(at + 0x1a, 2, true);
  if (fs.incompat(INCOMPAT.extents)) view.setUint32(at + 0x20, FL.EXTENTS, true);
  if (fs.s_inode_size > 128) view.setUint16(at + 0x80, Math.min(32, fs.s_inode_size - 128), true);
  view.setUint32(at + 0x1c, (fs.clusterblocks * fs.bsize) / 512, true);
  const now = new DataView(c.sb.buffer).getUint32(0x30, true);
  for (const field of [8, 0xc, 0x10]) view.setUint32(at + field, now, true);
  place.d.i_flags = fs.incompat(INCOMPAT.extents) ? FL.EXTENTS : 0;
  place.d.i_generation = 0;
  let block: number;
  try {
    block = c.balloc();
  } catch {
    c.unresolved = true;
    return false;
  }
  const blocks = [{ lbn: 0, block }];
  c.dirs.set(ino, { ino, blocks, inline: false, dotdot: parent, parent: ino === EXT2_ROOTINO ? ino : parent });
  await c.bwrite(block, directory_block(fs, inode_seed(fs, ino, 0), [
    { ino, name: text('.'), type: FT_DIR }, { ino: parent, name: text('..'), type: FT_DIR },
  ]));
  return remap(c, place, [{ lbn: 0, start: block, length: 1 }]);
}

async function make_root(c: Checker): Promise<void> {
  await new_directory(c, EXT2_ROOTINO, EXT2_ROOTINO, S_IFDIR | 0o755);
}

/** The inode of lost+found, if it is a directory that can be used; 0: there is none. */
async function lost_ino(c: Checker): Promise<number> {
  const ino = await named_lost(c);
  const dir = c.dirs.get(ino);
  return dir !== undefined && !dir.inline ? ino : 0;
}

/** The inode of that name in the root directory; 0: there is none. */
async function named_lost(c: Checker): Promise<number> {
  return (await find_lost(c))?.ino ?? 0;
}

/** The entry of that name in the root directory. */
async function find_lost(c: Checker): Promise<{ ino: number; block: number; at: number } | undefined> {
  const root = c.dirs.get(EXT2_ROOTINO)!;
  for (const { block } of root.blocks) {
    const data = await c.bread(block);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let at = 0; at + 12 <= data.length;) {
      const length = dirent_reclen(view, at, data.length);
      if (length < 12 || length % 4 !== 0) break;
      const ino = view.getUint32(at, true);
      if (ino !== 0 && data[at + 6] === LOST.length &&
        text(LOST).every((byte, i) => data[at + 8 + i] === byte)) return { ino, block, at };
      at += length;
    }
  }
  return undefined;
}

/** An inode that is not in use, counted from 0; one that never was is made known to its group. -1: there is none */
async function free_inode(c: Checker): Promise<number> {
  const { fs } = c;
  const csums = fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
  for (let g = 0; g < fs.ngroups; g++) {
    const d = c.groups[g]!;
    const first = g * fs.s_inodes_per_group;
    const unused = !csums ? 0 : (d.bg_flags & BG_INODE_UNINIT) !== 0 ? fs.s_inodes_per_group : d.bg_itable_unused;
    const written = first + fs.s_inodes_per_group - unused;
    const free = c.inodes.nextclear(Math.max(first, fs.s_first_ino - 1), written);
    if (free >= 0) return free;
    if (unused === 0 || written < fs.s_first_ino - 1) continue;
    d.bg_itable_unused = unused - 1;
    d.bg_flags &= ~BG_INODE_UNINIT;
    await put_group(c, g, d);
    return written;
  }
  return -1;
}

/** Makes lost+found. @returns 0: it cannot be */
async function make_lost(c: Checker): Promise<number> {
  const root = c.dirs.get(EXT2_ROOTINO)!;
  const free = root.inline ? -1 : await free_inode(c);
  if (free < 0) return 0;
  const ino = free + 1;
  if (!(await new_directory(c, ino, EXT2_ROOTINO, S_IFDIR | 0o700))) return 0;
  c.inodes.add(free);
  c.known.set(ino, { ino, mode: S_IFDIR | 0o700, flags: 0, links: 2, counted: 0 });
  return (await enter(c, root, text(LOST), ino, S_IFDIR)) ? ino : 0;
}

/** Puts an entry into a directory. @returns false: there is no room, and none is to be made */
async function enter(c: Checker, dir: Dir, name: Uint8Array, ino: number, mode: number): Promise<boolean> {
  const { fs } = c;
  const need = dirent_room(name.length);
  const type = fs.incompat(INCOMPAT.filetype) ? filetype(mode) : 0;
  const place = await c.inode(dir.ino);
  if ((place.d.i_flags & (FL.INDEX | FL.ENCRYPT)) === 0) {
    for (const { block } of dir.blocks) {
      const data = await c.bread(block);
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      const end = fs.metadata_csum ? fs.bsize - TAIL_BYTES : fs.bsize;
      for (let at = 0; at + 12 <= end;) {
        const length = dirent_reclen(view, at, fs.bsize);
        if (length < 12 || length % 4 !== 0 || at + length > end) break;
        const used = view.getUint32(at, true) === 0 ? 0 : dirent_room(data[at + 6]!);
        if (length - used >= need) {
          if (used > 0) dirent_putlen(view, at, used, fs.bsize);
          dirent_put(data, view, at + used, { ino, name, type, length: length - used }, fs.bsize);
          await put_leaf(c, dir.ino, block, data);
          c.again = true;
          return true;
        }
        at += length;
      }
    }
  }
  if ((place.d.i_flags & FL.ENCRYPT) !== 0) return false;
  return grow(c, dir, directory_block(fs, inode_seed(fs, dir.ino, place.d.i_generation), [{ ino, name, type }]));
}

/** Adds a block to a directory. */
async function grow(c: Checker, dir: Dir, data: Uint8Array): Promise<boolean> {
  const place = await c.inode(dir.ino);
  const { runs } = await file_map(c, place, false);
  const end = runs.reduce((most, { lbn, length }) => Math.max(most, lbn + length), 0);
  let block: number;
  try {
    block = c.balloc();
  } catch {
    return false;
  }
  await c.bwrite(block, data);
  const more: FileRun[] = [...runs];
  add_run(more, { lbn: end, start: block, length: 1 });
  // The tree of the directory would not know the block.
  place.view.setUint32(place.at + 0x20, (place.d.i_flags & ~FL.INDEX) >>> 0, true);
  place.view.setUint32(place.at + 4, (end + 1) * c.fs.bsize, true);
  return remap(c, place, more);
}

/** Something else has the name lost+found: it loses it, and gets another one with all that have none. */
async function out_of_way(c: Checker): Promise<void> {
  const found = await find_lost(c);
  if (found === undefined) return;
  const data = await c.bread(found.block);
  new DataView(data.buffer, data.byteOffset, data.length).setUint32(found.at, 0, true);
  await put_leaf(c, EXT2_ROOTINO, found.block, data);
  c.again = true;
}

/** Gives an inode that has no name one in lost+found. */
async function into_lost(c: Checker, ino: number, mode: number): Promise<boolean> {
  let lost = await lost_ino(c);
  if (lost === 0) {
    await out_of_way(c);
    lost = await make_lost(c);
  }
  const dir = c.dirs.get(lost);
  if (dir === undefined) {
    c.unresolved = true;
    return false;
  }
  if (!(await enter(c, dir, text(`#${ino}`), ino, mode))) {
    c.unresolved = true;
    return false;
  }
  return true;
}

/** How many names each has. */
export async function check_links(c: Checker): Promise<void> {
  for (const known of [...c.known.values()]) {
    const { ino, mode, links, counted, flags } = known;
    if (is_system(c, ino) || (flags & FL.EA_INODE) !== 0) continue;
    if (counted === 0 && (mode & S_IFMT) !== S_IFDIR) {
      const place = await c.inode(ino);
      const empty = place.d.i_size === 0 && place.d.i_blocks === 0 && (mode & S_IFMT) === S_IFREG;
      const fixed = empty ? 'CLEARED' : `PUT IN ${LOST}`;
      if (!c.problem('preen', 'unattached', `inode ${ino} has no name`, fixed)) continue;
      if (empty) await c.clearinode(place);
      else await into_lost(c, ino, mode);
      c.again = true;
      continue;
    }
    const dir = (mode & S_IFMT) === S_IFDIR;
    if (dir && links === 1 && c.fs.ro_compat(RO_COMPAT.dir_nlink) && counted > LINK_MAX) continue;
    const want = dir && counted > LINK_MAX && c.fs.ro_compat(RO_COMPAT.dir_nlink) ? 1 : Math.min(counted, 65535);
    if (links === want || counted === 0) continue;
    if (!c.problem('preen', 'links', `inode ${ino}: ${links} links should be ${want}`, 'SET')) continue;
    const place = await c.inode(ino);
    place.view.setUint16(place.at + 0x1a, want, true);
    await c.putinode(place);
  }
}
