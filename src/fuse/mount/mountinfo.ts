import { readFileSync } from 'node:fs';

/** A mount of this process's mount namespace (proc(5), mountinfo). */
export interface MountInfo {
  readonly id: number;
  /** `major:minor`. Each FUSE connection has its own; the minor number is the connection's in /sys/fs/fuse. */
  readonly device: string;
  readonly mountpoint: string;
  readonly fstype: string;
  readonly source: string;
  readonly options: string;
}

/** Space, tab, newline and backslash are written as \ooo. */
function unescape(field: string): string {
  return Buffer.from(
    field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    'latin1',
  ).toString('utf8');
}

/** In the order of mounting: of several mounts on one directory the last one is on top. */
export function parseMountinfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const dash = line.indexOf(' - ');
    if (dash < 0) continue;
    const left = line.slice(0, dash).split(' ');
    const right = line.slice(dash + 3).split(' ');
    mounts.push({
      id: Number(left[0]),
      device: left[2] ?? '',
      mountpoint: unescape(left[4] ?? ''),
      fstype: right[0] ?? '',
      source: unescape(right[1] ?? ''),
      options: [left[5] ?? '', right[2] ?? ''].filter((part) => part !== '').join(','),
    });
  }
  return mounts;
}

export function readMountinfo(): MountInfo[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** The mount that one sees at a directory. */
export function topMount(mounts: readonly MountInfo[], directory: string): MountInfo | undefined {
  return mounts.findLast((mount) => mount.mountpoint === directory);
}
