import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { crc32c } from '../../lib/crc32c.js';
import { I_BLOCK_BYTES } from '../disk/dinode.js';
import {
  EXT_ENTRY,
  EXT_HEADER,
  EXT_INIT_MAX_LEN,
  ee_block,
  ee_len,
  ee_start,
  eh_depth,
  eh_entries,
  eh_max,
  eh_problem,
  ei_leaf,
  ext_search,
} from '../disk/extent.js';
import { BLOCK_EXTENT, verified } from '../volume/verified.js';
import type { Inode } from './inode.js';
import { MAX_LBN, Run } from './run.js';

/** A node of the tree of a file: where it lies, and which blocks of the file may be below it. */
interface Node {
  readonly view: DataView;
  readonly depth: number;
  /** The blocks are `first`..`end`-1. */
  readonly first: number;
  readonly end: number;
}

function bad(ip: Inode, where: string, what: string): Error {
  return ip.i_em.em_damage.error(`inode ${ip.i_number}: extent tree, ${where}: ${what}`);
}

/** The run that begins with block `lbn`, at most `max` blocks of it. It may end before it must. @throws EIO damage */
export function ext_run(ip: Inode, lbn: number, max: number): MaybePromise<Run> {
  const view = ip.i_blockview;
  const problem = eh_problem(view, 0, I_BLOCK_BYTES);
  if (problem !== undefined) throw bad(ip, 'root', problem);
  return descend(ip, { view, depth: eh_depth(view, 0), first: 0, end: MAX_LBN }, 'root', lbn, max);
}

/** Depth falls by one with each step, and is at most 5 at the root. */
function descend(ip: Inode, node: Node, where: string, lbn: number, max: number): MaybePromise<Run> {
  const { view } = node;
  const i = ext_search(view, 0, lbn);
  const next = i + 1 < eh_entries(view, 0) ? Math.min(ee_block(view, 0, i + 1), node.end) : node.end;
  if (next <= lbn) throw bad(ip, where, `entries are not in order at ${i}`);
  if (i < 0) return new Run(0, Math.min(max, next - lbn));
  if (ee_block(view, 0, i) < node.first)
    throw bad(ip, where, `entry ${i} is for block ${ee_block(view, 0, i)}, below ${node.first}`);
  if (node.depth === 0) return leaf(ip, node, where, i, next, lbn, max);
  const block = ei_leaf(view, 0, i);
  const first = ee_block(view, 0, i);
  const bp = ip.i_em.bread(block, `inode ${ip.i_number}: extent tree, ${where}, entry ${i}`);
  if (bp instanceof Promise) return bp.then((b) => below(ip, b, node.depth - 1, first, next, lbn, max));
  return below(ip, bp, node.depth - 1, first, next, lbn, max);
}

/** Takes the reference to `bp`, which may be used until the next await. */
function below(
  ip: Inode,
  bp: Buf,
  depth: number,
  first: number,
  end: number,
  lbn: number,
  max: number,
): MaybePromise<Run> {
  ip.i_em.em_bufcache.brelse(bp);
  ext_verify(ip, bp, depth);
  return descend(ip, { view: bp.b_view, depth, first, end }, `block ${bp.b_offset / ip.i_fs.bsize}`, lbn, max);
}

/** @throws EIO the block is no node of the tree of `ip`, `depth` levels above the leaves */
export function ext_verify(ip: Inode, bp: Buf, depth: number): void {
  const view = bp.b_view;
  const where = `block ${bp.b_offset / ip.i_fs.bsize}`;
  if (!verified(bp, BLOCK_EXTENT, ip.i_number)) {
    const problem = eh_problem(view, 0, ip.i_fs.bsize) ?? checksum(ip, bp);
    if (problem !== undefined) throw bad(ip, where, problem);
    bp.b_private = ip.i_number * 8 + BLOCK_EXTENT;
  }
  if (eh_depth(view, 0) !== depth) throw bad(ip, where, `eh_depth ${eh_depth(view, 0)} should be ${depth}`);
}

/** The tail lies behind the last entry that there is room for. */
function checksum(ip: Inode, bp: Buf): string | undefined {
  if (!ip.i_em.em_csum) return undefined;
  const tail = EXT_HEADER + eh_max(bp.b_view, 0) * EXT_ENTRY;
  if (tail + 4 > bp.b_bcount) return `eh_max ${eh_max(bp.b_view, 0)} leaves no room for the checksum`;
  const crc = crc32c(ip.csum_seed, bp.b_data, 0, tail);
  return crc === bp.b_view.getUint32(tail, true) ? undefined : 'checksum is wrong';
}

function leaf(ip: Inode, node: Node, where: string, i: number, next: number, lbn: number, max: number): Run {
  const { view } = node;
  const first = ee_block(view, 0, i);
  const length = ee_len(view, 0, i);
  const unwritten = length > EXT_INIT_MAX_LEN;
  const blocks = unwritten ? length - EXT_INIT_MAX_LEN : length;
  const start = ee_start(view, 0, i);
  if (blocks === 0 || first + blocks > next)
    throw bad(ip, where, `extent ${i} has blocks ${first} to ${first + blocks - 1}, the next one begins at ${next}`);
  if (!ip.i_em.inside(start, blocks))
    throw bad(ip, where, `extent ${i} lies at blocks ${start} to ${start + blocks - 1}, outside of the volume`);
  if (lbn >= first + blocks) return new Run(0, Math.min(max, next - lbn));
  const left = first + blocks - lbn;
  if (unwritten) return new Run(0, Math.min(max, left), start + lbn - first);
  return new Run(
    start + lbn - first,
    Math.min(max, left + following(ip, view, i, left, start + blocks, first + blocks, max)),
  );
}

/** Blocks of the extents behind extent `i` that go on where it ends. */
function following(
  ip: Inode,
  view: DataView,
  i: number,
  have: number,
  start: number,
  lbn: number,
  max: number,
): number {
  let more = 0;
  for (let k = i + 1; k < eh_entries(view, 0) && have + more < max; k++) {
    const length = ee_len(view, 0, k);
    if (
      ee_block(view, 0, k) !== lbn + more ||
      ee_start(view, 0, k) !== start + more ||
      length > EXT_INIT_MAX_LEN ||
      length === 0
    )
      break;
    if (!ip.i_em.inside(start + more, length)) break;
    more += length;
  }
  return more;
}
