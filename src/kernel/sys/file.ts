import { O_ACCMODE, O_APPEND, O_PATH, O_RDONLY, O_SEARCH, O_WRONLY } from '../fcntl.js';
import type { LockOwner } from '../vfs/lockf.js';
import { RwLock } from '../vfs/rwlock.js';
import type { Vnode } from '../vfs/vnode.js';
import type { Cookie } from '../vfs/vnops.js';

/** An open file: what descriptors point to. dup(2) shares it, position and flags included. */
export class File {
  /** Descriptors, and calls at work, that hold it. */
  f_count = 1;
  /** Byte position. */
  f_offset = 0;
  /** Of a directory: the cookie of the next entry. */
  f_cookie: Cookie = 0;
  /** O_* flags of open(2); fcntl(F_SETFL) changes some. */
  f_flag: number;
  readonly f_read: boolean;
  readonly f_write: boolean;
  /** Stands for the file without having opened it (O_PATH). */
  readonly f_path: boolean;
  /** A directory opened with O_SEARCH: searching from it needs no further permission. */
  readonly f_search: boolean;
  /** The file carried an append-only flag when it was opened: writes at a position append too. */
  f_appendonly = false;
  /** Serializes calls that use the position. */
  readonly f_lock = new RwLock();
  /** Owners of flock locks set through this file, to be released with it; null while there are none. */
  f_flockowners: Set<LockOwner> | null = null;

  constructor(
    /** Referenced. */
    readonly f_vnode: Vnode,
    flags: number,
  ) {
    const accmode = flags & O_ACCMODE;
    this.f_flag = flags;
    this.f_path = (flags & O_PATH) !== 0;
    this.f_search = (flags & O_SEARCH) !== 0;
    this.f_read = !this.f_path && !this.f_search && accmode !== O_WRONLY;
    this.f_write = !this.f_path && accmode !== O_RDONLY;
  }

  get f_append(): boolean {
    return (this.f_flag & O_APPEND) !== 0;
  }
}
