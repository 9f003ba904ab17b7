import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VTODE, denode_update, entry_store } from '../file/denode.js';
import type { Denode } from '../file/denode.js';
import { dir_table } from './build.js';
import { entry_of_file, erase } from './erase.js';

/** The file has no entry any more; its clusters are freed when nobody uses it (file/lifecycle.ts). */
export function unlinked(dep: Denode): void {
  const { pmp } = dep;
  dep.nlink = 0;
  pmp.pm_numbers.removed(dep.number);
  pmp.order.orphans++;
  pmp.order.rows.orphan(dep.number, dep);
}

/** The directory was changed now. */
export async function dirupdate(dir: Denode): Promise<void> {
  denode_update(dir);
  const wait = entry_store(dir);
  if (wait) await wait;
}

/** @throws ENOTEMPTY EIO */
export async function mustbeempty(dep: Denode): Promise<void> {
  if ((await dir_table(dep)).size > 0) throw errno(E.ENOTEMPTY);
}

export async function msdosfs_remove(dvp: Vnode, vp: Vnode, name: string, _ctx: Context): Promise<void> {
  const dir = VTODE(dvp);
  const dep = VTODE(vp);
  await dir.pmp.writable().run(async () => {
    const { table, entry } = await entry_of_file(dir, dep, name);
    await erase(dir, table, entry);
    unlinked(dep);
    await dirupdate(dir);
  });
}

export async function msdosfs_rmdir(dvp: Vnode, vp: Vnode, name: string, ctx: Context): Promise<void> {
  VTODE(dvp).pmp.writable();
  await mustbeempty(VTODE(vp));
  await msdosfs_remove(dvp, vp, name, ctx);
}
