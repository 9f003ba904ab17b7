import { inode_put } from '../file/store.js';
import { ext2_free } from '../space/balloc.js';
import type { WriteState } from '../volume/writestate.js';

/** What waits for a flush goes into the buffers: access times, blocks that become free, counts, checksums. */
export async function flush_prepare(state: WriteState, changed: boolean): Promise<void> {
  for (const ip of state.atimes) {
    changed = true;
    const put = inode_put(ip);
    if (put) await put;
  }
  const freed = state.frees.count > 0;
  await flush_frees(state);
  if (changed || freed) {
    const counts = state.sb.counts();
    if (counts) await counts;
  }
  await flush_seal(state);
}

/** Blocks that nothing on the disk leads to any more become free. */
export async function flush_frees(state: WriteState): Promise<void> {
  const runs = state.frees.take();
  for (let i = 0; i < runs.length; i += 2) {
    await ext2_free(state, runs[i], runs[i + 1], state.inheriting);
    state.rows?.freed(runs[i]);
  }
}

/** All checksums become right. */
export async function flush_seal(state: WriteState): Promise<void> {
  await state.groups.seal();
  state.seals.close();
}
