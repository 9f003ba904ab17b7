/**
 * Numbers of the FFS format. Source: NetBSD sys/ufs/ffs/fs.h; FreeBSD's for FS_BAD_MAGIC and the second meanings of
 * flags.
 */

/** Bytes read for a superblock, and its largest size. */
export const SBLOCKSIZE = 8192;
/** Size of the fixed part, `sizeof(struct fs)`. */
export const FS_STRUCT_SIZE = 1376;
export const SBLOCK_FLOPPY = 0;
export const SBLOCK_UFS1 = 8192;
export const SBLOCK_UFS2 = 65536;
export const SBLOCK_PIGGY = 262144;
/** Byte offsets in the order in which they are tried. */
export const SBLOCKSEARCH: readonly number[] = [SBLOCK_UFS2, SBLOCK_UFS1, SBLOCK_FLOPPY, SBLOCK_PIGGY];

/** Byte offset of fs_magic in the superblock. */
export const FS_MAGIC_OFFSET = 1372;
export const FS_UFS1_MAGIC = 0x00011954;
export const FS_UFS2_MAGIC = 0x19540119;
/** UFS2 with extended attributes as NetBSD 10 keeps them. */
export const FS_UFS2EA_MAGIC = 0x19012038;
/** Solaris: a volume of more than a terabyte (MTB_UFS_MAGIC); otherwise laid out as UFS1. */
export const FS_MTB_UFS_MAGIC = 0x00decade;
/** FreeBSD: newfs has not finished. */
export const FS_BAD_MAGIC = 0x19960408;

/** fs_old_inodefmt: 4.2BSD inodes (16-bit ids) and directories (no d_type). */
export const FS_42INODEFMT = -1;
export const FS_44INODEFMT = 2;
/** fs_old_postblformat: 4.2BSD rotational tables and cylinder groups. */
export const FS_42POSTBLFMT = -1;
export const FS_DYNAMICPOSTBLFMT = 1;

export const FS_ISCLEAN = 0x01;
export const FS_WASCLEAN = 0x02;
export const FS_OPTTIME = 0;
export const FS_OPTSPACE = 1;

/** fs_flags. Two bits mean different things to NetBSD and FreeBSD; dialect.ts decides. */
export const FS_UNCLEAN = 0x001;
export const FS_DOSOFTDEP = 0x002;
export const FS_NEEDSFSCK = 0x004;
export const FS_SUJ = 0x008;
export const FS_ACLS = 0x010;
export const FS_MULTILABEL = 0x020;
export const FS_GJOURNAL = 0x040;
/** In fs_old_flags: the flags are in fs_flags and the wide fields are valid. */
export const FS_FLAGS_UPDATED = 0x080;
/** NetBSD: has a WAPBL journal. FreeBSD: FS_NFS4ACLS. */
export const FS_DOWAPBL = 0x100;
export const FS_NFS4ACLS = 0x100;
/** NetBSD: quotas inside the file system. FreeBSD: FS_METACKHASH. */
export const FS_DOQUOTA2 = 0x200;
export const FS_METACKHASH = 0x200;
export const FS_TRIM = 0x400;
/** NetBSD 10: POSIX.1e ACLs in the place that FreeBSD does not use. */
export const FS_POSIX1EACLS = 0x800;

export const MINBSIZE = 4096;
export const MAXBSIZE = 65536;
export const MAXFRAG = 8;
export const FS_MAXCONTIG = 16;
export const FSMAXSNAP = 20;
export const MAXMNTLEN = 468;
export const MAXVOLLEN = 32;
/** Defaults of fs_avgfilesize and fs_avgfpdir where a volume has none. */
export const AVFILESIZ = 16384;
export const AFPDIR = 64;
/** Bytes of `struct csum`: four int32. */
export const CSUM_SIZE = 16;

export const UFS_NDADDR = 12;
export const UFS_NIADDR = 3;
export const UFS_NXADDR = 2;
export const UFS_ROOTINO = 2;
export const UFS_WINO = 1;
export const DINODE1_SIZE = 128;
export const DINODE2_SIZE = 256;

/** `sizeof(struct cg)` as compiled on a 64-bit host, which is what newfs and fsck compute with. */
export const CG_STRUCT_SIZE = 176;
