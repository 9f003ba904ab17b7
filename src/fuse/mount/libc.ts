/**
 * The calls of the host's C library that Node lacks, through koffi. Loaded when first needed: loading costs some 40 ms.
 * Failure throws an Error with `code` (ENOENT...) and `syscall`, as Node's own calls do.
 */
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';
import type { IKoffiLib } from 'koffi';
import { hostErrnoName } from '../protocol/errno.js';

type Koffi = typeof koffiModule;

export interface Libc {
  /** A connected pair of stream sockets, close-on-exec. */
  socketpair(): [number, number];
  /**
   * Waits for a message that carries a descriptor; undefined when the other end closes without sending one. The
   * descriptor is close-on-exec.
   */
  receiveDescriptor(socket: number): number | undefined;
  /** `flags`: MNT_DETACH. */
  umount2(directory: string, flags: number): void;
  /** mount(2). `flags`: MS_*. */
  mount(source: string, directory: string, fstype: string, flags: number, data: string): void;
  /** Marks every descriptor from `first` on as close-on-exec. False where Linux cannot (before 5.11). */
  closeOnExec(first: number): boolean;
  /** Whoever has lost its parent among this process's descendants becomes its child, and nobody else's. */
  setSubreaper(on: boolean): void;
  /** Lets go of a child that Node.js knows nothing of; false: it has not ended, or is no child. */
  reap(pid: number): boolean;
  /** A signal is sent to this process when its parent goes. */
  setParentDeathSignal(signal: number): void;
  /** Blocking calls that this signal interrupts fail with EINTR instead of going on. Its handler must be set before. */
  siginterrupt(signal: number): void;
  /** Makes `fd`, /dev/fuse just opened, another descriptor of the connection that `mounted` belongs to. */
  cloneFuse(fd: number, mounted: number): void;
  /** There is something to read, or an error to be met: a read would not block. */
  readable(fd: number): boolean;
  /** There is something to read. */
  pending(fd: number): boolean;
  /** An empty file in memory that belongs to no file system, so that nobody can fill what it lies in. Close-on-exec. */
  memfd(name: string): number;
  /** Such a file stays as long as it is, whoever has it open, for ever. */
  fixSize(fd: number): void;
  /** SIGALRM every so many milliseconds; 0 ends it. */
  setAlarm(milliseconds: number): void;
}

export const MNT_DETACH = 2;
/** include/uapi/linux/mount.h */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_NOATIME = 1024;
export const SIGALRM = 14;
export const SIGTERM = 15;

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const PR_SET_PDEATHSIG = 1;
const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
/** close_range(2): the same number on every processor. */
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const FD_MAX = 0xffffffff;
const ITIMER_REAL = 0;
const POLLIN = 1;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW. */
const SEALS = 7;
/** _IOR(229, 0, uint32_t), include/uapi/linux/fuse.h. */
export const FUSE_DEV_IOC_CLONE = 0x8004e500;

function bind(koffi: Koffi, lib: IKoffiLib): Libc {
  const iovec = koffi.struct('rumpfuse_iovec', { iov_base: 'void *', iov_len: 'size_t' });
  koffi.struct('rumpfuse_msghdr', {
    msg_name: 'void *', msg_namelen: 'uint32_t', msg_iov: koffi.pointer(iovec), msg_iovlen: 'size_t',
    msg_control: 'void *', msg_controllen: 'size_t', msg_flags: 'int',
  });
  const socketpair = lib.func('int socketpair(int domain, int type, int protocol, _Out_ int *sv)');
  const recvmsg = lib.func('long recvmsg(int fd, _Inout_ rumpfuse_msghdr *msg, int flags)');
  const umount2 = lib.func('int umount2(const char *target, int flags)');
  const prctl = lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
  const siginterrupt = lib.func('int siginterrupt(int sig, int flag)');
  const ioctl = lib.func('int ioctl(int fd, unsigned long request, const void *argument)');
  const setitimer = lib.func('int setitimer(int which, void *value, void *old)');
  const mount = lib.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  );
  const waitpid = lib.func('int waitpid(int pid, void *status, int options)');
  const syscall = lib.func('syscall', 'long', ['long', 'unsigned int', 'unsigned int', 'unsigned int']);
  const memfd = lib.func('int memfd_create(const char *name, unsigned int flags)');
  const fcntl = lib.func('int fcntl(int fd, int command, ...)');

  const poll = lib.func('int poll(void *fds, unsigned long nfds, int timeout)');
  /** One struct pollfd: int fd, short events, short revents. */
  const pollfd = new Int32Array(2);
  const events = new Int16Array(pollfd.buffer, 4);
  events[0] = POLLIN;

  const check = (result: number, syscall: string): number => {
    if (result >= 0) return result;
    const code = hostErrnoName(koffi.errno());
    throw Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
  };
  return {
    socketpair() {
      const pair: [number, number] = [-1, -1];
      check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) as number, 'socketpair');
      return pair;
    },
    receiveDescriptor(socket) {
      const data = Buffer.alloc(1);
      // One cmsghdr (size_t length, int level, int type) and one int, with room to spare.
      const control = Buffer.alloc(64);
      const message = {
        msg_name: null, msg_namelen: 0, msg_iov: [{ iov_base: data, iov_len: 1 }], msg_iovlen: 1,
        msg_control: control, msg_controllen: control.length, msg_flags: 0,
      };
      for (;;) {
        const got = Number(recvmsg(socket, message, MSG_CMSG_CLOEXEC));
        if (got < 0 && hostErrnoName(koffi.errno()) === 'EINTR') continue;
        check(got, 'recvmsg');
        break;
      }
      const words = new Int32Array(control.buffer, control.byteOffset, 16);
      // The header is a size_t (two words) and two ints on 64-bit hosts.
      if (words[2] !== SOL_SOCKET || words[3] !== SCM_RIGHTS) return undefined;
      return words[4];
    },
    umount2: (directory, flags) => void check(umount2(directory, flags) as number, 'umount2'),
    mount: (source, directory, fstype, flags, data) =>
      void check(mount(source, directory, fstype, flags, data) as number, 'mount'),
    closeOnExec: (first) => Number(syscall(SYS_CLOSE_RANGE, first, FD_MAX, CLOSE_RANGE_CLOEXEC)) === 0,
    setSubreaper: (on) => void check(prctl(PR_SET_CHILD_SUBREAPER, on ? 1 : 0, 0, 0, 0) as number, 'prctl'),
    reap: (pid) => (waitpid(pid, null, WNOHANG) as number) === pid,
    setParentDeathSignal: (signal) => void check(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) as number, 'prctl'),
    cloneFuse: (fd, mounted) =>
      void check(ioctl(fd, FUSE_DEV_IOC_CLONE, new Uint8Array(Uint32Array.of(mounted).buffer)) as number, 'ioctl'),
    readable(fd) {
      pollfd[0] = fd;
      return (poll(pollfd, 1, 0) as number) > 0;
    },
    pending(fd) {
      pollfd[0] = fd;
      return (poll(pollfd, 1, 0) as number) > 0 && (events[1]! & POLLIN) !== 0;
    },
    siginterrupt: (signal) => void check(siginterrupt(signal, 1) as number, 'siginterrupt'),
    memfd(name) {
      // Linux before 6.3 does not know the second flag: that it will never be run.
      const fd = memfd(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL) as number;
      return fd >= 0 ? fd : check(memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) as number, 'memfd_create');
    },
    fixSize: (fd) => void check(fcntl(fd, F_ADD_SEALS, 'int', SEALS) as number, 'fcntl'),
    setAlarm(milliseconds) {
      const seconds = BigInt(Math.floor(milliseconds / 1000));
      const microseconds = BigInt((milliseconds % 1000) * 1000);
      check(
        setitimer(ITIMER_REAL, new BigInt64Array([seconds, microseconds, seconds, microseconds]), null) as number,
        'setitimer',
      );
    },
  };
}

export interface CLibrary {
  readonly koffi: Koffi;
  readonly lib: IKoffiLib;
}

/** The C library of this process, to bind calls of; null where koffi has no build for the host. */
export function cLibrary(): CLibrary | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    return { koffi, lib: koffi.load(null) };
  } catch {
    return null;
  }
}

let loaded: Libc | null | undefined;

/** null where koffi has no library for this host: callers do without, or say what cannot be done. */
export function libc(): Libc | null {
  if (loaded === undefined) {
    const found = cLibrary();
    loaded = found === null ? null : bind(found.koffi, found.lib);
  }
  return loaded;
}
