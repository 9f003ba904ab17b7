/**
 * A fair readers-writer lock for code that awaits. Uncontended it is taken without a promise: test the result.
 *
 *   const wait = lock.enter(true); if (wait) await wait; try { ... } finally { lock.exit(true); }
 *
 * States: idle (readers 0, writer false), shared (readers > 0), exclusive (writer true). Waiters are served in order;
 * a reader that comes while somebody waits queues behind him, so that writers do not starve. Not recursive.
 */
export class RwLock {
  private readers = 0;
  private writer = false;
  /** null until somebody has to wait: there is a lock for each vnode and open file. */
  private queue: { exclusive: boolean; go: () => void }[] | null = null;

  /** Takes the lock; returns a promise to await only if it was not free. */
  enter(exclusive: boolean): Promise<void> | undefined {
    if (!this.writer && this.queue === null && (!exclusive || this.readers === 0)) {
      if (exclusive) this.writer = true;
      else this.readers++;
      return undefined;
    }
    const queue = (this.queue ??= []);
    return new Promise((go) => queue.push({ exclusive, go }));
  }

  /**
   * Takes the lock if that can be done at once: for callers that must not wait, because that would be against the order
   * of locks.
   */
  tryenter(exclusive: boolean): boolean {
    if (this.writer || this.queue !== null || (exclusive && this.readers > 0)) return false;
    if (exclusive) this.writer = true;
    else this.readers++;
    return true;
  }

  exit(exclusive: boolean): void {
    if (exclusive) this.writer = false;
    else this.readers--;
    while (this.queue !== null) {
      const next = this.queue[0]!;
      if (this.writer || (next.exclusive && this.readers > 0)) return;
      this.queue.shift();
      if (this.queue.length === 0) this.queue = null;
      if (next.exclusive) this.writer = true;
      else this.readers++;
      next.go();
    }
  }

  /** Somebody holds it shared. */
  get shared(): boolean {
    return this.readers > 0;
  }
}
