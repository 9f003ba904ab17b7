import { E, errno } from '../errno.js';
import type { Mount } from './mount.js';
import type { Vnode } from './vnode.js';
import { MNT_GONE, MNT_LIVE, mimpl } from './mntimpl.js';

/** The mounts of a kernel in the order of mounting, the root first. */
export class Mountlist {
  private readonly byFsid = new Map<number, Mount>();
  private nextFsid = 1;
  /** Numbers of volumes that were unmounted, by the path that they were mounted on. */
  private readonly freed = new Map<string, number>();

  /**
   * 1 for the root of the kernel, then as mounted: a restarted server that mounts the same volumes finds the same
   * numbers. What is mounted again where it was gets the number that it had, so that file handles stay true.
   */
  newFsid(onname: string): number {
    const before = this.freed.get(onname);
    if (before === undefined) return this.nextFsid++;
    this.freed.delete(onname);
    return before;
  }

  insert(mp: Mount): void {
    this.byFsid.set(mp.mnt_fsid, mp);
  }

  remove(mp: Mount): void {
    if (this.byFsid.delete(mp.mnt_fsid)) this.freed.set(mp.mnt_mntonname, mp.mnt_fsid);
  }

  [Symbol.iterator](): IterableIterator<Mount> {
    return this.byFsid.values();
  }

  /** @throws ESTALE if there is no such mount, or no more. */
  async getByFsid(fsid: number): Promise<Mount> {
    const mp = this.byFsid.get(fsid);
    if (mp === undefined) throw errno(E.ESTALE);
    if (mimpl(mp).state !== MNT_LIVE) await mount_settled(mp);
    if (mimpl(mp).state !== MNT_LIVE) throw errno(E.ESTALE);
    return mp;
  }

  /** The mount, if it is there and not being unmounted. */
  peekByFsid(fsid: number): Mount | undefined {
    const mp = this.byFsid.get(fsid);
    return mp !== undefined && mimpl(mp).state === MNT_LIVE ? mp : undefined;
  }
}

/** Waits until no unmount is at work on `mp`. */
export async function mount_settled(mp: Mount): Promise<void> {
  const impl = mimpl(mp);
  while (impl.ended !== null && impl.state !== MNT_GONE) await impl.ended;
}

/**
 * The root directory of the mount that covers `vp`, or undefined if a walk must wait or the directory is not covered
 * any more.
 */
export function mounted_root(vp: Vnode): Vnode | undefined {
  const mp = vp.v_mountedhere;
  return mp !== null && mimpl(mp).state === MNT_LIVE ? mimpl(mp).rootvp! : undefined;
}
