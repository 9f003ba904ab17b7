import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Nameless } from '../../../kernel/keep/keep.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { VTOI } from '../file/inode.js';
import { BK_LEAF } from '../order/ordering.js';
import { DEAD, FREE, GROUP, LINKS, UNSEALED } from '../order/rows.js';
import { orphan_vnode } from './recovery.js';
import { orphan_numbers } from './recovery.js';
import type { WriteState } from './writestate.js';

/**
 * A volume whose server was killed goes on where it stopped. The kernel has written the predecessor's dirty blocks to
 * the
 * disk; the journal holds older copies of some of them, so that is replayed and then they are written again. A power
 * cut
 * before the next flush leaves a volume that a checker may have to repair.
 */
type Inherited = ReadonlyMap<number, readonly number[]>;

/** Writes the predecessor's blocks once more, over what the journal had. @throws EIO */
export async function rewrite_blocks(mp: Mount, dev: BlockDevice): Promise<void> {
  for (const { offset_bytes, bytes } of mp.mnt_kernel.keep?.inherit()?.blocks ?? [])
    await dev.write(bytes, 0, bytes.length, offset_bytes);
}

/** Groups whose checksums are not right. */
export function stale_groups(inherited: Inherited): Set<number> {
  const groups = new Set<number>();
  for (const key of inherited.keys()) if (key >= GROUP && key < LINKS) groups.add(key - GROUP);
  return groups;
}

/** Takes up what the predecessor put. @throws EIO */
export async function inherit(state: WriteState, inherited: Inherited): Promise<void> {
  const { em, order } = state;
  if (inherited.get(0)?.[0] === 1 && inherited.get(0)?.[1] === 1) {
    state.fail('it was damaged before another server took it over; run rumpfuse fsck');
    return;
  }
  state.inheriting = true;
  for (const [key, words] of inherited) {
    if (key >= UNSEALED && key < GROUP) {
      const bp = await em.bread(key - UNSEALED, 'a block of a predecessor');
      order.dirty(bp, BK_LEAF);
      state.seals.mark(bp, words[0], words[1]);
      state.seals.close();
      em.em_bufcache.brelse(bp);
    } else if (key >= FREE && key < UNSEALED) state.frees.push(key - FREE, words[0]);
    else if (key >= DEAD) order.inherit('dead', key - DEAD, words[0]);
    else if (key >= LINKS) order.inherit('links', key - LINKS, words[0]);
  }
  await hold(state, inherited);
  await order.flush(true);
  state.inheriting = false;
}

/** Keeps the files without a name in memory until their users have taken them over. */
async function hold(state: WriteState, inherited: Inherited): Promise<void> {
  const { em_kernel: kernel } = state.em;
  const numbers = state.order.journalled
    ? await orphan_numbers(state)
    : [...inherited.keys()].filter((key) => key < 0).map((key) => -key);
  const vnodes: Vnode[] = [];
  const nameless: Nameless[] = [];
  for (const ino of numbers) {
    const vp = await orphan_vnode(state, ino);
    vnodes.push(vp);
    state.orphans.adopt(VTOI(vp));
    nameless.push({ fid_ino: ino, fid_gen: VTOI(vp).i_generation });
  }
  if (vnodes.length === 0) return;
  kernel.keep!.holds(nameless, async () => {
    for (const vp of vnodes) await kernel.vrele(vp);
  });
}
