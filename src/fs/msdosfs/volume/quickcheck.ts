import type { BlockDevice } from '../../../kernel/blkdev.js';
import { Errno } from '../../../kernel/errno.js';
import type { Geometry } from '../disk/bpb.js';
import { TooMuch } from '../tools/fsck/context.js';
import { run } from '../tools/fsck/index.js';

/**
 * What is looked at before a volume that was not unmounted is written: about a second's work. A FAT of 16 MiB is that
 * of 128 GiB in clusters of 32 KiB.
 */
const BUDGET = { fatBytes: 16 << 20, entries: 200_000 };

/**
 * May a volume be written that was not unmounted? Everything is looked at that could do harm: chains that share
 * clusters, run in circles or end in free clusters, files with two names. Lost clusters and wrong counts do none.
 * @returns what forbids it
 */
export async function quickcheck(dev: BlockDevice, g: Geometry): Promise<string | undefined> {
  try {
    const ctx = await run(dev, g, 'check', BUDGET);
    return ctx.serious === 0 ? undefined : `is damaged in ${ctx.serious} places (${ctx.worst})`;
  } catch (error) {
    if (error instanceof TooMuch) return 'is too large to be looked over on the way';
    if (error instanceof Errno) return `cannot be looked over: ${error.message}`;
    throw error;
  }
}
