/**
 * A server gives up, in its own process, what it does not need for serving: once everything is loaded and open, before
 * the first byte of the disk is looked at. Each layer stands alone: what a host does not allow is left out and
 * reported.
 */
import { fstat } from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { becomeUser, dropBoundingSet, dropCapabilities, noNewPrivileges, notDumpable } from './credentials.js';
import { closeForeign } from './descriptors.js';
import { reaching, reading, serving } from './filter.js';
import type { Reach } from './filter.js';
import { landlock } from './landlock.js';
import type { Layer, LayerName } from './layers.js';
import { sandboxLibc } from './libc.js';
import type { SandboxLibc } from './libc.js';
import { limitMemory, limitResources } from './limits.js';
import { MNT_DETACH } from '../mount/libc.js';
import { addFilter } from './seccomp.js';
import { MACHINES } from './syscalls.js';

/** A root directory with nothing but libraries and the server's program in it, which needs them no more. */
export interface NewRoot {
  /** An empty directory to have for a root instead. */
  readonly empty: string;
  /** Where the host's root still hangs. */
  readonly old?: string;
}

/** What the supervisor tells the server about its confinement; JSON. */
export interface LockdownOrder {
  /** Its descriptors of disks. */
  readonly disks: readonly number[];
  /** The descriptor that may become another one of its FUSE connection. */
  readonly clone?: number;
  /** The user to become; undefined: it stays who it is. */
  readonly uid?: number;
  readonly root?: NewRoot;
  /** Address space in use now, and how much it may grow, bytes; null: no limit. */
  readonly memory: { readonly used_bytes: number; readonly more_bytes: number } | null;
}

/** What a server needs of its disks. */
export interface DiskUse {
  /** Size of the largest plain file among them. */
  readonly file_bytes: number;
  /** What their descriptors are needed for; other transfers are refused. */
  readonly reaches: readonly Reach[];
}

const STDERR = 2;
const SIGIO = 29;
const PR_SET_PDEATHSIG = 1;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_GETFL = 3;
const O_ASYNC = 0o20000;

/** Has everything made now that Node makes when it is first used: threads of its pool, streams, random numbers. */
async function warmUp(): Promise<void> {
  void process.stdout;
  void process.stderr;
  randomFillSync(new Uint8Array(16));
  await new Promise<void>((resolve) => fstat(0, () => resolve()));
}

/**
 * A signal whenever the channel to the supervisor brings something, or its end: the thread that blocks in a read of
 * requests would not hear of it. The usual way (a signal when the parent goes) does not reach through a namespace's
 * init.
 */
export function hearSupervisor(lib: SandboxLibc, ipc: number): void {
  process.on('SIGIO', () => {});
  lib.siginterrupt(SIGIO);
  const flags = lib.fcntl(ipc, F_GETFL, 0);
  if (flags < 0) return;
  lib.fcntl(ipc, F_SETOWN, process.pid);
  lib.fcntl(ipc, F_SETFL, flags | O_ASYNC);
}

/** @throws Error */
function enter(lib: SandboxLibc, { old, empty }: NewRoot): string {
  if (old !== undefined) must(lib.umount2(old, MNT_DETACH), 'letting go of the host\'s root');
  must(lib.chroot(empty), 'chroot');
  process.chdir('/');
  return 'read-only and empty';
}

function must(result: number, what: string): void {
  if (result < 0) throw new Error(`${what} (error ${-result})`);
}

export class Lockdown {
  readonly layers: Layer[] = [];
  private done = false;

  /** `ipc`: its descriptor of the channel to the supervisor. */
  constructor(private readonly order: LockdownOrder, private readonly ipc: number) {}

  /** Has `close` been called? From then on nothing can be opened. */
  get closed(): boolean {
    return this.done;
  }

  /** Everything at once. What is left of the disks afterwards is what `use` says, and can only become less. */
  async close({ file_bytes, reaches }: DiskUse): Promise<void> {
    if (this.done) return;
    this.done = true;
    const lib = sandboxLibc();
    if (lib === null) {
      const names: LayerName[] = [
        'user',
        'capabilities',
        'no-new-privs',
        'not-dumpable',
        'limits',
        'memory',
        'landlock',
        'system-calls',
        'disk',
      ];
      if (this.order.root !== undefined) names.unshift('root');
      for (const name of names) this.off(name, 'koffi has no library for this host');
      return;
    }
    const { disks, clone, uid, root, memory } = this.order;
    await warmUp();
    closeForeign(Array.from({ length: this.ipc - STDERR }, (_, index) => STDERR + 1 + index));
    // Writing beyond a limit is an error, not the end; nobody starts a debugger.
    process.on('SIGXFSZ', () => {});
    process.on('SIGUSR1', () => {});
    dropBoundingSet(lib);
    if (root !== undefined) this.attempt('root', () => enter(lib, root));
    if (uid !== undefined) this.attempt('user', () => becomeUser(uid));
    else if (process.geteuid!() === 0) this.off('user', 'it is the superuser');
    else this.on('user', 'whoever mounts');
    this.attempt('capabilities', () => dropCapabilities(lib));
    // After the change of the user, which resets some of what follows.
    lib.prctl(PR_SET_PDEATHSIG, 0);
    hearSupervisor(lib, this.ipc);
    this.attempt('no-new-privs', () => noNewPrivileges(lib));
    this.attempt('not-dumpable', () => notDumpable(lib));
    this.attempt('limits', () => limitResources(lib, file_bytes));
    if (memory === null) this.off('memory', 'no limit');
    else this.attempt('memory', () => limitMemory(lib, memory.used_bytes, memory.more_bytes));
    const machine = MACHINES[process.arch];
    if (machine === undefined) {
      this.off('landlock', `not available for ${process.arch}`);
      this.off('system-calls', `not available for ${process.arch}`);
      this.off('disk', 'needs the system call filter');
      return;
    }
    this.attempt('landlock', () => landlock(lib, machine));
    this.attempt('system-calls', () => {
      const program = serving(machine, disks, process.pid, clone);
      addFilter(lib, machine, program);
      return `seccomp, ${program.length} instructions`;
    });
    this.attempt('disk', () => {
      addFilter(lib, machine, reaching(machine, reaches));
      return reaches.length === 0
        ? 'there is none'
        : reaches
            .map(
              ({ start, end, write }) =>
                `bytes ${start} to ${end - 1}, ${write ? 'reading and writing' : 'reading only'}`,
            )
            .join('; ');
    });
  }

  /**
   * The volume turns out to be one that is only read: from now on its disk can only be read. What lies over it notes
   * that it was closed.
   */
  forReading(): void {
    const [disk] = this.order.disks;
    const lib = sandboxLibc();
    const machine = MACHINES[process.arch];
    if (
      disk === undefined ||
      lib === null ||
      machine === undefined ||
      !this.layers.some(({ name, on }) => name === 'system-calls' && on)
    ) {
      return;
    }
    addFilter(lib, machine, reading(machine, disk));
  }

  private attempt(name: LayerName, apply: () => string | void): void {
    try {
      this.on(name, apply() ?? undefined);
    } catch (error) {
      this.off(name, error instanceof Error ? error.message : String(error));
    }
  }

  private on(name: LayerName, detail?: string): void {
    this.layers.push({ name, on: true, ...(detail !== undefined ? { detail } : {}) });
  }

  private off(name: LayerName, detail: string): void {
    this.layers.push({ name, on: false, detail });
  }
}
