import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import { Errno } from '../../../kernel/errno.js';
import { inode_ordinary } from '../file/fill.js';
import type { Inode } from '../file/inode.js';
import { VTOI } from '../file/inode.js';
import { inode_put } from '../file/store.js';
import { ext2_cut } from '../file/truncate.js';
import { SB } from '../disk/sbfields.js';
import type { WriteState } from './writestate.js';
import { transact } from './transact.js';

/** The numbers on the disk's list of orphans, from the newest on. Bounded: no number comes twice. @throws EIO */
export async function orphan_numbers(state: WriteState): Promise<number[]> {
  const { em } = state;
  const numbers: number[] = [];
  const seen = new Set<number>();
  for (let ino = em.em_fs.s_last_orphan; ino !== 0; ) {
    if (!inode_ordinary(em, ino) || seen.has(ino)) {
      em.em_damage.note(`the list of orphans leads to inode ${ino}, which cannot be on it`);
      return numbers;
    }
    seen.add(ino);
    numbers.push(ino);
    const bp = await em.inodeblock(ino);
    ino = bp.b_view.getUint32(em.inodeat(numbers[numbers.length - 1]) + 0x14, true);
    em.em_bufcache.brelse(bp);
  }
  return numbers;
}

/** The vnode of an inode that may have no links. @throws ESTALE EIO */
export async function orphan_vnode(state: WriteState, ino: number): Promise<Vnode> {
  const { em } = state;
  state.adopting = ino;
  try {
    return await em.em_kernel.vcache_get(em.em_mountp, ino);
  } finally {
    state.adopting = 0;
  }
}

/**
 * Works off the list that a replay has left: files without links go, others were being cut and are cut to their size.
 * @throws EIO
 */
export async function orphans_cleanup(state: WriteState): Promise<void> {
  const numbers = await orphan_numbers(state);
  if (numbers.length === 0) return;
  const { em } = state;
  const vnodes: Vnode[] = [];
  for (const ino of numbers) {
    try {
      const vp = await orphan_vnode(state, ino);
      vnodes.push(vp);
      state.orphans.adopt(VTOI(vp));
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
      em.em_damage.note(`inode ${ino}, on the list of orphans: ${thrown.message}`);
    }
  }
  if (vnodes.length < numbers.length) await relink(state);
  for (const vp of vnodes) {
    const ip = VTOI(vp);
    if (ip.i_nlink > 0) await finish(state, vp, ip);
    await em.em_kernel.vrele(vp);
  }
  em.em_kernel.log('info', `${em.em_mountp.mnt_mntfromname}: ${vnodes.length} files that were being removed are gone`);
}

async function finish(state: WriteState, vp: Vnode, ip: Inode): Promise<void> {
  if (vp.v_type === VREG && ip.i_inline === null) await ext2_cut(state, ip, ip.i_size);
  await transact(state, async () => {
    await state.orphans.remove(ip);
    await inode_put(ip);
  });
}

/** The list had members that cannot be: the others are put together anew. */
async function relink(state: WriteState): Promise<void> {
  await transact(state, async () => {
    const all = state.orphans.all;
    for (let i = 0; i < all.length; i++) {
      all[i].i_dtime = i + 1 < all.length ? all[i + 1].i_number : 0;
      await inode_put(all[i]);
    }
    await state.sb.change((view, at) => view.setUint32(at + SB.s_last_orphan, all[0]?.i_number ?? 0, true));
  });
}
