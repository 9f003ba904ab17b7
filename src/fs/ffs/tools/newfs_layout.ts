/**
 * Where everything lies on a new volume: the arithmetic of newfs, without a byte of I/O.
 * The rules are those of NetBSD's sbin/newfs/{newfs,mkfs}.c, so that its fsck_ffs finds what it expects and the same
 * options give the same volume. Sizes are bytes, addresses are fragments, unless a name says otherwise.
 */
import { E, errno } from '../../../kernel/errno.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Bytes of a sector as FFS counts them (DEV_BSIZE), whatever the device's own sectors. */
const DEV_BSIZE = 512;
const MINBSIZE = 4096;
const MAXBSIZE = 65536;
const MAXFRAG = 8;
const MINFREE = 5;
const FS_MAXCONTIG = 16;
/** Most bytes in one transfer of NetBSD's kernel: the default extent of contiguous blocks. */
const MAXPHYS = 65536;
const MINCYLGRPS = 4;
const SBLOCKSIZE = 8192;
const SBLOCK_UFS1 = 8192;
const SBLOCK_UFS2 = 65536;
const SIZEOF_FS = 1376;
const SIZEOF_CG = 176;
/** Fragments for each inode, where no density is asked for. */
const NFPI = 4;
const INT32_MAX = 0x7fffffff;
const NDADDR = 12;
const NIADDR = 3;

/** `0` is the 4.3BSD layout (UFS1 with 4.2BSD inodes), `1` UFS1, `2` UFS2, `'2ea'` UFS2 with extended attributes. */
export type NewfsFormat = 0 | 1 | 2 | '2ea';

/**
 * What newfs can be asked for. All but the format default as NetBSD's newfs does, most of them by the size of the
 * volume.
 */
export interface NewfsOptions {
  /** newfs -O. Default 1. */
  format?: NewfsFormat;
  /** newfs -B. Default little. */
  endian?: 'little' | 'big';
  /** newfs -s, in bytes. Default: the whole device. */
  size?: number;
  /** newfs -b: 4096..65536, a power of two. */
  blockSize?: number;
  /** newfs -f: blockSize/8..blockSize, a power of two. */
  fragSize?: number;
  /** newfs -i: one inode for each so many bytes. Default four fragments. */
  bytesPerInode?: number;
  /** newfs -n: number of inodes; goes before {@link bytesPerInode}. */
  inodes?: number;
  /** newfs -m: percentage that only the superuser may fill, 0..99. Default 5. */
  minfree?: number;
  /** newfs -o. Default time, and space where minfree is below 5. */
  optimization?: 'time' | 'space';
  /** newfs -a: contiguous blocks in one run; the cluster maps count runs up to this length. Default 64 KiB worth. */
  maxcontig?: number;
  /** newfs -e: blocks that one file may take of a group before it moves on. Default one indirect block's worth. */
  maxbpg?: number;
  /** newfs -d: the largest extent, bytes. */
  maxExtentSize?: number;
  /** newfs -g: bytes expected in a file. Default 16384. */
  avgfilesize?: number;
  /** newfs -h: files expected in a directory. Default 64. */
  avgfpdir?: number;
  /** At most so many fragments in a cylinder group. Default: as many as its maps can count. */
  maxFragsPerGroup?: number;
}

/** Every figure of the superblock that follows from the options. Names are those of struct fs. */
export interface NewfsLayout {
  readonly format: NewfsFormat;
  readonly ufs2: boolean;
  readonly littleEndian: boolean;
  readonly fs_sblockloc: number;
  readonly fs_sblkno: number;
  readonly fs_cblkno: number;
  readonly fs_iblkno: number;
  readonly fs_dblkno: number;
  readonly fs_ncg: number;
  readonly fs_bsize: number;
  readonly fs_fsize: number;
  readonly fs_frag: number;
  readonly fs_bshift: number;
  readonly fs_fshift: number;
  readonly fs_fragshift: number;
  readonly fs_fsbtodb: number;
  readonly fs_minfree: number;
  readonly fs_optim: number;
  readonly fs_maxcontig: number;
  readonly fs_contigsumsize: number;
  readonly fs_maxbsize: number;
  readonly fs_maxbpg: number;
  readonly fs_sbsize: number;
  readonly fs_nindir: number;
  readonly fs_inopb: number;
  readonly fs_cssize: number;
  readonly fs_cgsize: number;
  readonly fs_ipg: number;
  readonly fs_fpg: number;
  readonly fs_size: number;
  readonly fs_dsize: number;
  readonly fs_csaddr: number;
  readonly fs_avgfilesize: number;
  readonly fs_avgfpdir: number;
  readonly fs_maxsymlinklen: number;
  readonly fs_maxfilesize: bigint;
  /** What the caller asked for and did not get, in words. */
  readonly warnings: readonly string[];
}

function howmany(n: number, unit: number): number {
  return Math.ceil(n / unit);
}

function roundup(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit;
}

function powerOf2(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0;
}

function refuse(detail: string): Error {
  return errno(E.EINVAL, detail);
}

function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw refuse(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  }
  return value;
}

/**
 * Fragment and block size where the caller left them open: newfs's table by volume size, and no fragment below a sector
 * of the device.
 */
function defaultSizes(options: NewfsOptions, bytes: number, sector_bytes: number): { bsize: number; fsize: number } {
  let fsize = options.fragSize;
  if (fsize === undefined && options.blockSize !== undefined) {
    fsize = Math.max(Math.floor(options.blockSize / MAXFRAG), sector_bytes);
  } else if (fsize === undefined) {
    if (bytes < 20 * MIB) fsize = 512;
    else if (bytes < 1000 * MIB) fsize = 1024;
    else if (bytes < 128 * GIB) fsize = 2048;
    else fsize = 4096;
    fsize = Math.max(fsize, sector_bytes);
  }
  return { bsize: options.blockSize ?? MAXFRAG * fsize!, fsize: fsize! };
}

function checkSizes(bsize: number, fsize: number, sector_bytes: number): void {
  if (!powerOf2(bsize)) throw refuse(`block size must be a power of two, not ${bsize}`);
  if (!powerOf2(fsize)) throw refuse(`fragment size must be a power of two, not ${fsize}`);
  if (bsize < MINBSIZE) throw refuse(`block size ${bsize} is too small, the smallest is ${MINBSIZE}`);
  if (bsize > MAXBSIZE) throw refuse(`block size ${bsize} is too large, the largest is ${MAXBSIZE}`);
  if (fsize < sector_bytes) {
    throw refuse(`fragment size ${fsize} is too small, the device's sectors have ${sector_bytes} bytes`);
  }
  if (fsize > bsize) throw refuse(`fragment size ${fsize} is larger than the block size ${bsize}`);
  if (bsize / fsize > MAXFRAG) {
    throw refuse(`fragment size ${fsize} is too small, the smallest for blocks of ${bsize} is ${bsize / MAXFRAG}`);
  }
}

/**
 * Lays out a volume on `device_bytes` bytes.
 * @throws EINVAL for options out of range or that do not go together, ENOSPC for a device too small; both say why.
 */
export function newfsLayout(options: NewfsOptions, device_bytes: number, device_sector_bytes = DEV_BSIZE): NewfsLayout {
  const warnings: string[] = [];
  const format = options.format ?? 1;
  const ufs2 = format === 2 || format === '2ea';
  const sector_bytes = Math.max(DEV_BSIZE, device_sector_bytes);
  const bytes = options.size ?? device_bytes;
  integer('size', bytes, 1, Number.MAX_SAFE_INTEGER);
  if (bytes > device_bytes) throw errno(E.ENOSPC, `size ${bytes} is more than the device's ${device_bytes} bytes`);

  const { bsize, fsize } = defaultSizes(options, bytes, sector_bytes);
  checkSizes(bsize, fsize, sector_bytes);
  const frag = bsize / fsize;
  const fs_bshift = Math.log2(bsize);
  const fs_fshift = Math.log2(fsize);
  const fs_fragshift = fs_bshift - fs_fshift;

  const minfree = integer('minfree', options.minfree ?? MINFREE, 0, 99);
  let optimization = options.optimization ?? 'time';
  if (minfree < MINFREE && optimization !== 'space') {
    if (options.optimization !== undefined) {
      warnings.push(`optimizing for space, because minfree is less than ${MINFREE}%`);
    }
    optimization = 'space';
  }
  const maxcontig = integer('maxcontig', options.maxcontig ?? Math.max(1, Math.floor(MAXPHYS / bsize)), 1, INT32_MAX);
  const maxbpg = integer('maxbpg', options.maxbpg ?? bsize / (ufs2 ? 8 : 4), 1, INT32_MAX);
  const avgfilesize = integer('avgfilesize', options.avgfilesize ?? 16384, 1, INT32_MAX);
  const avgfpdir = integer('avgfpdir', options.avgfpdir ?? 64, 1, INT32_MAX);
  const density = integer('bytes per inode', options.bytesPerInode ?? NFPI * fsize, 1, INT32_MAX);
  const extent = integer('maximum extent size', options.maxExtentSize ?? 0, 0, INT32_MAX);
  const maxbsize = extent < bsize || !powerOf2(extent) ? bsize : Math.min(extent, FS_MAXCONTIG * bsize);
  const runs = Math.max(maxcontig, maxbsize / bsize);
  const fs_contigsumsize = runs > 1 ? Math.min(runs, FS_MAXCONTIG) : 0;

  const inopb = bsize / (ufs2 ? 256 : 128);
  const inopf = inopb / frag;
  const nindir = bsize / (ufs2 ? 8 : 4);
  const fs_sblockloc = ufs2 ? SBLOCK_UFS2 : SBLOCK_UFS1;
  const fs_sblkno = roundup(howmany(fs_sblockloc + SBLOCKSIZE, fsize), frag);
  const fs_cblkno = fs_sblkno + roundup(howmany(SBLOCKSIZE, fsize), frag);
  const fs_iblkno = fs_cblkno + frag;

  let size = Math.floor(bytes / fsize);
  if (!ufs2 && size > INT32_MAX) {
    throw refuse(
      `${size} fragments of ${fsize} bytes are more than UFS1 can count; make a UFS2 volume or use larger fragments`,
    );
  }
  const smallest = fs_iblkno + 3 * frag;
  if (size < smallest) {
    throw errno(
      E.ENOSPC,
      `${bytes} bytes are too small for blocks of ${bsize} and fragments of ${fsize}; the least is ` +
        `${smallest * fsize} bytes`,
    );
  }

  let inodeblks: number;
  if (options.inodes !== undefined) {
    inodeblks = howmany(integer('number of inodes', options.inodes, 1, INT32_MAX), inopb);
  } else {
    inodeblks = Math.floor((size - fs_iblkno) / (frag + Math.max(Math.floor((density * inopb) / fsize), 1)));
  }
  // At least one block of inodes; at least two of data; and inode numbers are int32, in UFS2 too.
  inodeblks = Math.min(Math.max(inodeblks, 1), Math.floor((size - fs_iblkno) / frag) - 2);
  if (inodeblks * inopb > INT32_MAX) inodeblks = Math.floor((INT32_MAX + 1 - 8) / inopb);

  // The cylinder group's header and maps must fit into one block. How many groups that takes follows from what one
  // group of all inodes and all fragments would take.
  const old_cpg = ufs2 ? 0 : 1;
  const cgsize_if = (ipg: number, fpg: number): number =>
    SIZEOF_CG +
    4 +
    old_cpg * (4 + 2) +
    howmany(ipg, 8) +
    howmany(fpg, 8) +
    (fs_contigsumsize === 0 ? 0 : fs_contigsumsize * 4 + howmany(Math.floor(fpg / frag), 8));
  const cgzero = cgsize_if(0, 0);
  let ncg = howmany(cgsize_if(inodeblks * inopb, size) - cgzero, bsize - cgzero);
  if (ncg < MINCYLGRPS) {
    const roomy = Math.floor(size / 2 / (fs_iblkno + inodeblks * frag));
    ncg = Math.min(Math.max(ncg, roomy), MINCYLGRPS, inodeblks);
  }
  if (options.maxFragsPerGroup !== undefined) {
    const most = integer('fragments in a group', options.maxFragsPerGroup, fs_iblkno + 3 * frag, INT32_MAX);
    ncg = Math.max(ncg, howmany(size, Math.max(8, Math.floor(most / Math.max(8, frag)) * Math.max(8, frag))));
  }
  let fs_fpg = roundup(roundup(howmany(size, ncg), frag), 8);
  let fs_ipg = (Math.floor((inodeblks - 1) / ncg) + 1) * inopb;
  const over = cgsize_if(fs_ipg, fs_fpg) - bsize;
  if (over > 0) {
    fs_fpg -= over * 8;
    if (fs_fpg <= 0) {
      throw refuse(
        `so many inodes do not fit into cylinder groups with blocks of ${bsize}; ask for fewer or use larger blocks`,
      );
    }
    ncg = howmany(size, fs_fpg);
    fs_ipg = (Math.floor((inodeblks - 1) / ncg) + 1) * inopb;
  }
  if (cgsize_if(fs_ipg, fs_fpg) > bsize) {
    throw refuse(
      `so many inodes do not fit into cylinder groups with blocks of ${bsize}; ask for fewer or use larger blocks`,
    );
  }

  const fs_dblkno = fs_iblkno + fs_ipg / inopf;
  const last = size - fs_fpg * (ncg - 1);
  if (last < fs_dblkno) {
    // The last group cannot hold its own inodes: it is left out.
    ncg--;
    size -= last;
    if (ncg > 0) warnings.push(`${last * fsize} bytes at the end are not used: too little for a cylinder group`);
  }
  const fs_csaddr = fs_dblkno;
  const fs_cssize = roundup(ncg * 16, fsize);
  const csfrags = fs_cssize / fsize;
  // The first group must hold all before it, the summary of all groups, and the root directory.
  const first = Math.min(fs_fpg, size);
  if (ncg < 1 || roundup(fs_dblkno + csfrags, frag) + frag > first) {
    throw errno(
      E.ENOSPC,
      `no room for the root directory behind ${fs_ipg} inodes and the summary of ${ncg} groups; ask for fewer ` +
        'inodes, smaller blocks, or a larger volume',
    );
  }

  let fs_maxfilesize = BigInt(bsize) * BigInt(NDADDR) - 1n;
  let reach = BigInt(bsize);
  for (let i = 0; i < NIADDR; i++) fs_maxfilesize += reach *= BigInt(nindir);

  return {
    format, ufs2, littleEndian: (options.endian ?? 'little') === 'little',
    fs_sblockloc, fs_sblkno, fs_cblkno, fs_iblkno, fs_dblkno, fs_ncg: ncg,
    fs_bsize: bsize, fs_fsize: fsize, fs_frag: frag, fs_bshift, fs_fshift, fs_fragshift,
    fs_fsbtodb: Math.log2(fsize / DEV_BSIZE),
    fs_minfree: minfree, fs_optim: optimization === 'space' ? 1 : 0,
    fs_maxcontig: maxcontig, fs_contigsumsize, fs_maxbsize: maxbsize, fs_maxbpg: maxbpg,
    fs_sbsize: Math.min(roundup(SIZEOF_FS, fsize), SBLOCKSIZE),
    fs_nindir: nindir, fs_inopb: inopb, fs_cssize, fs_cgsize: roundup(cgsize_if(fs_ipg, fs_fpg), fsize), fs_ipg, fs_fpg,
    fs_size: size, fs_dsize: size - fs_sblkno - ncg * (fs_dblkno - fs_sblkno) - csfrags, fs_csaddr,
    fs_avgfilesize: avgfilesize, fs_avgfpdir: avgfpdir,
    fs_maxsymlinklen: format === 0 ? 0 : ufs2 ? 120 : 60, fs_maxfilesize, warnings,
  };
}
