import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { FL } from '../disk/dinode.js';
import { dirent_sealed } from '../disk/dirent.js';
import { dx_countat, dx_problem } from '../disk/htree.js';
import { ext2_bmaprun } from '../file/bmap.js';
import type { Inode } from '../file/inode.js';
import { BLOCK_DIR, verified } from '../volume/verified.js';

/**
 * A stretch of a directory whose entries follow each other: a block, or what an inode has of a directory. Valid until
 * the next await.
 */
export interface Piece {
  readonly data: Uint8Array;
  readonly view: DataView;
  /** Entries lie at `from`..`to`-1. */
  readonly from: number;
  readonly to: number;
  /** Byte offset in the directory of the first byte of `data`. */
  readonly base: number;
}

/** A directory in its inode begins with the number of its parent; it has no entries for itself and for that. */
export const INLINE_PARENT_BYTES = 4;

/** Reports damage in a directory, once for each place. */
export function ext2_dirbad(ip: Inode, offset: number, what: string): void {
  ip.i_em.em_damage.note(`directory inode ${ip.i_number}, entry at ${offset}: ${what}`);
}

/**
 * Hands the pieces from block `lbn` on to `visit`, which says whether to go on. @returns whether the end was reached.
 * @throws EIO
 */
export function ext2_dirwalk(ip: Inode, lbn: number, visit: (piece: Piece) => boolean): MaybePromise<boolean> {
  const { i_inline: data } = ip;
  if (data !== null) {
    const to = Math.min(ip.i_size, data.length);
    return visit({
      data,
      view: new DataView(data.buffer, data.byteOffset, data.length),
      from: Math.min(INLINE_PARENT_BYTES, to),
      to,
      base: 0,
    });
  }
  const blocks = Math.ceil(ip.i_size / ip.i_fs.bsize);
  while (lbn < blocks) {
    const run = ext2_bmaprun(ip, lbn, blocks - lbn);
    if (run instanceof Promise) {
      const from = lbn;
      return run
        .then((r) => walkrun(ip, from, r.block, r.blocks, visit))
        .then((next) => (next < 0 ? false : ext2_dirwalk(ip, next, visit)));
    }
    const next = walkrun(ip, lbn, run.block, run.blocks, visit);
    if (next instanceof Promise) return next.then((n) => (n < 0 ? false : ext2_dirwalk(ip, n, visit)));
    if (next < 0) return false;
    lbn = next;
  }
  return true;
}

/** @returns the block behind the run; -1: enough */
function walkrun(
  ip: Inode,
  lbn: number,
  block: number,
  blocks: number,
  visit: (piece: Piece) => boolean,
): MaybePromise<number> {
  if (block === 0) {
    ext2_dirbad(ip, lbn * ip.i_fs.bsize, `a hole of ${blocks} blocks`);
    return lbn + blocks;
  }
  for (let i = 0; i < blocks; i++) {
    const bp = ip.i_em.bread(block + i, `directory inode ${ip.i_number}`);
    if (bp instanceof Promise) {
      const k = i;
      return bp.then((b) =>
        visit(piece_of(ip, lbn + k, b))
          ? k + 1 < blocks
            ? walkrun(ip, lbn + k + 1, block + k + 1, blocks - k - 1, visit)
            : lbn + blocks
          : -1,
      );
    }
    if (!visit(piece_of(ip, lbn + i, bp))) return -1;
  }
  return lbn + blocks;
}

/** Takes the reference to `bp`. @throws EIO its checksum is wrong */
export function piece_of(ip: Inode, lbn: number, bp: Buf): Piece {
  ip.i_em.em_bufcache.brelse(bp);
  dirblock_verify(ip, lbn, bp);
  return { data: bp.b_data, view: bp.b_view, from: 0, to: bp.b_bcount, base: lbn * ip.i_fs.bsize };
}

/** @throws EIO the checksum of block `lbn` of a directory is wrong */
export function dirblock_verify(ip: Inode, lbn: number, bp: Buf): void {
  if (!ip.i_em.em_csum || verified(bp, BLOCK_DIR, ip.i_number)) return;
  const problem = checksum(ip, lbn, bp);
  if (problem !== undefined)
    throw ip.i_em.em_damage.error(`directory inode ${ip.i_number}, block ${lbn}: ${problem}`);
  bp.b_private = ip.i_number * 8 + BLOCK_DIR;
}

function checksum(ip: Inode, lbn: number, bp: Buf): string | undefined {
  const countat = ip.has(FL.INDEX) ? dx_countat(bp.b_view, lbn, ip.i_fs.bsize) : undefined;
  if (countat !== undefined) return dx_problem(ip.csum_seed, bp.b_data, bp.b_view, countat);
  const sealed = dirent_sealed(ip.csum_seed, bp.b_data, bp.b_view);
  return sealed === undefined ? 'there is no checksum at its end' : sealed ? undefined : 'checksum is wrong';
}
