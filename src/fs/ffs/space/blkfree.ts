import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Cg } from '../disk/cg.js';
import { cg_account, ffs_cgread } from './cgupdate.js';
import type { FreeList } from './freelist.js';
import type { FfsMount } from '../volume/ffsmount.js';
import { WRITE } from '../volume/writestate.js';
import { badblock, blkmap, clusteracct, fragacct, isfreeblock, rotacct, setfrags } from './subr.js';

/**
 * Puts frags fsb..fsb+n-1 back into the free maps at once; the run may span blocks and groups. Only for frags that
 * nothing on the disk points to: others go through release (order/changes.ts).
 * @throws EIO for frags that are free already or are no data: damage, see WriteState.damage
 */
export function ffs_blkfree(ump: FfsMount, fsb: number, n: number): MaybePromise<void> {
  const fs = ump.um_fs;
  const problem = badblock(fs, fsb, Math.min(n, fs.fs_frag - fs.fragnum(fsb)));
  if (problem !== undefined) throw WRITE(ump).damage(`freeing ${n} frags at ${fsb}: ${problem}`);
  const c = fs.dtog(fsb);
  const piece = Math.min(n, fs.cgbase(c) + fs.cgfrags(c) - fsb);
  const bp = ffs_cgread(ump, c);
  if (bp instanceof Promise || piece < n) return slow(ump, bp, c, fsb, piece, n);
  freein(ump, bp, c, fs.dtogd(fsb), piece);
  return undefined;
}

async function slow(
  ump: FfsMount,
  bp: MaybePromise<Buf>,
  c: number,
  fsb: number,
  piece: number,
  n: number,
): Promise<void> {
  freein(ump, await bp, c, ump.um_fs.dtogd(fsb), piece);
  if (piece < n) await ffs_blkfree(ump, fsb + piece, n - piece);
}

/** Frees frags d..d+n-1 of one group and releases its buffer. */
function freein(ump: FfsMount, bp: Buf, c: number, d: number, n: number): void {
  const fs = ump.um_fs;
  const state = WRITE(ump);
  const cg = bp.b_private as Cg;
  const { fs_frag } = fs;
  const whole = (1 << fs_frag) - 1;
  try {
    while (n > 0) {
      const off = d % fs_frag;
      if (off === 0 && n >= fs_frag) {
        const b = d >> fs.fs_fragshift;
        const blks = Math.floor(n / fs_frag);
        for (let i = 0; i < blks; i++) {
          if (!isfreeblock(fs, cg, b + i)) {
            throw state.damage(
              `cylinder group ${c}: block at frag ${fs.cgbase(c) + d + i * fs_frag} is freed but was free`,
            );
          }
        }
        setfrags(cg, d, blks * fs_frag, true);
        clusteracct(fs, cg, b, blks, true);
        rotacct(fs, cg, b, blks, 1);
        cg_account(state, bp, c, blks, 0);
        d += blks * fs_frag;
        n -= blks * fs_frag;
        continue;
      }
      const m = Math.min(n, fs_frag - off);
      const base = d - off;
      const before = blkmap(fs, cg, base);
      if ((before & (((1 << m) - 1) << off)) !== 0) {
        throw state.damage(`cylinder group ${c}: frag ${fs.cgbase(c) + d} (${m} frags) is freed but was free`);
      }
      fragacct(fs, cg, before, -1);
      setfrags(cg, d, m, true);
      const after = blkmap(fs, cg, base);
      fragacct(fs, cg, after, 1);
      if (after === whole) {
        clusteracct(fs, cg, base >> fs.fs_fragshift, 1, true);
        rotacct(fs, cg, base >> fs.fs_fragshift, 1, 1);
        cg_account(state, bp, c, 1, m - fs_frag);
      } else {
        cg_account(state, bp, c, 0, m);
      }
      d += m;
      n -= m;
    }
  } finally {
    ump.um_bufcache.brelse(bp);
  }
}

/** Frees all runs of a list, which nobody else changes. One that turns out to be free already stops nothing. */
export async function ffs_freeruns(ump: FfsMount, list: FreeList): Promise<void> {
  const runs = list.takeruns();
  for (let i = 0; i < runs.length; i += 2) {
    try {
      const wait = ffs_blkfree(ump, runs[i]!, runs[i + 1]!);
      if (wait) await wait;
    } catch {
      // ffs_blkfree has logged it; what is not freed is lost until the volume is checked.
    }
  }
}
