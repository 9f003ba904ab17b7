import type { Context } from './context.js';
import type { Cred } from './cred.js';
import { Filedesc } from './sys/descriptors.js';
import type { VfsKernel } from './vfs/vfskernel.js';
import type { Vnode } from './vfs/vnode.js';

/** A process: descriptors, directories, umask. It ends with exit(); until then it keeps its directories busy. */
export class Proc {
  readonly p_fd = new Filedesc();
  p_umask = 0o022;

  constructor(
    readonly p_kernel: VfsKernel,
    readonly p_pid: number,
    /** Current directory, referenced. */
    public p_cwd: Vnode,
    /** Root directory, referenced. */
    public p_root: Vnode,
  ) {}
}

/**
 * A process acting under a credential, for a caller who may give up: the context of every system call (NetBSD's struct
 * lwp).
 */
export class Lwp implements Context {
  readonly kernel: VfsKernel;

  constructor(
    readonly p: Proc,
    readonly cred: Cred,
    readonly signal: AbortSignal | undefined = undefined,
  ) {
    this.kernel = p.p_kernel;
  }

  /** For path walks: they begin at the process's root. */
  get rootdir(): Vnode {
    return this.p.p_root;
  }
}
