import type { BlockDevice } from '../../../kernel/blkdev.js';
import { Cg } from '../disk/cg.js';
import { csum_load } from '../disk/csum.js';
import type { FfsDialect } from '../disk/dialects.js';
import { Fs, SBLOCKSIZE } from '../disk/fs.js';
import { FS_42INODEFMT, FS_OPTSPACE, FS_UFS2EA_MAGIC } from '../disk/fs_const.js';
import type { NewfsFormat } from './newfs_layout.js';
import { newfsLayout } from './newfs_layout.js';
import { readbytes } from '../disk/sbsearch.js';

/**
 * The parts of dumpfs that look at a volume from further off: summary, copies of the superblock, free space, how to
 * make one like it.
 */

/** Summaries of all groups, as the summary area has them: (nbfree,ndir,nifree,nffree). */
export async function summaries(dev: BlockDevice, fs: Fs, out: string[]): Promise<void> {
  out.push('', 'cs[].cs_(nbfree,ndir,nifree,nffree):');
  const cs = new Int32Array(4 * fs.fs_ncg);
  csum_load(fs, await readbytes(dev, fs.fsbtob(fs.fs_csaddr), 16 * fs.fs_ncg), cs);
  for (let c = 0; c < fs.fs_ncg; c += 4) {
    const cells: string[] = [];
    for (let i = c; i < Math.min(c + 4, fs.fs_ncg); i++) {
      cells.push(`(${cs[4 * i + 1]!},${cs[4 * i]!},${cs[4 * i + 2]!},${cs[4 * i + 3]!})`);
    }
    out.push(`  ${cells.join(' ')}`);
  }
}

/** The superblock of each group, decoded; undefined where there is none. */
export async function alternates(
  dev: BlockDevice,
  fs: Fs,
  show: (copy: Fs | undefined, group: number, offset: number) => void,
): Promise<void> {
  for (let c = 0; c < fs.fs_ncg; c++) {
    const offset = fs.fsbtob(fs.cgsblock(c));
    if (offset + SBLOCKSIZE > dev.size_bytes) show(undefined, c, offset);
    else show(Fs.decode(await readbytes(dev, offset, SBLOCKSIZE), fs.fs_sblockloc), c, offset);
  }
}

/** Every free fragment of the volume, as ranges of fragment numbers, one a line. */
export async function freelist(dev: BlockDevice, fs: Fs, out: string[]): Promise<void> {
  for (let c = 0; c < fs.fs_ncg; c++) {
    const bytes = await readbytes(dev, fs.fsbtob(fs.cgtod(c)), fs.cgbytes);
    const view = new DataView(bytes.buffer);
    const problem = Cg.check(fs, view, bytes.length, c);
    if (problem !== undefined) {
      out.push(`cg ${c}: damaged: ${problem}`);
      continue;
    }
    const cg = Cg.adopt(fs, bytes, view);
    const base = fs.cgbase(c);
    for (let d = 0; d < cg.cg_ndblk; d++) {
      if (!cg.blksfree(d)) continue;
      const from = d;
      while (d + 1 < cg.cg_ndblk && cg.blksfree(d + 1)) d++;
      out.push(from === d ? String(base + from) : `${base + from}-${base + d}`);
    }
  }
}

/** Bytes for each inode with which newfs gives as many inodes to a group; undefined: the default does. */
function density(fs: Fs, format: NewfsFormat): number | undefined {
  const bytes = fs.fs_size * fs.fs_fsize;
  const about = Math.max(1, Math.floor(bytes / fs.ninodes));
  for (const bytesPerInode of [4 * fs.fs_fsize, 2 * fs.fs_fsize, 8 * fs.fs_fsize, about]) {
    try {
      const layout = newfsLayout({ format, blockSize: fs.fs_bsize, fragSize: fs.fs_fsize, bytesPerInode }, bytes);
      if (layout.fs_ipg === fs.fs_ipg && layout.fs_ncg === fs.fs_ncg) {
        return bytesPerInode === 4 * fs.fs_fsize ? undefined : bytesPerInode;
      }
    } catch {
      // A layout that newfs does not make.
    }
  }
  return about;
}

/** The `rumpfuse newfs` command that makes a volume of the same layout. */
export function newfscommand(fs: Fs, dialect: FfsDialect): string {
  const old = fs.fs_old_inodefmt === FS_42INODEFMT || fs.solaris;
  const format: NewfsFormat = fs.fs_magic === FS_UFS2EA_MAGIC ? '2ea' : fs.ufs2 ? 2 : old ? 0 : 1;
  const inodes = density(fs, format);
  const words = [
    'rumpfuse newfs',
    '--format',
    String(format),
    '--byte-order',
    fs.le ? 'le' : 'be',
    '--size',
    String(fs.fs_size * fs.fs_fsize),
    '--block-size',
    String(fs.fs_bsize),
    '--frag-size',
    String(fs.fs_fsize),
    ...(inodes === undefined ? [] : ['--inode-density', String(inodes)]),
    '--minfree',
    String(fs.fs_minfree),
  ];
  if (fs.fs_volname !== '' && /^[\w.-]+$/.test(fs.fs_volname)) words.push('--label', fs.fs_volname);
  if (dialect === 'netbsd' && fs.wide && fs.fs_journal_location !== 0) words.push('--log');
  words.push('IMAGE');
  return `# newfs command for a volume like this (optimization: ` +
    `${fs.fs_optim === FS_OPTSPACE ? 'space' : 'time'})\n${words.join(' ')}`;
}
