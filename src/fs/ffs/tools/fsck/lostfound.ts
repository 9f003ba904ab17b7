import { DT_DIR, S_IFDIR } from '../../../../kernel/stat.js';
import { UFS_ROOTINO } from '../../disk/fs.js';
import { allocDir } from './alloc.js';
import type { FsckContext } from './context.js';
import { changeEntry, makeEntry } from './direntry.js';
import { scanDirectory } from './dirscan.js';
import { DFOUND, DSTATE, USTATE } from './inodetable.js';
import type { InodeView } from './inodeview.js';
import { KEEPON, STOP, ginode } from './walk.js';

const LFNAME = 'lost+found';
const LFMODE = 0o1700;

/** Who an inode is, as fsck_ffs shows it to the person who must decide. */
export function pinode(ino: number, inode: InodeView): string {
  const date = new Date(inode.mtime * 1000);
  const mtime = Number.isNaN(date.getTime()) ? String(inode.mtime) : date.toISOString().slice(0, 16).replace('T', ' ');
  return `I=${ino} OWNER=${inode.uid} MODE=${inode.mode.toString(8)} SIZE=${inode.size} MTIME=${mtime}`;
}

async function addOnDiskLinks(ctx: FsckContext, ino: number, n: number): Promise<void> {
  const { inode, buf } = await ginode(ctx, ino);
  inode.nlink = inode.nlink + n;
  await ctx.bwrite(buf);
}

/** A directory that has just been made, connected and complete. */
function enter(ctx: FsckContext, ino: number, parent: number, state: number): void {
  const { inodes, dirs } = ctx;
  dirs.remove(ino);
  const info = dirs.add(ino, ctx.dirblksiz);
  info.parent = parent;
  info.dotdot = parent;
  inodes.setState(ino, state);
  inodes.setType(ino, DT_DIR);
  inodes.setLinks(ino, 0);
}

/** Makes a new root directory in place of what is there. @returns false if the volume is full */
export async function replaceRoot(ctx: FsckContext): Promise<boolean> {
  const { inodes } = ctx;
  if (inodes.state(UFS_ROOTINO) !== USTATE) {
    ctx.rerun = true;
    inodes.setState(UFS_ROOTINO, USTATE);
  }
  if ((await allocDir(ctx, UFS_ROOTINO, 0o755, UFS_ROOTINO)) === 0) return false;
  enter(ctx, UFS_ROOTINO, UFS_ROOTINO, DSTATE);
  // Phase 2 finds both of its entries.
  inodes.setLinks(UFS_ROOTINO, 2);
  const info = ctx.dirs.get(UFS_ROOTINO)!;
  info.dotdot = 0;
  return true;
}

/** The directory lost+found, made if there is none. @returns 0 if it cannot be had */
async function lostFound(ctx: FsckContext): Promise<number> {
  if (ctx.lostFound !== 0) return ctx.lostFound;
  const root = await ginode(ctx, UFS_ROOTINO);
  let found = 0;
  await scanDirectory(ctx, root.inode, root.inode.size, {
    entry(e) {
      if (e.ino === 0 || !e.is(LFNAME)) return KEEPON;
      found = e.ino;
      return STOP;
    },
  });
  if (found !== 0 && ctx.inodes.state(found) !== DFOUND) {
    ctx.report('LOST_FOUND', `lost+found IS NOT A DIRECTORY THAT CAN BE USED I=${found}`, { inode: found });
    return 0;
  }
  if (found === 0) {
    if (!ctx.ask('LOST_FOUND', 'NO lost+found DIRECTORY', 'CREATE', true)) return 0;
    found = await allocDir(ctx, UFS_ROOTINO, LFMODE);
    if (found === 0) {
      ctx.report('LOST_FOUND', 'SORRY. CANNOT CREATE lost+found DIRECTORY');
      return 0;
    }
    // Lost directories may call the number their parent: they mean who had it before, and took no link of the new one.
    for (const info of ctx.dirs.list) if (info.dotdot === found) info.dotdot = 0;
    enter(ctx, found, UFS_ROOTINO, DFOUND);
    ctx.dirs.get(found)!.name = LFNAME;
    if (!(await makeEntry(ctx, UFS_ROOTINO, found, LFNAME))) {
      ctx.report('LOST_FOUND', 'SORRY. CANNOT CREATE lost+found DIRECTORY');
      ctx.rerun = true;
      return 0;
    }
    await addOnDiskLinks(ctx, UFS_ROOTINO, 1);
  }
  const { inode } = await ginode(ctx, found);
  await scanDirectory(ctx, inode, inode.size, {
    entry(e) {
      if (e.ino !== 0) ctx.lostFoundNames.add(e.name());
      return KEEPON;
    },
  });
  ctx.lostFound = found;
  return found;
}

/** A name that lost+found does not have yet: what it was called, or "#" and the inode's number. */
function freeName(ctx: FsckContext, ino: number, name: string | undefined): string {
  const width = String(ctx.fs.ninodes).length;
  let wanted = name ?? `#${String(ino).padStart(width, '0')}`;
  for (let n = 1; ctx.lostFoundNames.has(wanted); n++) wanted = `#${String(ino).padStart(width, '0')}.${n}`;
  return wanted;
}

/**
 * Connects what nothing names to lost+found.
 * What the ".." of a directory says loses that link.
 * @param name what it was called, where that is known
 * @returns false if it was not connected
 */
export async function linkup(ctx: FsckContext, orphan: number, name?: string): Promise<boolean> {
  const { inode } = await ginode(ctx, orphan);
  const isDir = (inode.mode & S_IFDIR) === S_IFDIR && inode.fmt === S_IFDIR;
  if (ctx.mode === 'preen' && inode.size === 0) return false;
  const text = `UNREF ${isDir ? 'DIR' : 'FILE'} ${pinode(orphan, inode)}`;
  if (!ctx.ask(isDir ? 'UNREF_DIRECTORY' : 'UNREF_FILE', text, 'RECONNECT', true, { inode: orphan })) return false;
  const lf = await lostFound(ctx);
  const freed = lf === 0 ? '' : freeName(ctx, orphan, name);
  if (lf === 0 || !(await makeEntry(ctx, lf, orphan, freed))) {
    ctx.report('LOST_FOUND', `SORRY. NO SPACE IN lost+found DIRECTORY I=${orphan}`, { inode: orphan });
    return false;
  }
  ctx.lostFoundNames.add(freed);
  ctx.inodes.addLinks(orphan, -1);
  if (!isDir) return true;
  const info = ctx.dirs.get(orphan);
  const parentdir = info?.dotdot ?? 0;
  if (parentdir > 0) ctx.inodes.addLinks(parentdir, 1);
  if (!(await changeEntry(ctx, orphan, '..', lf)) && !(await makeEntry(ctx, orphan, lf, '..'))) ctx.unresolved = true;
  await addOnDiskLinks(ctx, lf, 1);
  if (info !== undefined) {
    info.parent = lf;
    info.dotdot = lf;
    info.name = freed;
  }
  ctx.inodes.setState(orphan, DFOUND);
  ctx.note(`DIR I=${orphan} CONNECTED. PARENT WAS I=${parentdir}`);
  return true;
}
