/** Starts a server in the best confinement that the host allows, and knows how to end it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fromServer } from '../messages.js';
import type { ToServer, ToSupervisor } from '../messages.js';
import { CHANNEL_VARIABLE, Messenger } from '../messenger.js';
import { BOOT_ID_PARAM, bootId } from '../../kernel/rumpuser/node.js';
import { Hearing } from './hearing.js';
import type { Hear } from './hearing.js';
import { firstLook, inspect } from './inspect.js';
import type { FirstLook } from './inspect.js';
import type { Layer } from './layers.js';
import { inWords } from './layers.js';
import type { LockdownOrder } from './lockdown.js';
import { ways } from './namespaces.js';
import type { Way } from './namespaces.js';
import { childrenOf, endOrphans, isGone, isOurs, statOf, surelyGone } from './orphans.js';

export interface SandboxOptions {
  /** `off`: for finding faults, and for measuring. `required`: rather no mount than one with a layer missing. */
  readonly mode: 'on' | 'off' | 'required';
  /** Only this way of starting it (see namespaces.ts); for tests. */
  readonly way?: string;
  /**
   * How much memory the server may take, bytes beyond what it has when it starts; null: it keeps files in memory, no
   * limit.
   */
  readonly memory_bytes?: number | null;
}

export interface StartOptions {
  readonly entry: string;
  readonly execArgv: readonly string[];
  /** Called with each line that it says. */
  readonly hear: Hear;
  /** 3, 4... of the server: FUSE, disks... */
  readonly descriptors: readonly number[];
  /** How many disks there are. */
  readonly disks: number;
  /** Address space that it needs besides, bytes. */
  readonly shared_bytes: number;
  /** Its descriptor that may become another one of the FUSE connection. */
  readonly clone?: number;
  readonly mountpoint: string;
  readonly sandbox: SandboxOptions;
}

/** A server process. */
export interface Server {
  readonly child: ChildProcess;
  readonly hearing: Hearing;
  /** Its descriptor of the channel. */
  readonly ipc: number;
  /** The way it was started. */
  readonly way: string;
  /** Called with its messages, of their form; one at a time listens. */
  onMessage: (message: ToSupervisor) => void;
  send(message: ToServer): void;
  /** Settles with the exit status, or the name of the signal that ended it, when it is gone for certain. */
  readonly exit: Promise<number | string>;
  /** The layers that are in force, of those that it says are. To be asked while it waits for `go`. */
  inspect(said: readonly Layer[]): Layer[];
  /** What it is told of its confinement; undefined: it is to have none. */
  lockdown?: LockdownOrder;
  /** The server itself, behind the program that made its namespaces. undefined when it is gone. */
  pid(): number | undefined;
  kill(): void;
}

/**
 * MiB. V8 gives up, with a message, before the address space ends. With up to 513 it believes itself on a device that
 * is short of memory and gives back what it needs again at once (docs/SECURITY.md, What it costs).
 */
const HEAP_MIB = 640;
/** MiB. So much it may fill before its first large collection, which comes earlier the lower the limit is. */
const HEAP_FIRST_MIB = 32;
const MEMORY_BYTES = 1536 * 2 ** 20;
/** Ids that no distribution gives to anybody, one for each supervisor (pids have 22 bits). */
const UID_BASE = 0x70000000;
const PID_MASK = 0x3fffff;
/** FUSE at 3; the channel comes after the last descriptor. */
const FIRST_FD = 3;
/** A process that has ended may have said something that is still on its way, milliseconds. */
const LAST_WORDS_MS = 5000;
/** How often it is looked at what is on its way up, milliseconds. */
const WATCH_MS = 200;
/** So many looks in a row at a process that somebody has stopped are enough. */
const STOPPED_LOOKS = 2;
/** Nothing takes longer than that to start, milliseconds. */
const START_MS = 300_000;
/** Signals that somebody sends: no sign that the host does not allow something. */
const FROM_OUTSIDE = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];
/** So often one that was ended from outside is started again. */
const TRIES = 2;
const UNSEEN: FirstLook = { strange: undefined, shared: undefined };
/** What the server may know of its environment. Not: secrets that happen to be there. */
const ENVIRONMENT = /^(RUMP|LC_|LANG$|TZ$)/;

/** Size of the address space, bytes. */
function addressSpace(pid: number): number | undefined {
  const PAGE_BYTES = 4096; // what /proc counts in is the page; a larger one makes the limit higher
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[0]);
    return pages > 0 ? pages * PAGE_BYTES : undefined;
  } catch {
    return undefined;
  }
}

function environment(sandboxed: boolean, ipc: number): NodeJS.ProcessEnv {
  const boot = bootId();
  const channel = { [CHANNEL_VARIABLE]: String(ipc), ...(boot !== undefined ? { [BOOT_ID_PARAM]: boot } : {}) };
  if (!sandboxed) return { ...process.env, ...channel };
  const kept = Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name));
  // io_uring would do its own calls past the filter, and with the user id of its start.
  return { ...Object.fromEntries(kept), ...channel, UV_USE_IO_URING: '0' };
}

/** Bubblewrap ends with 128 and the number of the signal that ended the server. */
function signalOf(way: Way, code: number): number | string {
  const signal =
    way.prefix.length === 0 ? undefined : Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return signal?.[0] ?? code;
}

function start(options: StartOptions, way: Way): Server {
  const sandboxed = options.sandbox.mode !== 'off';
  const heap =
    sandboxed && options.sandbox.memory_bytes !== null
      ? [`--max-old-space-size=${HEAP_MIB}`, `--initial-old-space-size=${HEAP_FIRST_MIB}`]
      : [];
  const [program, ...args] = [...way.prefix, process.execPath, ...heap, ...options.execArgv, options.entry];
  const ipc = FIRST_FD + options.descriptors.length;
  // In a session of its own: Ctrl-C at the terminal is for the supervisor, which unmounts.
  const child = spawn(program!, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...options.descriptors, 'pipe'],
    detached: true,
    env: environment(sandboxed, ipc),
  });
  isOurs(child.pid);
  const hearing = new Hearing(child.stderr!, options.hear);
  // Behind a wrapper, which may be killed without it.
  let inner: { pid: number; start: string } | undefined;
  const exit = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => {
      isGone(child.pid);
      const gone = inner === undefined ? endOrphans() : surelyGone(inner.pid, inner.start);
      // Its last words, if nobody else has its end of the pipe.
      const heard = () => Promise.race([hearing.end, new Promise((done) => setTimeout(done, LAST_WORDS_MS).unref())]);
      void gone.then(heard).then(() => resolve(signal ?? signalOf(way, code ?? 1)));
    });
    child.once('error', (error) => resolve(error.message));
  });
  const ended = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  // The only child of a wrapper; the wrapper waits for it, so the number cannot be somebody else's.
  const pid = () => (ended() ? undefined : way.prefix.length === 0 ? child.pid : childrenOf(child.pid!)[0]);
  const kill = () => {
    const server = pid();
    try {
      if (server !== undefined) process.kill(server, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    if (way.prefix.length === 0 || server === undefined || inner === undefined) child.kill('SIGKILL');
  };
  const messenger = new Messenger(child.stdio[ipc] as Socket);
  let first: FirstLook | undefined;
  const server: Server = {
    child,
    hearing,
    ipc,
    way: way.name,
    exit,
    pid,
    kill,
    onMessage: () => {},
    send: (message) => messenger.send(message),
    inspect: (said) =>
      server.lockdown === undefined
        ? []
        : inspect(pid(), first ?? UNSEEN, { way, descriptors: options.descriptors, order: server.lockdown }, said),
  };
  messenger.onMessage = (raw) => {
    const message = fromServer(raw);
    if (message === undefined) return;
    if (message.type === 'started') {
      const found = pid();
      const start = found === undefined ? undefined : statOf(found)?.start;
      if (way.prefix.length > 0 && start !== undefined) inner ??= { pid: found!, start };
      if (found !== undefined && sandboxed) first ??= firstLook(found, way, options.descriptors);
    }
    server.onMessage(message);
  };
  // Nobody breaks the rules of the channel by mistake.
  messenger.onEnd = (misuse) => {
    if (misuse !== undefined) kill();
  };
  return server;
}

/**
 * A process and everything that it has started is stopped (SIGSTOP, a debugger, a frozen group) or not; looked at from
 * the outside in.
 */
function isStopped(pid: number | undefined): boolean {
  return pid !== undefined && (statOf(pid)?.state === 'T' || childrenOf(pid).some(isStopped));
}

/**
 * The server's first word; undefined when it ended without one. Until then the program that makes its namespaces holds
 * a copy of all mounts of the host: it is not left standing, whoever has stopped it.
 */
function firstWord(server: Server): Promise<true | undefined> {
  return new Promise((resolve) => {
    const began = performance.now();
    let stopped = 0;
    const timer = setInterval(() => {
      stopped = isStopped(server.child.pid) ? stopped + 1 : 0;
      if (stopped >= STOPPED_LOOKS || performance.now() - began > START_MS) server.kill();
    }, WATCH_MS);
    const done = (up: true | undefined) => {
      clearInterval(timer);
      resolve(up);
    };
    server.onMessage = ({ type }) => {
      if (type === 'started') done(true);
    };
    void server.exit.then(() => done(undefined));
  });
}

function order(options: StartOptions, way: Way, server: Server): LockdownOrder {
  const pid = server.pid();
  const used_bytes = pid === undefined ? undefined : addressSpace(pid);
  const { memory_bytes = MEMORY_BYTES } = options.sandbox;
  return {
    disks: options.descriptors.slice(1, 1 + options.disks).map((_, index) => FIRST_FD + 1 + index),
    ...(options.clone !== undefined ? { clone: options.clone } : {}),
    ...(process.geteuid!() === 0 ? { uid: UID_BASE + (process.pid & PID_MASK) } : {}),
    ...(way.root !== undefined ? { root: way.root } : {}),
    memory:
      used_bytes === undefined || memory_bytes === null
        ? null
        : { used_bytes, more_bytes: memory_bytes + options.shared_bytes },
  };
}

/**
 * Starts the server and waits for its first word. A confinement that the host does not allow after all is left for the
 * next best. A server that ends at once in every one of them is returned ended.
 */
export async function startServer(options: StartOptions): Promise<Server> {
  if (options.sandbox.mode === 'off') {
    const server = start(options, { name: 'none', prefix: [], layers: [], namespaces: [] });
    server.hearing.count();
    return server;
  }
  const { way: only } = options.sandbox;
  const possible = ways(options.entry, options.mountpoint).filter(({ name }) => only === undefined || name === only);
  for (const way of possible) {
    for (let tries = 1; ; tries++) {
      const server = start(options, way);
      if ((await firstWord(server)) === true) {
        server.hearing.count();
        return Object.assign(server, { lockdown: order(options, way, server) });
      }
      const outside = FROM_OUTSIDE.includes(String(await server.exit));
      // A lesser confinement is for what the host does not allow, not for whoever kills a better one.
      if (outside ? tries >= TRIES : way === possible.at(-1)) {
        server.hearing.count();
        return server;
      }
      // What a way that does not work here says about that is of no use to anybody.
      server.hearing.forget();
      if (!outside) break;
    }
  }
  throw new Error(`there is no way "${only}" to start a server here`);
}

/** The line for whoever wants all layers or nothing. */
export function refusal(missing: readonly Layer[]): string {
  return `--require-sandbox: not in force on this host: ${inWords(missing)}`;
}
