import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { SB } from '../disk/sbfields.js';
import type { Inode } from '../file/inode.js';
import { inode_put } from '../file/store.js';
import type { WriteState } from './writestate.js';

/**
 * Files without a name that are in use. On a volume with a journal the disk has a list of them, from s_last_orphan by
 * i_dtime of each, which a replay works off. Linux takes this list where its file of orphans has no room, so it is
 * right
 * on every volume.
 */
export class Orphans {
  /** In the order of the list: the first is the newest. */
  private readonly list: Inode[] = [];
  private readonly numbers = new Set<number>();

  constructor(private readonly state: WriteState) {}

  get count(): number {
    return this.list.length;
  }

  has(ino: number): boolean {
    return this.numbers.has(ino);
  }

  get all(): readonly Inode[] {
    return this.list;
  }

  /** Inside an operation. The caller stores the inode afterwards. */
  add(ip: Inode): MaybePromise<void> {
    if (this.numbers.has(ip.i_number)) return undefined;
    this.numbers.add(ip.i_number);
    this.list.unshift(ip);
    this.state.rows?.orphan(ip.i_number, ip.i_generation);
    if (!this.state.order.journalled) return undefined;
    ip.i_dtime = this.list.length > 1 ? this.list[1].i_number : 0;
    return this.state.sb.change((view, at) => view.setUint32(at + SB.s_last_orphan, ip.i_number, true));
  }

  /** Inside an operation. The caller stores the inode afterwards. */
  remove(ip: Inode): MaybePromise<void> {
    if (!this.numbers.delete(ip.i_number)) return undefined;
    const i = this.list.indexOf(ip);
    const next = i + 1 < this.list.length ? this.list[i + 1].i_number : 0;
    this.list.splice(i, 1);
    this.state.rows?.unorphan(ip.i_number);
    ip.i_dtime = 0;
    if (!this.state.order.journalled) return undefined;
    if (i === 0) return this.state.sb.change((view, at) => view.setUint32(at + SB.s_last_orphan, next, true));
    const before = this.list[i - 1];
    before.i_dtime = next;
    return inode_put(before);
  }

  /** Takes up one that the disk has on its list already: behind those that are there. */
  adopt(ip: Inode): void {
    this.numbers.add(ip.i_number);
    this.list.push(ip);
    this.state.rows?.orphan(ip.i_number, ip.i_generation);
  }
}
