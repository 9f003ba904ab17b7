/**
 * newfs: makes an empty FFS volume on a block device. What lies where is in newfs_layout.ts; this writes it.
 * Only metadata is written (and of that, only what is not zero already where zeros are wanted), so that a volume of
 * many TiB on a sparse image takes seconds and stays sparse.
 * Source of the rules: NetBSD sbin/newfs/mkfs.c.
 */
import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { CgBuilder, setBits } from './cg_build.js';
import {
  FS_42INODEFMT,
  FS_44INODEFMT,
  FS_DYNAMICPOSTBLFMT,
  FS_FLAGS_UPDATED,
  FS_ISCLEAN,
  FS_UFS1_MAGIC,
  FS_UFS2EA_MAGIC,
  FS_UFS2_MAGIC,
  Fs,
  MAXVOLLEN,
  SBLOCKSIZE,
  UFS_ROOTINO,
} from '../disk/fs.js';
import type { NewfsLayout, NewfsOptions } from './newfs_layout.js';
import { newfsLayout } from './newfs_layout.js';
import { rootDirectory, rootInode } from './newfs_root.js';
import { zapOldSuperblocks } from './newfs_zap.js';
import { UFS_WAPBL_FLAGS_CREATE_LOG, UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM, WAPBL_MAX_BYTES } from '../journal/header.js';
import { wapbl_minimum, wapbl_suitable } from '../journal/size.js';

export type { NewfsFormat, NewfsOptions } from './newfs_layout.js';

/** Where newfs makes more of the volume than its layout. */
export interface NewfsVolumeOptions extends NewfsOptions {
  /** Volume label, up to 31 bytes: a byte string. */
  label?: string;
  /** Owner and mode of the root directory. Default 0, 0, 0o755. */
  uid?: number;
  gid?: number;
  mode?: number;
  /** Time of making, seconds and nanoseconds. Default: now. */
  time?: { sec: number; nsec: number };
  /** Identification of the volume, uint31, by which NFS and the journal know it. Default: random. */
  fsid?: number;
  /**
   * A journal (WAPBL), of so many bytes or of the size that suits the volume. Like tunefs -l of NetBSD this asks for
   * one: the first mount that writes makes it.
   */
  log?: number | true;
  /** newfs -N: lay out, write nothing. */
  dryRun?: boolean;
}

export interface NewfsResult {
  readonly layout: NewfsLayout;
  /** Byte offsets of the superblock copies, one for each group. */
  readonly superblockCopies: readonly number[];
  /** In words, for a person. */
  readonly warnings: readonly string[];
  readonly bytesWritten: number;
}

function fill(layout: NewfsLayout, options: NewfsVolumeOptions, sec: number): Fs {
  const magic = layout.format === '2ea' ? FS_UFS2EA_MAGIC : layout.ufs2 ? FS_UFS2_MAGIC : FS_UFS1_MAGIC;
  const old = layout.format === 0;
  const fs = Fs.create(magic, layout.littleEndian, old);
  const { fs_maxfilesize, warnings: _w, format: _f, ufs2: _u, littleEndian: _l, ...fields } = layout;
  Object.assign(fs, fields);
  fs.derive();
  fs.fs_old_inodefmt = old ? FS_42INODEFMT : FS_44INODEFMT;
  fs.fs_old_flags = old ? 0 : FS_FLAGS_UPDATED;
  fs.fs_clean = FS_ISCLEAN;
  fs.fs_time = sec;
  fs.fs_id0 = sec >>> 0;
  fs.fs_id1 = options.fsid ?? Math.floor(Math.random() * 0x80000000);
  if (!layout.ufs2) {
    fs.fs_old_cgmask = -1;
    fs.fs_old_size = fs.fs_size;
    fs.fs_old_dsize = fs.fs_dsize;
    fs.fs_old_csaddr = fs.fs_csaddr;
    fs.fs_old_time = sec | 0;
    fs.fs_old_rps = 60;
    fs.fs_old_nspf = fs.fs_fsize / 512;
    fs.fs_old_cpg = 1;
    fs.fs_old_interleave = 1;
    fs.fs_old_postblformat = FS_DYNAMICPOSTBLFMT;
    fs.fs_old_nrpos = 1;
    fs.fs_old_spc = fs.fs_fpg * fs.fs_old_nspf;
    fs.fs_old_nsect = fs.fs_old_spc;
    fs.fs_old_npsect = fs.fs_old_spc;
    fs.fs_old_ncyl = fs.fs_ncg;
  }
  if (options.label !== undefined) {
    if (options.label.length >= MAXVOLLEN) {
      throw errno(E.EINVAL, `the label has ${options.label.length} bytes, at most ${MAXVOLLEN - 1} fit`);
    }
    if (old) throw errno(E.EINVAL, 'a volume of format 0 has no place for a label');
    fs.fs_volname = options.label;
  }
  if (options.log !== undefined) {
    if (old) throw errno(E.EINVAL, 'a volume of format 0 has no place for a journal');
    const bytes = options.log === true ? wapbl_suitable(fs) : options.log;
    const least = wapbl_minimum(fs);
    if (!(bytes >= least && bytes <= WAPBL_MAX_BYTES)) {
      throw errno(E.EINVAL, `a journal of this volume has ${least}..${WAPBL_MAX_BYTES} bytes, not ${bytes}`);
    }
    fs.fs_journal_location = UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM;
    fs.fs_journal_flags = UFS_WAPBL_FLAGS_CREATE_LOG;
    fs.fs_journallocs[1] = BigInt(fs.blkroundup(bytes));
  }
  // A format 0 volume has the two at the same place, which Fs does not know of.
  fs.view.setInt32(1196, fs.fs_avgfilesize, fs.le);
  fs.view.setInt32(1200, fs.fs_avgfpdir, fs.le);
  // Up to 2^58: more than a number holds exactly, so it goes past the field.
  fs.view.setBigUint64(1328, fs_maxfilesize, fs.le);
  return fs;
}

class Writer {
  bytesWritten = 0;
  readonly #probe = new Uint8Array(1 << 20);

  constructor(private readonly dev: BlockDevice) {}

  async write(bytes: Uint8Array, length: number, offset: number): Promise<void> {
    this.bytesWritten += length;
    const r = this.dev.write(bytes, 0, length, offset);
    if (r instanceof Promise) await r;
  }

  /** Makes the range all zero; where it is already, nothing is written. */
  async zero(offset: number, length: number): Promise<void> {
    const probe = this.#probe;
    for (let done = 0; done < length; done += probe.length) {
      const n = Math.min(probe.length, length - done);
      const r = this.dev.read(probe, 0, n, offset + done);
      if (r instanceof Promise) await r;
      if (isZero(probe, n)) continue;
      probe.fill(0, 0, n);
      await this.write(probe, n, offset + done);
    }
  }
}

/** `bytes` starts at a multiple of four, and `length` is one. */
function isZero(bytes: Uint8Array, length: number): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length >>> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/**
 * Makes an empty volume: superblock and its copies, group blocks, inodes, summary area, root directory.
 * The old content of the device is lost. Nothing is flushed before the end; a stop on the way leaves no superblock.
 * @throws EINVAL for options that do not go together, ENOSPC for too small a device, EROFS for a read-only one.
 */
export async function newfs(dev: BlockDevice, options: NewfsVolumeOptions = {}): Promise<NewfsResult> {
  const layout = newfsLayout(options, dev.size_bytes, dev.sector_bytes);
  const now = Date.now();
  const time = options.time ?? { sec: Math.floor(now / 1000), nsec: (now % 1000) * 1_000_000 };
  const fs = fill(layout, options, time.sec);
  const superblockCopies: number[] = [];
  for (let c = 0; c < fs.fs_ncg; c++) superblockCopies.push(fs.fsbtob(fs.cgsblock(c)));
  const result = { layout, superblockCopies, warnings: layout.warnings, bytesWritten: 0 };
  if (options.dryRun === true) return result;
  if (dev.readonly) throw errno(E.EROFS, `${dev.name} is read-only`);

  const out = new Writer(dev);
  await zapOldSuperblocks(dev, out);

  // Inode blocks that a mount reads without asking whether they are initialised.
  const inited = layout.ufs2 ? Math.min(fs.fs_ipg, 2 * fs.fs_inopb) : fs.fs_ipg;
  const csum = new Uint8Array(fs.fs_cssize);
  const csumView = new DataView(csum.buffer);
  const builder = new CgBuilder(fs);
  const used = new Uint8Array(Math.ceil(fs.fs_fpg / 8));
  const inosused = new Uint8Array(Math.ceil(fs.fs_ipg / 8));
  const kept = {
    cg_time: layout.ufs2 ? time.sec : 0,
    cg_old_time: layout.ufs2 ? 0 : time.sec | 0,
    cg_rotor: 0,
    cg_frotor: 0,
    cg_irotor: 0,
    cg_initediblk: inited,
  };
  const root = Math.ceil((fs.fs_csaddr + fs.fs_cssize / fs.fs_fsize) / fs.fs_frag) * fs.fs_frag;
  const total = fs.fs_cstotal;
  let built = -1;
  for (let c = 0; c < fs.fs_ncg; c++) {
    // All groups but the first and the last are the same but for their number.
    const same = c > 1 && c < fs.fs_ncg - 1 && built === 1;
    if (same) {
      builder.view.setInt32(12, c, fs.le);
    } else {
      used.fill(0);
      inosused.fill(0);
      setBits(used, c === 0 ? 0 : fs.fs_sblkno, fs.fs_dblkno);
      if (c === 0) {
        setBits(used, fs.fs_csaddr, fs.fs_csaddr + fs.fs_cssize / fs.fs_fsize);
        setBits(used, root, root + 1);
        setBits(inosused, 0, UFS_ROOTINO + 1);
      }
      builder.build(c, used, inosused, c === 0 ? 1 : 0, kept);
      built = c;
    }
    const counts = [builder.cs_ndir, builder.cs_nbfree, builder.cs_nifree, builder.cs_nffree];
    counts.forEach((n, i) => csumView.setInt32(16 * c + 4 * i, n, fs.le));
    total.cs_ndir += counts[0]!;
    total.cs_nbfree += counts[1]!;
    total.cs_nifree += counts[2]!;
    total.cs_nffree += counts[3]!;
    await out.write(builder.bytes, fs.fs_cgsize, fs.fsbtob(fs.cgtod(c)));
    await out.zero(fs.fsbtob(fs.cgimin(c)), (inited / fs.fs_inopb) * fs.fs_bsize);
  }

  const directory = rootDirectory(fs, layout.format === 0);
  await out.write(directory, directory.length, fs.fsbtob(root));
  const inode = rootInode(fs, options, time, root);
  await out.write(inode, inode.length, fs.fsbtob(fs.ino_to_fsba(UFS_ROOTINO)) + fs.ino_to_bo(UFS_ROOTINO));
  await out.write(csum, csum.length, fs.fsbtob(fs.fs_csaddr));

  if (!layout.ufs2) {
    fs.fs_old_cs_ndir = total.cs_ndir;
    fs.fs_old_cs_nbfree = total.cs_nbfree;
    fs.fs_old_cs_nifree = total.cs_nifree;
    fs.fs_old_cs_nffree = total.cs_nffree;
  }
  const superblock = fs.encode();
  // Where the rotational tables of a format 0 volume would lie: no block at any position.
  if (!fs.wide) superblock.fill(0xff, 860, 860 + 256);
  for (const offset of superblockCopies) await out.write(superblock, SBLOCKSIZE, offset);
  const barrier = dev.flush();
  if (barrier instanceof Promise) await barrier;
  // Last of all, so that an interrupted newfs leaves a device without a file system and not half of one.
  await out.write(superblock, SBLOCKSIZE, fs.fs_sblockloc);
  const end = dev.flush();
  if (end instanceof Promise) await end;
  return { ...result, bytesWritten: out.bytesWritten };
}

/**
 * Takes a volume that newfs has made off the device again: no superblock is left. The rest of what was written stays.
 * @throws EIO
 */
export async function unmake(dev: BlockDevice, { layout, superblockCopies }: NewfsResult): Promise<void> {
  const out = new Writer(dev);
  for (const offset of new Set([layout.fs_sblockloc, ...superblockCopies])) {
    await out.write(new Uint8Array(SBLOCKSIZE), SBLOCKSIZE, offset);
  }
  const end = dev.flush();
  if (end instanceof Promise) await end;
}
