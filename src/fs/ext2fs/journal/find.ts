import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { INCOMPAT } from '../disk/features.js';
import type { JournalSuper } from '../disk/journal.js';
import { journal_super } from '../disk/journal.js';
import { SBOFF, SBSIZE, superblock_marked } from '../disk/superblock.js';
import { ext2_bmaprun } from '../file/bmap.js';
import { inode_fill } from '../file/fill.js';
import { Inode } from '../file/inode.js';
import type { Ext2Mount } from '../volume/ext2mount.js';

/** The blocks of a journal: where each lies. It need not be contiguous. */
export class Log {
  readonly dev: BlockDevice;
  readonly bsize: number;
  /**
   * The block that the journal's superblock is in: the first of a journal in the volume. On a device of its own the log
   * counts the device's blocks, among which those of the device's own superblock come first.
   */
  readonly start: number;
  /** First block of each run, where it lies (bytes), in order. */
  private readonly first: number[] = [];
  private readonly at: number[] = [];
  /** Blocks that are known. */
  blocks = 0;

  constructor(dev: BlockDevice, bsize: number, start = 0) {
    this.dev = dev;
    this.bsize = bsize;
    this.start = start;
  }

  add(at: number, blocks: number): void {
    this.first.push(this.blocks);
    this.at.push(at);
    this.blocks += blocks;
  }

  /** Byte of block `n`, which is below {@link blocks}. */
  place(n: number): number {
    let low = 0;
    let high = this.first.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.first[middle] <= n) low = middle;
      else high = middle;
    }
    return this.at[low] + (n - this.first[low]) * this.bsize;
  }

  async read(n: number): Promise<Uint8Array> {
    const block = new Uint8Array(this.bsize);
    await this.dev.read(block, 0, this.bsize, this.place(n));
    return block;
  }
}

/** More blocks than any journal has (Linux: 32 bits; mke2fs: 10,240,000). */
const LOG_BLOCKS_MAX = 2 ** 26;

/** The inode of the volume's own journal. @throws EIO it is no file */
async function journal_inode(em: Ext2Mount): Promise<Inode> {
  const ino = em.em_fs.s_journal_inum;
  const bad = (what: string): Error => em.em_damage.error(`journal, inode ${ino}: ${what}`);
  if (ino === 0 || ino > em.em_fs.s_inodes_count) throw bad('there is no such inode');
  const ip = new Inode(em, ino);
  await inode_fill(ip);
  if ((ip.i_mode & 0xf000) !== 0x8000 || ip.i_nlink === 0 || ip.i_inline !== null) throw bad('it is no ordinary file');
  return ip;
}

/** How long the journal of the volume itself is. */
export async function journal_blocks(em: Ext2Mount): Promise<number> {
  return Math.floor((await journal_inode(em)).i_size / em.em_fs.bsize);
}

/** The journal in the volume. @throws EIO */
export async function internal_log(em: Ext2Mount): Promise<Log> {
  const ip = await journal_inode(em);
  const { bsize } = em.em_fs;
  const log = new Log(em.em_dev, bsize);
  const blocks = Math.min(Math.floor(ip.i_size / bsize), LOG_BLOCKS_MAX);
  while (log.blocks < blocks) {
    const run = await ext2_bmaprun(ip, log.blocks, blocks - log.blocks);
    if (run.block === 0) throw em.em_damage.error(`journal, inode ${ip.i_number}: block ${log.blocks} is a hole`);
    log.add(run.block * bsize, run.blocks);
  }
  return log;
}

/** The journal on a device of its own. @throws EINVAL it is none, or another volume's; EIO */
export async function external_log(em: Ext2Mount, dev: BlockDevice): Promise<Log> {
  const sb = new Uint8Array(SBSIZE);
  const view = new DataView(sb.buffer);
  if (dev.size_bytes >= SBOFF + SBSIZE) await dev.read(sb, 0, SBSIZE, SBOFF);
  if (!superblock_marked(view) || (view.getUint32(0x60, true) & INCOMPAT.journal_dev) === 0)
    throw errno(E.EINVAL, `${dev.name}: this is no journal of an ext volume`);
  const { bsize, s_journal_uuid } = em.em_fs;
  if (1024 * 2 ** Math.min(view.getUint32(0x18, true), 7) !== bsize)
    throw errno(E.EINVAL, `${dev.name}: the blocks of the journal are not as large as the volume's`);
  if (s_journal_uuid.some((byte, i) => byte !== sb[0x68 + i]))
    throw errno(E.EINVAL, `${dev.name}: this is the journal of another volume (UUID)`);
  const log = new Log(dev, bsize, Math.floor(SBOFF / bsize) + 1);
  log.add(0, Math.min(view.getUint32(4, true), Math.floor(dev.size_bytes / bsize)));
  return log;
}

/** The journal of the volume, in it or on `dev`. @throws EINVAL EIO */
export function volume_log(em: Ext2Mount, dev: BlockDevice | null): Promise<Log> {
  return em.em_fs.s_journal_inum === 0 && dev !== null ? external_log(em, dev) : internal_log(em);
}

/** Reads the superblock of a journal. @throws EIO */
export async function log_super(em: Ext2Mount, log: Log): Promise<JournalSuper> {
  if (log.blocks <= log.start) throw em.em_damage.error('journal: it has no blocks');
  const sb = journal_super(await log.read(log.start));
  if (typeof sb === 'string') throw em.em_damage.error(`journal: superblock: ${sb}`);
  if (sb.s_blocksize !== log.bsize) throw em.em_damage.error(`journal: superblock: s_blocksize ${sb.s_blocksize}`);
  if (sb.s_maxlen > log.blocks)
    throw em.em_damage.error(`journal: superblock: s_maxlen ${sb.s_maxlen}, but there are ${log.blocks} blocks`);
  return sb;
}
