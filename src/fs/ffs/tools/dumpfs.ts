import type { BlockDevice } from '../../../kernel/blkdev.js';
import { bytestrToUnicode } from '../../../kernel/bytestr.js';
import { S_IFMT } from '../../../kernel/stat.js';
import { dateInWords } from '../../lib/words.js';
import { Dinode, dinode_load } from '../../ufs/dinode.js';
import { Cg } from '../disk/cg.js';
import { flagNames, formatName } from './describe.js';
import { ffs_ckhashes } from '../disk/ckhash.js';
import { ffs_evidence } from '../disk/dialect.js';
import { alternates, freelist, newfscommand, summaries } from './dumpfs_more.js';
import type { FfsDialect } from '../disk/dialects.js';
import type { Fs } from '../disk/fs.js';
import { DINODE1_SIZE, DINODE2_SIZE, FS_44INODEFMT, UFS_ROOTINO } from '../disk/fs.js';
import { ffs_superblock_search, readbytes } from '../disk/sbsearch.js';
import { wapbl_open } from '../journal/header.js';
import { wapbl_replay } from '../journal/replay.js';

export { describe } from './describe.js';
export type { Description, FfsFacts } from './describe.js';

/**
 * What to show. Default: superblock, summary and groups. The letters are those of NetBSD's dumpfs; freelist and newfs
 * are FreeBSD's.
 */
export interface DumpfsOptions {
  /** -s */
  superblock?: boolean;
  /** -a: the superblocks of all groups. */
  alternates?: boolean;
  /** -m: the summary area. */
  summary?: boolean;
  /** -c */
  groups?: boolean;
  /** Only this group. */
  group?: number;
  /** -i: inodes in use. */
  inodes?: boolean;
  /** -j */
  journal?: boolean;
  /** Free fragments, as numbers and nothing else. */
  freelist?: boolean;
  /** The command that makes such a volume. */
  newfs?: boolean;
}

/** Free ranges that are listed for one map; a badly fragmented group has thousands. */
const MAX_RANGES = 200;

/**
 * The volume's metadata as readable text, with the names that the format has for its fields.
 * @throws EFTYPE no FFS volume here; EIO
 */
export async function dumpfs(dev: BlockDevice, options: DumpfsOptions = {}): Promise<string> {
  const fs = await ffs_superblock_search(dev);
  const { dialect } = await ffs_evidence(dev, fs, undefined);
  fs.ckhashes = ffs_ckhashes(fs, dialect);
  const chosen = Object.values(options).some((value) => value !== undefined && value !== false);
  const out: string[] = [];
  if (!chosen || options.superblock === true) superblock(fs, dialect, out);
  if (!chosen || options.summary === true) await summaries(dev, fs, out);
  if (options.alternates === true) {
    await alternates(dev, fs, (copy, c, offset) => {
      out.push('', `superblock of cg ${c}, at ${offset} (-b ${offset / 512}):`);
      if (copy === undefined) out.push('none');
      else superblock(copy, dialect, out);
    });
  }
  if (options.journal === true) await journal(dev, fs, out);
  if (options.freelist === true) await freelist(dev, fs, out);
  if (options.newfs === true) out.push(newfscommand(fs, dialect));
  const groups = !chosen || options.groups === true || options.group !== undefined;
  for (
    let c = options.group ?? 0;
    c < (options.group === undefined ? fs.fs_ncg : Math.min(options.group + 1, fs.fs_ncg));
    c++
  ) {
    if (!groups && options.inodes !== true) break;
    const bytes = await readbytes(dev, fs.fsbtob(fs.cgtod(c)), fs.fs_bsize);
    const view = new DataView(bytes.buffer);
    const problem = Cg.check(fs, view, bytes.length, c);
    if (problem !== undefined) {
      out.push('', `cg ${c}: damaged: ${problem}`);
      continue;
    }
    const cg = Cg.adopt(fs, bytes, view);
    if (groups) group(fs, cg, c, out);
    if (options.inodes === true) await inodes(dev, fs, cg, c, out);
  }
  return `${out.join('\n')}\n`;
}

/** `name value` pairs, a few to a line. */
function row(out: string[], ...pairs: (string | number | bigint)[]): void {
  const cells: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) cells.push(`${pairs[i]!} ${pairs[i + 1]!}`.padEnd(20));
  out.push(cells.join(' ').trimEnd());
}

function hex(n: number): string {
  return `0x${(n >>> 0).toString(16)}`;
}

function superblock(fs: Fs, dialect: FfsDialect, out: string[]): void {
  const t = fs.fs_cstotal;
  row(out, 'format', formatName(fs));
  row(out, 'endian', fs.le ? 'little' : 'big', 'dialect', dialect);
  row(out, 'magic', hex(fs.fs_magic), 'time', dateInWords(fs.fs_time));
  row(out, 'sblockloc', fs.fs_sblockloc, 'id', `[ ${hex(fs.fs_id0)} ${hex(fs.fs_id1)} ]`);
  row(out, 'nbfree', t.cs_nbfree, 'ndir', t.cs_ndir, 'nifree', t.cs_nifree, 'nffree', t.cs_nffree);
  row(out, 'ncg', fs.fs_ncg, 'size', fs.fs_size, 'dsize', fs.fs_dsize);
  row(out, 'bsize', fs.fs_bsize, 'shift', fs.fs_bshift, 'mask', hex(fs.fs_bmask));
  row(out, 'fsize', fs.fs_fsize, 'shift', fs.fs_fshift, 'mask', hex(fs.fs_fmask));
  row(out, 'frag', fs.fs_frag, 'shift', fs.fs_fragshift, 'fsbtodb', fs.fs_fsbtodb);
  row(out, 'bpg', Math.floor(fs.fs_fpg / fs.fs_frag), 'fpg', fs.fs_fpg, 'ipg', fs.fs_ipg);
  row(
    out,
    'minfree',
    `${fs.fs_minfree}%`,
    'optim',
    fs.fs_optim === 0 ? 'time' : fs.fs_optim === 1 ? 'space' : fs.fs_optim,
    'maxcontig',
    fs.fs_maxcontig,
    'maxbpg',
    fs.fs_maxbpg,
  );
  row(
    out,
    'symlinklen',
    fs.fs_maxsymlinklen,
    'contigsumsize',
    fs.fs_contigsumsize,
    'maxfilesize',
    fs.view.getBigUint64(1328, fs.le),
  );
  row(out, 'nindir', fs.fs_nindir, 'inopb', fs.fs_inopb, 'avgfilesize', fs.fs_avgfilesize, 'avgfpdir', fs.fs_avgfpdir);
  row(out, 'sblkno', fs.fs_sblkno, 'cblkno', fs.fs_cblkno, 'iblkno', fs.fs_iblkno, 'dblkno', fs.fs_dblkno);
  row(out, 'sbsize', fs.fs_sbsize, 'cgsize', fs.fs_cgsize, 'csaddr', fs.fs_csaddr, 'cssize', fs.fs_cssize);
  if (!fs.ufs2) {
    row(out, 'ncyl', fs.fs_old_ncyl, 'cpg', fs.fs_old_cpg, 'spc', fs.fs_old_spc, 'nsect', fs.fs_old_nsect);
    row(
      out,
      'npsect',
      fs.fs_old_npsect,
      'interleave',
      fs.fs_old_interleave,
      'trackskew',
      fs.fs_old_trackskew,
      'nrpos',
      fs.fs_old_nrpos,
    );
    row(
      out,
      'cgoffset',
      fs.fs_old_cgoffset,
      'cgmask',
      hex(fs.fs_old_cgmask),
      'inodefmt',
      fs.fs_old_inodefmt,
      'postblformat',
      fs.fs_old_postblformat,
    );
  }
  row(out, 'cgrotor', fs.fs_cgrotor, 'fmod', fs.fs_fmod, 'ronly', fs.fs_ronly, 'clean', hex(fs.fs_clean));
  if (fs.wide) {
    row(out, 'pendingblocks', fs.fs_pendingblocks, 'pendinginodes', fs.fs_pendinginodes);
    if (dialect === 'freebsd') {
      const [providersize, metaspace] = fs.fs_journallocs;
      row(out, 'metackhash', hex(fs.fs_metackhash), 'ckhash', hex(fs.fs_ckhash), 'sujfree', fs.fs_sujfree);
      row(out, 'mtime', dateInWords(fs.fs_mtime), 'providersize', providersize!, 'metaspace', metaspace!);
    } else if (fs.fs_journal_version !== 0 || fs.fs_journal_flags !== 0) {
      row(
        out,
        'wapbl version',
        fs.fs_journal_version,
        'location',
        fs.fs_journal_location,
        'flags',
        hex(fs.fs_journal_flags),
        'locs',
        fs.fs_journallocs.join(' '),
      );
    }
    const snapshots = fs.fs_snapinum.filter((ino) => ino !== 0);
    if (snapshots.length > 0) row(out, 'snapshots', snapshots.join(' '));
  }
  if (fs.solaris) {
    row(out, 'state', hex(fs.fs_state), 'rolled', fs.fs_unused_1, 'logbno', fs.view.getInt32(1324, fs.le));
  }
  const flags = flagNames(fs, dialect);
  row(out, 'flags', flags.length === 0 ? 'none' : flags.join(', '));
  row(out, 'fsmnt', bytestrToUnicode(fs.fs_fsmnt));
  if (fs.wide) row(out, 'volname', bytestrToUnicode(fs.fs_volname), 'swuid', fs.fs_swuid);
}

/** `0-14, 17, 20-31` of the numbers below `count` for which `is` holds. */
function ranges(count: number, is: (i: number) => boolean): string {
  const found: string[] = [];
  for (let i = 0; i < count; i++) {
    if (!is(i)) continue;
    if (found.length === MAX_RANGES) {
      found.push('...');
      break;
    }
    const from = i;
    while (i + 1 < count && is(i + 1)) i++;
    found.push(from === i ? String(from) : `${from}-${i}`);
  }
  return found.join(', ');
}

function group(fs: Fs, cg: Cg, c: number, out: string[]): void {
  out.push('', `cg ${c}:`);
  row(out, 'offset', fs.fsbtob(fs.cgtod(c)), 'time', dateInWords(fs.ufs2 ? cg.cg_time : cg.view.getInt32(8, fs.le)));
  row(
    out,
    'cgx',
    cg.cg_cgx,
    'ndblk',
    cg.cg_ndblk,
    'niblk',
    fs.ufs2 ? cg.cg_niblk : fs.fs_ipg,
    ...(fs.ufs2 ? ['initediblk', cg.cg_initediblk] : []),
  );
  row(out, 'nbfree', cg.cs_nbfree, 'ndir', cg.cs_ndir, 'nifree', cg.cs_nifree, 'nffree', cg.cs_nffree);
  row(out, 'rotor', cg.cg_rotor, 'irotor', cg.cg_irotor, 'frotor', cg.cg_frotor);
  const frsum: number[] = [];
  for (let n = 1; n < fs.fs_frag; n++) frsum.push(cg.frsum(n));
  if (frsum.length > 0) row(out, 'frsum', frsum.join(' '));
  if (cg.cg_clusteroff !== 0) {
    const sums: number[] = [];
    for (let n = 1; n <= fs.fs_contigsumsize; n++) sums.push(cg.clustersum(n));
    row(out, 'clusters', sums.join(' '));
    row(
      out,
      'clusters free',
      ranges(Math.min(cg.cg_nclusterblks, Math.floor(fs.fs_fpg / fs.fs_frag)), (i) => cg.clustersfree(i)),
    );
  }
  row(out, 'iused', ranges(fs.fs_ipg, (i) => cg.inosused(i)));
  row(out, 'free', ranges(Math.min(cg.cg_ndblk, fs.fs_fpg), (i) => cg.blksfree(i)));
}

async function inodes(dev: BlockDevice, fs: Fs, cg: Cg, c: number, out: string[]): Promise<void> {
  const size = fs.ufs2 ? DINODE2_SIZE : DINODE1_SIZE;
  const fmt = {
    le: fs.le,
    ufs2: fs.ufs2,
    oldids: !fs.ufs2 && fs.fs_old_inodefmt < FS_44INODEFMT,
    maxsymlinklen: fs.fs_maxsymlinklen,
  };
  const inode = new Dinode();
  out.push(
    '',
    `inodes of cg ${c}:`,
    '     inode   mode nlink        uid        gid             size     blocks flags    gen      mtime; blocks',
  );
  for (let base = 0; base < fs.fs_ipg; base += fs.fs_inopb) {
    const numbers: number[] = [];
    for (let i = base; i < base + fs.fs_inopb; i++)
      if (cg.inosused(i) && c * fs.fs_ipg + i >= UFS_ROOTINO) {
        numbers.push(i);
      }
    if (numbers.length === 0) continue;
    const bytes = await readbytes(dev, fs.fsbtob(fs.ino_to_fsba(c * fs.fs_ipg + base)), fs.fs_bsize);
    const view = new DataView(bytes.buffer);
    for (const i of numbers) {
      dinode_load(inode, view, (i - base) * size, fmt);
      if ((inode.i_mode & S_IFMT) === 0) continue;
      const blocks = [...inode.i_db, ...inode.i_ib].join(' ').replace(/( 0)+$/, '');
      out.push(
        [
          String(c * fs.fs_ipg + i).padStart(10),
          inode.i_mode.toString(8).padStart(6),
          String(inode.i_nlink).padStart(5),
          String(inode.i_uid).padStart(10),
          String(inode.i_gid).padStart(10),
          String(inode.i_size).padStart(16),
          String(inode.i_blocks).padStart(10),
          hex(inode.i_flags).padEnd(8),
          (inode.i_gen >>> 0).toString(16).padEnd(8),
          `${dateInWords(inode.i_mtime)};`,
          blocks,
        ].join(' '),
      );
    }
  }
}

async function journal(dev: BlockDevice, fs: Fs, out: string[]): Promise<void> {
  out.push('', 'journal:');
  const log = await wapbl_open(dev, fs);
  if (log === undefined) {
    out.push('none');
    return;
  }
  row(out, 'start', log.start, 'generation', log.generation, 'byte order', log.le ? 'little' : 'big');
  row(out, 'log block', log.blksize, 'fs block', log.fsblksize, 'circ_off', log.circ_off, 'circ_size', log.circ_size);
  row(out, 'head', log.head, 'tail', log.tail);
  if (log.head === log.tail) {
    out.push('no records');
    return;
  }
  try {
    const replay = await wapbl_replay(dev, log);
    row(
      out,
      'records',
      replay.records,
      'sectors',
      replay.sectors.size,
      'inodes',
      replay.inodes.map(({ ino }) => ino).join(' '),
    );
    const sectors = [...replay.sectors.keys()].sort((a, b) => a - b);
    const runs: string[] = [];
    for (let i = 0; i < sectors.length && runs.length < MAX_RANGES; i++) {
      const from = sectors[i]!;
      while (i + 1 < sectors.length && sectors[i + 1] === sectors[i]! + 1) i++;
      runs.push(from === sectors[i] ? String(from) : `${from}-${sectors[i]!}`);
    }
    row(out, 'sectors written', runs.join(', '));
  } catch (thrown) {
    out.push(`the records cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
