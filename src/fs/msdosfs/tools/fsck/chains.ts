import { clusterOffset } from '../../disk/bpb.js';
import { D, SLOT_DELETED } from '../../disk/direntry.js';
import { CELL_FREE } from '../../space/fat.js';
import { FILE_MAX } from '../../volume/limits.js';
import type { FsckContext } from './context.js';
import { pathOf } from './files.js';
import type { Found } from './files.js';

/** The chains of files: whose clusters are whose, and do they fit the size? */

/** Writes first cluster and size of an entry. */
export async function writeEntry(ctx: FsckContext, file: Found): Promise<void> {
  if (file.offset < 0) return;
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  await ctx.dev.read(bytes, 0, 32, file.offset);
  view.setUint16(D.startCluster, file.start & 0xffff, true);
  if (ctx.g.type === 32) view.setUint16(D.highClust, file.start >>> 16, true);
  view.setUint32(D.fileSize, file.isdir ? 0 : file.size, true);
  await ctx.patch(file.offset, bytes);
}

/** The entry goes, and its long name. */
export async function removeEntry(ctx: FsckContext, file: Found): Promise<void> {
  for (const offset of [...file.parts, file.offset]) await ctx.patch(offset, Uint8Array.of(SLOT_DELETED));
  file.removed = true;
}

/**
 * The file ends with `last`, or has no clusters (0). What came behind is nobody's: it is found as a lost chain, or
 * free.
 */
function cutAt(ctx: FsckContext, file: Found, last: number): void {
  if (last === 0) file.start = 0;
  else ctx.set(last, ctx.mask);
}

/** Frees a chain as far as it is nobody's. */
function freeFrom(ctx: FsckContext, first: number): number {
  let n = 0;
  for (let c = first; ctx.valid(c) && ctx.owner[c] === 0 && n <= ctx.g.clusters; n++) {
    const cell = ctx.get(c);
    if (cell === CELL_FREE || cell === ctx.bad) break;
    ctx.set(c, CELL_FREE);
    if (ctx.endOf(cell)) return n + 1;
    c = cell;
  }
  return n;
}

/**
 * Follows the chain of a file, which is `index` in the list, and claims its clusters. `most`: it has no use for more.
 * @returns false if the file is gone
 */
export async function claim(ctx: FsckContext, files: Found[], index: number, most: number): Promise<boolean> {
  const file = files[index]!;
  const { owner } = ctx;
  let last = 0;
  let c = file.start;
  file.clusters = 0;
  while (c !== 0) {
    const where = last === 0 ? `its first cluster is ${c}` : `cluster ${last} is followed by ${c}`;
    if (!ctx.valid(c)) return cut(ctx, file, last, `${where}, which does not exist`);
    if (owner[c] === index + 1) {
      return cut(ctx, file, last, `${where}, which it has already: the chain runs in a circle`);
    }
    if (owner[c] !== 0) {
      const other = files[owner[c]! - 1]!;
      if (last === 0 && other.start === c && file.isdir && other.isdir) return twins(ctx, files, index, owner[c]! - 1);
      return cut(ctx, file, last, `${where}, which ${pathOf(other)} has, too`);
    }
    const cell = ctx.get(c);
    if (cell === CELL_FREE || cell === ctx.bad) {
      return cut(ctx, file, last, `${where}, which is ${cell === CELL_FREE ? 'free' : 'marked bad'}`);
    }
    if (file.clusters >= most) {
      const from = c;
      const end = last;
      await ctx.problem(`${pathOf(file)}: it has more clusters than its ` +
        `${file.isdir ? 'entries' : `${file.size} bytes`} need`, {
        preen: true,
        fix: async () => {
          cutAt(ctx, file, end);
          if (end === 0) await writeEntry(ctx, file);
          return `cut, ${freeFrom(ctx, from)} clusters freed`;
        },
      });
      // Where nothing is mended they are its all the same, and not lost.
      for (let rest = c; ctx.mode === 'check' && ctx.valid(rest) && owner[rest] === 0; rest = ctx.get(rest)) {
        owner[rest] = index + 1;
      }
      return true;
    }
    owner[c] = index + 1;
    file.clusters++;
    last = c;
    if (ctx.endOf(cell)) break;
    c = cell;
  }
  return fits(ctx, file);
}

async function cut(ctx: FsckContext, file: Found, last: number, why: string): Promise<boolean> {
  await ctx.problem(`${pathOf(file)}: ${why}`, {
    preen: false, serious: true,
    fix: async () => {
      if (last === 0 && file.isdir) {
        await removeEntry(ctx, file);
        return 'the entry is removed';
      }
      cutAt(ctx, file, last);
      file.size = Math.min(file.size, file.clusters * ctx.g.clusterBytes);
      await writeEntry(ctx, file);
      return `cut at ${file.clusters} clusters`;
    },
  });
  return !(last === 0 && file.isdir);
}

async function fits(ctx: FsckContext, file: Found): Promise<boolean> {
  if (file.isdir) {
    if (file.clusters > 0 || file.offset < 0) return true;
    await ctx.problem(`${pathOf(file)}: a directory without clusters`, {
      preen: false,
      serious: true,
      fix: async () => (await removeEntry(ctx, file), 'removed'),
    });
    return false;
  }
  const bytes = file.clusters * ctx.g.clusterBytes;
  if (file.size > bytes) {
    await ctx.problem(`${pathOf(file)}: it has ${file.size} bytes, but clusters for ${bytes} only`, {
      preen: true, serious: true,
      fix: async () => {
        file.size = bytes;
        await writeEntry(ctx, file);
        return 'its size is that of its clusters';
      },
    });
  }
  return true;
}

/**
 * Two entries with the same first cluster: a rename that was not finished leaves them. One of them goes: whose name
 * another entry has, or (of directories) the one that ".." does not point back to, or the one with the smaller size;
 * where one of them is marked as the new one, the other.
 * @returns the one that stays; null: nothing was mended
 */
async function mendTwins(ctx: FsckContext, a: Found, b: Found): Promise<Found | null> {
  const loser = await chooseLoser(ctx, a, b);
  const mended = await ctx.problem(`${pathOf(a)} and ${pathOf(b)} are the same file: a rename was not finished`, {
    preen: a.born === b.born, serious: true,
    fix: async () => {
      await removeEntry(ctx, loser);
      return `${pathOf(loser)} is removed`;
    },
  });
  return !mended ? null : loser === a ? b : a;
}

/** Directories: the other one has been claimed. @returns whether it is to be walked into */
async function twins(ctx: FsckContext, files: Found[], index: number, first: number): Promise<boolean> {
  const winner = await mendTwins(ctx, files[first]!, files[index]!);
  if (winner === null || winner === files[first]) return false;
  const { clusters, walked } = files[first]!;
  winner.clusters = clusters;
  files[first] = winner;
  return !walked;
}

/** Plain files of the same first cluster. Where nothing is mended, the first of them has the clusters. */
export async function settleTwins(ctx: FsckContext, files: readonly Found[]): Promise<void> {
  const starts = new Map<number, Found>();
  for (const file of files) {
    if (file.isdir || file.removed || file.start === 0) continue;
    const other = starts.get(file.start);
    if (other === undefined) {
      starts.set(file.start, file);
      continue;
    }
    const winner = await mendTwins(ctx, other, file);
    if (winner === null) file.removed = true;
    else starts.set(file.start, winner);
  }
}

async function chooseLoser(ctx: FsckContext, a: Found, b: Found): Promise<Found> {
  if (a.moved !== b.moved) return a.moved ? b : a;
  if (a.namesake !== b.namesake) return a.namesake ? a : b;
  if (a.isdir && ctx.valid(a.start)) {
    const entry = new Uint8Array(32);
    await ctx.dev.read(entry, 0, 32, clusterOffset(ctx.g, a.start) + 32);
    const view = new DataView(entry.buffer);
    const above =
      view.getUint16(D.startCluster, true) + (ctx.g.type === 32 ? view.getUint16(D.highClust, true) * 65536 : 0);
    const startOf = (file: Found) => (file.dir === null || file.dir.offset < 0 ? 0 : file.dir.start);
    if (startOf(a) !== startOf(b)) return startOf(a) === above ? b : a;
  }
  return b.size < a.size ? b : a;
}

/** Clusters that are in use and nobody's, as chains. */
export function lostChains(ctx: FsckContext): number[] {
  const { owner } = ctx;
  const { bad } = ctx;
  const lost = (c: number): boolean => {
    if (!ctx.valid(c) || owner[c] !== 0) return false;
    const cell = ctx.get(c);
    return cell !== CELL_FREE && cell !== bad;
  };
  const pointed = new Uint8Array(ctx.lastCluster + 1);
  for (let c = 2; c <= ctx.lastCluster; c++) {
    if (!lost(c)) continue;
    const next = ctx.get(c);
    if (lost(next)) pointed[next] = 1;
  }
  const heads: number[] = [];
  for (let c = 2; c <= ctx.lastCluster; c++) if (pointed[c] === 0 && lost(c)) heads.push(c);
  const seen = new Uint8Array(ctx.lastCluster + 1);
  const follow = (head: number): void => {
    for (let c = head; lost(c) && seen[c] === 0; c = ctx.get(c)) seen[c] = 1;
  };
  for (const head of heads) follow(head);
  // What is left are circles.
  for (let c = 2; c <= ctx.lastCluster; c++) {
    if (!lost(c) || seen[c] !== 0) continue;
    heads.push(c);
    follow(c);
  }
  return heads;
}

/** Makes a lost chain a proper one and claims it. @returns its clusters */
export function settleLost(ctx: FsckContext, head: number, index: number, change: boolean): number {
  const { owner, g } = ctx;
  let n = 0;
  const most = Math.max(1, Math.floor(FILE_MAX / g.clusterBytes));
  for (let c = head; ; ) {
    owner[c] = index;
    n++;
    const next = ctx.get(c);
    const on =
      ctx.valid(next) && owner[next] === 0 && ctx.get(next) !== CELL_FREE && ctx.get(next) !== ctx.bad && n < most;
    if (!on) {
      if (change && !ctx.endOf(next)) ctx.set(c, ctx.mask);
      return n;
    }
    c = next;
  }
}
