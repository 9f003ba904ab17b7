import { CK_SUPERBLOCK, ffs_ckhashes, sb_ckhash_verifies } from '../../disk/ckhash.js';
import { Q2_HEAD_MAGIC, ffs_evidence } from '../../disk/dialect.js';
import { wapbl_open } from '../../journal/header.js';
import { WapblOverlay } from '../../journal/overlay.js';
import { wapbl_replay } from '../../journal/replay.js';
import { cgOffsets } from '../cg_build.js';
import {
  CSUM_SIZE,
  FS_42POSTBLFMT,
  FS_44INODEFMT,
  FS_DYNAMICPOSTBLFMT,
  FS_DOQUOTA2,
  FS_DOWAPBL,
  FS_FLAGS_UPDATED,
  FS_ISCLEAN,
  FS_NEEDSFSCK,
  FS_OPTSPACE,
  FS_OPTTIME,
  FS_SUJ,
  FS_UNCLEAN,
  UFS_NDADDR,
  UFS_NIADDR,
} from '../../disk/fs.js';
import { ffs_oldgroups_wrong } from '../../disk/fs_validate.js';
import { csum_load } from '../../disk/csum.js';
import { BlockMap } from './blockmap.js';
import type { FsckContext } from './context.js';
import { DirTable } from './dirtable.js';
import { InodeTable } from './inodetable.js';
import { FSCK_EXIT_CHECK_FAILED, FSCK_EXIT_OK, FsckStop } from './report.js';
import { superblocksDiffer } from './sbcompare.js';
import { homeOf, searchAlternate, standardSuperblock, superblockAt } from './sbfind.js';
import type { Found } from './sbfind.js';

/** Bits of fs_flags that some system gives a meaning. */
const FLAGS_WITH_MEANING = 0x3fff;
const MAXFILESIZE_OFFSET = 1328;
const NRPOS_OFFSET = 1360;
const JOURNAL_FLAGS_OFFSET = 868;
const JOURNAL_INODE_OFFSET = 896;
/** fs_journal_flags: make the journal at the next mount, or empty it (NetBSD sys/ufs/ufs/ufs_wapbl.h). */
const UFS_WAPBL_FLAGS_CREATE_LOG = 1;
const UFS_WAPBL_FLAGS_CLEAR_LOG = 2;

export interface SetupOptions {
  /** fsck -b, in bytes: the superblock to go by. */
  superblock?: number;
  /** Leave a volume alone that is marked clean and has no journal to replay. */
  skipClean?: boolean;
}

/** All before phase 1: a superblock to trust, the journal, the fields that can be mended at once, the summary area. */
export async function setup(ctx: FsckContext, options: SetupOptions): Promise<void> {
  let found = await findSuperblock(ctx, options);
  if (options.superblock === undefined && !ctx.alternateUsed) found = await outvote(ctx, found);
  ctx.fs = found.fs;
  const bytes = ctx.fs.fs_size * ctx.fs.fs_fsize;
  if (bytes > ctx.dev.size_bytes) {
    ctx.report(
      'SB_SIZE',
      `THE FILE SYSTEM HAS ${bytes} BYTES, THE DEVICE ONLY ${ctx.dev.size_bytes}: IMAGE CUT OFF OR PARTITION TOO SMALL`,
    );
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }
  await replayJournal(ctx);
  await checkDialect(ctx);
  const flagged = (ctx.fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK)) !== 0;
  if (
    (ctx.fs.fs_clean & FS_ISCLEAN) !== 0 &&
    !flagged &&
    options.skipClean === true &&
    !ctx.alternateUsed &&
    !ctx.journalReplayed
  ) {
    ctx.note('FILE SYSTEM CLEAN; SKIPPING CHECKS');
    throw new FsckStop(FSCK_EXIT_OK);
  }
  if ((ctx.fs.fs_clean & FS_ISCLEAN) === 0 && !ctx.journalReplayed) {
    ctx.unclean('NOT_CLEAN', 'FILE SYSTEM IS NOT MARKED CLEAN');
  } else if (flagged) {
    ctx.unclean('NOT_CLEAN', 'FILE SYSTEM IS MARKED AS NEEDING A CHECK');
  }
  checkFields(ctx);
  if (ctx.unresolved && ctx.mode !== 'check') throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  await loadSummary(ctx);
  const { fs } = ctx;
  ctx.blocks = new BlockMap(fs);
  ctx.inodes = new InodeTable(fs);
  ctx.dirs = new DirTable();
  hiddenInodes(ctx);
}

async function findSuperblock(ctx: FsckContext, options: SetupOptions): Promise<Found> {
  if (options.superblock !== undefined) {
    const asked = await superblockAt(ctx, options.superblock);
    if (asked === undefined || asked.why !== undefined) {
      ctx.report('SB_BAD', `BAD SUPER BLOCK AT ${options.superblock}: ${asked?.why ?? 'MAGIC NUMBER WRONG'}`);
      throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
    }
    ctx.alternateUsed = homeOf(asked.fs) !== options.superblock;
    return (await superblockAt(ctx, options.superblock, homeOf(asked.fs)))!;
  }
  const standard = await standardSuperblock(ctx);
  if (standard !== undefined && standard.why === undefined) return standard;
  const text = standard === undefined ? "BAD SUPER BLOCK: CAN'T FIND SUPERBLOCK" : `BAD SUPER BLOCK: ${standard.why}`;
  const code = standard === undefined ? 'SB_MISSING' : 'SB_BAD';
  const alternate = await searchAlternate(ctx);
  if (alternate === undefined) {
    ctx.report(code, text);
    ctx.note('SEARCH FOR ALTERNATE SUPER-BLOCK FAILED. Give the place of one with -b.');
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }
  // A check goes on with the copy, to say what else is wrong.
  ctx.ask(code, text, `USING ALTERNATE SUPERBLOCK AT ${alternate.offset}`, false);
  ctx.note(`USING ALTERNATE SUPERBLOCK AT ${alternate.offset}`);
  ctx.alternateUsed = true;
  ctx.sbdirty = true;
  return (await superblockAt(ctx, alternate.offset, homeOf(alternate.fs)))!;
}

/**
 * The standard superblock against the copies of three groups: if these agree with each other and not with it, they are
 * right.
 */
async function outvote(ctx: FsckContext, standard: Found): Promise<Found> {
  const { fs } = standard;
  const groups = [...new Set([fs.fs_ncg - 1, 0, fs.fs_ncg >> 1])];
  const others: Found[] = [];
  for (const c of groups) {
    const copy = await superblockAt(ctx, fs.fsbtob(fs.cgsblock(c)), homeOf(fs));
    if (copy !== undefined && copy.why === undefined) others.push(copy);
  }
  const disagreeing = others.filter((copy) => superblocksDiffer(fs, copy.fs) !== undefined);
  if (disagreeing.length < 2 || disagreeing.length < others.length) return standard;
  const first = disagreeing[0]!;
  if (disagreeing.some((copy) => superblocksDiffer(first.fs, copy.fs) !== undefined)) return standard;
  const field = superblocksDiffer(fs, first.fs)!;
  const text = `BAD SUPER BLOCK: VALUES IN SUPER BLOCK DISAGREE WITH THOSE IN FIRST ALTERNATE (${field})`;
  if (!ctx.ask('SB_ALTERNATE_DIFFERS', text, `USING ALTERNATE SUPERBLOCK AT ${first.offset}`, false)) return standard;
  ctx.alternateUsed = true;
  ctx.sbdirty = true;
  return first;
}

/** A dirty journal: into memory for a check, onto the disk otherwise; then everything is read as it is afterwards. */
async function replayJournal(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  if (!fs.wide || (fs.fs_flags & FS_DOWAPBL) === 0) return;
  const log = await wapbl_open(ctx.dev, fs);
  if (log === undefined) {
    // The flag may be FreeBSD's, for ACLs; with a place for a journal it is NetBSD's.
    if (fs.fs_journal_version !== 1 || (fs.fs_journal_location !== 1 && fs.fs_journal_location !== 2)) return;
    if (
      !ctx.ask(
        'JOURNAL_BAD',
        'UNABLE TO READ JOURNAL FOR REPLAY: its header is damaged',
        'CLEARING EXISTING JOURNAL',
        false,
      )
    ) {
      return;
    }
    fs.fs_flags &= ~FS_DOWAPBL;
    ctx.sbdirty = true;
    return;
  }
  ctx.note('File system is journaled; replaying journal');
  try {
    const replay = await wapbl_replay(ctx.dev, log);
    ctx.journalReplayed = true;
    ctx.unclean(
      'JOURNAL_DIRTY',
      `FILE SYSTEM IS JOURNALED, ${replay.records} RECORDS REPLAYED${ctx.mode === 'check' ? ' IN MEMORY' : ''}`,
    );
    const overlay = new WapblOverlay(ctx.dev, replay);
    if (ctx.mode === 'check') {
      ctx.dev = overlay;
    } else {
      const sector = new Uint8Array(512);
      for (const at of replay.sectors.keys()) {
        const r = overlay.read(sector, 0, 512, at * 512);
        if (r instanceof Promise) await r;
        await ctx.writeAt(sector, 512, at * 512);
      }
    }
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    if (!ctx.ask('JOURNAL_BAD', `UNABLE TO READ JOURNAL FOR REPLAY: ${why}`, 'CLEARING EXISTING JOURNAL', false)) {
      return;
    }
  }
  const again = await superblockAt(ctx, homeOf(fs));
  if (again !== undefined && again.why === undefined && superblocksDiffer(fs, again.fs) === undefined) {
    ctx.fs = again.fs;
  }
  ctx.fs.fs_flags &= ~FS_DOWAPBL;
  ctx.sbdirty = true;
}

/** Volumes whose further structures repair would leave wrong. */
async function checkDialect(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  const { dialect } = await ffs_evidence(ctx.dev, fs, undefined);
  ctx.freebsd = dialect === 'freebsd';
  ctx.appleufs = dialect === 'apple';
  ctx.dirblksiz = ctx.appleufs || dialect === 'next' ? 1024 : 512;
  ctx.oldformat = !fs.ufs2 && fs.fs_old_inodefmt < FS_44INODEFMT;
  if (dialect === 'solaris') {
    ctx.report('UNSUPPORTED', 'A SOLARIS VOLUME: CHECK IT UNDER SOLARIS');
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }
  if (!ctx.freebsd) checkFeatures(ctx);
  fs.ckhashes = ffs_ckhashes(fs, dialect);
  if (ctx.mode !== 'check' && fs.wide && fs.fs_snapinum.some((ino) => ino !== 0)) {
    ctx.report('UNSUPPORTED', 'CANNOT REPAIR THIS VOLUME, IT HAS SNAPSHOTS: REPAIR IT UNDER THE SYSTEM THAT WROTE IT');
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }
  if ((fs.fs_flags & FS_SUJ) !== 0 && (fs.fs_clean & FS_ISCLEAN) === 0) {
    ctx.note('THE SOFT-UPDATES JOURNAL IS NOT USED: EVERYTHING IS CHECKED');
  }
  if (
    ctx.freebsd &&
    fs.wide &&
    fs.fs_sujfree !== 0 &&
    ctx.ask('SB_FIELD', `LIST OF UNLINKED FILES AT I=${fs.fs_sujfree} IN SUPERBLOCK`, 'CLEAR', true)
  ) {
    fs.fs_sujfree = 0;
    ctx.sbdirty = true;
  }
  // A copy carries the hash of the time when it was made, which fits it too.
  if ((fs.ckhashes & CK_SUPERBLOCK) === 0 || sb_ckhash_verifies(fs)) return;
  if (ctx.ask('SB_CKHASH', 'SUPERBLOCK CHECK-HASH FAILED', 'FIX', false)) ctx.sbdirty = true;
}

/**
 * NetBSD's journal and quotas that are claimed, and cannot be. The same flags without anything else in these fields may
 * be FreeBSD's.
 */
function checkFeatures(ctx: FsckContext): void {
  const { fs } = ctx;
  if (!fs.wide) return;
  if ((fs.fs_flags & FS_DOWAPBL) !== 0 && (fs.fs_journal_version !== 0 || fs.fs_journal_location !== 0)) {
    const sound = fs.fs_journal_version === 1 && (fs.fs_journal_location === 1 || fs.fs_journal_location === 2);
    if (
      !sound &&
      ctx.ask(
        'JOURNAL_BAD',
        `INVALID JOURNAL VERSION ${fs.fs_journal_version} OR LOCATION ${fs.fs_journal_location}`,
        'CLEARING EXISTING JOURNAL',
        false,
      )
    ) {
      fs.fs_flags &= ~FS_DOWAPBL;
      fs.fs_journal_flags = 0;
      ctx.sbdirty = true;
    }
  }
  if (
    (fs.fs_flags & FS_DOQUOTA2) !== 0 &&
    fs.fs_quota_magic !== Q2_HEAD_MAGIC &&
    fs.fs_metackhash === 0 &&
    ctx.ask(
      'SB_FIELD',
      `INVALID QUOTA MAGIC NUMBER 0x${fs.fs_quota_magic.toString(16)} IN SUPERBLOCK`,
      'CLEAR QUOTA FLAG',
      false,
    )
  ) {
    fs.fs_flags &= ~FS_DOQUOTA2;
    ctx.sbdirty = true;
  }
}

/**
 * What the superblock says of a journal that is not in use. Its fields are in the byte order of the machine that made
 * it.
 */
function checkJournalFields(ctx: FsckContext): void {
  const { fs } = ctx;
  if (!fs.wide || ctx.freebsd) return;
  const told = [true, false].map((le) => fs.view.getUint32(JOURNAL_FLAGS_OFFSET, le));
  const place = fs.fs_journal_location === 1 || fs.fs_journal_location === 2;
  if (
    told.includes(0) ||
    told.includes(UFS_WAPBL_FLAGS_CLEAR_LOG) ||
    (told.includes(UFS_WAPBL_FLAGS_CREATE_LOG) && place)
  ) {
    return;
  }
  if (!ctx.ask('JOURNAL_BAD', `INVALID JOURNAL FLAGS ${fs.fs_journal_flags}`, 'CLEARING JOURNAL FLAGS', false)) return;
  fs.fs_journal_flags = 0;
  ctx.sbdirty = true;
}

function checkFields(ctx: FsckContext): void {
  const { fs } = ctx;
  checkNumbers(ctx);
  fs.encode(); // the copies are held against these bytes
  const { old, nextfreeoff: need } = cgOffsets(fs, ctx.appleufs);
  if (!old && need > fs.fs_cgsize) {
    ctx.report('SB_BAD', `CYLINDER GROUPS OF ${fs.fs_cgsize} BYTES ARE TOO SMALL FOR ${need} BYTES OF MAPS`);
    throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
  }
}

function checkNumbers(ctx: FsckContext): void {
  const { fs } = ctx;
  checkJournalFields(ctx);
  const field = (text: string, action: string, preen: boolean, mend: () => void): void => {
    if (ctx.ask('SB_FIELD', `${text} IN SUPERBLOCK`, action, preen)) ctx.sbdirty = true;
    // A check goes on as if it were mended.
    mend();
  };
  const unknown = fs.fs_flags & ~FLAGS_WITH_MEANING & ~FS_FLAGS_UPDATED;
  if (
    unknown !== 0 &&
    ctx.ask('SB_FLAGS', `UNKNOWN FLAGS=0x${(fs.fs_flags >>> 0).toString(16)} IN SUPERBLOCK`, 'CLEAR', false)
  ) {
    fs.fs_flags &= FLAGS_WITH_MEANING;
    ctx.sbdirty = true;
  }
  if (fs.fs_optim !== FS_OPTTIME && fs.fs_optim !== FS_OPTSPACE) {
    field('UNDEFINED OPTIMIZATION', 'SET TO DEFAULT', false, () => (fs.fs_optim = FS_OPTTIME));
  }
  if (fs.fs_minfree < 0 || fs.fs_minfree > 99) {
    field(`IMPOSSIBLE MINFREE=${fs.fs_minfree}`, 'SET TO DEFAULT', false, () => (fs.fs_minfree = 10));
  }
  if (ffs_oldgroups_wrong(fs)) {
    field(
      `POSTBLFORMAT=${fs.fs_old_postblformat} WITH CYLINDER GROUPS OF ${fs.fs_cgsize} BYTES`,
      'SET TO DEFAULT',
      false,
      () => {
        fs.fs_old_postblformat = FS_DYNAMICPOSTBLFMT;
        fs.fs_old_nrpos = fs.view.getInt32(NRPOS_OFFSET, fs.le); // those of 4.2BSD are always 8
      },
    );
  }
  if (!fs.ufs2 && fs.fs_old_postblformat !== FS_42POSTBLFMT) {
    if (fs.fs_old_nsect < 1) {
      field(
        `IMPOSSIBLE NSECT=${fs.fs_old_nsect}`,
        'SET TO DEFAULT',
        false,
        () => (fs.fs_old_nsect = fs.fs_old_npsect = Math.max(1, fs.fs_old_spc)),
      );
    }
    if (fs.fs_old_interleave < 1 || fs.fs_old_interleave > fs.fs_old_nsect) {
      field(`IMPOSSIBLE INTERLEAVE=${fs.fs_old_interleave}`, 'SET TO DEFAULT', true, () => (fs.fs_old_interleave = 1));
    }
    if (cgOffsets(fs, ctx.appleufs).nextfreeoff > fs.fs_cgsize && fs.fs_old_nrpos > 1) {
      field(`IMPOSSIBLE NRPOS=${fs.fs_old_nrpos}`, 'SET TO DEFAULT', false, () => (fs.fs_old_nrpos = 1));
    }
    if (fs.fs_old_npsect < fs.fs_old_nsect || fs.fs_old_npsect > fs.fs_old_nsect * 2) {
      field(
        `IMPOSSIBLE NPSECT=${fs.fs_old_npsect}`,
        'SET TO DEFAULT',
        true,
        () => (fs.fs_old_npsect = fs.fs_old_nsect),
      );
    }
  }
  if (fs.wide && !fs.ufs2 && fs.fs_maxbsize !== fs.fs_bsize) {
    field(`INCORRECT MAXBSIZE=${fs.fs_maxbsize}`, 'FIX', true, () => (fs.fs_maxbsize = fs.fs_bsize));
  }
  if (fs.fs_bmask !== ~(fs.fs_bsize - 1)) {
    field(
      `INCORRECT BMASK=0x${(fs.fs_bmask >>> 0).toString(16)}`,
      'FIX',
      true,
      () => (fs.fs_bmask = ~(fs.fs_bsize - 1)),
    );
  }
  if (fs.fs_fmask !== ~(fs.fs_fsize - 1)) {
    field(
      `INCORRECT FMASK=0x${(fs.fs_fmask >>> 0).toString(16)}`,
      'FIX',
      true,
      () => (fs.fs_fmask = ~(fs.fs_fsize - 1)),
    );
  }
  // A driver goes by the one for directories and by the other for inodes.
  if (ctx.oldformat && (fs.fs_maxsymlinklen > 0 || ctx.appleufs)) {
    field(
      `INODE FORMAT=${fs.fs_old_inodefmt} WITH MAXSYMLINKLEN=${fs.fs_maxsymlinklen}`,
      'FIX',
      false,
      () => (fs.fs_old_inodefmt = FS_44INODEFMT),
    );
    ctx.oldformat = false;
  }
  if (ctx.oldformat) return;
  checkMaxFileSize(ctx, field);
  const room = fs.ufs2 ? 120 : 60;
  if (fs.fs_maxsymlinklen !== room) {
    field(`INCORRECT MAXSYMLINKLEN=${fs.fs_maxsymlinklen}`, 'FIX', true, () => (fs.fs_maxsymlinklen = room));
  }
  if (fs.fs_qbmask !== fs.fs_bsize - 1) {
    field(`INCORRECT QBMASK=${fs.fs_qbmask}`, 'FIX', true, () => (fs.fs_qbmask = fs.fs_bsize - 1));
  }
  if (fs.fs_qfmask !== fs.fs_fsize - 1) {
    field(`INCORRECT QFMASK=${fs.fs_qfmask}`, 'FIX', true, () => (fs.fs_qfmask = fs.fs_fsize - 1));
  }
}

/** Up to 2^58, so in whole numbers; Fs keeps only what a number can hold. */
function checkMaxFileSize(
  ctx: FsckContext,
  field: (text: string, action: string, preen: boolean, mend: () => void) => void,
): void {
  const { fs } = ctx;
  let right = BigInt(fs.fs_bsize) * BigInt(UFS_NDADDR) - 1n;
  let reach = BigInt(fs.fs_bsize);
  for (let i = 0; i < UFS_NIADDR; i++) right += reach *= BigInt(fs.fs_nindir);
  const told = fs.view.getBigUint64(MAXFILESIZE_OFFSET, fs.le);
  if (told === right) return;
  field(`INCORRECT MAXFILESIZE=${told}`, 'FIX', true, () => {
    fs.fs_maxfilesize = Number(right > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : right);
    fs.encode();
    fs.view.setBigUint64(MAXFILESIZE_OFFSET, right, fs.le);
  });
}

async function loadSummary(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  const bytes = new Uint8Array(fs.fs_cssize);
  await ctx.readAt(bytes, bytes.length, fs.fsbtob(fs.fs_csaddr));
  ctx.cs = new Int32Array((CSUM_SIZE / 4) * fs.fs_ncg);
  csum_load(fs, bytes, ctx.cs);
}

/** Inodes that live without a name: the journal's, the quota files'. */
function hiddenInodes(ctx: FsckContext): void {
  const { fs } = ctx;
  if (!fs.wide) return;
  // The journal's place is in the byte order of the machine that made it.
  if (fs.fs_journal_version === 1 && fs.fs_journal_location === 2) {
    for (const le of [true, false]) {
      const ino = fs.view.getBigUint64(JOURNAL_INODE_OFFSET, le);
      if (ino < BigInt(fs.ninodes)) ctx.journalInodes.add(Number(ino));
    }
  }
  if ((fs.fs_flags & FS_DOQUOTA2) !== 0 && !ctx.freebsd) {
    ctx.note('QUOTAS ARE NOT CHECKED');
    for (const ino of fs.fs_quotafile) if (ino > 0n && ino < BigInt(fs.ninodes)) ctx.hidden.add(Number(ino));
  }
}

