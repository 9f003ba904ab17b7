import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { ffs_ckhashes } from '../disk/ckhash.js';
import { ffs_evidence } from '../disk/dialect.js';
import { FS_DOWAPBL, FS_OPTSPACE, FS_OPTTIME, Fs, MAXVOLLEN, SBLOCKSIZE } from '../disk/fs.js';
import { ffs_superblock_search, readbytes } from '../disk/sbsearch.js';
import {
  UFS_WAPBL_FLAGS_CLEAR_LOG,
  UFS_WAPBL_FLAGS_CREATE_LOG,
  UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM,
  UFS_WAPBL_VERSION,
  WAPBL_MAX_BYTES,
  wapbl_open,
  wapbl_place,
} from '../journal/header.js';
import { wapbl_minimum, wapbl_suitable } from '../journal/size.js';

/**
 * tunefs: changes what a volume is tuned by, in its superblock alone. The volume must not be mounted.
 * Source of the rules: NetBSD sbin/tunefs/tunefs.c.
 */
export interface TunefsChanges {
  /** Volume name, a byte string of up to 31 bytes. */
  readonly label?: string;
  /** Per cent that only the superuser may fill, 0..99. */
  readonly minfree?: number;
  readonly optimization?: 'space' | 'time';
  /** Blocks that one file may take of a group. */
  readonly maxbpg?: number;
  /** Expected bytes in a file, and files in a directory. */
  readonly avgfilesize?: number;
  readonly avgfpdir?: number;
  /** Where the volume was mounted last; not shown among the changes. */
  readonly lastmount?: string;
  /** The next mount that writes makes a journal of so many bytes (true: what suits), or takes it away (0). */
  readonly log?: number | true;
}

export interface TunefsOptions {
  /** Write the copies in all groups too. */
  readonly alternates?: boolean;
  /** Say what would be done. */
  readonly dryRun?: boolean;
}

export interface TunefsResult {
  /** What has changed or would, and what is as it was already: a line each. */
  readonly lines: readonly string[];
  readonly changed: boolean;
  /** The values now. */
  readonly fs: Fs;
}

/** Below this reserve, space is what should be saved. */
const MINFREE = 5;

function integer(name: string, value: number, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw errno(E.EINVAL, `${name} must be a whole number from ${least} to ${most}, not ${value}`);
  }
  return value;
}

/** Enters the changes into one superblock and says what they are. */
function change(fs: Fs, changes: TunefsChanges): string[] {
  const lines: string[] = [];
  const set = (
    name: 'fs_minfree' | 'fs_optim' | 'fs_maxbpg' | 'fs_avgfilesize' | 'fs_avgfpdir',
    what: string,
    value: number,
    show: (n: number) => string,
  ): void => {
    lines.push(
      fs[name] === value
        ? `${what} remains ${show(value)}`
        : `${what} changes from ${show(fs[name])} to ${show(value)}`,
    );
    fs[name] = value;
  };
  const plain = (n: number): string => String(n);
  if (changes.label !== undefined && changes.label !== fs.fs_volname) {
    lines.push(`volume name changes from "${fs.fs_volname}" to "${changes.label}"`);
    fs.fs_volname = changes.label;
  } else if (changes.label !== undefined) {
    lines.push(`volume name remains "${fs.fs_volname}"`);
  }
  if (changes.lastmount !== undefined) fs.fs_fsmnt = changes.lastmount;
  if (changes.maxbpg !== undefined) {
    set('fs_maxbpg', 'maximum blocks per file in a cylinder group', changes.maxbpg, plain);
  }
  if (changes.minfree !== undefined) {
    set('fs_minfree', 'minimum percentage of free space', changes.minfree, (n) => `${n}%`);
  }
  if (changes.avgfilesize !== undefined) set('fs_avgfilesize', 'average file size', changes.avgfilesize, plain);
  if (changes.avgfpdir !== undefined) {
    set('fs_avgfpdir', 'expected number of files per directory', changes.avgfpdir, plain);
  }
  if (changes.optimization !== undefined) {
    set('fs_optim', 'optimization preference', changes.optimization === 'space' ? FS_OPTSPACE : FS_OPTTIME, (n) =>
      n === FS_OPTSPACE ? 'space' : 'time',
    );
  }
  if (changes.minfree !== undefined || changes.optimization !== undefined) {
    if (fs.fs_minfree >= MINFREE && fs.fs_optim === FS_OPTSPACE) {
      lines.push(`should optimize for time with minfree of ${MINFREE}% and more`);
    }
    if (fs.fs_minfree < MINFREE && fs.fs_optim === FS_OPTTIME) {
      lines.push(`should optimize for space with minfree below ${MINFREE}%`);
    }
  }
  return lines;
}

/** What the next mount that writes is to do about the journal (fs_journal_flags). */
function changelog(fs: Fs, bytes: number, existing: number): string[] {
  if (bytes === 0) {
    if (existing === 0) {
      fs.fs_journal_version = 0;
      fs.fs_journal_location = 0;
      fs.fs_journal_flags = 0;
      fs.fs_journallocs.fill(0n);
      return ['there is no journal'];
    }
    fs.fs_journal_flags = UFS_WAPBL_FLAGS_CLEAR_LOG;
    return [`the journal of ${existing} bytes will be removed by the next mount that writes`];
  }
  if (existing !== 0) {
    throw errno(E.EINVAL, `the volume has a journal of ${existing} bytes; remove it first (size 0, then mount once)`);
  }
  fs.fs_journal_version = UFS_WAPBL_VERSION;
  fs.fs_journal_location = UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM;
  fs.fs_journal_flags = UFS_WAPBL_FLAGS_CREATE_LOG;
  fs.fs_journallocs.fill(0n);
  fs.fs_journallocs[1] = BigInt(bytes);
  return [`a journal of ${bytes} bytes will be made by the next mount that writes`];
}

function validate(fs: Fs, dialect: string, changes: TunefsChanges): void {
  if (changes.label !== undefined) {
    if (!fs.wide || dialect === 'apple') {
      throw errno(E.EOPNOTSUPP, 'the superblock of this volume has no place for a name');
    }
    if (changes.label.length >= MAXVOLLEN) {
      throw errno(E.EINVAL, `the name has ${changes.label.length} bytes, at most ${MAXVOLLEN - 1} fit`);
    }
    if (changes.label.includes('\0')) throw errno(E.EINVAL, 'the name holds a zero byte');
  }
  if (changes.minfree !== undefined) integer('minfree', changes.minfree, 0, 99);
  if (changes.maxbpg !== undefined) integer('maxbpg', changes.maxbpg, 1, 0x7fffffff);
  if (changes.avgfilesize !== undefined) integer('average file size', changes.avgfilesize, 1, 0x7fffffff);
  if (changes.avgfpdir !== undefined) integer('files per directory', changes.avgfpdir, 1, 0x7fffffff);
  if ((changes.avgfilesize !== undefined || changes.avgfpdir !== undefined) && !fs.wide) {
    throw errno(E.EOPNOTSUPP, 'the superblock of this volume has no place for average sizes');
  }
}

/**
 * Changes the volume on `dev`.
 * @throws EFTYPE no volume; EINVAL a value out of range; EOPNOTSUPP what this kind of volume does not have; EBUSY a
 *   journal that holds work, with which the superblock would come back as it was; EROFS
 */
export async function tunefs(
  dev: BlockDevice,
  changes: TunefsChanges,
  options: TunefsOptions = {},
): Promise<TunefsResult> {
  const fs = await ffs_superblock_search(dev);
  const { dialect } = await ffs_evidence(dev, fs, undefined);
  if (fs.solaris || dialect === 'solaris' || dialect === 'next') {
    throw errno(E.EOPNOTSUPP, `volumes of ${dialect === 'next' ? 'NeXTSTEP' : 'Solaris'} are only read`);
  }
  validate(fs, dialect, changes);
  fs.ckhashes = ffs_ckhashes(fs, dialect);
  if (dialect === 'netbsd' && (fs.fs_flags & FS_DOWAPBL) !== 0) {
    const log = await wapbl_open(dev, fs);
    if (log === undefined || log.head !== log.tail) {
      throw errno(
        E.EBUSY,
        'the journal may hold work that brings the old superblock back: mount the volume once, or run fsck',
      );
    }
  }
  const lines = change(fs, changes);
  if (changes.log !== undefined) {
    if (dialect !== 'netbsd' || !fs.wide) {
      throw errno(
        E.EOPNOTSUPP,
        'only NetBSD reads this journal, and this volume is of another system, or of the oldest format',
      );
    }
    const bytes = fs.blkroundup(changes.log === true ? wapbl_suitable(fs) : changes.log);
    if (bytes !== 0) integer('size of the journal', bytes, wapbl_minimum(fs), WAPBL_MAX_BYTES);
    const place = wapbl_place(fs, fs.le, dev.size_bytes) ?? wapbl_place(fs, !fs.le, dev.size_bytes);
    lines.push(...changelog(fs, bytes, place?.bytes ?? 0));
  }
  const before = fs.raw.slice();
  fs.encode();
  const changed = before.some((byte, i) => byte !== fs.raw[i]);
  if (options.dryRun === true || (!changed && options.alternates !== true)) return { lines, changed, fs };
  if (dev.readonly) throw errno(E.EROFS, `${dev.name} is read-only`);
  await dev.write(fs.raw, 0, fs.fs_sbsize, fs.fs_sblockloc);
  if (options.alternates === true) await writealternates(dev, fs, changes);
  await dev.flush();
  return { lines, changed, fs };
}

/**
 * The copies keep what differs from the superblock (state, totals, FreeBSD's fs_sblockactualloc); a copy that is
 * damaged stays so.
 */
async function writealternates(dev: BlockDevice, fs: Fs, changes: TunefsChanges): Promise<void> {
  for (let c = 0; c < fs.fs_ncg; c++) {
    const at = fs.fsbtob(fs.cgsblock(c));
    if (at === fs.fs_sblockloc) continue;
    const copy = Fs.decode(await readbytes(dev, at, SBLOCKSIZE), fs.fs_sblockloc);
    if (copy === undefined || copy.le !== fs.le || copy.fs_magic !== fs.fs_magic || copy.fs_sbsize !== fs.fs_sbsize) {
      continue;
    }
    copy.ckhashes = fs.ckhashes;
    change(copy, changes);
    await dev.write(copy.encode(), 0, copy.fs_sbsize, at);
  }
}
