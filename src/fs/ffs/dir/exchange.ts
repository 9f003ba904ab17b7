import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import { LINK_MAX } from '../../../kernel/fcntl.js';
import { DT_DIR, IFTODT } from '../../../kernel/stat.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { chunkof, ufs_direntry, ufs_dirrewrite } from '../../ufs/dirmod.js';
import type { DirSlot } from '../../ufs/dirmod.js';
import { IN_CHANGE } from '../../ufs/inode.js';
import { ufs_dirlookup } from '../../ufs/lookup.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { linkup } from '../order/changes.js';
import { ORDER, WRITE } from '../volume/writestate.js';
import { depthbelow } from './create.js';
import { parententry, rankof } from './remove.js';

/** One of the two names, and what it names before. */
interface Side {
  readonly dp: Inode;
  readonly ip: Inode;
  readonly name: string;
}

function isdir(ip: Inode): boolean {
  return ip.i_vnode.v_type === VDIR;
}

/**
 * VOP_EXCHANGE: each entry names the other's file. With a journal that is one transaction. Without, it is one write
 * where both entries lie in one sector, and otherwise two, the one with the second name first: a power cut between them
 * leaves the first file with both names, and the second one for a checker to put into lost+found.
 * @throws ENOENT EMLINK EIO
 */
export async function ffs_exchange(
  fdvp: Vnode,
  fvp: Vnode,
  fname: string,
  tdvp: Vnode,
  tvp: Vnode,
  tname: string,
  _ctx: Context,
): Promise<void> {
  const from: Side = { dp: VTOI(fdvp), ip: VTOI(fvp), name: fname };
  const to: Side = { dp: VTOI(tdvp), ip: VTOI(tvp), name: tname };
  const order = ORDER(from.dp.i_ump);
  if ((isdir(from.ip) && !order.mayenter(from.ip, to.dp)) || (isdir(to.ip) && !order.mayenter(to.ip, from.dp))) {
    await order.flush(false);
  }
  const wait = order.begin();
  if (wait) await wait;
  /** Entries, all referenced: the two, and the ".." of directories that get another parent. */
  const slots: DirSlot[] = [];
  try {
    check(from, to);
    // All that must be on the disk before goes there first: in the middle of the change one file would be without a
    // name.
    if (!(await arranged(from, to, slots))) {
      release(from.dp, slots);
      await order.reopen();
      if (!(await arranged(from, to, slots))) {
        throw WRITE(from.dp.i_ump).damage(
          `directory inodes ${from.dp.i_number} and ${to.dp.i_number}: entries that cannot be ordered`,
        );
      }
    }
    const reparent = from.dp !== to.dp;
    const fdotdot = reparent && isdir(from.ip) ? await parententry(from.ip) : null;
    if (fdotdot !== null) slots.push(fdotdot);
    const tdotdot = reparent && isdir(to.ip) ? await parententry(to.ip) : null;
    if (tdotdot !== null) slots.push(tdotdot);
    enter(to, from.ip, slots[0]!);
    enter(from, to.ip, slots[1]!);
    if (fdotdot !== null) rehome(from, to.dp, fdotdot);
    if (tdotdot !== null) rehome(to, from.dp, tdotdot);
    order.linkdown(from.ip, 1);
    order.linkdown(to.ip, 1);
  } finally {
    release(from.dp, slots);
    order.end();
  }
}

/** @throws ENOENT EMLINK */
function check(from: Side, to: Side): void {
  for (const [side, other] of [[from, to], [to, from]] as const) {
    if (side.dp.i_nlink === 0) throw errno(E.ENOENT);
    if (side.ip.i_nlink >= LINK_MAX || (side.dp !== other.dp && isdir(other.ip) && side.dp.i_nlink >= LINK_MAX)) {
      throw errno(E.EMLINK);
    }
  }
}

function release(dp: Inode, slots: DirSlot[]): void {
  for (const { bp } of slots.splice(0)) dp.i_ump.um_bufcache.brelse(bp);
}

/** @throws ENOENT EIO */
async function entryof({ dp, ip, name }: Side): Promise<DirSlot> {
  const hit = await ufs_dirlookup(dp, name);
  if (hit === null || hit.ino !== ip.i_number) throw errno(E.ENOENT);
  return ufs_direntry(dp, hit.offset, name);
}

/**
 * The entries of `to` and `from`, in `slots`, and sees to it that the former reaches the disk first. False: flush, and
 * then again.
 */
async function arranged(from: Side, to: Side, slots: DirSlot[]): Promise<boolean> {
  const order = ORDER(from.dp.i_ump);
  const second = await entryof(to);
  slots.push(second);
  const chunk = chunkof(to.dp, second);
  const rank = isdir(to.ip) ? await rankof(to.ip) : 0;
  if (!order.namegoing(to.ip, to.dp, second.bp, chunk) || !order.rankfloor(rank, second.bp, chunk)) return false;
  order.nameadded(from.ip, to.dp, second.bp, chunk);
  const first = await entryof(from);
  slots.push(first);
  return order.namegoing(from.ip, from.dp, first.bp, chunkof(from.dp, first));
}

/** The entry of a side becomes one of `ip`. */
function enter({ dp }: Side, ip: Inode, slot: DirSlot): void {
  ufs_dirrewrite(dp, slot, ip.i_number, IFTODT(ip.i_mode));
  linkup(ip, dp, slot.bp, chunkof(dp, slot));
}

/** A directory has another parent: its "..", and both parents' links. */
function rehome({ dp, ip }: Side, parent: Inode, dotdot: DirSlot): void {
  const order = ORDER(dp.i_ump);
  parent.i_nlink++;
  order.touch(parent, IN_CHANGE);
  ufs_dirrewrite(ip, dotdot, parent.i_number, DT_DIR);
  ip.i_dirdepth = depthbelow(parent);
  order.linkdown(dp, 1);
}
