import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno, errnoOf } from '../kernel/errno.js';
import type { HostFileInfo, MaybePromise, Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import { checkRange, checkWritable } from './range.js';

export interface OpenImageOptions {
  /** Never write to it. */
  readonly readonly?: boolean;
  /** Fail instead of falling back to read-only, with one line in the log, when the file or device cannot be written. */
  readonly writable?: boolean;
  /** Keep others from writing to it meanwhile; default true. */
  readonly exclusive?: boolean;
}

/** A disk image file or a block device of the host, by way of the hypercalls. */
export class ImageDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  /** Of the host: to hand it over to another process. */
  readonly fd: number;
  private readonly ru: Rumpuser;
  private closed = false;
  /** The first flush that failed: the host forgets the error with the data, and would call the next one a success. */
  private flush_failed: unknown = null;
  /** A plain file may be made shorter by others while it is in use. */
  private readonly plain: boolean;
  /** It was: writes would make it as long as before, with holes in place of what it held. None are made any more. */
  private cut: Error | null = null;
  private can_discard = true;
  /** The file has had its name removed, or never had one: nothing to be said about that any more. */
  private nameless: boolean;

  constructor(ru: Rumpuser, fd: number, name: string, info: HostFileInfo, readonly: boolean) {
    this.ru = ru;
    this.fd = fd;
    this.name = name;
    this.size_bytes = info.size_bytes;
    this.sector_bytes = info.sector_bytes;
    this.readonly = readonly || info.readonly;
    this.plain = info.type === 'file';
    this.nameless = info.unlinked === true;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkRange(this, offset_bytes, length);
    let got: MaybePromise<number>;
    try {
      got = this.ru.rumpuser_pread(this.fd, into, into_offset, length, offset_bytes);
    } catch (e) {
      throw this.failed(e);
    }
    if (got === length) return;
    if (got instanceof Promise) {
      return got.then(
        (n) => this.whole('read', n, length, offset_bytes),
        (e: unknown) => Promise.reject(this.failed(e)),
      );
    }
    this.whole('read', got, length, offset_bytes);
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    checkWritable(this);
    checkRange(this, offset_bytes, length);
    if (this.cut !== null) throw this.cut;
    // The one write after which the file would have its old length again, and flush() would see nothing.
    if (this.plain && offset_bytes + length === this.size_bytes) {
      const checked = this.checkLength();
      if (checked instanceof Promise) return checked.then(() => this.put(from, from_offset, length, offset_bytes));
    }
    return this.put(from, from_offset, length, offset_bytes);
  }

  private put(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    let put: MaybePromise<number>;
    try {
      put = this.ru.rumpuser_pwrite(this.fd, from, from_offset, length, offset_bytes);
    } catch (e) {
      throw this.failed(e);
    }
    if (put === length) return;
    if (put instanceof Promise) {
      return put.then(
        (n) => this.whole('written', n, length, offset_bytes),
        (e: unknown) => Promise.reject(this.failed(e)),
      );
    }
    this.whole('written', put, length, offset_bytes);
  }

  flush(): MaybePromise<void> {
    if (this.readonly) return;
    if (this.flush_failed !== null) throw this.flush_failed as Error;
    if (this.plain) {
      const checked = this.checkLength();
      if (checked instanceof Promise) return checked.then(() => this.sync());
    }
    return this.sync();
  }

  private sync(): MaybePromise<void> {
    const fail = (e: unknown): never => {
      throw (this.flush_failed = this.failed(e));
    };
    try {
      const flushing = this.ru.rumpuser_syncfd(this.fd);
      return flushing instanceof Promise ? flushing.catch(fail) : undefined;
    } catch (e) {
      return fail(e);
    }
  }

  /** Says so, once, when the file has been removed. @throws EIO the file is shorter than it was */
  private checkLength(): MaybePromise<void> {
    if (this.cut !== null) throw this.cut;
    const info = this.ru.rumpuser_getfileinfo(this.fd);
    return info instanceof Promise ? info.then((i) => this.judge(i)) : this.judge(info);
  }

  private judge({ size_bytes: now_bytes, unlinked }: HostFileInfo): void {
    if (unlinked === true && !this.nameless) {
      this.nameless = true;
      this.ru.rumpuser_dprintf(
        'warn',
        `${this.name} was deleted while it is in use: what it holds, and all that is written to it, is gone when the ` +
          'mount ends',
      );
    }
    if (now_bytes >= this.size_bytes) return;
    this.cut = errno(
      E.EIO,
      `${this.name} was cut short while it is in use: it has ${now_bytes} of ${this.size_bytes} bytes; nothing more ` +
        'is written to it',
    );
    this.ru.rumpuser_dprintf('error', this.cut.message);
    throw this.cut;
  }

  discard(offset_bytes: number, length: number): MaybePromise<void> {
    checkWritable(this);
    checkRange(this, offset_bytes, length);
    if (!this.can_discard) return;
    // A device takes whole sectors only; what is left at the ends keeps its content, which is allowed.
    const start = Math.ceil(offset_bytes / this.sector_bytes) * this.sector_bytes;
    const end = Math.floor((offset_bytes + length) / this.sector_bytes) * this.sector_bytes;
    if (start >= end) return;
    try {
      const discarding = this.ru.rumpuser_discard(this.fd, start, end - start);
      if (discarding instanceof Promise) return discarding.catch((e: unknown) => this.cannotDiscard(e));
    } catch (e) {
      this.cannotDiscard(e);
    }
  }

  get immediate(): boolean {
    return this.ru.rumpuser_getroom !== undefined;
  }

  room(): number | undefined {
    return this.plain ? this.ru.rumpuser_getroom?.(this.fd) : Infinity;
  }

  close(): MaybePromise<void> {
    if (this.closed) return;
    this.closed = true;
    return this.ru.rumpuser_close(this.fd);
  }

  private cannotDiscard(e: unknown): void {
    this.can_discard = false;
    this.ru.rumpuser_dprintf(
      'debug',
      `${this.name}: the host takes no discards (${errnoOf(e) === E.EOPNOTSUPP ? 'not supported' : String(e)}); none ` +
        'are sent from now on',
    );
  }

  private whole(done: string, n: number, length: number, offset_bytes: number): void {
    if (n === length) return;
    if (this.plain && this.cut === null) {
      try {
        const checked = this.checkLength();
        if (checked instanceof Promise) checked.catch(() => undefined);
      } catch {
        // Logged; the transfer has failed in any case.
      }
    }
    throw errno(
      E.EIO,
      `${this.name}: ${n} of ${length} bytes at ${offset_bytes} ${done}: is the file shorter than it was?`,
    );
  }

  /** An error of the host as the block device's: the name in front, and one value for a device that is gone. */
  private failed(e: unknown): Error {
    const value = errnoOf(e);
    return errno(
      value === E.ENODEV || value === E.EBADF ? E.ENXIO : value,
      `${this.name}: ${e instanceof Error ? e.message : String(e)}`,
    );
  }
}

function describe(value: number): string {
  return value === E.EROFS ? 'is on read-only media' : 'may not be written by this user';
}

async function openFd(
  ru: Rumpuser,
  path: string,
  options: OpenImageOptions,
): Promise<{ fd: number; readonly: boolean }> {
  const exclusive = options.exclusive ?? true;
  if (options.readonly !== true) {
    try {
      return { fd: await ru.rumpuser_open(path, { write: true, exclusive }), readonly: false };
    } catch (e) {
      const value = errnoOf(e);
      if (options.writable === true || (value !== E.EACCES && value !== E.EPERM && value !== E.EROFS)) throw e;
      ru.rumpuser_dprintf('warn', `${path} ${describe(value)}: opened read-only`);
    }
  }
  return { fd: await ru.rumpuser_open(path, { write: false, exclusive }), readonly: true };
}

/**
 * Opens a disk image or block device of the host, for writing if that is possible and not unwanted.
 * @throws ENOENT, EACCES, EBUSY, EISDIR... as {@link Rumpuser.rumpuser_open} does; EROFS a read-only device, with
 *   `writable`; EINVAL an empty file
 */
export async function openImage(ru: Rumpuser, path: string, options: OpenImageOptions = {}): Promise<ImageDevice> {
  const { fd, readonly } = await openFd(ru, path, options);
  try {
    const image = await imageFromFd(ru, fd, path, { readonly });
    // A device may be opened for writing and refuse the first write (losetup -r, blockdev --setro, a write-protected
    // card).
    if (image.readonly && !readonly) {
      if (options.writable === true) {
        throw errno(E.EROFS, `${path} is a read-only device (write-protected, or set so by the host)`);
      }
      ru.rumpuser_dprintf('warn', `${path} is a read-only device: opened read-only`);
    }
    return image;
  } catch (e) {
    await ru.rumpuser_close(fd);
    throw e;
  }
}

/**
 * Serves a descriptor that is open already (a sandboxed process is given its disk so). Its locks are its opener's.
 * @throws EINVAL an empty file, or no file
 */
export async function imageFromFd(
  ru: Rumpuser,
  fd: number,
  name: string,
  options: { readonly readonly?: boolean } = {},
): Promise<ImageDevice> {
  const info = await ru.rumpuser_getfileinfo(fd);
  if (info.type !== 'file' && info.type !== 'blockdev') {
    throw errno(E.EINVAL, `${name} is neither a plain file nor a block device`);
  }
  if (info.size_bytes === 0) {
    throw errno(
      E.EINVAL,
      `${name} is empty: ${info.type === 'file' ? 'no disk image' : 'is there a medium in the drive?'}`,
    );
  }
  return new ImageDevice(ru, fd, name, info, options.readonly ?? false);
}

/**
 * Makes an image file of that size, sparse, and opens it for writing. An existing file keeps the content that fits.
 * @throws EINVAL for a device; what the host says (ENOSPC, EFBIG...)
 */
export async function createImage(ru: Rumpuser, path: string, size_bytes: number): Promise<ImageDevice> {
  const fd = await ru.rumpuser_open(path, { write: true, exclusive: true, create: true });
  try {
    const info = await ru.rumpuser_getfileinfo(fd);
    if (info.type !== 'file') throw errno(E.EINVAL, `${path} is a device: its size cannot be set`);
    if (info.size_bytes < size_bytes) {
      await ru.rumpuser_pwrite(fd, new Uint8Array(1), 0, 1, size_bytes - 1);
    } else if (info.size_bytes > size_bytes) {
      throw errno(E.EEXIST, `${path} is there already and larger (${info.size_bytes} bytes)`);
    }
    return await imageFromFd(ru, fd, path);
  } catch (e) {
    await ru.rumpuser_close(fd);
    throw e;
  }
}
