import { FSMAXSNAP, FS_UFS1_MAGIC } from './fs_const.js';
import { sun_layout } from './solaris.js';

/** Totals of the volume. */
export interface CsumTotal {
  cs_ndir: number;
  /** Free whole blocks. */
  cs_nbfree: number;
  cs_nifree: number;
  /** Free fragments outside whole free blocks. */
  cs_nffree: number;
}

/**
 * The fields of a superblock in memory, with NetBSD's names. Where they lie on the disk: fs_fields.ts. Codec: fs.ts.
 */
export class FsFields {
  /** The bytes of the disk, as read; encode changes what changed and nothing else. */
  readonly raw: Uint8Array;
  readonly view: DataView;
  /** Byte order of the volume: true for little-endian. */
  readonly le: boolean;
  /** FS_UFS1_MAGIC, FS_UFS2_MAGIC or FS_UFS2EA_MAGIC, never byte-swapped. */
  readonly fs_magic: number;
  /** UFS2 inodes, 64-bit block pointers. */
  readonly ufs2: boolean;
  /** The wide fields exist on the disk. False for a UFS1 volume without FS_FLAGS_UPDATED. */
  readonly wide: boolean;
  /** The last fields of the superblock lie as Solaris has them. */
  readonly solaris: boolean;

  fs_firstfield = 0;
  fs_unused_1 = 0;
  /** Superblock copy, cylinder group block, inode table, first data: frags from the start of a group. */
  fs_sblkno = 0;
  fs_cblkno = 0;
  fs_iblkno = 0;
  fs_dblkno = 0;
  /**
   * UFS1: frags by which the metadata of neighbouring groups is shifted, and which bits of the group number do not
   * count.
   */
  fs_old_cgoffset = 0;
  fs_old_cgmask = 0;
  fs_old_time = 0;
  fs_old_size = 0;
  fs_old_dsize = 0;
  /** Cylinder groups. */
  fs_ncg = 0;
  /** Bytes of a block: 4096..65536. */
  fs_bsize = 0;
  /** Bytes of a fragment: block / 1..8. */
  fs_fsize = 0;
  /** Fragments in a block: 1, 2, 4, 8. */
  fs_frag = 0;
  /** Per cent that only the superuser may use. */
  fs_minfree = 0;
  fs_old_rotdelay = 0;
  fs_old_rps = 0;
  fs_bmask = 0;
  fs_fmask = 0;
  fs_bshift = 0;
  fs_fshift = 0;
  fs_maxcontig = 0;
  /** Blocks that one file may take of a group before it moves on. */
  fs_maxbpg = 0;
  fs_fragshift = 0;
  fs_fsbtodb = 0;
  /** Bytes of the superblock on the disk. */
  fs_sbsize = 0;
  fs_old_csmask = 0;
  fs_old_csshift = 0;
  /** Block pointers in a block. */
  fs_nindir = 0;
  /** Inodes in a block. */
  fs_inopb = 0;
  fs_old_nspf = 0;
  /** FS_OPTTIME or FS_OPTSPACE. */
  fs_optim = 0;
  fs_old_npsect = 0;
  fs_old_interleave = 0;
  fs_old_trackskew = 0;
  fs_id0 = 0;
  fs_id1 = 0;
  fs_old_csaddr = 0;
  /** Bytes of the summary area at fs_csaddr. */
  fs_cssize = 0;
  /** Bytes of a cylinder group block in use. */
  fs_cgsize = 0;
  fs_old_ntrak = 0;
  fs_old_nsect = 0;
  fs_old_spc = 0;
  fs_old_ncyl = 0;
  fs_old_cpg = 0;
  /** Inodes in a group. */
  fs_ipg = 0;
  /** Frags in a group. */
  fs_fpg = 0;
  fs_old_cs_ndir = 0;
  fs_old_cs_nbfree = 0;
  fs_old_cs_nifree = 0;
  fs_old_cs_nffree = 0;
  /** In memory: the superblock must be written. */
  fs_fmod = 0;
  /** FS_ISCLEAN, FS_WASCLEAN, or 0 while mounted for writing or after an unclean stop. */
  fs_clean = 0;
  fs_ronly = 0;
  fs_old_flags = 0;
  fs_cgrotor = 0;
  fs_old_cpc = 0;
  fs_maxbsize = 0;
  fs_journal_version = 0;
  /** UFS_WAPBL_JOURNALLOC_*: 0 none, 1 end of the partition, 2 inside the file system. */
  fs_journal_location = 0;
  fs_journal_flags = 0;
  /** NetBSD: four location values of the journal. FreeBSD: fs_unrefs, fs_providersize, fs_metaspace, spare. */
  readonly fs_journallocs: bigint[] = [0n, 0n, 0n, 0n];
  fs_quota_magic = 0;
  fs_quota_flags = 0;
  /** Inode numbers of the user and group quota inodes. */
  readonly fs_quotafile: bigint[] = [0n, 0n];
  /** Byte offset of the standard superblock. */
  fs_sblockloc = 0;
  readonly fs_cstotal: CsumTotal = { cs_ndir: 0, cs_nbfree: 0, cs_nifree: 0, cs_nffree: 0 };
  /** Last write, seconds since 1970. */
  fs_time = 0;
  /** Size of the volume, frags. */
  fs_size = 0;
  /** Frags for data. */
  fs_dsize = 0;
  /** Summary area, frags. */
  fs_csaddr = 0;
  /** In units of 512 bytes (UFS2) held by files that are being freed. */
  fs_pendingblocks = 0;
  fs_pendinginodes = 0;
  /** Inode numbers of snapshots; 0 where there is none. */
  readonly fs_snapinum: number[] = new Array<number>(FSMAXSNAP).fill(0);
  fs_avgfilesize = 0;
  fs_avgfpdir = 0;
  fs_save_cgsize = 0;
  /** FreeBSD: last mount or check. */
  fs_mtime = 0;
  /** FreeBSD: free list of the soft-updates journal. */
  fs_sujfree = 0;
  /** FreeBSD: check hash of this superblock, and which metadata has check hashes. */
  fs_ckhash = 0;
  fs_metackhash = 0;
  fs_flags = 0;
  /** Entries 1..fs_contigsumsize of the cluster summary; 0 or less: no cluster maps. */
  fs_contigsumsize = 0;
  fs_maxsymlinklen = 0;
  fs_old_inodefmt = 0;
  /** Largest file, bytes; not more than 2^53 - 1 here, whatever the disk says. */
  fs_maxfilesize = 0;
  fs_qbmask = 0;
  fs_qfmask = 0;
  fs_state = 0;
  fs_old_postblformat = 0;
  fs_old_nrpos = 0;
  fs_old_postbloff = 0;
  fs_old_rotbloff = 0;
  /** Byte strings up to the first NUL. */
  fs_fsmnt = '';
  fs_volname = '';
  fs_swuid = 0n;

  /**
   * FreeBSD's check hashes that are kept on this volume (CK_*): fs_metackhash as far as it is in force. In memory only;
   * 0 until whoever knows which system wrote the volume has set it (ffs_ckhashes in dialect.ts).
   */
  ckhashes = 0;

  protected constructor(raw: Uint8Array, le: boolean, magic: number, wide: boolean) {
    this.raw = raw;
    this.view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    this.le = le;
    this.fs_magic = magic;
    this.ufs2 = magic !== FS_UFS1_MAGIC;
    this.wide = wide;
    this.solaris = !this.ufs2 && !wide && sun_layout(this.view, le);
  }
}
