/**
 * What is in force for a server, as the host's kernel tells it. The supervisor looks by itself, before the server is
 * told to read the first byte of a disk: what a server says of itself counts for nothing but words, and for Landlock,
 * of which the kernel shows nothing from outside.
 */
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { NOBODY } from './credentials.js';
import { descriptor, descriptors, foreign } from './descriptors.js';
import type { Descriptor } from './descriptors.js';
import { LAYERS } from './layers.js';
import type { Layer, LayerName } from './layers.js';
import { DESCRIPTORS } from './limits.js';
import type { LockdownOrder } from './lockdown.js';
import type { Way } from './namespaces.js';

/** How a server was started. */
export interface Meant {
  readonly way: Way;
  /** The supervisor's descriptors that it was given, from 3 on; the channel comes behind them. */
  readonly descriptors: readonly number[];
  readonly order: LockdownOrder;
}

/** What can only be seen before the server shuts itself off from everybody's eyes. */
export interface FirstLook {
  /** Descriptors that it should not have, in words; undefined: they cannot be seen. */
  readonly strange: readonly string[] | undefined;
  /** Namespaces that it shares with this process; undefined: they cannot be seen. */
  readonly shared: readonly string[] | undefined;
}

const FIRST_FD = 3;
const STDIN = 0;
const STDERR = 2;
const SOCKET = /^socket:/;
/** Both filters: which calls, and which bytes of the disk. */
const FILTERS = 2;
/** Not CapInh: it is for what is executed, which nothing is. */
const CAPABILITY_SETS = ['CapPrm', 'CapEff', 'CapAmb'];

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function sameFile(a: Descriptor, b: Descriptor): boolean {
  return a.inode !== '' ? a.inode === b.inode && a.mount === b.mount : a.target === b.target;
}

/** The descriptors of a server that are not what it was given, in words. `given`: from 3 on. */
function strangeDescriptors(all: readonly Descriptor[], given: readonly number[]): string[] {
  const channel = FIRST_FD + given.length;
  const meant = new Set(Array.from({ length: given.length + 1 }, (_, index) => FIRST_FD + index));
  const strange = foreign(all, meant).map(({ fd, target }) => `${fd}: ${target}`);
  for (const theirs of all) {
    const ours = given[theirs.fd - FIRST_FD];
    if (theirs.fd === STDIN && theirs.target !== '/dev/null') strange.push(`standard input: ${theirs.target}`);
    if (
      theirs.fd > STDIN &&
      theirs.fd < FIRST_FD &&
      theirs.target !== '/dev/null' &&
      !(theirs.fd === STDERR && SOCKET.test(theirs.target))
    ) {
      strange.push(`${theirs.fd}: ${theirs.target}`);
    }
    if (theirs.fd === channel && !SOCKET.test(theirs.target)) strange.push(`${theirs.fd}: ${theirs.target}`);
    if (ours === undefined) continue;
    const own = descriptor('self', ours);
    if (own !== undefined && !sameFile(theirs, own)) strange.push(`${theirs.fd}: ${theirs.target}`);
  }
  return strange;
}

function sharedNamespaces(pid: number, names: readonly string[]): string[] {
  return names.filter((name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`));
}

/** To be called when the server has said that its program runs. */
export function firstLook(pid: number, way: Way, given: readonly number[]): FirstLook {
  return {
    strange: attempt(() => strangeDescriptors(descriptors(pid), given)),
    shared: attempt(() => sharedNamespaces(pid, way.namespaces)),
  };
}

/** Fields of /proc/PID/status. */
type Status = ReadonlyMap<string, string>;

function statusOfThreads(pid: number): Status[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const lines = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1').split('\n');
    return new Map(
      lines.map((line): [string, string] => [
        line.slice(0, line.indexOf(':')),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
  });
}

/** Soft limits by their name in proc(5); `unlimited` is Infinity. */
function limitsOf(pid: number): ReadonlyMap<string, number> {
  const lines = readFileSync(`/proc/${pid}/limits`, 'latin1').matchAll(/^(Max [a-z ]*?)\s{2,}(\S+)/gm);
  return new Map(
    [...lines].map(([, name, soft]): [string, number] => [name!, soft === 'unlimited' ? Infinity : Number(soft)]),
  );
}

/** What a look finds to be missing, in words; undefined: nothing. */
type Finding = string | undefined;

/** The first thread for which a field is not as it should be. */
function each(threads: readonly Status[], name: string, good: (value: string) => boolean): Finding {
  const bad = threads.map((thread) => thread.get(name) ?? 'absent').find((value) => !good(value));
  return bad === undefined ? undefined : `${name} is ${bad.replace(/\s+/g, ' ')}`;
}

function lookAtRoot(pid: number, { root, holds }: Way): Finding {
  if (root === undefined && holds === undefined) return 'it has the host\'s';
  const names = attempt(() => readdirSync(`/proc/${pid}/root`));
  if (names === undefined) return 'it cannot be seen';
  const strange = names.find((name) => root !== undefined || !holds!.has(name));
  return strange === undefined ? undefined : `there is /${strange} in it`;
}

class Look {
  private readonly threads: readonly Status[];
  private readonly limits: ReadonlyMap<string, number>;

  constructor(private readonly pid: number, private readonly first: FirstLook, private readonly meant: Meant) {
    this.threads = statusOfThreads(pid);
    this.limits = limitsOf(pid);
  }

  /** What speaks against a layer. undefined: it is in force, or, for Landlock, nobody can see. */
  against(name: LayerName): Finding {
    const { threads, first, meant: { way, order, descriptors: given } } = this;
    switch (name) {
      case 'descriptors': {
        const now = attempt(() => strangeDescriptors(descriptors(this.pid), given)) ?? [];
        if (first.strange === undefined) return 'they cannot be seen';
        const strange = [...first.strange, ...now];
        return strange.length === 0 ? undefined : strange[0];
      }
      case 'namespaces':
        if (way.namespaces.length === 0) return "it has the host's";
        return first.shared === undefined
          ? 'they cannot be seen'
          : first.shared.length > 0
            ? `it has the host's ${first.shared.join(', ')}`
            : undefined;
      case 'root':
        return lookAtRoot(this.pid, way);
      case 'user':
        return this.user(order.uid);
      case 'capabilities':
        return CAPABILITY_SETS.map((set) => each(threads, set, (value) => /^0+$/.test(value))).find(
          (finding) => finding !== undefined,
        );
      case 'no-new-privs':
        return each(threads, 'NoNewPrivs', (value) => value === '1');
      case 'not-dumpable':
        return this.dumpable();
      case 'limits':
        return this.limited();
      case 'memory':
        return order.memory === null || this.limits.get('Max address space') === Infinity ? 'no limit' : undefined;
      case 'landlock':
        return undefined;
      case 'system-calls':
        return each(threads, 'Seccomp', (value) => value === '2');
      case 'disk':
        return each(threads, 'Seccomp', (value) => value === '2') ?? this.filters();
    }
  }

  private user(uid: number | undefined): Finding {
    const allowed = uid === undefined ? [process.geteuid!()] : [uid, NOBODY];
    const good = (value: string) => {
      const ids = new Set(value.split(/\s+/).map(Number));
      return ids.size === 1 && allowed.includes([...ids][0]!) && !ids.has(0);
    };
    return (
      each(this.threads, 'Uid', good) ??
      (uid === undefined
        ? undefined
        : (each(this.threads, 'Gid', good) ?? each(this.threads, 'Groups', (value) => value === '')))
    );
  }

  /** What /proc shows of a process that is not dumpable belongs to the superuser. */
  private dumpable(): Finding {
    if (each(this.threads, 'Uid', (value) => !value.split(/\s+/).includes('0')) !== undefined) {
      return "the superuser's processes do not show it";
    }
    const { uid } = statSync(`/proc/${this.pid}/stat`);
    return uid !== 0 ? 'other processes of its user may look into it' : undefined;
  }

  private limited(): Finding {
    const most: readonly (readonly [string, number])[] = [
      ['Max processes', 0],
      ['Max open files', DESCRIPTORS],
      ['Max core file size', 0],
      ['Max file size', Number.MAX_SAFE_INTEGER],
    ];
    const [over] = most.filter(([name, limit]) => !((this.limits.get(name) ?? Infinity) <= limit));
    return over === undefined ? undefined : `${over[0]}: ${this.limits.get(over[0]) ?? 'unknown'}`;
  }

  /** Linux before 5.9 does not say how many there are. */
  private filters(): Finding {
    return this.threads.every((thread) => thread.get('Seccomp_filters') === undefined)
      ? undefined
      : each(this.threads, 'Seccomp_filters', (value) => Number(value) >= FILTERS);
  }
}

/**
 * All layers, as they are in force: `said` by the server, and not contradicted by what is to be seen. To be called
 * while it waits.
 */
export function inspect(pid: number | undefined, first: FirstLook, meant: Meant, said: readonly Layer[]): Layer[] {
  const look = pid === undefined ? undefined : attempt(() => new Look(pid, first, meant));
  return LAYERS.map((name): Layer => {
    const claim = [...meant.way.layers, ...said].find((layer) => layer.name === name) ?? { name, on: true };
    if (!claim.on) return claim;
    if (look === undefined) return { name, on: false, detail: 'the server cannot be seen in /proc' };
    // What cannot be read has not been seen.
    let finding: Finding;
    try {
      finding = look.against(name);
    } catch {
      finding = 'it cannot be seen';
    }
    if (finding !== undefined) return { name, on: false, detail: `not to be seen from outside: ${finding}` };
    if (name === 'landlock' && !said.some((layer) => layer.name === name)) {
      return { name, on: false, detail: 'the server does not say so' };
    }
    return name === 'descriptors'
      ? { name, on: true, detail: 'FUSE, the disk, the channel to its supervisor; nothing else' }
      : claim;
  });
}
