/**
 * Advisory locks: POSIX record locks (fcntl) and whole-file locks (flock). The two do not see each other. An owner is a
 * process or a 64-bit number of the caller's (FUSE) for record locks, an open file or such a number for flock.
 */
import { E, errno } from '../errno.js';
import { F_UNLCK, F_WRLCK } from '../fcntl.js';

/** Compared with ===; a bigint by value. */
export type LockOwner = object | bigint;

/** A held lock on bytes lf_start..lf_end, both included; lf_end is Infinity for "to the end, however it grows". */
export interface LockRange {
  lf_start: number;
  lf_end: number;
  /** F_RDLCK or F_WRLCK. */
  lf_type: number;
  lf_owner: LockOwner;
  /** For F_GETLK. */
  lf_pid: number;
}

interface Waiter {
  readonly want: LockRange;
  readonly list: LockList;
  readonly go: () => void;
}

/** The locks of one kind on one file: held ones ordered by start for each owner, and who waits, in order. */
class LockList {
  held: LockRange[] = [];
  readonly waiters: Waiter[] = [];

  constructor(readonly posix: boolean) {}
}

/** The advisory locks of one vnode. */
export class Lockf {
  readonly posix = new LockList(true);
  readonly flock = new LockList(false);
}

function overlaps(a: LockRange, b: LockRange): boolean {
  return a.lf_start <= b.lf_end && b.lf_start <= a.lf_end;
}

function conflicts(a: LockRange, b: LockRange): boolean {
  return a.lf_owner !== b.lf_owner && (a.lf_type === F_WRLCK || b.lf_type === F_WRLCK) && overlaps(a, b);
}

/** All of a kernel: knows who waits for whom. */
export class LockManager {
  /** Record locks that owners wait for. */
  private readonly waiting = new Map<LockOwner, Waiter[]>();

  /** The first lock that keeps `want` from being granted. */
  getlk(lockf: Lockf, posix: boolean, want: LockRange): LockRange | undefined {
    return (posix ? lockf.posix : lockf.flock).held.find((held) => conflicts(held, want));
  }

  /**
   * Sets or (F_UNLCK) clears a lock. @throws EAGAIN a conflict and not `wait`; EDEADLK waiting would never end; EINTR
   * the signal was aborted while waiting.
   */
  async setlk(lockf: Lockf, posix: boolean, want: LockRange, wait: boolean, signal?: AbortSignal): Promise<void> {
    const list = posix ? lockf.posix : lockf.flock;
    if (want.lf_type === F_UNLCK) {
      this.clear(list, want);
      return;
    }
    // A change of flock's kind gives the old lock up first, as flock(2) says, so that two upgrades do not wait for each
    // other.
    if (!posix && list.held.some((held) => held.lf_owner === want.lf_owner && held.lf_type !== want.lf_type)) {
      if (wait || this.getlk(lockf, posix, want) === undefined) this.clear(list, want);
    }
    while (list.held.some((held) => conflicts(held, want))) {
      if (!wait) throw errno(E.EAGAIN);
      if (posix && this.deadlock(list, want)) throw errno(E.EDEADLK);
      await this.sleep(list, want, signal);
    }
    this.grant(list, want);
  }

  /** The owner ends: all his locks of that kind on the file go. */
  release(lockf: Lockf, posix: boolean, owner: LockOwner): void {
    const list = posix ? lockf.posix : lockf.flock;
    if (!list.held.some((held) => held.lf_owner === owner)) return;
    list.held = list.held.filter((held) => held.lf_owner !== owner);
    this.wake(list);
  }

  private clear(list: LockList, want: LockRange): void {
    const before = list.held;
    list.held = carve(before, want);
    this.wake(list);
  }

  private grant(list: LockList, want: LockRange): void {
    const held = carve(list.held, want);
    const lock = { ...want };
    // Neighbours of the same owner and kind become one lock.
    list.held = held.filter((other) => {
      if (other.lf_owner !== lock.lf_owner || other.lf_type !== lock.lf_type) return true;
      if (other.lf_end + 1 < lock.lf_start || lock.lf_end + 1 < other.lf_start) return true;
      lock.lf_start = Math.min(lock.lf_start, other.lf_start);
      lock.lf_end = Math.max(lock.lf_end, other.lf_end);
      return false;
    });
    const at = list.held.findIndex((other) => other.lf_start > lock.lf_start);
    list.held.splice(at < 0 ? list.held.length : at, 0, lock);
    this.wake(list); // a write lock that became a read lock lets others in
  }

  private wake(list: LockList): void {
    for (const waiter of list.waiters.splice(0)) waiter.go();
  }

  private sleep(list: LockList, want: LockRange, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(errno(E.EINTR));
    return new Promise((resolve, reject) => {
      const done = (): void => {
        signal?.removeEventListener('abort', aborted);
        const mine = this.waiting.get(want.lf_owner);
        if (mine !== undefined) {
          mine.splice(mine.indexOf(waiter), 1);
          if (mine.length === 0) this.waiting.delete(want.lf_owner);
        }
      };
      const aborted = (): void => {
        done();
        const at = list.waiters.indexOf(waiter);
        if (at >= 0) list.waiters.splice(at, 1);
        reject(errno(E.EINTR));
      };
      const waiter: Waiter = {
        want,
        list,
        go: () => {
          done();
          resolve();
        },
      };
      list.waiters.push(waiter);
      const mine = this.waiting.get(want.lf_owner);
      if (mine === undefined) this.waiting.set(want.lf_owner, [waiter]);
      else mine.push(waiter);
      signal?.addEventListener('abort', aborted);
    });
  }

  /** Does one of the owners that `want` would wait for wait, directly or through others, for a lock of want's owner? */
  private deadlock(list: LockList, want: LockRange): boolean {
    const seen = new Set<LockOwner>();
    const queue = [{ list, want }];
    for (let i = 0; i < queue.length; i++) {
      const step = queue[i]!;
      for (const held of step.list.held) {
        if (!conflicts(held, step.want)) continue;
        if (held.lf_owner === want.lf_owner) return true;
        if (seen.has(held.lf_owner)) continue;
        seen.add(held.lf_owner);
        for (const waiter of this.waiting.get(held.lf_owner) ?? []) if (waiter.list.posix) queue.push(waiter);
      }
    }
    return false;
  }
}

/** `held` without the bytes of `range` that its owner holds. */
function carve(held: readonly LockRange[], range: LockRange): LockRange[] {
  const rest: LockRange[] = [];
  for (const lock of held) {
    if (lock.lf_owner !== range.lf_owner || !overlaps(lock, range)) {
      rest.push(lock);
      continue;
    }
    if (lock.lf_start < range.lf_start) rest.push({ ...lock, lf_end: range.lf_start - 1 });
    if (lock.lf_end > range.lf_end) rest.push({ ...lock, lf_start: range.lf_end + 1 });
  }
  return rest;
}

