import { NOCRED } from './cred.js';
import type { Cred } from './cred.js';

/** On whose behalf a call is made, and whether the caller still wants the result. Every VOP gets one; an Lwp is one. */
export interface Context {
  readonly cred: Cred;
  /**
   * Aborted when the caller gives up (a signal to the program, FUSE_INTERRUPT). What can take long looks at it and
   * fails with EINTR, the state of the file being one that the operation could have left on its way. undefined: the
   * caller waits as long as it takes.
   */
  readonly signal: AbortSignal | undefined;
}

/** The kernel itself: superuser, and it waits. */
export const KERNEL_CONTEXT: Context = Object.freeze({ cred: NOCRED, signal: undefined });
