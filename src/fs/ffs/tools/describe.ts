import type { BlockDevice } from '../../../kernel/blkdev.js';
import { bytestrToUnicode } from '../../../kernel/bytestr.js';
import type { VolumeFacts } from '../../format.js';
import { dateInWords, sizeInWords } from '../../lib/words.js';
import { ffs_evidence } from '../disk/dialect.js';
import type { FfsDialect } from '../disk/dialects.js';
import type { Fs } from '../disk/fs.js';
import {
  FS_42INODEFMT, FS_42POSTBLFMT, FS_ACLS, FS_DOSOFTDEP, FS_FLAGS_UPDATED, FS_GJOURNAL, FS_ISCLEAN, FS_MULTILABEL,
  FS_NEEDSFSCK, FS_POSIX1EACLS, FS_SUJ, FS_TRIM, FS_UFS1_MAGIC, FS_UFS2_MAGIC, FS_UNCLEAN,
} from '../disk/fs.js';
import { ffs_superblock_search } from '../disk/sbsearch.js';
import { UFS_WAPBL_FLAGS_CREATE_LOG, wapbl_open } from '../journal/header.js';

/** What a volume says of itself, for programs: plain data. Sizes in bytes, times in seconds since 1970. */
export interface FfsFacts extends VolumeFacts {
  readonly byte_order: 'little' | 'big';
  /** Which system wrote it, as far as evidence goes. */
  readonly dialect: FfsDialect;
  readonly label: string;
  readonly last_mounted_on: string;
  readonly size: number;
  readonly block_size: number;
  readonly frag_size: number;
  readonly groups: number;
  readonly free: number;
  /** Free beyond what is kept for the superuser. */
  readonly available: number;
  readonly minfree_percent: number;
  readonly inodes: number;
  readonly free_inodes: number;
  readonly directories: number;
  readonly clean: boolean;
  readonly journal: 'none' | 'wanted' | 'empty' | 'dirty' | 'damaged';
  readonly journal_bytes: number;
  readonly soft_updates: boolean;
  readonly features: readonly string[];
  readonly snapshots: number;
  readonly last_written: number;
  readonly superblock_at: number;
  /** Why the volume is only read; undefined if it can be written. */
  readonly readonly_because: string | undefined;
}

export interface Description {
  /**
   * `FFSv1`, `FFSv2`, `FFSv2 with extended attributes`; with `4.3BSD layout` or `4.2BSD layout` behind it for old ones.
   */
  readonly format: string;
  readonly facts: FfsFacts;
  /** The same for people: name and value. */
  readonly lines: readonly (readonly [string, string])[];
}

export function formatName(fs: Fs): string {
  if (fs.fs_magic === FS_UFS2_MAGIC) return 'FFSv2';
  if (fs.fs_magic !== FS_UFS1_MAGIC) return 'FFSv2 with extended attributes';
  if (fs.fs_old_postblformat === FS_42POSTBLFMT) return 'FFSv1 (4.2BSD layout)';
  if (fs.fs_old_inodefmt === FS_42INODEFMT) return 'FFSv1 (4.3BSD layout)';
  return 'FFSv1';
}

/**
 * fs_flags by name. Two bits mean one thing to FreeBSD and another to NetBSD; where nothing tells which, both are
 * named.
 */
export function flagNames(fs: Fs, dialect: FfsDialect): string[] {
  const two = (bit: number, netbsd: string, freebsd: string): [number, string] => [
    bit,
    dialect === 'freebsd' ? freebsd : dialect === 'unknown' ? `${netbsd} or ${freebsd}` : netbsd,
  ];
  const names: readonly (readonly [number, string])[] = [
    [FS_UNCLEAN, 'unclean'],
    [FS_DOSOFTDEP, 'soft updates'],
    [FS_NEEDSFSCK, 'needs fsck'],
    [FS_SUJ, 'soft-updates journal'],
    [FS_ACLS, 'POSIX ACLs'],
    [FS_MULTILABEL, 'MAC labels'],
    [FS_GJOURNAL, 'gjournal'],
    two(0x100, 'journal (WAPBL)', 'NFSv4 ACLs'),
    two(0x200, 'quota2', 'check hashes'),
    [FS_TRIM, 'trim'],
    [FS_POSIX1EACLS, 'POSIX.1e ACLs'],
  ];
  const flags = fs.fs_flags & ~FS_FLAGS_UPDATED;
  const found = names.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  const rest = names.reduce((left, [bit]) => left & ~bit, flags) >>> 0;
  if (rest !== 0) found.push(`0x${rest.toString(16)}`);
  return found;
}

/**
 * What FFS volume is on `dev`, without reading more than its superblock and journal header.
 * @throws EFTYPE there is none, or its superblock is damaged: the message says what is wrong. EIO
 */
export async function describe(dev: BlockDevice): Promise<Description> {
  const fs = await ffs_superblock_search(dev);
  const evidence = await ffs_evidence(dev, fs, undefined);
  const log = await wapbl_open(dev, fs);
  const netbsdJournal =
    fs.wide && fs.fs_journal_version !== 0 && fs.fs_journal_location !== 0 && evidence.dialect !== 'freebsd';
  const wanted =
    evidence.dialect === 'netbsd' &&
    fs.wide &&
    fs.fs_journal_location !== 0 &&
    [true, false].some((le) => fs.view.getUint32(868, le) === UFS_WAPBL_FLAGS_CREATE_LOG);
  const free = fs.fs_cstotal.cs_nbfree * fs.fs_bsize + fs.fs_cstotal.cs_nffree * fs.fs_fsize;
  const facts: FfsFacts = {
    format: formatName(fs),
    byte_order: fs.le ? 'little' : 'big',
    dialect: evidence.dialect,
    label: bytestrToUnicode(fs.fs_volname),
    last_mounted_on: bytestrToUnicode(fs.fs_fsmnt),
    size: fs.fs_size * fs.fs_fsize,
    block_size: fs.fs_bsize,
    frag_size: fs.fs_fsize,
    groups: fs.fs_ncg,
    free,
    available: Math.max(0, fs.freespace(fs.fs_minfree) * fs.fs_fsize),
    minfree_percent: fs.fs_minfree,
    inodes: fs.ninodes,
    free_inodes: fs.fs_cstotal.cs_nifree,
    directories: fs.fs_cstotal.cs_ndir,
    clean: (fs.fs_clean & FS_ISCLEAN) !== 0,
    journal:
      log === undefined
        ? wanted
          ? 'wanted'
          : netbsdJournal
            ? 'damaged'
            : 'none'
        : evidence.wapbl && log.head !== log.tail
          ? 'dirty'
          : 'empty',
    journal_bytes: log === undefined ? 0 : log.circ_size,
    soft_updates: (fs.fs_flags & FS_DOSOFTDEP) !== 0,
    features: flagNames(fs, evidence.dialect),
    snapshots: fs.wide ? fs.fs_snapinum.filter((ino) => ino !== 0).length : 0,
    last_written: fs.fs_time,
    superblock_at: fs.fs_sblockloc,
    readonly_because: evidence.readonly_because,
  };
  return { format: facts.format, facts, lines: linesOf(facts) };
}

function linesOf(facts: FfsFacts): (readonly [string, string])[] {
  const foreign = facts.features.includes('soft-updates journal')
    ? 'of soft updates (SU+J)'
    : facts.features.includes('gjournal')
      ? 'gjournal, outside of the volume'
      : 'none';
  const journals = {
    none: 'none',
    wanted: 'WAPBL, to be made by the next mount that writes',
    empty: `WAPBL, ${sizeInWords(facts.journal_bytes)}, empty`,
    dirty: `WAPBL, ${sizeInWords(facts.journal_bytes)}, holds work to be replayed`,
    damaged: 'WAPBL, its header cannot be read',
  };
  const lines: [string, string][] = [
    ['format', `${facts.format}, ${facts.byte_order}-endian, superblock at ${facts.superblock_at}`],
    ['dialect', facts.dialect],
    ['label', facts.label === '' ? '(none)' : facts.label],
    [
      'size',
      `${sizeInWords(facts.size)} in ${facts.groups} group${facts.groups === 1 ? '' : 's'}, blocks of ` +
        `${facts.block_size}, fragments of ${facts.frag_size}`,
    ],
    [
      'free',
      `${sizeInWords(facts.free)}, ${sizeInWords(facts.available)} of it for everybody (minfree ` +
        `${facts.minfree_percent}%)`,
    ],
    [
      'inodes',
      `${facts.inodes}, ${facts.free_inodes} free, ${facts.directories} ` +
        `director${facts.directories === 1 ? 'y' : 'ies'}`,
    ],
    ['state', facts.clean ? 'clean' : 'not cleanly unmounted'],
    ['journal', facts.journal === 'none' ? foreign : journals[facts.journal]],
    ['features', facts.features.length === 0 ? '(none)' : facts.features.join(', ')],
  ];
  if (facts.snapshots > 0) lines.push(['snapshots', String(facts.snapshots)]);
  lines.push(['last mounted', facts.last_mounted_on === '' ? '(never, or not said)' : `on ${facts.last_mounted_on}`]);
  lines.push(['last written', dateInWords(facts.last_written)]);
  if (facts.readonly_because !== undefined) lines.push(['read-only', facts.readonly_because]);
  return lines;
}
