import { DIRECTSIZ } from '../../../ufs/dir.js';
import type { FsckContext } from './context.js';
import { growDirectory } from './dirfix.js';
import { scanDirectory } from './dirscan.js';
import { KEEPON, STOP, ginode } from './walk.js';

/**
 * Enters `name` for `ino` into directory `dir`, which grows if it must. Link counts are the caller's.
 * @returns false if there is no room on the volume
 */
export async function makeEntry(ctx: FsckContext, dir: number, ino: number, name: string): Promise<boolean> {
  const needed = DIRECTSIZ(name.length);
  const type = ctx.inodes.type(ino);
  // An entry that must stand at a certain place is looked for from the beginning.
  const from = name === '..' ? 0 : ctx.roomFrom.get(dir) ?? 0;
  for (let start = from; ;) {
    const { inode } = await ginode(ctx, dir);
    const { size } = inode;
    const said = await scanDirectory(ctx, inode, size, {
      entry(e) {
        const used = e.ino === 0 ? 0 : e.needed;
        const room = e.reclen - used;
        // What stands behind "." has to be "..".
        if (room < needed || (name !== '..' && e.chunk === 0 && e.ino !== 0 && e.is('.'))) return KEEPON;
        ctx.roomFrom.set(dir, e.chunk);
        if (used > 0) {
          e.reclen = used;
          e.at(e.buf, e.off + used, e.chunk);
        }
        e.put(ino, room, type, name);
        return STOP;
      },
    }, start);
    if (said === STOP) return true;
    if (!(await growDirectory(ctx, dir))) return false;
    start = size;
    ctx.roomFrom.set(dir, size);
  }
}

/** Makes the entry `name` of directory `dir` lead to `ino`. @returns false if there is no such entry */
export async function changeEntry(ctx: FsckContext, dir: number, name: string, ino: number): Promise<boolean> {
  const { inode } = await ginode(ctx, dir);
  const type = ctx.inodes.type(ino);
  return (await scanDirectory(ctx, inode, inode.size, {
    entry(e) {
      if (e.ino === 0 || !e.is(name)) return KEEPON;
      e.ino = ino;
      e.type = type;
      return STOP;
    },
  })) === STOP;
}

/** Takes the entry for `ino` out of `dir` ("." and ".." aside). @returns its name, or undefined */
export async function removeEntry(ctx: FsckContext, dir: number, ino: number): Promise<string | undefined> {
  const { inode } = await ginode(ctx, dir);
  let name: string | undefined;
  await scanDirectory(ctx, inode, inode.size, {
    entry(e) {
      if (e.ino !== ino || e.is('.') || e.is('..')) return KEEPON;
      name = e.name();
      e.ino = 0;
      return STOP;
    },
  });
  return name;
}
