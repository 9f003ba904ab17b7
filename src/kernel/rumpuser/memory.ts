/**
 * The hypercalls on no host at all: files in memory, a clock that the caller sets, random numbers from a seed. For
 * tests.
 */
import { E, errno } from '../errno.js';
import { SparseBytes } from '../sparsebytes.js';
import type { HostFileInfo, HostFileType, HostOpenFlags, HostTimer, LogLevel, Rumpuser, Timespec } from './rumpuser.js';
import { RUMPUSER_VERSION } from './rumpuser.js';

/** A file of the in-memory host, when more than its bytes is to be said. */
export interface MemoryFileOptions {
  readonly content?: Uint8Array;
  /** Bytes; the length of `content` by default. What `content` does not fill is zeros that take no memory. */
  readonly size_bytes?: number;
  readonly type?: HostFileType;
  readonly sector_bytes?: number;
  readonly readonly?: boolean;
}

export interface MemoryRumpuserOptions {
  readonly files?: Record<string, Uint8Array | MemoryFileOptions>;
  /** Realtime at boot; seconds since 1970, default 1,000,000,000. Monotonic time begins at 0. */
  readonly now?: number;
  /** Of the random numbers; an integer, default 1. */
  readonly seed?: number;
  /**
   * Default true: rumpuser_clock_sleep moves the clock on by itself. Else it waits until {@link MemoryRumpuser.advance}
   * passes its end.
   */
  readonly autoadvance?: boolean;
  /** Nanoseconds by which every look at the clock moves it, so that no two moments are equal; default 1000. */
  readonly tick_ns?: number;
  readonly params?: ReadonlyMap<string, string>;
}

export interface MemoryLogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: Record<string, unknown>;
}

class MemoryFile {
  readonly bytes = new SparseBytes();
  size_bytes: number;
  readonly type: HostFileType;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  readers = 0;
  writers = 0;

  constructor(options: MemoryFileOptions) {
    const content = options.content;
    this.size_bytes = options.size_bytes ?? content?.length ?? 0;
    this.type = options.type ?? 'file';
    this.sector_bytes = options.sector_bytes ?? 512;
    this.readonly = options.readonly ?? false;
    if (content !== undefined) this.bytes.write(content, 0, content.length, 0);
  }
}

interface OpenFile {
  readonly file: MemoryFile;
  readonly write: boolean;
  readonly exclusive: boolean;
}

interface Waiter {
  readonly due_ns: number;
  readonly order: number;
  readonly go: () => void;
}

export class MemoryRumpuser implements Rumpuser {
  readonly version = RUMPUSER_VERSION;
  /** Every line that was logged. */
  readonly log: MemoryLogLine[] = [];
  private readonly files = new Map<string, MemoryFile>();
  private readonly open = new Map<number, OpenFile>();
  private next_fd = 3;
  /** Nanoseconds since boot. */
  private mono_ns = 0;
  /** Realtime at boot: whole seconds, and nanoseconds 0..999,999,999. */
  private boot_sec = 0;
  private boot_nsec = 0;
  private readonly autoadvance: boolean;
  private readonly tick_ns: number;
  private readonly waiters: Waiter[] = [];
  private waiter_order = 0;
  private random: number;
  private readonly params: ReadonlyMap<string, string>;

  constructor(options: MemoryRumpuserOptions) {
    this.setRealtime(options.now ?? 1_000_000_000);
    this.autoadvance = options.autoadvance ?? true;
    this.tick_ns = options.tick_ns ?? 1000;
    this.random = (options.seed ?? 1) | 0;
    this.params = options.params ?? new Map();
    for (const [path, file] of Object.entries(options.files ?? {})) this.addFile(path, file);
  }

  addFile(path: string, file: Uint8Array | MemoryFileOptions): void {
    this.files.set(path, new MemoryFile(file instanceof Uint8Array ? { content: file } : file));
  }

  /** A copy of what a file holds now. @throws ENOENT */
  fileBytes(path: string): Uint8Array {
    const file = this.files.get(path);
    if (file === undefined) throw errno(E.ENOENT, path);
    const bytes = new Uint8Array(file.size_bytes);
    file.bytes.read(bytes, 0, bytes.length, 0);
    return bytes;
  }

  /** Moves the clocks on and calls the timers that fall due, in their order. */
  advance(milliseconds: number): void {
    const until = this.mono_ns + Math.round(milliseconds * 1e6);
    for (;;) {
      let next: Waiter | undefined;
      for (const w of this.waiters) {
        if (
          w.due_ns <= until &&
          (next === undefined || w.due_ns < next.due_ns || (w.due_ns === next.due_ns && w.order < next.order))
        ) {
          next = w;
        }
      }
      if (next === undefined) break;
      this.waiters.splice(this.waiters.indexOf(next), 1);
      this.mono_ns = Math.max(this.mono_ns, next.due_ns);
      next.go();
    }
    this.mono_ns = Math.max(this.mono_ns, until);
  }

  /** Sets the realtime clock, in seconds since 1970; the monotonic one goes on. */
  setRealtime(seconds: number): void {
    const passed = Math.floor(this.mono_ns / 1e9);
    const whole = Math.floor(seconds);
    const nsec = Math.round((seconds - whole) * 1e9) - (this.mono_ns - passed * 1e9);
    this.boot_sec = whole - passed + Math.floor(nsec / 1e9);
    this.boot_nsec = nsec - Math.floor(nsec / 1e9) * 1e9;
  }

  rumpuser_getparam(name: string): string | undefined {
    return this.params.get(name);
  }

  rumpuser_clock_gettime(clock: 'realtime' | 'monotonic', into: Timespec): void {
    this.mono_ns += this.tick_ns;
    const whole = Math.floor(this.mono_ns / 1e9);
    into.sec = whole;
    into.nsec = this.mono_ns - whole * 1e9;
    if (clock === 'monotonic') return;
    into.sec += this.boot_sec;
    into.nsec += this.boot_nsec;
    if (into.nsec < 1e9) return;
    into.sec++;
    into.nsec -= 1e9;
  }

  rumpuser_clock_sleep(milliseconds: number): Promise<void> {
    if (this.autoadvance) {
      this.advance(milliseconds);
      return Promise.resolve();
    }
    return new Promise((resolve) => this.rumpuser_timer(milliseconds, resolve));
  }

  rumpuser_timer(milliseconds: number, callback: () => void): HostTimer {
    const waiter: Waiter = {
      due_ns: this.mono_ns + Math.round(milliseconds * 1e6),
      order: this.waiter_order++,
      go: callback,
    };
    this.waiters.push(waiter);
    return {
      cancel: () => {
        const at = this.waiters.indexOf(waiter);
        if (at >= 0) this.waiters.splice(at, 1);
      },
    };
  }

  /** The splitmix32 sequence of the seed. */
  rumpuser_getrandom(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) {
      this.random = (this.random + 0x9e3779b9) | 0;
      let z = this.random;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      into[i] = (z ^ (z >>> 15)) & 0xff;
    }
  }

  rumpuser_dprintf(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    this.log.push(fields === undefined ? { level, message } : { level, message, fields });
  }

  rumpuser_open(path: string, flags: HostOpenFlags): number {
    if (flags.create === true && !this.files.has(path)) this.addFile(path, {});
    const file = this.files.get(path);
    if (file === undefined) throw errno(E.ENOENT, `${path}: no such file`);
    if (file.type === 'directory') throw errno(E.EISDIR, `${path} is a directory`);
    if (file.type === 'chardev') throw errno(E.ENOTBLK, `${path} is a character device`);
    if (flags.write && file.readonly) throw errno(E.EROFS, `${path} is read-only`);
    const exclusive = flags.exclusive === true;
    if (exclusive) {
      if (file.writers > 0 || (flags.write && file.readers > 0)) throw errno(E.EBUSY, `${path} is in use`);
      if (flags.write) file.writers++;
      else file.readers++;
    }
    const fd = this.next_fd++;
    this.open.set(fd, { file, write: flags.write, exclusive });
    return fd;
  }

  rumpuser_getfileinfo(fd: number): HostFileInfo {
    const { file, write } = this.opened(fd);
    return {
      type: file.type,
      size_bytes: file.size_bytes,
      sector_bytes: file.sector_bytes,
      readonly: file.readonly || !write,
    };
  }

  rumpuser_close(fd: number): void {
    const { file, write, exclusive } = this.opened(fd);
    this.open.delete(fd);
    if (!exclusive) return;
    if (write) file.writers--;
    else file.readers--;
  }

  rumpuser_pread(fd: number, into: Uint8Array, into_offset: number, length: number, offset_bytes: number): number {
    const { file } = this.opened(fd);
    const count = Math.max(0, Math.min(length, file.size_bytes - offset_bytes));
    file.bytes.read(into, into_offset, count, offset_bytes);
    return count;
  }

  rumpuser_pwrite(fd: number, from: Uint8Array, from_offset: number, length: number, offset_bytes: number): number {
    const { file, write } = this.opened(fd);
    if (!write) throw errno(E.EBADF, 'not open for writing');
    let count = length;
    if (file.type === 'blockdev') {
      count = Math.max(0, Math.min(length, file.size_bytes - offset_bytes));
      if (count === 0 && length > 0) throw errno(E.ENOSPC);
    }
    file.bytes.write(from, from_offset, count, offset_bytes);
    file.size_bytes = Math.max(file.size_bytes, offset_bytes + count);
    return count;
  }

  rumpuser_syncfd(fd: number): void {
    this.opened(fd);
  }

  rumpuser_discard(fd: number, offset_bytes: number, length: number): void {
    const { file, write } = this.opened(fd);
    if (!write) throw errno(E.EBADF, 'not open for writing');
    file.bytes.zero(offset_bytes, length);
  }

  private opened(fd: number): OpenFile {
    const open = this.open.get(fd);
    if (open === undefined) throw errno(E.EBADF);
    return open;
  }
}

export function memoryRumpuser(options: MemoryRumpuserOptions = {}): MemoryRumpuser {
  return new MemoryRumpuser(options);
}
