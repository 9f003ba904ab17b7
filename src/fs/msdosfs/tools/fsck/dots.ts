import { DIRENT_BYTES } from '../../disk/bpb.js';
import { ATTR_DIRECTORY, D, SLOT_DELETED, SLOT_EMPTY, getStart, setStart } from '../../disk/direntry.js';
import { isdot } from '../../dir/parse.js';
import type { FsckContext } from './context.js';
import { pathOf } from './files.js';
import { patchEntry } from './directory.js';
import type { Directory } from './directory.js';

/** "." and "..": the first two entries of each directory but the root. @returns whether entries were made */
export async function checkDots(ctx: FsckContext, dir: Directory): Promise<boolean> {
  const { file } = dir;
  const above = file.dir === null || file.dir.offset < 0 ? 0 : file.dir.start;
  const dot = await one(ctx, dir, 0, file.start);
  return (await one(ctx, dir, 1, above)) || dot;
}

async function one(ctx: FsckContext, dir: Directory, slot: number, start: number): Promise<boolean> {
  const { bytes, view, file } = dir;
  const at = slot * DIRENT_BYTES;
  const name = '.'.repeat(slot + 1);
  const there = isdot(bytes, at) && (bytes[at + 1] === 46) === (slot === 1);
  const fat32 = ctx.g.type === 32;
  if (there) {
    const points = getStart(view, at, fat32);
    // ".." of a directory below the root is 0; some name the root's first cluster.
    if (points === start || (start === 0 && points !== 0 && points === ctx.g.rootCluster)) return false;
    await ctx.problem(`${pathOf(file)}: "${name}" names cluster ${points} instead of ${start}`, {
      preen: true,
      fix: async () => (await patchEntry(ctx, dir, slot, (a) => setStart(view, a, fat32, start)), 'set'),
    });
    return false;
  }
  const free = bytes[at] === SLOT_DELETED || bytes[at] === SLOT_EMPTY;
  // Another entry stands in its place: it moves to a free one, if there is.
  const to = free ? slot : freeSlot(dir);
  return ctx.problem(`${pathOf(file)}: it has no "${name}"`, {
    preen: false, serious: true,
    ...(to < 0 ? {} : {
      fix: async () => {
        if (to !== slot) await patchEntry(ctx, dir, to, (a) => bytes.copyWithin(a, at, at + DIRENT_BYTES));
        await patchEntry(ctx, dir, slot, (a) => {
          bytes.fill(0, a, a + DIRENT_BYTES);
          bytes.fill(32, a, a + 11);
          bytes.fill(46, a, a + slot + 1);
          bytes[a + D.attr] = ATTR_DIRECTORY;
          view.setUint16(a + D.mdate, (1 << 5) | 1, true);
          setStart(view, a, fat32, start);
        });
        return 'made';
      },
    }),
  });
}

function freeSlot({ bytes }: Directory): number {
  for (let slot = 2; slot < bytes.length / DIRENT_BYTES; slot++) {
    const first = bytes[slot * DIRENT_BYTES];
    if (first === SLOT_DELETED) return slot;
    if (first === SLOT_EMPTY) return slot;
  }
  return -1;
}
