/**
 * A mount or unmount that failed: the message says in one line what happened and what to do. `code` is the host's errno
 * name, where one is behind it.
 */
export class MountFailure extends Error {
  readonly code: string;

  constructor(message: string, code = 'EINVAL') {
    super(message);
    this.name = 'MountFailure';
    this.code = code;
  }
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? '';
}
