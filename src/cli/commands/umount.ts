import { readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { MountFailure } from '../../fuse/mount/failure.js';
import { parseMountinfo } from '../../fuse/mount/mountinfo.js';
import { unmount } from '../../fuse/mount/unmount.js';
import { Failure, EXIT_MOUNT } from '../failure.js';
import { alive, dropStaleRecords, inShort, listMounts, readLog, removeRecord, type HostMount } from '../mounts.js';
import { tellEnded } from './list.js';
import { complain } from '../say.js';

export interface UmountOptions {
  /** Detach now even if files are open; the server ends when the last is closed. */
  readonly lazy: boolean;
  /** How long to wait for the server to write everything and end; milliseconds. */
  readonly timeout_ms: number;
}

/** How often it is looked whether the serving processes have ended, milliseconds. */
const LOOK_MS = 5;
/**
 * After so many looks, and once more after twice as many, it is looked whether another mount namespace keeps them
 * alive.
 */
const LOOKS_ELSEWHERE = 200;

/** As many links as Linux follows. */
const LINKS_MAX = 40;

/**
 * Where a name leads that is a symbolic link; readlink(2) says whether it is one without a look at what may be mounted
 * there.
 */
function throughLinks(name: string): string {
  for (let links = 0; links < LINKS_MAX; links++) {
    try {
      name = path.resolve(realpathSync(path.dirname(name)), readlinkSync(name));
    } catch {
      return name;
    }
  }
  return name;
}

/** The rumpfuse mount on a directory or of an image: the newest of those that fit. */
function find(target: string): HostMount | undefined {
  // Only what leads to it is resolved: the mount point itself may hang, and must not be touched.
  const absolute = throughLinks(path.resolve(target));
  let resolved = absolute;
  try {
    resolved = path.join(realpathSync(path.dirname(absolute)), path.basename(absolute));
  } catch {
    // A parent that does not exist: the lookup below says so.
  }
  return listMounts().findLast(
    (mount) =>
      [absolute, resolved].includes(mount.mountpoint) || mount.details?.image === absolute || mount.source === target,
  );
}

/** A process in whose mount namespace, another one than this program's, this is still mounted. */
function mountedFor({ device, source }: HostMount): string | undefined {
  const here = readlinkSync('/proc/self/ns/mnt');
  return readdirSync('/proc').find((pid) => {
    try {
      if (!/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/ns/mnt`) === here) return false;
      // The device's number alone may be another mount's by now.
      return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1')).some(
        (mount) => mount.device === device && mount.source === source,
      );
    } catch {
      return false; // It has ended, or is not ours to look at.
    }
  });
}

function unmountHost(mount: HostMount, lazy: boolean): void {
  try {
    unmount(mount.device, { lazy });
  } catch (error) {
    if (!(error instanceof MountFailure)) throw error;
    throw new Failure(error.code === 'EBUSY' ? `${error.message}; or use --lazy` : error.message, EXIT_MOUNT);
  }
}

/** `rumpfuse umount DIR`: returns when everything is on the disk and the serving processes are gone. */
export async function umount(target: string, options: UmountOptions): Promise<void> {
  const mount = find(target);
  if (mount === undefined) {
    const absolute = path.resolve(target);
    for (const ended of dropStaleRecords(listMounts(), absolute)) {
      if ([ended.record.mountpoint, ended.record.image].includes(absolute)) tellEnded(ended);
    }
    throw new Failure(`${target} is not mounted by rumpfuse (rumpfuse list shows what is)`, EXIT_MOUNT);
  }
  unmountHost(mount, options.lazy);
  const pid = mount.pid;
  const deadline = Date.now() + options.timeout_ms;
  let elsewhere: string | undefined;
  for (let looks = 1; !options.lazy && pid !== undefined && alive(pid); looks++) {
    if (looks % LOOKS_ELSEWHERE === 0 && looks <= 2 * LOOKS_ELSEWHERE) {
      const before = elsewhere;
      elsewhere = mountedFor(mount);
      // Seen once, it may be a namespace that is just being made, whose maker lets go of all mounts at once.
      if (elsewhere !== undefined && elsewhere === before) {
        complain(
          `rumpfuse: ${mount.mountpoint} is unmounted here, but process ${elsewhere} is in a mount namespace that ` +
            'has it still (a container, or a service): waiting until it is unmounted there, too',
        );
      }
    }
    if (Date.now() > deadline) {
      throw new Failure(
        `${mount.mountpoint} is unmounted, but process ${pid} has not finished writing after ` +
          `${options.timeout_ms / 1000} s; do not remove the disk yet`,
        EXIT_MOUNT,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  if (options.lazy) return;
  const log = mount.details?.log;
  const said = log === undefined ? [] : readLog(log);
  for (const line of inShort(said)) complain(line);
  const served = pid ?? mount.details?.pid;
  if (served !== undefined) removeRecord(mount.device, served);
  // Where nothing could be written nothing can have been lost.
  const readonly = mount.details?.readonly === true || mount.options.split(',').includes('ro');
  if (!readonly && said.some((line) => line.includes('error:'))) {
    throw new Failure(
      `${mount.mountpoint} is unmounted, but not all went well (above); check the volume: rumpfuse fsck ` +
        `${mount.details?.image}`,
      EXIT_MOUNT,
    );
  }
}
