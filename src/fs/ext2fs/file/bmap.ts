import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { FL } from '../disk/dinode.js';
import { ext_run } from './extents.js';
import { indir_run } from './indirect.js';
import type { Inode } from './inode.js';
import type { Run } from './run.js';

/**
 * The run of a file's blocks that begins with `lbn`, at most `max` (at least 1) of them; it may end early. @throws EIO
 * damage
 */
export function ext2_bmaprun(ip: Inode, lbn: number, max: number): MaybePromise<Run> {
  return ip.has(FL.EXTENTS) ? ext_run(ip, lbn, max) : indir_run(ip, lbn, max);
}

/** Block `lbn` of a file whose blocks are metadata, referenced; null for a hole. */
export function ext2_blkatoff(ip: Inode, lbn: number): MaybePromise<Buf | null> {
  const run = ext2_bmaprun(ip, lbn, 1);
  if (run instanceof Promise)
    return run.then((r) => (r.block === 0 ? null : ip.i_em.bread(r.block, `inode ${ip.i_number}`)));
  return run.block === 0 ? null : ip.i_em.bread(run.block, `inode ${ip.i_number}`);
}
