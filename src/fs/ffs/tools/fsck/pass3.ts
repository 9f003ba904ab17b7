import { UFS_ROOTINO } from '../../disk/fs.js';
import type { FsckContext } from './context.js';
import { removeEntry } from './direntry.js';
import type { DirInfo } from './dirtable.js';
import { DFOUND, DSTATE } from './inodetable.js';
import { linkup } from './lostfound.js';

/** Phase 3: directories that cannot be reached from the root. The topmost of each such tree goes to lost+found. */
export async function pass3(ctx: FsckContext): Promise<void> {
  const { inodes, dirs } = ctx;
  for (const start of [...dirs.list]) {
    if (start.ino === UFS_ROOTINO || inodes.state(start.ino) !== DSTATE || start.reported) continue;
    // Upwards to the top of the tree, or around the loop.
    const chain: DirInfo[] = [];
    const seen = new Set<number>();
    let top = start;
    for (;;) {
      chain.push(top);
      seen.add(top.ino);
      const parent = top.parent === 0 ? undefined : dirs.get(top.parent);
      if (parent === undefined || inodes.state(parent.ino) !== DSTATE || parent.reported || seen.has(parent.ino)) break;
      top = parent;
    }
    const above = top.parent === 0 ? undefined : dirs.get(top.parent);
    if (above !== undefined && inodes.state(above.ino) === DFOUND) {
      // Connected since, with a tree that was lost.
      for (const info of chain) inodes.setState(info.ino, DFOUND);
      continue;
    }
    if (above !== undefined && above.reported) {
      for (const info of chain) info.reported = true;
      continue;
    }
    const loop = above !== undefined && seen.has(above.ino);
    const connected = loop ? await unloop(ctx, top, above) : await linkup(ctx, top.ino);
    for (const info of chain) {
      if (connected) inodes.setState(info.ino, DFOUND);
      else info.reported = true;
    }
  }
}

/** `orphan` is named by `parent`, which hangs below it. */
async function unloop(ctx: FsckContext, orphan: DirInfo, parent: DirInfo): Promise<boolean> {
  if (
    !ctx.ask('DIRECTORY_LOOP', `ORPHANED DIRECTORY LOOP DETECTED I=${orphan.ino}`, 'RECONNECT', false, {
      inode: orphan.ino,
    })
  ) {
    return false;
  }
  const name = await removeEntry(ctx, parent.ino, orphan.ino);
  if (name === undefined) {
    ctx.report('DIRECTORY_LOOP', `COULD NOT FIND NAME IN PARENT DIRECTORY I=${orphan.ino}`, { inode: orphan.ino });
    return false;
  }
  ctx.inodes.addLinks(orphan.ino, 1);
  return linkup(ctx, orphan.ino, name);
}
