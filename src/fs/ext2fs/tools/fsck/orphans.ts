/** Files that were deleted while they were open, or were being cut: the list in the superblock, and the orphan file. */
import { inode_seed } from '../../disk/dinode.js';
import { COMPAT, RO_COMPAT } from '../../disk/features.js';
import { orphan_block, orphan_entries, orphan_problem } from '../../disk/orphan.js';
import { SB } from '../../disk/sbfields.js';
import { put_super } from './backup.js';
import type { Checker } from './checker.js';
import { file_map } from './map.js';

/** An inode that is finished: without a name it is not in use any more; with one it is cut to its size. */
async function finish(c: Checker, ino: number): Promise<void> {
  const place = await c.inode(ino);
  if (place.d.i_mode === 0) return;
  if (place.d.i_nlink > 0) c.cut.add(ino);
  place.view.setUint32(place.at + 0x14, place.d.i_nlink > 0 ? 0 : now(c), true);
  await c.putinode(place);
}

function now(c: Checker): number {
  return new DataView(c.sb.buffer).getUint32(SB.s_wtime, true) || 1;
}

export async function check_orphans(c: Checker): Promise<void> {
  const { fs } = c;
  const seen = new Set<number>();
  for (let ino = fs.s_last_orphan; ino !== 0; ) {
    if (ino < fs.s_first_ino || ino > fs.s_inodes_count || seen.has(ino)) break;
    seen.add(ino);
    ino = (await c.inode(ino)).d.i_dtime;
  }
  if (fs.s_last_orphan !== 0) {
    const mend = c.problem('preen', 'orphans', `${seen.size} files were being deleted or cut`, 'FINISHED');
    if (mend) {
      for (const ino of seen) await finish(c, ino);
      new DataView(c.sb.buffer).setUint32(SB.s_last_orphan, 0, true);
      await put_super(c);
    }
  }
  if (fs.compat(COMPAT.orphan_file)) await orphan_file(c);
  else if (fs.ro_compat(RO_COMPAT.orphan_present)) {
    if (c.problem('preen', 'orphans', 'orphan_present without an orphan file', 'CLEARED')) await not_present(c);
  }
}

async function not_present(c: Checker): Promise<void> {
  const view = new DataView(c.sb.buffer);
  view.setUint32(SB.s_feature_ro_compat, (c.fs.s_feature_ro_compat & ~RO_COMPAT.orphan_present) >>> 0, true);
  await put_super(c);
}

async function orphan_file(c: Checker): Promise<void> {
  const { fs } = c;
  const ino = fs.s_orphan_file_inum;
  const usable = ino >= fs.s_first_ino && ino <= fs.s_inodes_count;
  const place = usable ? await c.inode(ino) : undefined;
  if (place === undefined || (place.d.i_mode & 0xf000) !== 0x8000 || place.d.i_nlink === 0) {
    if (!c.problem('damage', 'orphans', `the orphan file, inode ${ino}, is none`, 'TAKEN AWAY')) return;
    const view = new DataView(c.sb.buffer);
    view.setUint32(SB.s_feature_compat, (fs.s_feature_compat & ~COMPAT.orphan_file) >>> 0, true);
    view.setUint32(SB.s_orphan_file_inum, 0, true);
    await not_present(c);
    c.again = true;
    return;
  }
  const seed = inode_seed(fs, ino, place.d.i_generation);
  const { runs } = await file_map(c, place, false);
  const present = fs.ro_compat(RO_COMPAT.orphan_present);
  let found = 0;
  for (const { start, length } of runs)
    for (let i = 0; i < length; i++) {
      const bytes = await c.bread(start + i);
      const bad = orphan_problem(fs, seed, start + i, bytes);
      const inodes = bad === undefined ? orphan_entries(bytes) : [];
      found += inodes.length;
      const what = bad === undefined ? `${inodes.length} files were being deleted or cut`
        : `orphan file, block ${start + i}: ${bad}`;
      if (bad === undefined && inodes.length === 0) continue;
      if (!c.problem(bad === undefined ? 'preen' : 'damage', 'orphans', what, 'FINISHED')) continue;
      for (const one of inodes) if (one >= fs.s_first_ino && one <= fs.s_inodes_count) await finish(c, one);
      await c.bwrite(start + i, orphan_block(fs, seed, start + i, []));
    }
  if (!present || (found > 0 && !c.mending)) return;
  if (c.problem('preen', 'orphans', 'orphan_present is set', 'CLEARED')) await not_present(c);
}
