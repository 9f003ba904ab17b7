/** Changes of a volume as operations: as a whole or not at all. */
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Ext2Mount } from './ext2mount.js';
import type { WriteState } from './writestate.js';

/** @throws EROFS the volume is only read */
export function WRITE(em: Ext2Mount): WriteState {
  if (em.em_write === null) throw errno(E.EROFS);
  return em.em_write;
}

/** The rest of a change that cannot be taken back: if it fails, nothing more is changed. */
export async function irrevocable(state: WriteState, rest: () => Promise<void>): Promise<void> {
  try {
    await rest();
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    state.fail(`a change could not be brought to its end (${why}); run a check (rumpfuse fsck)`);
    throw thrown;
  }
}

/**
 * Runs `op` as an operation. If it fails for lack of room while freed blocks wait for a flush, flushes and runs it
 * again; `op` must therefore have undone everything when it throws.
 */
export async function transact<T>(state: WriteState, op: () => MaybePromise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const wait = state.order.begin();
    if (wait) await wait;
    try {
      return await op();
    } catch (error) {
      if (attempt > 0 || !state.roomcoming(error)) throw error;
    } finally {
      state.order.end();
    }
    await state.order.flush(true);
  }
}
