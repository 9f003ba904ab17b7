import { E, errno } from '../errno.js';
import type { File } from './file.js';

/** Descriptors of one process at most. */
export const OPEN_MAX = 1 << 20;

/** The descriptors of a process. The lowest free number is handed out, as POSIX asks. */
export class Filedesc {
  private readonly files: (File | undefined)[] = [];
  private readonly cloexec = new Set<number>();
  /** No number below is free. */
  private freefile = 0;

  /** @throws EBADF */
  get(fd: number): File {
    const fp = this.files[fd];
    if (fp === undefined) throw errno(E.EBADF);
    return fp;
  }

  /** Puts `fp` (its count is the caller's business) at the lowest free number from `min` on. @throws EMFILE */
  alloc(fp: File, min = 0, cloexec = false): number {
    let fd = Math.max(min, this.freefile);
    while (this.files[fd] !== undefined) fd++;
    if (fd >= OPEN_MAX) throw errno(E.EMFILE);
    // Numbers between the end of the table and `fd` exist, free, so that the array stays dense.
    while (this.files.length < fd) this.files.push(undefined);
    this.files[fd] = fp;
    if (min <= this.freefile) this.freefile = fd + 1;
    if (cloexec) this.cloexec.add(fd);
    return fd;
  }

  has(fd: number): boolean {
    return this.files[fd] !== undefined;
  }

  /** Puts `fp` (its count is the caller's business) at `fd`, which is free and below OPEN_MAX. */
  put(fd: number, fp: File, cloexec: boolean): void {
    while (this.files.length < fd) this.files.push(undefined);
    this.files[fd] = fp;
    this.setCloexec(fd, cloexec);
  }

  /** Frees the number and returns what was there. @throws EBADF */
  remove(fd: number): File {
    const fp = this.get(fd);
    this.files[fd] = undefined;
    if (this.cloexec.size > 0) this.cloexec.delete(fd);
    if (fd < this.freefile) this.freefile = fd;
    return fp;
  }

  getCloexec(fd: number): boolean {
    return this.cloexec.has(fd);
  }

  setCloexec(fd: number, on: boolean): void {
    if (on) this.cloexec.add(fd);
    else this.cloexec.delete(fd);
  }

  /** Numbers in use from `min` on, lowest first. */
  numbers(min = 0): number[] {
    const fds: number[] = [];
    for (let fd = Math.max(0, min); fd < this.files.length; fd++) if (this.files[fd] !== undefined) fds.push(fd);
    return fds;
  }
}
