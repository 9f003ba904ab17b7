import { MNT_ASYNC } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { WriteState } from '../volume/writestate.js';
import { DirDep } from './dirdep.js';
import { BK_DIR, BK_INODE, BK_NEW } from './ordering.js';

/** The dirty metadata of a volume, by kind (BK_*). */
export class DirtyBuffers {
  readonly #state: WriteState;
  readonly #sets: readonly Set<Buf>[] = [new Set(), new Set(), new Set(), new Set()];
  /** Groups whose inode maps cover newly initialised inode blocks: must be on the disk before any name. */
  readonly initedcg = new Set<Buf>();

  constructor(state: WriteState) {
    this.#state = state;
  }

  /** Delayed write; the reference to the buffer stays the caller's. */
  bdwrite(bp: Buf, kind: number): void {
    this.#state.ump.um_bufcache.bdwrite(bp);
    if (kind === BK_INODE && this.#sets[BK_NEW]!.has(bp)) return;
    this.#sets[kind]!.add(bp);
  }

  of(kind: number): Set<Buf> {
    return this.#sets[kind]!;
  }

  /** Forgets the cached metadata in frags fsb..fsb+n-1, which are being freed or moved. */
  binval(fsb: number, n: number): void {
    const { um_bufcache, um_dev, um_fs } = this.#state.ump;
    for (let i = 0; i < n; i++) {
      const bp = um_bufcache.incore(um_dev, um_fs.fsbtob(fsb + i));
      if (bp === undefined) continue;
      for (const set of this.#sets) set.delete(bp);
      bp.b_private = null;
      um_bufcache.brelse(bp);
    }
    um_bufcache.binval(um_dev, um_fs.fsbtob(fsb), um_fs.lfragtosize(n));
  }

  /** The barrier between writes that rely on each other, and behind an fsync. With -o async there is none. */
  between(): MaybePromise<void> {
    if ((this.#state.ump.um_mountp.mnt_flag & MNT_ASYNC) === 0) return this.#state.barrier();
  }

  /** Writes a set and empties it; after an error it keeps what was not written, and may keep what was. */
  async write(set: Set<Buf>): Promise<void> {
    if (set.size === 0) return;
    this.#state.unflushed = true;
    const wait = this.#state.ump.um_bufcache.bflush(this.#state.ump.um_dev, (bp) => set.has(bp));
    if (wait) await wait;
    set.clear();
  }

  /** Writes all that nothing on the disk points to. Returns whether there was anything. */
  async writenew(): Promise<boolean> {
    const fresh = this.#sets[BK_NEW]!;
    const dirs = this.#sets[BK_DIR]!;
    let wrote = false;
    for (const bp of dirs) {
      const dep = bp.b_private;
      if (!(dep instanceof DirDep)) continue;
      if (dep.isnew || dep.moved) {
        dirs.delete(bp);
        bp.b_private = null;
        fresh.add(bp);
      } else if (dep.newchunk >= 0) {
        this.#state.unflushed = true;
        await dep.writeempty(this.#state.ump, bp);
        dep.newchunk = -1;
        wrote = true;
      }
    }
    if (fresh.size > 0) wrote = true;
    await this.write(fresh);
    return wrote;
  }

  /** Writes directory chunks by rank, with a barrier between ranks. */
  async writedirs(): Promise<void> {
    const dirs = this.#sets[BK_DIR]!;
    for (let rank = 0; dirs.size > 0; rank++) {
      if (rank > 0) await this.between();
      const last = new Set<Buf>();
      for (const bp of dirs) {
        const dep = bp.b_private;
        if (!(dep instanceof DirDep) || dep.maxrank <= rank) {
          last.add(bp);
        } else {
          this.#state.unflushed = true;
          await dep.writerank(this.#state.ump, bp, rank);
        }
      }
      const written = [...last];
      await this.write(last);
      for (const bp of written) {
        dirs.delete(bp);
        bp.b_private = null;
      }
    }
  }
}
