/** What a process needs of the C library to give up its own powers. Results below 0 are -errno. */
import type { CLibrary } from '../mount/libc.js';
import { cLibrary } from '../mount/libc.js';

export interface SandboxLibc {
  prctl(option: number, a?: number, b?: number): number;
  setrlimit(resource: number, soft: number, hard: number): number;
  /** Empties the calling thread's effective, permitted and inheritable sets. */
  clearCapabilities(): number;
  chroot(directory: string): number;
  umount2(directory: string, flags: number): number;
  /** `argument` of F_SETOWN, F_SETFL... */
  fcntl(fd: number, command: number, argument: number): number;
  siginterrupt(signal: number): number;
  /** seccomp(2). Above 0: the thread that could not be brought into line. */
  seccomp(number: number, flags: number, instructions: Uint8Array, count: number): number;
  /** landlock_create_ruleset(2); null asks for the version of the interface. */
  createRuleset(number: number, attributes: Uint8Array | null, flags: number): number;
  restrictSelf(number: number, ruleset: number, flags: number): number;
}

const SECCOMP_SET_MODE_FILTER = 1;
/** _LINUX_CAPABILITY_VERSION_3: two words a set. */
const CAPABILITY_VERSION = 0x20080522;

function bind({ koffi, lib }: CLibrary): SandboxLibc {
  const prctl = lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
  const setrlimit = lib.func('int setrlimit(int resource, const void *limit)');
  const capset = lib.func('int capset(const void *header, const void *data)');
  const chroot = lib.func('int chroot(const char *path)');
  const umount2 = lib.func('int umount2(const char *target, int flags)');
  const fcntl = lib.func('int fcntl(int fd, int command, ...)');
  const siginterrupt = lib.func('int siginterrupt(int sig, int flag)');
  const program = koffi.struct({ len: 'uint16_t', filter: 'void *' });
  const seccomp = lib.func('syscall', 'long', ['long', 'long', 'long', koffi.pointer(program)]);
  const create = lib.func('syscall', 'long', ['long', 'void *', 'long', 'long']);
  const restrict = lib.func('syscall', 'long', ['long', 'long', 'long']);
  const result = (value: unknown): number => (Number(value) < 0 ? -koffi.errno() : Number(value));
  return {
    prctl: (option, a = 0, b = 0) => result(prctl(option, a, b, 0, 0)),
    setrlimit: (resource, soft, hard) =>
      result(setrlimit(resource, new Uint8Array(BigInt64Array.of(BigInt(soft), BigInt(hard)).buffer))),
    clearCapabilities: () =>
      result(capset(new Uint8Array(Uint32Array.of(CAPABILITY_VERSION, 0).buffer), new Uint8Array(24))),
    chroot: (directory) => result(chroot(directory)),
    umount2: (directory, flags) => result(umount2(directory, flags)),
    fcntl: (fd, command, argument) => result(fcntl(fd, command, 'int', argument)),
    siginterrupt: (signal) => result(siginterrupt(signal, 1)),
    seccomp: (number, flags, instructions, count) =>
      result(seccomp(number, SECCOMP_SET_MODE_FILTER, flags, { len: count, filter: instructions })),
    createRuleset: (number, attributes, flags) => result(create(number, attributes, attributes?.length ?? 0, flags)),
    restrictSelf: (number, ruleset, flags) => result(restrict(number, ruleset, flags)),
  };
}

let loaded: SandboxLibc | null | undefined;

/** null where koffi has no library for this host. */
export function sandboxLibc(): SandboxLibc | null {
  if (loaded === undefined) {
    const library = process.platform === 'linux' ? cLibrary() : null;
    loaded = library === null ? null : bind(library);
  }
  return loaded;
}
