/**
 * What a server may ask of the host's kernel, as seccomp programs.
 *
 * serving()  is in force before the disk is looked at. It admits the calls that serving needs, each with the arguments
 *            that it needs them with, and refuses all others with EPERM, for Node and V8 try some that they can do
 *            without. Calls that only somebody tries who has taken the process over end it (SIGSYS).
 * reaching() comes on top at the same moment: transfers on the disk's descriptor must lie inside the volume, and only
 * read
 *            where it is mounted so. Where a partition table says what the volume is, a process of its own has read it.
 * reading()  comes on top where a volume that was to be written turns out to be one that can only be read.
 *
 * A filter can be added at any time: it can only forbid more.
 *
 * The hot calls that need no look at their arguments cost nothing: the kernel keeps a bitmap of them.
 */
import * as bpf from './bpf.js';
import type { Instruction, Program } from './bpf.js';
import { FUSE_DEV_IOC_CLONE } from '../mount/libc.js';
import { FILTER_FLAGS } from './seccomp.js';
import { syscallNumber } from './syscalls.js';
import type { Machine, SyscallName } from './syscalls.js';

/** What a descriptor of the disk may be used for. */
export interface Reach {
  readonly fd: number;
  /** Bytes start to end (not included) of the disk. */
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  /** The block device may be told that ranges are not in use; the ranges are out of the filter's sight. */
  readonly discard: boolean;
}

const EPERM = 1;

/** Without arguments to look at: they act on this process and on descriptors it has. */
const FREE: readonly SyscallName[] = [
  // serving, timers, threads
  'futex', 'epoll_pwait', 'epoll_wait', 'epoll_ctl', 'poll', 'ppoll', 'recvmsg', 'shutdown', 'close', 'fstat',
  'fstatfs', 'fsync', 'fdatasync', 'clock_gettime', 'clock_getres', 'clock_nanosleep', 'nanosleep', 'gettimeofday',
  'setitimer', 'getrandom', 'sched_yield', 'sched_getaffinity', 'getcpu', 'membarrier', 'restart_syscall',
  // memory
  'mprotect', 'munmap', 'mremap', 'madvise', 'brk',
  // signals of its own, the end
  'rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'sigaltstack', 'exit', 'exit_group',
  // what it knows anyway
  'getpid', 'gettid', 'getppid', 'getuid', 'getgid', 'geteuid', 'getegid', 'getrusage', 'uname',
];

/** Neither Node nor V8 nor this program ever does this. */
const FATAL: readonly SyscallName[] = [
  'execve', 'execveat', 'fork', 'vfork', 'ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise',
  'pidfd_getfd', 'mount', 'umount2', 'pivot_root', 'chroot', 'move_mount', 'fsopen', 'fsconfig', 'fsmount', 'open_tree',
  'mount_setattr', 'setns', 'unshare', 'bpf', 'perf_event_open', 'userfaultfd', 'open_by_handle_at', 'add_key',
  'request_key', 'keyctl', 'init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load', 'reboot',
  'swapon', 'swapoff', 'acct',
];

const X32_BIT = 0x40000000;
const PR_SET_NAME = 15;
const MAP_ANONYMOUS = 0x20;
const PROT_EXEC = 4;
const SECCOMP_SET_MODE_FILTER = 1;
/** F_GETFD, F_SETFD, F_GETFL. Not F_DUPFD: the filter tells the disk by its number. */
const FCNTLS = [1, 2, 3];
const F_SETFL = 4;
/**
 * O_ACCMODE, O_NONBLOCK, O_ASYNC, O_LARGEFILE. Not O_APPEND, with which a write at a place goes to the end of the file
 * instead (pwrite(2), BUGS), nor O_DIRECT.
 */
const STATUS_FLAGS = 3 | 0o4000 | 0o20000 | 0o100000;
/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE. */
const PUNCH_HOLE = 3;
const BLKDISCARD = 0x1277;
/**
 * Size, sector size and write protection of a block device; what a terminal is asked at the start of an output stream;
 * how many bytes wait in a pipe; (non-)blocking and close-on-exec.
 */
const IOCTLS = [0x80081272, 0x1268, 0x125e, 0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];

const allow: Program = [bpf.answer(bpf.ALLOW)];
const refuse: Program = [bpf.answer(bpf.fail(EPERM))];
const kill: Program = [bpf.answer(bpf.KILL_PROCESS)];

class Rules {
  readonly program: Instruction[];
  constructor(private readonly machine: Machine, ...start: Program[]) {
    this.program = [...start.flat(), bpf.load(bpf.NR)];
  }
  /** `body` answers. */
  on(names: readonly SyscallName[], ...body: Program[]): this {
    for (const name of names) {
      const number = syscallNumber(this.machine, name);
      if (number !== undefined) this.program.push(...bpf.ifEqual(number, body.flat()));
    }
    return this;
  }
  otherwise(body: Program): Program {
    return [...this.program, ...body];
  }
}

const argument = (n: number): Program => [bpf.load(bpf.low(n))];

/**
 * `disks`: descriptors that are not streams: only transfers at a place are served on them. `pid`: its own. `clone`: the
 * descriptor that may become another one of its FUSE connection; -1: there is none.
 */
export function serving(machine: Machine, disks: readonly number[], pid: number, clone = -1): Program {
  return new Rules(machine,
    [bpf.load(bpf.ARCH)], bpf.unlessEqual(machine.audit_arch, kill),
    [bpf.load(bpf.NR)], bpf.ifGreater(X32_BIT - 1, kill),
  )
    .on(['read', 'write', 'readv', 'writev'], argument(0), ...disks.map((fd) => bpf.ifEqual(fd, refuse)), allow)
    .on(['pread64', 'pwrite64'], argument(0), bpf.unlessOneOf(disks, refuse), allow)
    .on(FREE, allow)
    .on(['mmap'], argument(3), bpf.unlessBits(MAP_ANONYMOUS, refuse), argument(2), bpf.ifBits(PROT_EXEC, refuse), allow)
    .on(
      ['fallocate'],
      argument(0),
      bpf.unlessOneOf(disks, refuse),
      argument(1),
      bpf.unlessEqual(PUNCH_HOLE, refuse),
      allow,
    )
    .on(
      ['ioctl'],
      argument(1),
      bpf.ifEqual(BLKDISCARD, [...argument(0), ...bpf.unlessOneOf(disks, refuse), ...allow]),
      bpf.ifEqual(FUSE_DEV_IOC_CLONE, [...argument(0), ...bpf.unlessEqual(clone, refuse), ...allow]),
      bpf.unlessOneOf(IOCTLS, refuse),
      allow,
    )
    .on(
      ['fcntl'],
      argument(1),
      bpf.ifEqual(F_SETFL, [
        ...argument(0),
        ...disks.flatMap((fd) => bpf.ifEqual(fd, refuse)),
        ...argument(2),
        ...bpf.ifBits(~STATUS_FLAGS, refuse),
        ...allow,
      ]),
      bpf.unlessOneOf(FCNTLS, refuse),
      allow,
    )
    .on(['prctl'], argument(0), bpf.unlessEqual(PR_SET_NAME, refuse), allow)
    .on(['tgkill'], argument(0), bpf.unlessEqual(pid, refuse), allow)
    .on(
      ['seccomp'],
      argument(0),
      bpf.unlessEqual(SECCOMP_SET_MODE_FILTER, refuse),
      argument(1),
      bpf.unlessEqual(FILTER_FLAGS, refuse),
      allow,
    )
    .on(FATAL, kill)
    .otherwise(refuse);
}

/** No sum of two numbers below this overflows 64 bits. */
const WORDS_MAX = 0x1fffff;
const SUM_LOW = 2;
const SUM_HIGH = 3;
const WORD = 2 ** 32;

/**
 * Refuses a transfer of argument `length` bytes at argument `offset` that does not lie in start..end. Goes on
 * otherwise.
 */
function within(offset: number, length: number, start: number, end: number): Program {
  const words = (n: number): [low: number, high: number] => [n % WORD, Math.floor(n / WORD)];
  const [startLow, startHigh] = words(start);
  const [endLow, endHigh] = words(end);
  return [
    bpf.load(bpf.high(length)), ...bpf.ifGreater(WORDS_MAX, refuse),
    bpf.load(bpf.high(offset)), ...bpf.ifGreater(WORDS_MAX, refuse),
    // A: high word of the offset
    ...bpf.ifLess(startHigh, refuse),
    ...bpf.ifEqual(startHigh, [bpf.load(bpf.low(offset)), ...bpf.ifLess(startLow, refuse)]),
    // the sum, by words
    bpf.load(bpf.low(length)), bpf.store(0), bpf.loadIndex(0),
    bpf.load(bpf.low(offset)), bpf.addIndex(), bpf.store(SUM_LOW),
    bpf.load(bpf.high(offset)), bpf.store(SUM_HIGH),
    bpf.loadMemory(SUM_LOW), ...bpf.ifLessThanIndex([bpf.loadMemory(SUM_HIGH), bpf.add(1), bpf.store(SUM_HIGH)]),
    bpf.load(bpf.high(length)), bpf.store(1), bpf.loadIndex(1),
    bpf.loadMemory(SUM_HIGH), bpf.addIndex(),
    ...bpf.ifGreater(endHigh, refuse),
    ...bpf.ifEqual(endHigh, [bpf.loadMemory(SUM_LOW), ...bpf.ifGreater(endLow, refuse)]),
  ];
}

export function reaching(machine: Machine, reaches: readonly Reach[]): Program {
  const each = (body: (reach: Reach) => Program): Program[] => [
    argument(0),
    ...reaches.map((reach) => bpf.ifEqual(reach.fd, body(reach))),
    refuse,
  ];
  return new Rules(machine)
    .on(['pread64'], ...each(({ start, end }) => [...within(3, 2, start, end), ...allow]))
    .on(['pwrite64'], ...each(({ start, end, write }) => (write ? [...within(3, 2, start, end), ...allow] : refuse)))
    .on(['fallocate'], ...each(({ start, end, write }) => (write ? [...within(2, 3, start, end), ...allow] : refuse)))
    .on(
      ['ioctl'],
      argument(1),
      bpf.unlessEqual(BLKDISCARD, allow),
      ...each(({ write, discard }) => (write && discard ? allow : refuse)),
    )
    .otherwise(allow);
}

/** Nothing is written to that disk any more. */
export function reading(machine: Machine, disk: number): Program {
  return new Rules(machine)
    .on(['pwrite64', 'fallocate'], argument(0), bpf.ifEqual(disk, refuse), allow)
    .on(['ioctl'], argument(1), bpf.unlessEqual(BLKDISCARD, allow), argument(0), bpf.ifEqual(disk, refuse), allow)
    .otherwise(allow);
}
