/**
 * Constants of open(2), fcntl(2), the *at calls, lseek(2), access(2), mount(2). Source of the values: NetBSD
 * sys/sys/fcntl.h, sys/sys/fstypes.h, sys/sys/unistd.h.
 */

export const O_RDONLY = 0x0;
export const O_WRONLY = 0x1;
export const O_RDWR = 0x2;
export const O_ACCMODE = 0x3;
export const O_NONBLOCK = 0x4;
export const O_APPEND = 0x8;
export const O_SHLOCK = 0x10;
export const O_EXLOCK = 0x20;
export const O_SYNC = 0x80;
export const O_NOFOLLOW = 0x100;
export const O_CREAT = 0x200;
export const O_TRUNC = 0x400;
export const O_EXCL = 0x800;
export const O_DSYNC = 0x10000;
export const O_RSYNC = 0x20000;
export const O_DIRECT = 0x80000;
export const O_DIRECTORY = 0x200000;
export const O_CLOEXEC = 0x400000;
export const O_SEARCH = 0x800000;
export const O_REGULAR = 0x2000000;
export const O_EXEC = 0x4000000;
/**
 * Ours, not NetBSD's: a descriptor that stands for the file without opening it. It serves as the directory of *at
 * calls, for fstat, the f*-calls that change attributes, and with an empty path and AT_EMPTY_PATH.
 */
export const O_PATH = 0x8000000;
/**
 * Ours, after FreeBSD: with an empty path, open the file that the descriptor (O_PATH) stands for; the caller's
 * permissions are checked.
 */
export const O_EMPTY_PATH = 0x10000000;
/**
 * Ours, after Linux: the path names a directory; makes a file there that has no name. With O_EMPTY_PATH the
 * descriptor's own directory.
 */
export const O_TMPFILE = 0x20000000;

export const AT_FDCWD = -100;
export const AT_EACCESS = 0x100;
export const AT_SYMLINK_NOFOLLOW = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_REMOVEDIR = 0x800;
/** Ours, after Linux: an empty path means the descriptor's own file. */
export const AT_EMPTY_PATH = 0x1000;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const F_OK = 0;
export const X_OK = 1;
export const W_OK = 2;
export const R_OK = 4;

export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_GETLK = 7;
export const F_SETLK = 8;
export const F_SETLKW = 9;
export const F_CLOSEM = 10;
export const F_MAXFD = 11;
export const F_DUPFD_CLOEXEC = 12;
export const FD_CLOEXEC = 1;
export const F_RDLCK = 1;
export const F_UNLCK = 2;
export const F_WRLCK = 3;
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

export const MNT_RDONLY = 0x1;
export const MNT_SYNCHRONOUS = 0x2;
export const MNT_NOEXEC = 0x4;
export const MNT_NOSUID = 0x8;
export const MNT_NODEV = 0x10;
export const MNT_ASYNC = 0x40;
export const MNT_RELATIME = 0x20000;
export const MNT_LOG = 0x2000000;
export const MNT_NOATIME = 0x4000000;
/**
 * Ours, after Linux's nogrpid: new files get their maker's group, but below a set-group-id directory that directory's;
 * and a directory made there is set-group-id, too. Without it the group is always the directory's, as the BSDs have it,
 * and the bit is not passed on.
 */
export const MNT_NOGRPID = 0x8000000;
export const MNT_UPDATE = 0x10000;
export const MNT_RELOAD = 0x40000;
export const MNT_FORCE = 0x80000;

/** Flags of fsync_range(2). */
export const FDATASYNC = 0x10;
export const FFILESYNC = 0x20;
export const FDISKSYNC = 0x40;

/** Namespaces of extattr_*(2). */
export const EXTATTR_NAMESPACE_USER = 1;
export const EXTATTR_NAMESPACE_SYSTEM = 2;

/** utimensat(2): in tv_nsec. */
export const UTIME_NOW = (1 << 30) - 1;
export const UTIME_OMIT = (1 << 30) - 2;

/** What most formats take, and pathconf says where a driver says nothing else; bytes. */
export const NAME_MAX = 255;
/**
 * No name of any format is longer: 255 UTF-16 units take up to 765 bytes of UTF-8. Each mount has its own limit
 * (MountTraits).
 */
export const COMPONENT_MAX = 1023;
export const PATH_MAX = 1024;
export const MAXSYMLINKS = 32;
export const LINK_MAX = 32767;

/** rename flags of renameat2 (ours, after Linux). */
export const RENAME_NOREPLACE = 0x1;
export const RENAME_EXCHANGE = 0x2;
export const RENAME_WHITEOUT = 0x4;

/** Modes of fallocate (ours, after Linux): the size stays; the range becomes a hole; its content becomes zeros. */
export const FALLOC_KEEP_SIZE = 0x1;
export const FALLOC_PUNCH_HOLE = 0x2;
export const FALLOC_ZERO_RANGE = 0x10;
