import { S_IFDIR } from '../../../../kernel/stat.js';
import { UFS_ROOTINO } from '../../disk/fs.js';
import type { FsckContext } from './context.js';
import { DCLEAR, DFOUND, DSTATE, FCLEAR, FSTATE, USTATE } from './inodetable.js';
import { SF_LOG } from './inodeview.js';
import { linkup, pinode } from './lostfound.js';
import type { BlockVisitor } from './walk.js';
import { KEEPON, SKIP, ginode, walkInode } from './walk.js';

/** Phase 4: link counts, files that nothing names, and what the phases before have condemned. */
export async function pass4(ctx: FsckContext): Promise<void> {
  const { fs, inodes } = ctx;
  for (let c = 0; c < fs.fs_ncg; c++) {
    // The table may grow on the way: lost+found.
    for (let i = 0; i < inodes.count(c); i++) {
      const ino = c * fs.fs_ipg + i;
      if (ino < UFS_ROOTINO) continue;
      switch (inodes.state(ino)) {
        case FSTATE:
        case DFOUND: {
          const n = inodes.links(ino);
          if (n !== 0) {
            if (!(await hidden(ctx, ino))) await adjust(ctx, ino, n);
          } else if (inodes.unlinked(ino)) {
            await unref(ctx, ino, true);
          }
          break;
        }
        case DSTATE:
          // Phase 3 has asked for each; what it could not connect stays as it is.
          break;
        case DCLEAR:
          if (ctx.dirs.get(ino)?.size === 0) await condemn(ctx, ino, 'ZERO LENGTH');
          else await condemn(ctx, ino, 'BAD/DUP');
          break;
        case FCLEAR:
          await condemn(ctx, ino, 'BAD/DUP');
          break;
      }
    }
  }
}

async function hidden(ctx: FsckContext, ino: number): Promise<boolean> {
  if (ctx.hidden.has(ino)) return true;
  return ctx.journalInodes.has(ino) && ((await ginode(ctx, ino)).inode.flags & SF_LOG) !== 0;
}

/** `n` of the links that the inode counts were not found (or, below 0, were found and are not counted). */
async function adjust(ctx: FsckContext, ino: number, n: number): Promise<void> {
  const before = await ginode(ctx, ino);
  const { nlink } = before.inode;
  if (nlink === n && before.inode.fmt !== S_IFDIR) {
    const problems = ctx.problemCount;
    if (!(await linkup(ctx, ino))) {
      // In a check the one complaint is enough.
      if (ctx.problemCount === problems) await unref(ctx, ino, true);
      return;
    }
    if (--n === 0) return;
  }
  const { inode, buf } = await ginode(ctx, ino);
  const text = `LINK COUNT ${inode.fmt === S_IFDIR ? 'DIR' : 'FILE'} ${pinode(ino, inode)} COUNT ${nlink} SHOULD BE ` +
    `${nlink - n}`;
  if (!ctx.ask('LINK_COUNT', text, 'ADJUST', n > 0, { inode: ino })) return;
  inode.nlink = nlink - n;
  await ctx.bwrite(buf);
  ctx.inodes.setLinks(ino, 0);
}

/** Clears a file that nothing names: unlinked while it was open, as a rule. */
async function unref(ctx: FsckContext, ino: number, preen: boolean): Promise<void> {
  const { inode } = await ginode(ctx, ino);
  const text = `UNREF ${inode.fmt === S_IFDIR ? 'DIR' : 'FILE'} ${pinode(ino, inode)}`;
  if (!ctx.ask('UNREF_FILE', text, 'CLEAR', preen, { inode: ino })) return;
  const release: BlockVisitor = {
    block(fsb, frags) {
      if (!ctx.blocks.inRange(fsb, frags)) return SKIP;
      for (let i = 0; i < frags; i++) if (!ctx.blocks.dups.has(fsb + i)) ctx.blocks.clear(fsb + i);
      ctx.touched.add(ctx.fs.dtog(fsb));
      ctx.usedFrags -= frags;
      return KEEPON;
    },
  };
  await walkInode(ctx, inode, release);
  await clearInode(ctx, ino);
}

async function clearInode(ctx: FsckContext, ino: number): Promise<void> {
  const { inode, buf } = await ginode(ctx, ino);
  inode.clear();
  await ctx.bwrite(buf);
  ctx.inodes.setState(ino, USTATE);
  ctx.touched.add(ctx.fs.ino_to_cg(ino));
  ctx.files--;
}

/** Clears an inode whose blocks cannot be right. Which of them were its own shows in the next run. */
async function condemn(ctx: FsckContext, ino: number, what: string): Promise<void> {
  const zero = what === 'ZERO LENGTH';
  // A check has said all there is to say of it in phase 1.
  if (ctx.mode === 'check' && !zero) return;
  const { inode } = await ginode(ctx, ino);
  const text = `${what} ${inode.fmt === S_IFDIR ? 'DIR' : 'FILE'} ${pinode(ino, inode)}`;
  if (!ctx.ask(zero ? 'ZERO_LENGTH_DIRECTORY' : 'DUP_BAD_FILE', text, 'CLEAR', zero, { inode: ino })) return;
  if (!zero) ctx.rerun = true;
  await clearInode(ctx, ino);
}
