/** Starts a server in the best confinement that the host allows, and knows how to end it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { fstatSync, ftruncateSync, readFileSync } from 'node:fs';
import type { ToSupervisor } from '../messages.js';
import type { Layer } from './layers.js';
import { inWords } from './layers.js';
import type { LockdownOrder } from './lockdown.js';
import { ways } from './namespaces.js';
import type { Way } from './namespaces.js';

export interface SandboxOptions {
  /** `off`: for finding faults, and for measuring. `required`: rather no mount than one with a layer missing. */
  readonly mode: 'on' | 'off' | 'required';
  /** Only this way of starting it (see namespaces.ts); for tests. */
  readonly way?: string;
  /** How much memory the server may take, bytes beyond what it has when it starts; null: it keeps files in memory, no limit. */
  readonly memory_bytes?: number | null;
}

export interface StartOptions {
  readonly entry: string;
  readonly execArgv: readonly string[];
  readonly output: 'inherit' | 'ignore';
  /** 3, 4... of the server; the first is FUSE. */
  readonly descriptors: readonly number[];
  readonly mountpoint: string;
  readonly sandbox: SandboxOptions;
}

/** A server process. */
export interface Server {
  readonly child: ChildProcess;
  /** Settles with the exit status, or the name of the signal that ended it. */
  readonly exit: Promise<number | string>;
  /** Layers that came with its start; it reports its own. */
  readonly layers: readonly Layer[];
  /** What it is told of its confinement; undefined: it is to have none. */
  readonly lockdown?: LockdownOrder;
  /** The server itself, behind the program that made its namespaces. undefined when it is gone. */
  pid(): number | undefined;
  kill(): void;
}

/** MiB. V8 gives up, with a message, before the address space ends. */
const HEAP_MIB = 512;
const MEMORY_BYTES = 1536 * 2 ** 20;
/** Ids that no distribution gives to anybody, one for each supervisor (pids have 22 bits). */
const UID_BASE = 0x70000000;
const PID_MASK = 0x3fffff;
/** FUSE at 3; the channel comes after the last descriptor. */
const FIRST_FD = 3;
const STDERR = 2;
/** What the server may know of its environment. Not: secrets that happen to be there. */
const ENVIRONMENT = /^(RUMP|LC_|LANG$|TZ$)/;

/** The only child of a wrapper; the wrapper waits for it, so the number cannot be somebody else's. */
function childOf(pid: number): number | undefined {
  try {
    const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ')[0]);
    return child > 0 ? child : undefined;
  } catch {
    return undefined;
  }
}

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

function environment(sandboxed: boolean): NodeJS.ProcessEnv {
  if (!sandboxed) return process.env;
  const kept = Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name));
  // io_uring would do its own calls past the filter, and with the user id of its start.
  return { ...Object.fromEntries(kept), UV_USE_IO_URING: '0' };
}

/** Bubblewrap ends with 128 and the number of the signal that ended the server. */
function signalOf(way: Way, code: number): number | string {
  const signal = way.prefix.length === 0 ? undefined : Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return signal?.[0] ?? code;
}

function start(options: StartOptions, way: Way): Server {
  const sandboxed = options.sandbox.mode !== 'off';
  const heap = sandboxed && options.sandbox.memory_bytes !== null ? [`--max-old-space-size=${HEAP_MIB}`] : [];
  const [program, ...args] = [...way.prefix, process.execPath, ...heap, ...options.execArgv, options.entry];
  // In a session of its own: Ctrl-C at the terminal is for the supervisor, which unmounts.
  const child = spawn(program!, args, {
    stdio: ['ignore', options.output, options.output, ...options.descriptors, 'ipc'], detached: true, env: environment(sandboxed),
  });
  const exit = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? signalOf(way, code ?? 1)));
    child.once('error', (error) => resolve(error.message));
  });
  const ended = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const pid = () => (ended() ? undefined : way.prefix.length === 0 ? child.pid : childOf(child.pid!));
  const kill = () => {
    const server = pid();
    try {
      if (server !== undefined) process.kill(server, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    if (way.prefix.length === 0 || server === undefined) child.kill('SIGKILL');
  };
  return { child, exit, layers: way.layers, pid, kill };
}

/** The server's first word; undefined when it ended without one. */
function firstWord(server: Server): Promise<true | undefined> {
  return new Promise((resolve) => {
    const onMessage = (message: unknown) => {
      if ((message as ToSupervisor).type !== 'started') return;
      server.child.off('message', onMessage);
      resolve(true);
    };
    server.child.on('message', onMessage);
    void server.exit.then(() => resolve(undefined));
  });
}

function order(options: StartOptions, way: Way, server: Server): LockdownOrder {
  const pid = server.pid();
  const used_bytes = pid === undefined ? undefined : addressSpace(pid);
  const { memory_bytes = MEMORY_BYTES } = options.sandbox;
  return {
    ipc: FIRST_FD + options.descriptors.length,
    disks: options.descriptors.slice(1).map((_, index) => FIRST_FD + 1 + index),
    ...(process.geteuid!() === 0 ? { uid: UID_BASE + (process.pid & PID_MASK) } : {}),
    ...(way.root !== undefined ? { root: way.root } : {}),
    memory: used_bytes === undefined || memory_bytes === null ? null : { used_bytes, more_bytes: memory_bytes },
  };
}

/** Size of the log, if it is a file. What a way that does not work here says about that is of no use to anybody. */
function logged(): number | undefined {
  try {
    const stat = fstatSync(STDERR);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Starts the server and waits for its first word. A confinement that the host does not allow after all is left for the next
 * best. A server that ends at once in every one of them is returned ended.
 */
export async function startServer(options: StartOptions): Promise<Server> {
  if (options.sandbox.mode === 'off') return start(options, { name: 'none', prefix: [], layers: [] });
  const { way: only } = options.sandbox;
  const possible = ways(options.entry, options.mountpoint).filter(({ name }) => only === undefined || name === only);
  for (const way of possible) {
    const written = logged();
    const server = start(options, way);
    const up = await firstWord(server);
    if (up === undefined && way !== possible.at(-1)) {
      if (written !== undefined) ftruncateSync(STDERR, written);
      continue;
    }
    return { ...server, ...(up === undefined ? {} : { lockdown: order(options, way, server) }) };
  }
  throw new Error(`there is no way "${only}" to start a server here`);
}

/** The line for whoever wants all layers or nothing. */
export function refusal(missing: readonly Layer[]): string {
  return `--require-sandbox: not in force on this host: ${inWords(missing)}`;
}
