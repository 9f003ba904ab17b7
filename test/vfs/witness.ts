/**
 * Watches the order of locks (src/kernel/vfs/vnlock.ts) of the system calls that go through it, NetBSD's lockdebug(9)
 * in small: tells of a deadlock that could be, not only of one that is. Locks that a call could get at once are not
 * looked at (tryenter).
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { RumpKernel } from '../../src/kernel/rump.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { mimpl } from '../../src/kernel/vfs/mntimpl.js';
import { RwLock } from '../../src/kernel/vfs/rwlock.js';
import { VDIR } from '../../src/kernel/vfs/vattr.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';

/** A system call at work, and its locks. */
interface Call {
  readonly name: string;
  readonly held: RwLock[];
}

interface Kind {
  readonly what: 'mount' | 'rename' | 'vnode' | 'transaction';
  readonly vp?: Vnode;
}

const RANKS = { mount: 1, rename: 2, vnode: 4, transaction: 5 } as const;

export interface Witness {
  /** The kernel's system calls, watched. */
  readonly sys: RumpSys;
  /** What was taken against the order. */
  readonly reversals: readonly string[];
  /** Locks that were looked at while the call held another. */
  readonly nested: number;
  end(): void;
}

function kindOf(kernel: RumpKernel, lock: RwLock): Kind | undefined {
  for (const mp of kernel.mountlist) {
    const impl = mimpl(mp);
    if (lock === impl.trans) return { what: 'mount' };
    if (lock === mp.mnt_renamelock) return { what: 'rename' };
    const vp = impl.vnodes.all().find((one) => one.v_lock === lock);
    if (vp !== undefined) return { what: 'vnode', vp };
    const state = (mp.mnt_data as { um_private?: { order?: { lock: RwLock } } | null } | null)?.um_private;
    if (state?.order?.lock === lock) return { what: 'transaction' };
  }
  return undefined;
}

function title(kind: Kind): string {
  return kind.vp === undefined
    ? `the ${kind.what}'s lock`
    : `${kind.vp.v_type === VDIR ? 'directory' : 'file'} ${kind.vp.v_key}`;
}

/** What is wrong with waiting for `wanted` by a call that holds `held`. */
function reversal(wanted: Kind, held: readonly Kind[]): string | undefined {
  for (const one of held) {
    if (RANKS[one.what] < RANKS[wanted.what]) continue;
    if (RANKS[one.what] > RANKS[wanted.what] || one.vp === undefined || one.vp === wanted.vp) {
      return `waits for ${title(wanted)} with ${title(one)}`;
    }
    if (one.vp.v_type === VDIR && wanted.vp!.v_type !== VDIR) continue;
    if (held.some(({ what }) => what === 'rename') && (one.vp.v_type === VDIR || wanted.vp!.v_type !== VDIR)) continue;
    return `waits for ${title(wanted)} with ${title(one)}`;
  }
  return undefined;
}

/** One at a time; {@link Witness.end} must be called. */
export function witness(kernel: RumpKernel): Witness {
  const calls = new AsyncLocalStorage<Call>();
  const reversals = new Set<string>();
  const undo: (() => void)[] = [];
  const { enter, tryenter, exit } = RwLock.prototype;
  let nested = 0;
  const look = (call: Call, lock: RwLock): void => {
    if (call.held.length === 0) return;
    const wanted = kindOf(kernel, lock);
    if (wanted === undefined) return;
    nested++;
    const held = call.held.map((one) => kindOf(kernel, one)).filter((kind) => kind !== undefined);
    const wrong = reversal(wanted, held);
    if (wrong !== undefined) reversals.add(`${call.name} ${wrong}`);
  };
  RwLock.prototype.enter = function (exclusive) {
    const call = calls.getStore();
    if (call !== undefined) look(call, this);
    const wait = enter.call(this, exclusive);
    if (wait === undefined) {
      call?.held.push(this);
      return undefined;
    }
    return wait.then(() => void call?.held.push(this));
  };
  RwLock.prototype.tryenter = function (exclusive) {
    const got = tryenter.call(this, exclusive);
    if (got) calls.getStore()?.held.push(this);
    return got;
  };
  RwLock.prototype.exit = function (exclusive) {
    const held = calls.getStore()?.held;
    const at = held?.lastIndexOf(this) ?? -1;
    if (at >= 0) held!.splice(at, 1);
    exit.call(this, exclusive);
  };
  // What a call sets going and does not wait for is not its own.
  const apart = (of: object, method: string): void => {
    const own = (of as Record<string, (...args: unknown[]) => unknown>)[method]!;
    Object.defineProperty(of, method, {
      configurable: true,
      value: (...args: unknown[]): unknown => calls.exit(() => own.apply(of, args)),
    });
    undo.push(() => Reflect.deleteProperty(of, method));
  };
  apart(kernel.bufcache, 'startFlush');
  apart(kernel.syncer, 'dirtied');
  const sys = new Proxy(kernel.sys, {
    get(target, name: keyof RumpSys) {
      const call = target[name] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => calls.run({ name, held: [] }, () => call.apply(target, args));
    },
  });
  return {
    sys,
    get reversals() { return [...reversals]; },
    get nested() { return nested; },
    end() {
      Object.assign(RwLock.prototype, { enter, tryenter, exit });
      for (const one of undo) one();
    },
  };
}
