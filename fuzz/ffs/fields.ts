/**
 * Where the fields of FFS's structures lie, for the mutator. Sources: NetBSD sys/ufs/ffs/fs.h, sys/ufs/ufs/dinode.h,
 * sys/sys/wapbl_replay.h; FreeBSD's for fields called ckhash.
 */
export interface Field {
  readonly name: string;
  readonly offset: number;
  /** Bytes: 1, 2, 4, 8. */
  readonly width: number;
}

function row(width: number, start: number, names: string): Field[] {
  return names.split(' ').map((name, i) => ({ name, offset: start + i * width, width }));
}

/** A superblock; names of places that hold rotational tables in old volumes included. */
export const SUPERBLOCK: readonly Field[] = [
  ...row(
    4,
    0,
    'firstfield unused_1 sblkno cblkno iblkno dblkno old_cgoffset old_cgmask old_time old_size old_dsize ncg bsize ' +
      'fsize frag minfree',
  ),
  ...row(
    4,
    64,
    'old_rotdelay old_rps bmask fmask bshift fshift maxcontig maxbpg fragshift fsbtodb sbsize old_csmask old_csshift ' +
      'nindir inopb old_nspf',
  ),
  ...row(
    4,
    128,
    'optim old_npsect old_interleave old_trackskew id0 id1 old_csaddr cssize cgsize old_ntrak old_nsect old_spc ' +
      'old_ncyl old_cpg ipg fpg',
  ),
  ...row(4, 192, 'old_cs_ndir old_cs_nbfree old_cs_nifree old_cs_nffree'),
  ...row(1, 208, 'fmod clean ronly old_flags'),
  ...row(4, 724, 'cgrotor'),
  ...row(4, 856, 'old_cpc maxbsize'),
  ...row(1, 864, 'journal_version journal_location'),
  ...row(4, 868, 'journal_flags'),
  ...row(8, 872, 'journalloc0 journalloc1 journalloc2 journalloc3'),
  ...row(4, 904, 'quota_magic quota_flags'),
  ...row(8, 912, 'quotafile0 quotafile1'),
  ...row(8, 1000, 'sblockloc cs_ndir cs_nbfree cs_nifree cs_nffree'),
  ...row(8, 1072, 'time size dsize csaddr pendingblocks'),
  ...row(4, 1112, 'pendinginodes snapinum0 snapinum1 snapinum2'),
  ...row(4, 1196, 'avgfilesize avgfpdir save_cgsize'),
  ...row(8, 1208, 'mtime'),
  ...row(4, 1216, 'sujfree'),
  ...row(4, 1304, 'ckhash metackhash flags contigsumsize maxsymlinklen old_inodefmt'),
  ...row(8, 1328, 'maxfilesize qbmask qfmask'),
  ...row(4, 1352, 'state old_postblformat old_nrpos old_postbloff old_rotbloff magic'),
];

/** The head of a cylinder group block. */
export const GROUP: readonly Field[] = [
  ...row(4, 0, 'firstfield magic old_time cgx'),
  ...row(2, 16, 'old_ncyl old_niblk'),
  ...row(
    4,
    20,
    'ndblk cs_ndir cs_nbfree cs_nifree cs_nffree rotor frotor irotor frsum0 frsum1 frsum2 frsum3 frsum4 frsum5 ' +
      'frsum6 frsum7',
  ),
  ...row(
    4,
    84,
    'old_btotoff old_boff iusedoff freeoff nextfreeoff clustersumoff clusteroff nclusterblks niblk initediblk unrefs ' +
      'ckhash',
  ),
  ...row(8, 136, 'time'),
];

export const DINODE1: readonly Field[] = [
  ...row(2, 0, 'mode nlink oldids0 oldids1'),
  ...row(8, 8, 'size'),
  ...row(4, 16, 'atime atimensec mtime mtimensec ctime ctimensec'),
  ...row(4, 40, 'db0 db1 db2 db3 db4 db5 db6 db7 db8 db9 db10 db11 ib0 ib1 ib2 flags blocks gen uid gid'),
];

export const DINODE2: readonly Field[] = [
  ...row(2, 0, 'mode nlink'),
  ...row(4, 4, 'uid gid blksize'),
  ...row(8, 16, 'size blocks atime mtime ctime birthtime'),
  ...row(4, 64, 'mtimensec atimensec ctimensec birthnsec gen kernflags flags extsize'),
  ...row(8, 96, 'extb0 extb1 db0 db1 db2 db3 db4 db5 db6 db7 db8 db9 db10 db11 ib0 ib1 ib2'),
];

/** A header block of a WAPBL journal. */
export const JOURNAL_HEADER: readonly Field[] = [
  ...row(4, 0, 'type len checksum generation fsid0 fsid1'),
  ...row(8, 24, 'time'),
  ...row(4, 32, 'timensec version log_bshift fs_bshift'),
  ...row(8, 48, 'head tail circ_off circ_size'),
];

/** The head of a record. */
export const JOURNAL_RECORD: readonly Field[] = row(4, 0, 'type len count clear');
