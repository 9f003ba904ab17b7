/**
 * The FUSE kernel protocol: structures and constants.
 * Source: Linux include/uapi/linux/fuse.h, protocol 7.45 (what this server has no use for left out).
 */
import { layout } from './layout.js';

export const FUSE_KERNEL_VERSION = 7;
/** The newest minor version whose requests are understood. */
export const FUSE_KERNEL_MINOR_VERSION = 45;
/** The oldest one served (Linux 5.4). */
export const FUSE_KERNEL_MINOR_OLDEST = 31;
export const FUSE_ROOT_ID = 1;
/** A kernel refuses to hand requests to a reader whose buffer is smaller than this. */
export const FUSE_MIN_READ_BUFFER = 8192;

export const fuse_in_header = layout('fuse_in_header', {
  len: 4,
  opcode: 4,
  unique: 8,
  nodeid: 8,
  uid: 4,
  gid: 4,
  pid: 4,
  total_extlen: 2,
  padding: 2,
});
export const fuse_out_header = layout('fuse_out_header', { len: 4, error: 4, unique: 8 });

export const fuse_attr = layout('fuse_attr', {
  ino: 8, size: 8, blocks: 8, atime: 8, mtime: 8, ctime: 8, atimensec: 4, mtimensec: 4, ctimensec: 4,
  mode: 4, nlink: 4, uid: 4, gid: 4, rdev: 4, blksize: 4, flags: 4,
});
/** Followed by a fuse_attr at SIZEOF. */
export const fuse_entry_out = layout('fuse_entry_out', {
  nodeid: 8,
  generation: 8,
  entry_valid: 8,
  attr_valid: 8,
  entry_valid_nsec: 4,
  attr_valid_nsec: 4,
});
/** Followed by a fuse_attr at SIZEOF. */
export const fuse_attr_out = layout('fuse_attr_out', { attr_valid: 8, attr_valid_nsec: 4, dummy: 4 });
export const ENTRY_OUT_SIZEOF = fuse_entry_out.SIZEOF + fuse_attr.SIZEOF;
export const ATTR_OUT_SIZEOF = fuse_attr_out.SIZEOF + fuse_attr.SIZEOF;

export const fuse_init_in = layout('fuse_init_in', { major: 4, minor: 4, max_readahead: 4, flags: 4, flags2: 4 });
/** Offers of kernels before 7.36 end behind `flags`. */
export const FUSE_COMPAT_INIT_IN_SIZE = 16;
export const fuse_init_out = layout('fuse_init_out', {
  major: 4,
  minor: 4,
  max_readahead: 4,
  flags: 4,
  max_background: 2,
  congestion_threshold: 2,
  max_write: 4,
  time_gran: 4,
  max_pages: 2,
  map_alignment: 2,
  flags2: 4,
  max_stack_depth: 4,
  request_timeout: 2,
  unused0: 2,
  unused1: 4,
  unused2: 4,
  unused3: 4,
  unused4: 4,
  unused5: 4,
});

export const fuse_forget_in = layout('fuse_forget_in', { nlookup: 8 });
export const fuse_forget_one = layout('fuse_forget_one', { nodeid: 8, nlookup: 8 });
export const fuse_batch_forget_in = layout('fuse_batch_forget_in', { count: 4, dummy: 4 });
export const fuse_getattr_in = layout('fuse_getattr_in', { getattr_flags: 4, dummy: 4, fh: 8 });
export const fuse_setattr_in = layout('fuse_setattr_in', {
  valid: 4,
  padding: 4,
  fh: 8,
  size: 8,
  lock_owner: 8,
  atime: 8,
  mtime: 8,
  ctime: 8,
  atimensec: 4,
  mtimensec: 4,
  ctimensec: 4,
  mode: 4,
  unused4: 4,
  uid: 4,
  gid: 4,
  unused5: 4,
});
export const fuse_mknod_in = layout('fuse_mknod_in', { mode: 4, rdev: 4, umask: 4, padding: 4 });
export const fuse_mkdir_in = layout('fuse_mkdir_in', { mode: 4, umask: 4 });
export const fuse_rename_in = layout('fuse_rename_in', { newdir: 8 });
export const fuse_rename2_in = layout('fuse_rename2_in', { newdir: 8, flags: 4, padding: 4 });
export const fuse_link_in = layout('fuse_link_in', { oldnodeid: 8 });
export const fuse_open_in = layout('fuse_open_in', { flags: 4, open_flags: 4 });
export const fuse_create_in = layout('fuse_create_in', { flags: 4, mode: 4, umask: 4, open_flags: 4 });
export const fuse_open_out = layout('fuse_open_out', { fh: 8, open_flags: 4, backing_id: 4 });
export const fuse_release_in = layout('fuse_release_in', { fh: 8, flags: 4, release_flags: 4, lock_owner: 8 });
export const fuse_flush_in = layout('fuse_flush_in', { fh: 8, unused: 4, padding: 4, lock_owner: 8 });
export const fuse_read_in = layout('fuse_read_in', {
  fh: 8,
  offset: 8,
  size: 4,
  read_flags: 4,
  lock_owner: 8,
  flags: 4,
  padding: 4,
});
export const fuse_write_in = layout('fuse_write_in', {
  fh: 8,
  offset: 8,
  size: 4,
  write_flags: 4,
  lock_owner: 8,
  flags: 4,
  padding: 4,
});
export const fuse_write_out = layout('fuse_write_out', { size: 4, padding: 4 });
export const fuse_kstatfs = layout('fuse_kstatfs', {
  blocks: 8, bfree: 8, bavail: 8, files: 8, ffree: 8, bsize: 4, namelen: 4, frsize: 4, padding: 4,
  spare0: 4, spare1: 4, spare2: 4, spare3: 4, spare4: 4, spare5: 4,
});
export const fuse_fsync_in = layout('fuse_fsync_in', { fh: 8, fsync_flags: 4, padding: 4 });
/** The form before FUSE_SETXATTR_EXT, which is not negotiated. */
export const fuse_setxattr_in = layout('fuse_setxattr_in', { size: 4, flags: 4 });
export const fuse_getxattr_in = layout('fuse_getxattr_in', { size: 4, padding: 4 });
export const fuse_getxattr_out = layout('fuse_getxattr_out', { size: 4, padding: 4 });
export const fuse_file_lock = layout('fuse_file_lock', { start: 8, end: 8, type: 4, pid: 4 });
/** The fuse_file_lock lies between `owner` and `lk_flags`. */
export const fuse_lk_in = layout('fuse_lk_in', {
  fh: 8,
  owner: 8,
  lk_start: 8,
  lk_end: 8,
  lk_type: 4,
  lk_pid: 4,
  lk_flags: 4,
  padding: 4,
});
export const fuse_access_in = layout('fuse_access_in', { mask: 4, padding: 4 });
export const fuse_interrupt_in = layout('fuse_interrupt_in', { unique: 8 });
export const fuse_fallocate_in = layout('fuse_fallocate_in', { fh: 8, offset: 8, length: 8, mode: 4, padding: 4 });
export const fuse_lseek_in = layout('fuse_lseek_in', { fh: 8, offset: 8, whence: 4, padding: 4 });
export const fuse_lseek_out = layout('fuse_lseek_out', { offset: 8 });
export const fuse_copy_file_range_in = layout('fuse_copy_file_range_in', {
  fh_in: 8,
  off_in: 8,
  nodeid_out: 8,
  fh_out: 8,
  off_out: 8,
  len: 8,
  flags: 8,
});
export const fuse_copy_file_range_out = layout('fuse_copy_file_range_out', { bytes_copied: 8 });
export const fuse_bmap_in = layout('fuse_bmap_in', { block: 8, blocksize: 4, padding: 4 });
export const fuse_ioctl_in = layout('fuse_ioctl_in', { fh: 8, flags: 4, cmd: 4, arg: 8, in_size: 4, out_size: 4 });
export const fuse_poll_in = layout('fuse_poll_in', { fh: 8, kh: 8, flags: 4, events: 4 });
export const fuse_syncfs_in = layout('fuse_syncfs_in', { padding: 8 });
export const fuse_statx_in = layout('fuse_statx_in', { getattr_flags: 4, reserved: 4, fh: 8, sx_flags: 4, sx_mask: 4 });
/** Followed by a fuse_statx at SIZEOF. */
export const fuse_statx_out = layout('fuse_statx_out', {
  attr_valid: 8,
  attr_valid_nsec: 4,
  flags: 4,
  spare0: 8,
  spare1: 8,
});
/** Each time is a fuse_sx_time: seconds, nanoseconds, reserved. */
export const fuse_statx = layout('fuse_statx', {
  mask: 4,
  blksize: 4,
  attributes: 8,
  nlink: 4,
  uid: 4,
  gid: 4,
  mode: 2,
  spare0: 2,
  ino: 8,
  size: 8,
  blocks: 8,
  attributes_mask: 8,
  atime: 8,
  atimensec: 4,
  atime_reserved: 4,
  btime: 8,
  btimensec: 4,
  btime_reserved: 4,
  ctime: 8,
  ctimensec: 4,
  ctime_reserved: 4,
  mtime: 8,
  mtimensec: 4,
  mtime_reserved: 4,
  rdev_major: 4,
  rdev_minor: 4,
  dev_major: 4,
  dev_minor: 4,
  spare2_0: 8,
  spare2_1: 8,
  spare2_2: 8,
  spare2_3: 8,
  spare2_4: 8,
  spare2_5: 8,
  spare2_6: 8,
  spare2_7: 8,
  spare2_8: 8,
  spare2_9: 8,
  spare2_10: 8,
  spare2_11: 8,
  spare2_12: 8,
  spare2_13: 8,
});
export const STATX_OUT_SIZEOF = fuse_statx_out.SIZEOF + fuse_statx.SIZEOF;
/** Followed by the name, padded to 8 bytes. In a READDIRPLUS reply an entry_out stands before each. */
export const fuse_dirent = layout('fuse_dirent', { ino: 8, off: 8, namelen: 4, type: 4 });
export const fuse_notify_inval_entry_out = layout('fuse_notify_inval_entry_out', { parent: 8, namelen: 4, flags: 4 });
export const fuse_notify_inval_inode_out = layout('fuse_notify_inval_inode_out', { ino: 8, off: 8, len: 8 });

/** fuse_setattr_in.valid */
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_FH = 1 << 6;
export const FATTR_ATIME_NOW = 1 << 7;
export const FATTR_MTIME_NOW = 1 << 8;
export const FATTR_CTIME = 1 << 10;
export const FATTR_KILL_SUIDGID = 1 << 11;

/** fuse_open_out.open_flags */
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_CACHE_DIR = 1 << 3;

/** fuse_init_in.flags, fuse_init_out.flags */
export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_POSIX_LOCKS = 1 << 1;
export const FUSE_ATOMIC_O_TRUNC = 1 << 3;
export const FUSE_EXPORT_SUPPORT = 1 << 4;
export const FUSE_BIG_WRITES = 1 << 5;
export const FUSE_DONT_MASK = 1 << 6;
export const FUSE_FLOCK_LOCKS = 1 << 10;
export const FUSE_DO_READDIRPLUS = 1 << 13;
export const FUSE_READDIRPLUS_AUTO = 1 << 14;
export const FUSE_ASYNC_DIO = 1 << 15;
export const FUSE_WRITEBACK_CACHE = 1 << 16;
export const FUSE_PARALLEL_DIROPS = 1 << 18;
export const FUSE_POSIX_ACL = 1 << 20;
export const FUSE_ABORT_ERROR = 1 << 21;
export const FUSE_MAX_PAGES = 1 << 22;
export const FUSE_CACHE_SYMLINKS = 1 << 23;
export const FUSE_EXPLICIT_INVAL_DATA = 1 << 25;
export const FUSE_HANDLE_KILLPRIV_V2 = 1 << 28;
export const FUSE_SETXATTR_EXT = 1 << 29;
export const FUSE_INIT_EXT = 1 << 30;
/** flags2 (bits 32 and up of the header's values) */
export const FUSE2_HAS_RESEND = 1 << 7;

export const FUSE_GETATTR_FH = 1 << 0;
export const FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1;
export const FUSE_LK_FLOCK = 1 << 0;
export const FUSE_WRITE_KILL_SUIDGID = 1 << 2;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;
export const FUSE_OPEN_KILL_SUIDGID = 1 << 0;

export const FUSE_NOTIFY_INVAL_INODE = 2;
export const FUSE_NOTIFY_INVAL_ENTRY = 3;
export const FUSE_NOTIFY_RESEND = 7;
/** Linux 6.16: all names that the host remembers are looked up again when they are used next. */
export const FUSE_NOTIFY_INC_EPOCH = 8;
