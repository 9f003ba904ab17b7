/**
 * System call numbers of x86_64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h of Linux), of the calls that the
 * filter names.
 */

export interface Machine {
  /** AUDIT_ARCH_*, which the filter sees with every call. */
  readonly audit_arch: number;
  readonly column: 0 | 1;
}

/** By process.arch. */
export const MACHINES: Readonly<Partial<Record<string, Machine>>> = {
  x64: { audit_arch: 0xc000003e, column: 0 },
  arm64: { audit_arch: 0xc00000b7, column: 1 },
};

type Numbers = readonly [x64: number, arm64: number | null];

/** null: this machine has no such call. */
export const SYSCALLS = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  fstat: [5, 80],
  fstatfs: [138, 44],
  poll: [7, null],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  brk: [12, 214],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  ioctl: [16, 29],
  pread64: [17, 67],
  pwrite64: [18, 68],
  readv: [19, 65],
  writev: [20, 66],
  sched_yield: [24, 124],
  mremap: [25, 216],
  madvise: [28, 233],
  nanosleep: [35, 101],
  setitimer: [38, 103],
  getpid: [39, 172],
  recvmsg: [47, 212],
  shutdown: [48, 210],
  clone: [56, 220],
  fork: [57, null],
  vfork: [58, null],
  execve: [59, 221],
  exit: [60, 93],
  uname: [63, 160],
  fcntl: [72, 25],
  fsync: [74, 82],
  fdatasync: [75, 83],
  gettimeofday: [96, 169],
  getrusage: [98, 165],
  ptrace: [101, 117],
  getuid: [102, 174],
  getgid: [104, 176],
  geteuid: [107, 175],
  getegid: [108, 177],
  getppid: [110, 173],
  sigaltstack: [131, 132],
  pivot_root: [155, 41],
  prctl: [157, 167],
  chroot: [161, 51],
  acct: [163, 89],
  mount: [165, 40],
  umount2: [166, 39],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  init_module: [175, 105],
  delete_module: [176, 106],
  gettid: [186, 178],
  futex: [202, 98],
  sched_getaffinity: [204, 123],
  restart_syscall: [219, 128],
  clock_gettime: [228, 113],
  clock_getres: [229, 114],
  clock_nanosleep: [230, 115],
  exit_group: [231, 94],
  epoll_wait: [232, null],
  epoll_ctl: [233, 21],
  tgkill: [234, 131],
  kexec_load: [246, 104],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  ppoll: [271, 73],
  unshare: [272, 97],
  epoll_pwait: [281, 22],
  fallocate: [285, 47],
  perf_event_open: [298, 241],
  open_by_handle_at: [304, 265],
  setns: [308, 268],
  getcpu: [309, 168],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  finit_module: [313, 273],
  seccomp: [317, 277],
  getrandom: [318, 278],
  kexec_file_load: [320, 294],
  bpf: [321, 280],
  execveat: [322, 281],
  userfaultfd: [323, 282],
  membarrier: [324, 283],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  clone3: [435, 435],
  pidfd_getfd: [438, 438],
  process_madvise: [440, 440],
  mount_setattr: [442, 442],
  landlock_create_ruleset: [444, 444],
  landlock_restrict_self: [446, 446],
} as const satisfies Record<string, Numbers>;

export type SyscallName = keyof typeof SYSCALLS;

/** undefined where the machine has no such call. */
export function syscallNumber(machine: Machine, name: SyscallName): number | undefined {
  return SYSCALLS[name][machine.column] ?? undefined;
}
