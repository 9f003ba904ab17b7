/**
 * The hypercalls on a Node.js host. This file and its parts in node/ are the only ones below src/fuse and src/cli that
 * import node: modules.
 *
 * Reads and writes are synchronous on purpose: where the image is in the host's page cache, a trip through the thread
 * pool costs several times the copy. A barrier may take a disk's milliseconds, so that one is asynchronous.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import { randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { E, Errno, errno } from '../errno.js';
import type { HostFileInfo, HostOpenFlags, HostTimer, LogLevel, Rumpuser, Timespec } from './rumpuser.js';
import { RUMPUSER_VERSION } from './rumpuser.js';
import { errnoOfHostError, hostErrno } from './node/errno.js';
import { fileInfo, refuseType } from './node/fileinfo.js';
import { BLKDISCARD, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, libc } from './node/libc.js';
import type { Libc } from './node/libc.js';
import { lockFile, refuseBusy, refuseClaimed, refuseUsedFile } from './node/lock.js';

export type LogSink = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

export interface NodeRumpuserOptions {
  /** Where log lines go; warnings and errors to standard error by default. */
  readonly log?: LogSink;
  /** Answers of rumpuser_getparam that come before the environment's. */
  readonly params?: ReadonlyMap<string, string>;
}

/** Linux moves at most 0x7ffff000 bytes in one call. */
const TRANSFER_MAX_BYTES = 0x40000000;
/** A read that is interrupted that often without a byte moved has another trouble than signals. */
const RETRY_MAX = 1000;
/** st_blocks counts in these whatever the file system's blocks are. */
const STAT_BLOCK_BYTES = 512;
/** How far the realtime clock may run from the monotonic one that fills in its microseconds. */
const CLOCK_SLACK_MS = 2;

function stderrLog(level: LogLevel, message: string): void {
  if (level === 'warn' || level === 'error') process.stderr.write(`rumpfuse: ${message}\n`);
}

class NodeRumpuser implements Rumpuser {
  readonly version = RUMPUSER_VERSION;
  private readonly log: LogSink;
  private readonly params: ReadonlyMap<string, string>;
  /** Date.now() and performance.now() of the same moment; see realtime. */
  private clock_base_ms = 0;
  private clock_base_mono = 0;
  /** Descriptors that turned out to be block devices, and others. */
  private readonly blockdevs = new Map<number, boolean>();

  constructor(options: NodeRumpuserOptions) {
    this.log = options.log ?? stderrLog;
    this.params = options.params ?? new Map();
  }

  rumpuser_getparam(name: string): string | undefined {
    const param = this.params.get(name);
    if (param !== undefined) return param;
    if (name === '_RUMPUSER_NCPU') return String(os.availableParallelism());
    if (name === '_RUMPUSER_HOSTNAME') return os.hostname();
    if (name === BOOT_ID_PARAM) return bootId();
    return process.env[name];
  }

  rumpuser_clock_gettime(clock: 'realtime' | 'monotonic', into: Timespec): void {
    const mono = performance.now();
    if (clock === 'monotonic') {
      into.sec = Math.floor(mono / 1000);
      into.nsec = Math.floor((mono - into.sec * 1000) * 1e6);
      return;
    }
    // Date.now() follows the host's clock but counts milliseconds only; performance.now() counts the rest.
    const wall = Date.now();
    let passed = mono - this.clock_base_mono;
    if (Math.abs(this.clock_base_ms + passed - wall) > CLOCK_SLACK_MS) {
      this.clock_base_ms = wall;
      this.clock_base_mono = mono;
      passed = 0;
    }
    const whole = Math.floor(passed);
    const ms = this.clock_base_ms + whole;
    into.sec = Math.floor(ms / 1000);
    into.nsec = (ms - into.sec * 1000) * 1_000_000 + Math.floor((passed - whole) * 1e6);
  }

  rumpuser_clock_sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  rumpuser_timer(milliseconds: number, callback: () => void): HostTimer {
    const timer = setTimeout(callback, milliseconds).unref();
    return { cancel: () => clearTimeout(timer) };
  }

  rumpuser_getrandom(into: Uint8Array): void {
    randomFillSync(into);
  }

  rumpuser_dprintf(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    this.log(level, message, fields);
  }

  /** @throws also EISDIR, ENOTBLK and EINVAL for what is neither a plain file nor a block device */
  async rumpuser_open(path: string, flags: HostOpenFlags): Promise<number> {
    const exclusive = flags.exclusive === true;
    const log = (level: LogLevel, message: string): void => this.log(level, message);
    let fd: number;
    let st: fs.Stats;
    try {
      if (flags.create === true) {
        fs.closeSync(
          fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NONBLOCK, flags.mode ?? 0o666),
        );
      }
      // Before the open: opening a pipe would wait for its other end.
      st = fs.statSync(path);
      refuseType(path, st);
      if (exclusive) refuseBusy(path, st, flags.write, log);
      if (exclusive && st.isBlockDevice()) await refuseUsedFile(path, st, flags.write, log);
      if (exclusive && !flags.write && st.isBlockDevice()) await refuseClaimed(path, st);
      let mode = flags.write ? fs.constants.O_RDWR : fs.constants.O_RDONLY;
      if (exclusive && flags.write && st.isBlockDevice()) mode |= fs.constants.O_EXCL;
      fd = fs.openSync(path, mode);
    } catch (e) {
      if (!(e instanceof Errno) && errnoOfHostError(e) === E.EBUSY) {
        throw errno(E.EBUSY, `${path} is in use by the host (mounted, or part of another device)`);
      }
      throw hostErrno(e, path);
    }
    if (!exclusive) return fd;
    try {
      await lockFile(fd, path, fs.fstatSync(fd), flags.write, log);
      return fd;
    } catch (e) {
      fs.closeSync(fd);
      throw hostErrno(e, path);
    }
  }

  rumpuser_getfileinfo(fd: number): HostFileInfo | Promise<HostFileInfo> {
    this.isBlockdev(fd);
    return fileInfo(fd);
  }

  rumpuser_close(fd: number): void {
    this.blockdevs.delete(fd);
    try {
      fs.closeSync(fd);
    } catch (e) {
      throw hostErrno(e, `close of descriptor ${fd}`);
    }
  }

  rumpuser_pread(fd: number, into: Uint8Array, into_offset: number, length: number, offset_bytes: number): number {
    let done = 0;
    let retries = 0;
    while (done < length) {
      try {
        const got = fs.readSync(
          fd,
          into,
          into_offset + done,
          Math.min(length - done, TRANSFER_MAX_BYTES),
          offset_bytes + done,
        );
        if (got === 0) break;
        done += got;
      } catch (e) {
        if (!this.again(e) || ++retries > RETRY_MAX) throw hostErrno(e, `read of ${length} bytes at ${offset_bytes}`);
      }
    }
    return done;
  }

  rumpuser_pwrite(fd: number, from: Uint8Array, from_offset: number, length: number, offset_bytes: number): number {
    let done = 0;
    let retries = 0;
    while (done < length) {
      try {
        const put = fs.writeSync(
          fd,
          from,
          from_offset + done,
          Math.min(length - done, TRANSFER_MAX_BYTES),
          offset_bytes + done,
        );
        if (put === 0) break;
        done += put;
      } catch (e) {
        if (!this.again(e) || ++retries > RETRY_MAX) throw hostErrno(e, `write of ${length} bytes at ${offset_bytes}`);
      }
    }
    return done;
  }

  private again(e: unknown): boolean {
    const value = errnoOfHostError(e);
    return value === E.EINTR || value === E.EAGAIN;
  }

  rumpuser_syncfd(fd: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // fdatasync also writes the metadata that is needed to find the data: the size of a file that grew.
      fs.fdatasync(fd, (e) => {
        if (e === null) resolve();
        else reject(hostErrno(e, 'flush'));
      });
    });
  }

  rumpuser_discard(fd: number, offset_bytes: number, length: number): void | Promise<void> {
    const lib = libc();
    const blockdev = this.isBlockdev(fd);
    return lib instanceof Promise
      ? lib.then((loaded) => discard(loaded, fd, blockdev, offset_bytes, length))
      : discard(lib, fd, blockdev, offset_bytes, length);
  }

  rumpuser_getroom(fd: number): number | undefined {
    const lib = libc();
    if (lib === null || lib instanceof Promise) return undefined;
    const { size, blocks } = fs.fstatSync(fd);
    const left = lib.room(fd);
    return left !== undefined && size - blocks * STAT_BLOCK_BYTES <= left ? Infinity : left;
  }

  private isBlockdev(fd: number): boolean {
    let answer = this.blockdevs.get(fd);
    if (answer === undefined) this.blockdevs.set(fd, (answer = fs.fstatSync(fd).isBlockDevice()));
    return answer;
  }
}

function discard(lib: Libc | null, fd: number, blockdev: boolean, offset_bytes: number, length: number): void {
  if (lib === null) throw errno(E.EOPNOTSUPP, 'this host cannot discard');
  let result: number;
  if (blockdev) {
    const range = new BigUint64Array([BigInt(offset_bytes), BigInt(length)]);
    result = lib.ioctl(fd, BLKDISCARD, new Uint8Array(range.buffer));
  } else {
    result = lib.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_bytes, length);
  }
  if (result === -E.ENOTTY || result === -E.ENOSYS) result = -E.EOPNOTSUPP;
  if (result < 0) throw errno(-result, `discard of ${length} bytes at ${offset_bytes}`);
}

/** Also the variable of the environment in which a process that sees no files is told. */
export const BOOT_ID_PARAM = '_RUMPUSER_BOOT_ID';
let boot_id: string | undefined;

/** Another one after every start of the host: tells a killed process from a power cut. */
export function bootId(): string | undefined {
  if (boot_id !== undefined) return boot_id;
  try {
    return (boot_id = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  } catch {
    // Confined, it sees no such file; whoever started it has said so.
    return process.env[BOOT_ID_PARAM];
  }
}

/** Loads what hypercalls would load when they are first made: for a process that will not be able to open anything. */
export async function prepareNodeRumpuser(): Promise<void> {
  bootId();
  await libc();
}

/** The host is this Node.js process. */
export function nodeRumpuser(options: NodeRumpuserOptions = {}): Rumpuser {
  return new NodeRumpuser(options);
}
