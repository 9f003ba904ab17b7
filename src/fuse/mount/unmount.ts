import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { MountFailure } from './failure.js';
import { fusermount, isSuperuser } from './mount.js';
import { readMountinfo, topMount } from './mountinfo.js';

export interface UnmountOptions {
  /** Detach now; the host ends the mount when the last user is gone. */
  readonly lazy?: boolean;
}

/**
 * Unmounts the FUSE connection `device` (major:minor) wherever this namespace has it mounted, and nothing else: what
 * somebody has mounted on top of it or in its place stays. Does nothing when it is not mounted any more.
 * @throws MountFailure with code EBUSY while files on it are in use
 */
export function unmount(device: string, options: UnmountOptions = {}): void {
  // A mount may be there several times (bind mounts), and each removal changes the list.
  for (;;) {
    const mounts = readMountinfo();
    const mount = mounts.findLast((candidate) => candidate.device === device);
    if (mount === undefined) return;
    const top = topMount(mounts, mount.mountpoint)!;
    if (top.device !== device) {
      throw new MountFailure(`${mount.mountpoint} is covered by another mount (${top.source}, ${top.fstype}): unmount that first`, 'EBUSY');
    }
    unmountTop(mount.mountpoint, options.lazy === true);
    if (readMountinfo().some((candidate) => candidate.id === mount.id)) throw new MountFailure(`${mount.mountpoint} is still mounted`, 'EBUSY');
  }
}

function unmountTop(mountpoint: string, lazy: boolean): void {
  const { status, stderr } = isSuperuser() ? umount(mountpoint, lazy) : fusermount(['-u', ...(lazy ? ['-z'] : []), '--', mountpoint]);
  if (status === 0) return;
  const line = stderr.split('\n').find((text) => text.trim() !== '')?.trim() ?? `status ${status}`;
  if (/busy/i.test(line)) throw new MountFailure(`${mountpoint} is in use (a program has a file open on it or works in it; fuser -vm ${mountpoint} names it)`, 'EBUSY');
  throw new MountFailure(`cannot unmount ${mountpoint}: ${line}`, 'EPERM');
}

function umount(mountpoint: string, lazy: boolean): { status: number | null; stderr: string } {
  // -c: the path is canonical already, and to look at it again would ask the very file system that is going.
  const { status, stderr, error } = spawnSync('umount', ['-i', '-c', ...(lazy ? ['-l'] : []), '--', mountpoint], {
    stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' },
  });
  if (error !== undefined) throw new MountFailure(`umount(8) cannot be run: ${error.message}`);
  return { status, stderr };
}

/** Ends a FUSE connection at once: whoever waits for the server gets an error. False where this is not permitted. */
export function abortConnection(device: string): boolean {
  try {
    writeFileSync(`/sys/fs/fuse/connections/${device.split(':')[1]}/abort`, '1');
    return true;
  } catch {
    return false;
  }
}
