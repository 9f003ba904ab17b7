/**
 * The hypercall table: the only way out of the kernel. Names are those of NetBSD's rumpuser(3). Everything below this
 * table (kernel, drivers, block devices) imports no `node:` module; a new host is a new implementation of this table.
 *
 * A hypercall fails by throwing an {@link Errno} with NetBSD's value.
 */
export const RUMPUSER_VERSION = 1;

export type MaybePromise<T> = T | Promise<T>;

export type HostFileType = 'file' | 'blockdev' | 'chardev' | 'directory' | 'other';

export interface HostFileInfo {
  readonly type: HostFileType;
  /** Bytes. Of a device: what the device itself says, not what stat(2) says. */
  readonly size_bytes: number;
  /** Logical sector size in bytes; 512 for a plain file. */
  readonly sector_bytes: number;
  /** The host says that the medium cannot be written. */
  readonly readonly: boolean;
  /** The file has no name any more: it goes when it is closed. Absent: it has one, or none is known. */
  readonly unlinked?: boolean;
}

export interface HostOpenFlags {
  readonly write: boolean;
  /** Refuse with EBUSY if another process holds the file for writing, or the host has the device mounted. */
  readonly exclusive?: boolean;
  /** Make the file, empty, if there is none; with write only. */
  readonly create?: boolean;
  /** Of a file that is made, less the umask; default 0666. */
  readonly mode?: number;
}

export interface Timespec {
  /** Seconds since 1970, may be negative. */
  sec: number;
  /** 0..999,999,999. */
  nsec: number;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface HostTimer {
  cancel(): void;
}

export interface Rumpuser {
  /** Must equal {@link RUMPUSER_VERSION}; boot refuses another one with EPROGMISMATCH. */
  readonly version: number;

  rumpuser_getparam(name: string): string | undefined;
  rumpuser_clock_gettime(clock: 'realtime' | 'monotonic', into: Timespec): void;
  rumpuser_clock_sleep(milliseconds: number): Promise<void>;
  /** Calls back once after that time; a pending timer does not keep the host program alive. */
  rumpuser_timer(milliseconds: number, callback: () => void): HostTimer;
  rumpuser_getrandom(into: Uint8Array): void;
  rumpuser_dprintf(level: LogLevel, message: string, fields?: Record<string, unknown>): void;

  /** Opens a host file or device. @throws ENOENT EACCES EBUSY EROFS ... */
  rumpuser_open(path: string, flags: HostOpenFlags): MaybePromise<number>;
  /** Takes over a descriptor that the host process already holds (a sandboxed server is given its device so). */
  rumpuser_getfileinfo(fd: number): MaybePromise<HostFileInfo>;
  rumpuser_close(fd: number): MaybePromise<void>;
  /**
   * Reads up to `length` bytes at `offset_bytes` into `into` from `into_offset`; the count may be short at the end of
   * the file only.
   */
  rumpuser_pread(
    fd: number,
    into: Uint8Array,
    into_offset: number,
    length: number,
    offset_bytes: number,
  ): MaybePromise<number>;
  rumpuser_pwrite(
    fd: number,
    from: Uint8Array,
    from_offset: number,
    length: number,
    offset_bytes: number,
  ): MaybePromise<number>;
  /** A barrier: all earlier writes to `fd` are on stable storage when it returns. */
  rumpuser_syncfd(fd: number): MaybePromise<void>;
  /** Gives the range back to the host (hole, TRIM). @throws EOPNOTSUPP where the host cannot. */
  rumpuser_discard(fd: number, offset_bytes: number, length: number): MaybePromise<void>;
  /**
   * Bytes that are left where the file `fd` is kept; Infinity if they suffice to fill its holes. For hosts whose pread
   * and pwrite answer at once; others do without this call. undefined: the host does not tell.
   */
  rumpuser_getroom?(fd: number): number | undefined;
}
