import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { FfsDialect } from './dialects.js';
import type { Fs } from './fs.js';
import {
  FS_42POSTBLFMT, FS_44INODEFMT, FS_ACLS, FS_DOQUOTA2, FS_DOSOFTDEP, FS_DOWAPBL, FS_FLAGS_UPDATED, FS_GJOURNAL,
  FS_ISCLEAN, FS_MULTILABEL, FS_NEEDSFSCK, FS_POSIX1EACLS, FS_SUJ, FS_TRIM, FS_UNCLEAN, FS_WASCLEAN,
} from './fs.js';
import { ffs_cstotal_validate } from './fs_validate.js';
import {
  CK_CYLGRP,
  CK_DEFINED,
  CK_SUPERBLOCK,
  cg_ckhash_verifies,
  ffs_ckhashes,
  sb_ckhash_verifies,
} from './ckhash.js';
import { FS_MAGIC_OFFSET, FS_METACKHASH, FS_STRUCT_SIZE } from './fs_const.js';
import { widefilled } from './fs_fields.js';
import { ffs_rootchunk1k } from './rootchunk.js';
import { readbytes } from './sbsearch.js';
import { sun_caution } from './solaris.js';
import { wapbl_evidence } from '../journal/header.js';

/**
 * Which system wrote a volume? The superblock does not say, and two flag bits mean different things to NetBSD and
 * FreeBSD. What decides is evidence: a journal header where a journal should be, a quota magic, a check hash that
 * verifies, an Apple label. Without evidence the volume is taken for NetBSD's as long as nothing depends on it.
 */

/** fs_quota_magic of NetBSD's quota2 (sys/ufs/ufs/quota2.h). */
export const Q2_HEAD_MAGIC = 0xb746915e;
/** Apple UFS label: a 1 KiB block at 7 KiB (NetBSD sys/ufs/ffs/fs.h, ffs_appleufs.c). */
const APPLEUFS_LABEL_OFFSET = 7168;
const APPLEUFS_LABEL_SIZE = 1024;
const APPLEUFS_LABEL_MAGIC = 0x4c41424c;

/** fs_old_flags (OpenBSD: fs_ffs1_flags). */
const OLD_FLAGS_OFFSET = 211;

export interface Evidence {
  readonly dialect: FfsDialect;
  /** Has a WAPBL journal that may hold work not yet replayed. */
  readonly wapbl: boolean;
  /**
   * Why the volume must not be written, and what would change that; undefined: it may, once its journal is replayed.
   */
  readonly readonly_because: string | undefined;
  /** What a reader should know: what is shown may not be all, or may contradict itself. */
  readonly caution: string | undefined;
}

/** A label with the right magic and checksum. Big-endian, whatever the volume. */
export function isappleufs(label: Uint8Array): boolean {
  const view = new DataView(label.buffer, label.byteOffset, label.byteLength);
  if (view.getUint32(0, false) !== APPLEUFS_LABEL_MAGIC) return false;
  let sum = 0;
  for (let i = 0; i < APPLEUFS_LABEL_SIZE; i += 2) if (i !== 4) sum += view.getUint16(i, false);
  sum = (sum >>> 16) + (sum & 0xffff);
  sum += sum >>> 16;
  return (~sum & 0xffff) === view.getUint16(4, false) && view.getUint16(16, false) !== 0;
}

async function appleufs(dev: BlockDevice, fs: Fs): Promise<boolean> {
  if (fs.ufs2 || fs.le || dev.size_bytes < APPLEUFS_LABEL_OFFSET + APPLEUFS_LABEL_SIZE) return false;
  return isappleufs(await readbytes(dev, APPLEUFS_LABEL_OFFSET, APPLEUFS_LABEL_SIZE));
}

/** Does a check hash verify that the superblock says is kept: its own, or the first group's? */
async function ckhash_evidence(dev: BlockDevice, fs: Fs): Promise<boolean> {
  if (
    !fs.wide ||
    (fs.fs_flags & FS_METACKHASH) === 0 ||
    fs.fs_metackhash === 0 ||
    (fs.fs_metackhash & ~CK_DEFINED) !== 0
  ) {
    return false;
  }
  if (sb_ckhash_verifies(fs)) return true;
  if ((fs.fs_metackhash & CK_CYLGRP) === 0) return false;
  const bytes = await readbytes(dev, fs.fsbtob(fs.cgtod(0)), fs.fs_cgsize);
  return cg_ckhash_verifies(new DataView(bytes.buffer), fs.fs_cgsize, fs.le);
}

/**
 * FreeBSD's newfs writes the size of the device, in frags, where NetBSD has its first journal locator and others spare
 * bytes.
 */
function freebsdfields(fs: Fs): boolean {
  if (!fs.wide || fs.fs_journal_version !== 0 || fs.fs_journal_location !== 0) return false;
  const provider = fs.fs_journallocs[0]!;
  return provider >= BigInt(fs.fs_size) && provider < BigInt(fs.fs_size) * 1024n;
}

/**
 * OpenBSD's newfs fills the wide fields of FFS1 without the flag for them, which its kernel sets in the first
 * superblock alone; in FFS2 it leaves out fs_maxbsize, which the others set (sbin/newfs/mkfs.c, ffs1_compat_read).
 */
async function openbsdfields(dev: BlockDevice, fs: Fs): Promise<boolean> {
  if (fs.ufs2) return fs.fs_maxbsize === 0;
  if (fs.fs_old_inodefmt < FS_44INODEFMT) return false;
  if (!fs.wide) return openbsdsuper(fs.view, fs);
  const at = fs.fsbtob(fs.cgsblock(0));
  if (at + FS_STRUCT_SIZE > dev.size_bytes) return false;
  const copy = await readbytes(dev, at, FS_STRUCT_SIZE);
  return (
    (copy[OLD_FLAGS_OFFSET]! & FS_FLAGS_UPDATED) === 0 && openbsdsuper(new DataView(copy.buffer, copy.byteOffset), fs)
  );
}

/** The wide fields of an FFS1 superblock say what `fs` says. */
export function openbsdsuper(view: DataView, fs: Fs): boolean {
  return view.getUint32(FS_MAGIC_OFFSET, fs.le) === fs.fs_magic && widefilled(view, fs.le, fs.fs_size, fs.fs_csaddr);
}

/** Looks at everything that tells. `asked` is the dialect that the user insists on. @throws EIO */
export async function ffs_evidence(dev: BlockDevice, fs: Fs, asked: FfsDialect | undefined): Promise<Evidence> {
  const wapbl = await wapbl_evidence(dev, fs);
  const quota2 = fs.wide && fs.fs_quota_magic === Q2_HEAD_MAGIC;
  const metack = await ckhash_evidence(dev, fs);
  const netbsd = wapbl || quota2;
  const freebsd =
    metack || (fs.wide && (fs.fs_flags & (FS_SUJ | FS_GJOURNAL | FS_MULTILABEL)) !== 0) || freebsdfields(fs);

  let dialect: FfsDialect;
  if (asked !== undefined) {
    dialect = asked;
  } else if (await appleufs(dev, fs)) {
    dialect = 'apple';
  } else if (fs.solaris) {
    dialect = 'solaris';
  } else if (!fs.ufs2 && !fs.wide && !fs.le && (await ffs_rootchunk1k(dev, fs))) {
    dialect = 'next';
  } else if (netbsd && freebsd) {
    dialect = 'unknown';
  } else if (netbsd) {
    dialect = 'netbsd';
  } else if (freebsd) {
    dialect = 'freebsd';
  } else if (!fs.ufs2 && fs.fs_old_inodefmt < FS_44INODEFMT && fs.fs_old_postblformat === FS_42POSTBLFMT) {
    dialect = '4.2bsd';
  } else if ((fs.fs_flags & (FS_DOWAPBL | FS_DOQUOTA2)) !== 0) {
    dialect = 'unknown';
  } else if (await openbsdfields(dev, fs)) {
    dialect = 'openbsd';
  } else {
    dialect = 'netbsd';
  }

  const hasjournal = dialect === 'netbsd' && (fs.fs_flags & FS_DOWAPBL) !== 0;
  return {
    dialect,
    wapbl: hasjournal && wapbl,
    readonly_because: whyreadonly(fs, dialect, quota2, wapbl),
    caution: caution(fs, dialect),
  };
}

function caution(fs: Fs, dialect: FfsDialect): string | undefined {
  if (fs.solaris) return sun_caution(fs.view, fs.le);
  if ((ffs_ckhashes(fs, dialect) & CK_SUPERBLOCK) !== 0 && !sb_ckhash_verifies(fs)) {
    return 'the check hash of its superblock is wrong';
  }
  return undefined;
}

function whyreadonly(fs: Fs, dialect: FfsDialect, quota2: boolean, wapbl: boolean): string | undefined {
  const flags = fs.fs_flags & ~FS_FLAGS_UPDATED;
  const ours = dialect === 'netbsd' || dialect === 'openbsd' || dialect === '4.2bsd' || dialect === 'apple';
  if (dialect === 'unknown') {
    return `its flags 0x${flags.toString(16)} mean different things to NetBSD and FreeBSD and nothing on it tells ` +
      'which wrote it; mount with -o dialect=netbsd or dialect=freebsd';
  }
  if (fs.solaris || dialect === 'solaris') return 'it is a Solaris volume, which is only read';
  if (dialect === 'next') return 'it is a NeXTSTEP volume, which is only read';
  const journalled = dialect === 'netbsd' && (flags & FS_DOWAPBL) !== 0;
  if (journalled && !wapbl) {
    return 'its journal (WAPBL), which may hold work that has not been replayed, cannot be read; run fsck';
  }
  if (dialect === 'netbsd' && (quota2 || (flags & FS_DOQUOTA2) !== 0)) {
    return 'it keeps quotas, which would go wrong; turn them off with tunefs under NetBSD';
  }
  if (fs.fs_snapinum.some((ino) => ino !== 0)) {
    return 'it has a snapshot, which writing would spoil; remove the snapshot';
  }
  if ((flags & FS_SUJ) !== 0 && (fs.fs_clean & FS_ISCLEAN) === 0) {
    return 'its soft-updates journal (SU+J) may hold work that has not been replayed; run fsck';
  }
  if ((flags & FS_SUJ) !== 0 && fs.fs_sujfree !== 0) {
    return 'it has removed files that its soft-updates journal (SU+J) should have freed; run fsck';
  }
  if ((flags & FS_GJOURNAL) !== 0) return 'it is journalled by gjournal';
  if ((ffs_ckhashes(fs, dialect) & CK_SUPERBLOCK) !== 0 && !sb_ckhash_verifies(fs)) {
    return 'the check hash of its superblock is wrong; run fsck';
  }
  if ((flags & (FS_UNCLEAN | FS_NEEDSFSCK)) !== 0) return 'it is marked as needing a check; run fsck';
  // With a journal the mark says that the volume was clean when logging began: the rest is replayed.
  if ((fs.fs_clean & FS_ISCLEAN) === 0 && !(journalled && (fs.fs_clean & FS_WASCLEAN) !== 0)) {
    return 'it was not cleanly unmounted; run fsck';
  }
  if ((flags & (FS_ACLS | FS_MULTILABEL | FS_POSIX1EACLS)) !== 0) {
    return 'it has access control lists or labels, which new files would lack';
  }
  if (dialect === 'freebsd' && (flags & 0x100) !== 0) {
    return 'it has NFSv4 access control lists, which new files would lack';
  }
  const known =
    FS_DOSOFTDEP | FS_TRIM | (ours ? 0 : FS_METACKHASH | FS_SUJ | 0xff000000) | (journalled ? FS_DOWAPBL : 0);
  if ((flags & ~known) !== 0) return `its flags 0x${(flags & ~known).toString(16)} are not known`;
  const counters = ffs_cstotal_validate(fs);
  if (counters !== undefined) return `its free space counters are wrong (${counters}); run fsck`;
  return undefined;
}
