import { E, errno, errnoOf } from '../errno.js';
import type { LogLevel, MaybePromise } from '../rumpuser/rumpuser.js';
import { dead_vnodeops } from './deadfs.js';
import type { Mount } from './mount.js';
import type { Namecache } from './namecache.js';
import { VBAD } from './vattr.js';
import { mimpl } from './mntimpl.js';
import { VnodeImpl, vimpl } from './vnimpl.js';
import { VS_ACTIVE, VS_LOADING, VS_RECLAIMED, VS_RECLAIMING, Vnode } from './vnode.js';

type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

/**
 * All vnodes of a kernel: found by mount and key, counted references, a bounded LRU list of those that nobody holds.
 * The states are described in vnode.ts. While VOP_INACTIVE runs, the last reference still counts and nobody can take
 * another one (VnodeImpl.transition), so a driver's inactive and reclaim are alone with the vnode without its lock.
 */
export class Vcache {
  /** The list runs from the longest unused (head) to the last one released (tail). */
  private head: Vnode | null = null;
  private tail: Vnode | null = null;
  /** Unreferenced vnodes kept. */
  lru_count = 0;
  /** All vnodes, referenced or not. */
  count = 0;

  constructor(
    readonly limit: number,
    private readonly namecache: Namecache,
    private readonly log: Log,
    /** Called when a file was freed with its last reference: its volume has something to write. */
    private readonly dirtied: (mp: Mount) => void,
  ) {}

  /** The vnode, referenced. @throws what the driver's loadvnode throws. */
  get(mp: Mount, key: number): MaybePromise<Vnode> {
    const vp = mimpl(mp).vnodes.get(key);
    if (vp === undefined) return this.load(mp, key);
    if (this.tryref(vp)) return vp;
    return this.getSlow(mp, key, vp);
  }

  /** The vnode if it can be had at once, referenced. */
  lookup(mp: Mount, key: number): Vnode | undefined {
    const vp = mimpl(mp).vnodes.get(key);
    return vp !== undefined && this.tryref(vp) ? vp : undefined;
  }

  /** Is there a vnode, if only one that is coming or going? */
  incore(mp: Mount, key: number): boolean {
    return mimpl(mp).vnodes.get(key) !== undefined;
  }

  /** @throws EEXIST */
  rekey(vp: Vnode, key: number): void {
    if (key === vp.v_key) return;
    const { vnodes } = mimpl(vp.v_mount);
    if (vnodes.get(key) !== undefined) throw errno(E.EEXIST, `there is a file of the key ${key} in memory already`);
    vnodes.remove(vp);
    vp.v_key = key;
    vnodes.insert(vp);
  }

  /** Takes a reference to a vnode that the caller may not hold one to; false if it is coming or going. */
  tryref(vp: Vnode): boolean {
    if (vp.v_usecount > 0 && vp.v_state === VS_ACTIVE) {
      if (vimpl(vp).transition !== null) return false;
      vp.v_usecount++;
      return true;
    }
    if (vp.v_state !== VS_ACTIVE) return false;
    this.lruRemove(vp);
    vp.v_usecount = 1;
    return true;
  }

  /** Another reference; the caller holds one. */
  ref(vp: Vnode): void {
    // A caller that holds none has a bug; the list of unreferenced vnodes must survive it.
    if (vp.v_usecount === 0 && vp.v_state === VS_ACTIVE) this.lruRemove(vp);
    vp.v_usecount++;
  }

  /** Gives a reference back. The last one calls VOP_INACTIVE. Never throws and never rejects. */
  rele(vp: Vnode): MaybePromise<void> {
    if (vp.v_usecount > 1 || vp.v_state === VS_RECLAIMED) {
      if (vp.v_usecount > 0) vp.v_usecount--;
      return undefined;
    }
    if (vp.v_usecount !== 1 || vimpl(vp).transition !== null) {
      this.log('error', 'a reference to a file was given back twice; this is a bug', {
        volume: vp.v_mount.mnt_mntfromname,
        file: vp.v_key,
      });
      return undefined;
    }
    let answer: MaybePromise<boolean>;
    try {
      answer = vp.v_op.inactive(vp);
    } catch (thrown) {
      answer = this.inactiveFailed(vp, thrown);
    }
    if (answer instanceof Promise) return this.settleInactive(vp, answer);
    return this.inactivated(vp, answer);
  }

  /**
   * Empties a mount for unmount(2). `held` is the reference that the mount itself has to its root. Without `force` it
   * changes nothing and answers false if anybody else holds a vnode.
   */
  async flush(mp: Mount, held: Vnode | null, force: boolean): Promise<boolean> {
    const vnodes = mimpl(mp).vnodes;
    for (const vp of vnodes.all()) {
      while (vimpl(vp).transition !== null) await vimpl(vp).transition;
    }
    if (!force) {
      for (const vp of vnodes.all()) if (vp.v_usecount > (vp === held ? 1 : 0)) return false;
    }
    for (const vp of vnodes.all()) {
      while (vimpl(vp).transition !== null) await vimpl(vp).transition;
      if (vp.v_state !== VS_ACTIVE || vp === held) continue;
      if (vp.v_usecount === 0) {
        this.lruRemove(vp);
        await this.reclaim(vp);
      } else {
        await this.gone(vp);
      }
    }
    return true;
  }

  /**
   * Takes the file away from a vnode that is in use: its users see a dead one from now on. Waits for calls at work on
   * it.
   */
  async gone(vp: Vnode): Promise<void> {
    const wait = vp.v_lock.enter(true);
    if (wait) await wait;
    try {
      if (vp.v_state !== VS_ACTIVE) return;
      try {
        await vp.v_op.inactive(vp);
      } catch (thrown) {
        this.inactiveFailed(vp, thrown);
      }
      await this.reclaim(vp);
    } finally {
      vp.v_lock.exit(true);
    }
  }

  /** Forgets unreferenced vnodes of one mount until at most `keep` stay; what a driver or a test uses to start cold. */
  async drain(mp: Mount, keep = 0): Promise<void> {
    for (const vp of mimpl(mp).vnodes.all()) {
      if (mimpl(mp).vnodes.size <= keep) return;
      if (vp.v_state === VS_ACTIVE && vp.v_usecount === 0) {
        this.lruRemove(vp);
        await this.reclaim(vp);
      }
    }
  }

  private async getSlow(mp: Mount, key: number, first: Vnode): Promise<Vnode> {
    let vp: Vnode | undefined = first;
    for (;;) {
      if (vp === undefined) return this.load(mp, key);
      if (this.tryref(vp)) return vp;
      const loading = vp.v_state === VS_LOADING;
      const failure = await vimpl(vp).transition;
      if (loading && failure !== undefined) throw failure;
      vp = mimpl(mp).vnodes.get(key);
    }
  }

  private load(mp: Mount, key: number): MaybePromise<Vnode> {
    const vp = new Vnode(mp, key);
    vp.v_private = new VnodeImpl();
    vp.v_usecount = 1;
    mimpl(mp).vnodes.insert(vp);
    this.count++;
    let loaded: MaybePromise<void>;
    try {
      loaded = mp.mnt_op.loadvnode(mp, vp, key);
    } catch (thrown) {
      this.unload(vp);
      throw thrown;
    }
    if (loaded instanceof Promise) return this.settleLoad(vp, loaded);
    vp.v_state = VS_ACTIVE;
    return vp;
  }

  private settleLoad(vp: Vnode, loaded: Promise<void>): Promise<Vnode> {
    const impl = vimpl(vp);
    const answer = loaded.then(
      () => {
        vp.v_state = VS_ACTIVE;
        impl.transition = null;
        return vp;
      },
      (thrown: unknown) => {
        this.unload(vp);
        impl.transition = null;
        throw thrown;
      },
    );
    impl.transition = answer.then(
      () => undefined,
      (thrown: unknown) => thrown ?? errno(E.EIO),
    );
    return answer;
  }

  private unload(vp: Vnode): void {
    mimpl(vp.v_mount).vnodes.remove(vp);
    this.setdead(vp);
    vp.v_usecount = 0;
  }

  private settleInactive(vp: Vnode, answer: Promise<boolean>): Promise<void> {
    const impl = vimpl(vp);
    const settled = answer
      .catch((thrown: unknown) => this.inactiveFailed(vp, thrown))
      .then((recycle) => {
        impl.transition = null;
        return this.inactivated(vp, recycle);
      });
    impl.transition = settled;
    return settled;
  }

  private inactiveFailed(vp: Vnode, thrown: unknown): false {
    this.failed(vp, 'a file could not be put away; its blocks may stay in use until the volume is checked', thrown);
    return false;
  }

  private inactivated(vp: Vnode, recycle: boolean): MaybePromise<void> {
    vp.v_usecount = 0;
    if (recycle) {
      this.dirtied(vp.v_mount);
      return this.reclaim(vp);
    }
    this.lruAppend(vp);
    if (this.lru_count > this.limit) {
      const oldest = this.head!;
      this.lruRemove(oldest);
      return this.reclaim(oldest);
    }
    return undefined;
  }

  /** VS_ACTIVE -> VS_RECLAIMING -> VS_RECLAIMED; the vnode is on no list. */
  private reclaim(vp: Vnode): MaybePromise<void> {
    vp.v_state = VS_RECLAIMING;
    this.namecache.purge(vp);
    let done: MaybePromise<void> = undefined;
    try {
      done = vp.v_op.reclaim(vp);
    } catch (thrown) {
      this.reclaimFailed(vp, thrown);
    }
    if (done instanceof Promise) {
      const impl = vimpl(vp);
      const settled = done
        .catch((thrown: unknown) => this.reclaimFailed(vp, thrown))
        .then(() => {
          impl.transition = null;
          this.reclaimed(vp);
        });
      impl.transition = settled;
      return settled;
    }
    this.reclaimed(vp);
    return undefined;
  }

  private reclaimFailed(vp: Vnode, thrown: unknown): void {
    this.failed(vp, 'a file could not be released', thrown);
  }

  private failed(vp: Vnode, what: string, thrown: unknown): void {
    this.log('error', what, {
      volume: vp.v_mount.mnt_mntfromname,
      file: vp.v_key,
      errno: errnoOf(thrown),
      reason: String(thrown),
    });
  }

  private reclaimed(vp: Vnode): void {
    mimpl(vp.v_mount).vnodes.remove(vp);
    this.setdead(vp);
  }

  private setdead(vp: Vnode): void {
    vp.v_state = VS_RECLAIMED;
    vp.v_type = VBAD;
    vp.v_op = dead_vnodeops;
    vp.v_data = null;
    this.count--;
  }

  private lruAppend(vp: Vnode): void {
    const impl = vimpl(vp);
    impl.lru_prev = this.tail;
    impl.lru_next = null;
    if (this.tail !== null) vimpl(this.tail).lru_next = vp;
    else this.head = vp;
    this.tail = vp;
    this.lru_count++;
  }

  private lruRemove(vp: Vnode): void {
    const impl = vimpl(vp);
    if (impl.lru_prev !== null) vimpl(impl.lru_prev).lru_next = impl.lru_next;
    else this.head = impl.lru_next;
    if (impl.lru_next !== null) vimpl(impl.lru_next).lru_prev = impl.lru_prev;
    else this.tail = impl.lru_prev;
    impl.lru_prev = impl.lru_next = null;
    this.lru_count--;
  }
}
