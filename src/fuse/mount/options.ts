import { MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from './libc.js';

/** How the host is to mount. */
export interface HostMount {
  /** Absolute, without symlinks (see checkMountpoint). */
  readonly mountpoint: string;
  /** What mount(8) and df(1) show as the device. */
  readonly source: string;
  readonly readonly: boolean;
  readonly suid: boolean;
  readonly dev: boolean;
  readonly exec: boolean;
  readonly noatime?: boolean;
  /** Others than the mounting user may use the mount. */
  readonly allow_other: boolean;
  /** The host checks permissions by owner and mode. */
  readonly default_permissions: boolean;
  /** Largest read in bytes; 0 or nothing: no limit of the mount's. */
  readonly max_read?: number;
}

export const SUBTYPE = 'rumpfuse';
export const FSTYPE = `fuse.${SUBTYPE}`;

/** What the host's file systems have in common, as mount(2) has it. */
export function mountFlags(mount: HostMount): number {
  return (
    (mount.readonly ? MS_RDONLY : 0) |
    (mount.suid ? 0 : MS_NOSUID) |
    (mount.dev ? 0 : MS_NODEV) |
    (mount.exec ? 0 : MS_NOEXEC) |
    (mount.noatime === true ? MS_NOATIME : 0)
  );
}

/** The same in words. */
function flags(mount: HostMount): string[] {
  const list = [mount.readonly ? 'ro' : 'rw'];
  if (!mount.suid) list.push('nosuid');
  if (!mount.dev) list.push('nodev');
  if (!mount.exec) list.push('noexec');
  if (mount.noatime === true) list.push('noatime');
  return list;
}

/** FUSE's own. */
function ownOptions(mount: HostMount): string[] {
  const list: string[] = [];
  if (mount.default_permissions) list.push('default_permissions');
  if (mount.allow_other) list.push('allow_other');
  if (mount.max_read !== undefined && mount.max_read > 0) list.push(`max_read=${mount.max_read}`);
  return list;
}

/** For mount(2) with the FUSE descriptor `fd`. */
export function mountData(mount: HostMount, fd: number, uid: number, gid: number): string {
  return [`fd=${fd}`, 'rootmode=40000', `user_id=${uid}`, `group_id=${gid}`, ...ownOptions(mount)].join(',');
}

/** For mount(8) with the FUSE descriptor inherited as `fd`. The source is an argument of its own there. */
export function mountOptions(mount: HostMount, fd: number, uid: number, gid: number): string {
  return [mountData(mount, fd, uid, gid), ...flags(mount)].join(',');
}

/** A value inside fusermount3's option list: it ends at a comma that no backslash escapes. */
export function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

/** For fusermount3, which makes mounts nosuid and nodev by itself. */
export function fusermountOptions(mount: HostMount): string {
  return [...flags(mount), ...ownOptions(mount), `subtype=${SUBTYPE}`, `fsname=${escapeOption(mount.source)}`].join(
    ',',
  );
}
