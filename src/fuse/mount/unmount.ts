import { spawnSync } from 'node:child_process';
import { readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { MountFailure, codeOf } from './failure.js';
import { fusermount, isSuperuser } from './mount.js';
import { readMountinfo, topMount } from './mountinfo.js';
import type { MountInfo } from './mountinfo.js';
import {
  FUSE_MIN_READ_BUFFER,
  FUSE_NOTIFY_INVAL_INODE,
  FUSE_ROOT_ID,
  fuse_notify_inval_inode_out,
} from '../protocol/fuse_kernel.js';
import { OutBuf, sealNotification } from '../protocol/message.js';

export interface UnmountOptions {
  /** Detach now; the host ends the mount when the last user is gone. */
  readonly lazy?: boolean;
}

/**
 * Unmounts the FUSE connection `device` (major:minor) wherever this namespace has it mounted, and nothing else: what
 * somebody has mounted on top of it stays. Does nothing when it is not mounted any more; but the number may then be
 * another mount's, so a caller must know that its own lives (see connectionState) or have just seen it in the list.
 * @throws MountFailure with code EBUSY while files on it are in use
 */
export function unmount(device: string, options: UnmountOptions = {}): void {
  // It may be there several times (bind mounts). The last one made goes first.
  for (const mount of readMountinfo()
    .filter((candidate) => candidate.device === device && candidate.fstype.startsWith('fuse'))
    .reverse()) {
    const there = (candidate: MountInfo) =>
      candidate.id === mount.id && candidate.device === device && candidate.mountpoint === mount.mountpoint;
    const mounts = readMountinfo();
    if (!mounts.some(there)) continue;
    const top = topMount(mounts, mount.mountpoint)!;
    if (!there(top)) {
      throw new MountFailure(
        `${mount.mountpoint} is covered by another mount (${top.source}, ${top.fstype}): unmount that first`,
        'EBUSY',
      );
    }
    unmountTop(mount.mountpoint, options.lazy === true);
  }
}

/**
 * What has become of the mount of an open FUSE device: `connected` (even if it was detached and is only in use),
 * `aborted` (dead, but it may still be mounted), `gone`.
 */
export function connectionState(fd: number): 'connected' | 'aborted' | 'gone' {
  // "The attributes of the root are to be asked again": harmless where there is a root, refused where there is none.
  const I = fuse_notify_inval_inode_out;
  const out = new OutBuf(I.SIZEOF);
  out.set64(I.ino, FUSE_ROOT_ID);
  out.set64(I.off, -1);
  try {
    writeSync(fd, out.u8, 0, sealNotification(out, FUSE_NOTIFY_INVAL_INODE, I.SIZEOF));
    return 'connected';
  } catch {
    try {
      readSync(fd, Buffer.alloc(FUSE_MIN_READ_BUFFER)); // cannot wait: there is nobody who could ask
      return 'gone';
    } catch (error) {
      return codeOf(error) === 'ECONNABORTED' ? 'aborted' : 'gone';
    }
  }
}

/** Unmounts what an aborted connection has left in the list of mounts, if it is really that. */
export function unmountDead(mount: MountInfo): void {
  try {
    statSync(mount.mountpoint);
  } catch (error) {
    if (codeOf(error) === 'ENOTCONN') unmount(mount.device, { lazy: true });
  }
}

function unmountTop(mountpoint: string, lazy: boolean): void {
  const { status, stderr } = isSuperuser()
    ? umount(mountpoint, lazy)
    : fusermount(['-u', ...(lazy ? ['-z'] : []), '--', mountpoint]);
  if (status === 0) return;
  const line =
    stderr
      .split('\n')
      .find((text) => text.trim() !== '')
      ?.trim() ?? `status ${status}`;
  if (/busy/i.test(line)) {
    throw new MountFailure(
      `${mountpoint} is in use (a program has a file open on it or works in it; fuser -vm ${mountpoint} names it)`,
      'EBUSY',
    );
  }
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
  const file = `/sys/fs/fuse/connections/${device.split(':')[1]}/abort`;
  try {
    writeFileSync(file, '1');
    return true;
  } catch {
    if (!isSuperuser()) return false;
    // The file system of these files (fusectl) is not mounted here: for a moment it is, where nobody else sees it.
    const script = 'mount -t fusectl none /sys/fs/fuse/connections && echo 1 > "$1"';
    return spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', file], { stdio: 'ignore' }).status === 0;
  }
}
