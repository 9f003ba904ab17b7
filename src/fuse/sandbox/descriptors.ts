/**
 * Which descriptors a process has open. What somebody left open to `rumpfuse mount` (a lock, a pipe, a secret file) is
 * nothing for any process of the mount: each closes it before it does anything else. Node closes such descriptors in
 * its children only up to the first gap in their numbers.
 */
import { closeSync, constants, fstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';

export interface Descriptor {
  readonly fd: number;
  /** What it leads to, as proc(5) says: a path, `pipe:[inode]`, `anon_inode:[eventfd]`... */
  readonly target: string;
  /** O_* that it was opened with; O_CLOEXEC of the descriptor itself. */
  readonly flags: number;
  /** Number of the mount and of the file; empty where the host does not tell (inode: since Linux 5.14). */
  readonly mount: string;
  readonly inode: string;
}

const O_CLOEXEC = 0o2000000;
const STDERR = 2;
/** More than a server has. */
const NUMBERS = 256;
/** What Node.js opens for itself: its event loops, and pipes of which it has both ends. */
const OF_THE_RUNTIME = /^anon_inode:\[?(eventpoll|eventfd|io_uring|timerfd|signalfd)\]?$/;
const PIPE = /^pipe:\[\d+\]$/;

function field(info: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(info)?.[1] ?? '';
}

/**
 * One descriptor of a process, as seen without a look at the file itself, which may be on a file system that hangs.
 * undefined: closed, or not to be seen.
 */
export function descriptor(pid: number | 'self', fd: number): Descriptor | undefined {
  try {
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1');
    return {
      fd,
      target: readlinkSync(`/proc/${pid}/fd/${fd}`),
      flags: parseInt(field(info, 'flags'), 8),
      mount: field(info, 'mnt_id'),
      inode: field(info, 'ino'),
    };
  } catch {
    return undefined;
  }
}

/** @throws Error with `code`: /proc does not show them */
export function descriptors(pid: number | 'self'): Descriptor[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => descriptor(pid, Number(name)) ?? []);
}

/**
 * The descriptors of `all` that neither are in `meant` nor belong to the runtime. Standard input, output and error are
 * no part of this.
 */
export function foreign(all: readonly Descriptor[], meant: ReadonlySet<number>): Descriptor[] {
  const ends = new Map<string, number>();
  for (const { target } of all) if (PIPE.test(target)) ends.set(target, (ends.get(target) ?? 0) + 1);
  return all.filter(({ fd, target, flags }) => {
    if (fd <= STDERR || meant.has(fd)) return false;
    if ((flags & O_CLOEXEC) === 0) return true;
    return !OF_THE_RUNTIME.test(target) && ends.get(target) !== 2;
  });
}

/** Where there is no /proc: by their numbers. Whoever has left others open has met a process with a /proc before. */
function descriptorsByNumber(): Descriptor[] {
  return Array.from({ length: NUMBERS }, (_, fd) => fd).flatMap((fd): Descriptor[] => {
    try {
      const { mode, ino } = fstatSync(fd);
      const target =
        (mode & constants.S_IFMT) === constants.S_IFIFO
          ? `pipe:[${ino}]`
          : (mode & constants.S_IFMT) === 0
            ? 'anon_inode:[eventfd]'
            : '/';
      return [{ fd, target, flags: O_CLOEXEC, mount: '', inode: String(ino) }];
    } catch {
      return [];
    }
  });
}

/** Closes what was left open to this process. `meant`: what it is to have. */
export function closeForeign(meant: Iterable<number>): void {
  let all: Descriptor[];
  try {
    all = descriptors('self');
  } catch {
    all = descriptorsByNumber();
  }
  for (const { fd } of foreign(all, new Set(meant))) {
    try {
      closeSync(fd);
    } catch {
      // Closed meanwhile.
    }
  }
}
