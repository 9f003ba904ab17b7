import { Errno } from '../kernel/errno.js';

/**
 * Exit statuses. Those of mount follow mount(8): 1 wrong use or permission, 2 a fault of this program, 32 the mount
 * failed.
 */
export const EXIT_USAGE = 1;
export const EXIT_BUG = 2;
export const EXIT_MOUNT = 32;

/** An error for the person at the terminal: one line that says what happened, where, and what to do. */
export class Failure extends Error {
  readonly exitStatus: number;

  constructor(message: string, exitStatus = EXIT_USAGE) {
    super(message);
    this.exitStatus = exitStatus;
  }
}

const WORDS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied (run as root, or give yourself access to the device)',
  EPERM: 'not permitted',
  EISDIR: 'is a directory, not an image or a device',
  EBUSY: 'is in use',
  EROFS: 'is read-only',
  ENXIO: 'no such device',
  EFTYPE: 'no file system that rumpfuse knows',
  EIO: 'input/output error',
  ENOTDIR: 'is not a directory',
  ENOSPC: 'no space left',
  EINVAL: 'invalid argument',
};

/** What an error thrown by the kernel or by Node means, in words. */
export function words(error: unknown): string {
  if (error instanceof Failure) return error.message;
  if (error instanceof Error) {
    const code = (error as { code?: string }).code;
    const plain = error.message === code || error.message === '';
    if (error instanceof Errno && !plain) return error.message;
    if (code !== undefined && WORDS[code] !== undefined) return WORDS[code];
    return error.message;
  }
  return String(error);
}
