import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Inode } from './inode.js';
import { Run } from './run.js';

/**
 * Files without extents: 12 block numbers in the inode, and the roots of trees of one, two and three levels of blocks
 * full of numbers of 32 bits. 0 is a hole. Each step goes down one level, of three at most, whatever the numbers are.
 */
export const NDADDR = 12;
export const NIADDR = 3;

/** As ext_run. @throws EIO */
export function indir_run(ip: Inode, lbn: number, max: number): MaybePromise<Run> {
  if (lbn < NDADDR) return pointers(ip, ip.i_blockview, lbn, Math.min(max, NDADDR - lbn), 'the inode');
  const nindir = ip.i_fs.bsize / 4;
  let rel = lbn - NDADDR;
  let span = 1;
  for (let level = 0; level < NIADDR; level++) {
    span *= nindir;
    if (rel < span) return tree(ip, ip.i_blockview.getUint32(4 * (NDADDR + level), true), span, rel, max);
    rel -= span;
  }
  throw ip.i_em.em_damage.error(
    `inode ${ip.i_number}: block ${lbn} of ${ip.i_size} bytes, which no file without extents can have`,
  );
}

function tree(ip: Inode, block: number, span: number, rel: number, max: number): MaybePromise<Run> {
  if (block === 0) return new Run(0, Math.min(max, span - rel));
  const bp = ip.i_em.bread(block, `inode ${ip.i_number}: an indirect block`);
  return bp instanceof Promise ? bp.then((b) => inner(ip, b, span, rel, max)) : inner(ip, bp, span, rel, max);
}

/** Takes the reference to `bp`. */
function inner(ip: Inode, bp: Buf, span: number, rel: number, max: number): MaybePromise<Run> {
  ip.i_em.em_bufcache.brelse(bp);
  const nindir = ip.i_fs.bsize / 4;
  if (span === nindir)
    return pointers(ip, bp.b_view, rel, Math.min(max, nindir - rel), `indirect block ${bp.b_offset / ip.i_fs.bsize}`);
  const child = span / nindir;
  const i = Math.floor(rel / child);
  return tree(ip, bp.b_view.getUint32(4 * i, true), child, rel - i * child, max);
}

function pointers(ip: Inode, view: DataView, i: number, max: number, where: string): Run {
  const block = view.getUint32(4 * i, true);
  let n = 1;
  if (block === 0) {
    while (n < max && view.getUint32(4 * (i + n), true) === 0) n++;
    return new Run(0, n);
  }
  if (!ip.i_em.inside(block, 1))
    throw ip.i_em.em_damage.error(`inode ${ip.i_number}: ${where} points to block ${block}, outside of the volume`);
  while (n < max && view.getUint32(4 * (i + n), true) === block + n && ip.i_em.inside(block, n + 1)) n++;
  return new Run(block, n);
}
