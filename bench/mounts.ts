import { readFileSync, writeFileSync } from 'node:fs';
import { run } from './exec.js';

/** The mount on `directory` as /proc/self/mountinfo has it, without touching the mount. */
export function mountOn(directory: string): { minor: number; type: string } | undefined {
  let found: { minor: number; type: string } | undefined;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [left, right] = line.split(' - ');
    const fields = left!.split(' ');
    if (right !== undefined && fields[4] === directory) {
      found = { minor: Number(fields[2]!.split(':')[1]), type: right.split(' ')[0]! };
    }
  }
  return found;
}

/** Frees everybody who waits for the file server of `directory`: their calls fail, the mount is dead. */
export function abort(directory: string): void {
  const mount = mountOn(directory);
  if (mount === undefined) return;
  try {
    writeFileSync(`/sys/fs/fuse/connections/${mount.minor}/abort`, '1');
  } catch {
    // Not a FUSE mount, or its connection is gone already.
  }
}

/** Takes away whatever is still mounted on `directory`, dead or alive. */
export function forceUnmount(directory: string): void {
  for (let tries = 0; tries < 3 && mountOn(directory) !== undefined; tries++) {
    abort(directory);
    try {
      run('umount', ['-l', directory], 10);
    } catch {
      try {
        run('fusermount3', ['-uz', directory], 10);
      } catch {
        // Said by the caller, who finds the mount still there.
      }
    }
  }
}
