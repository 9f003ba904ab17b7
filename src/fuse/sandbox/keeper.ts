/** Unmounts when the supervisor has died: a locked-down server cannot. */
import { spawn } from 'node:child_process';
import { isSuperuser } from '../mount/mount.js';
import type { MountInfo } from '../mount/mountinfo.js';

/** Waits for a line, or the end of whoever should write it; then, if that mount is still there, detaches it. */
const SCRIPT = `
read -r line && exit 0
device=$1
shift
while read -r id parent number rest; do
  [ "$number" = "$device" ] && exec "$@"
done < /proc/self/mountinfo
`;

/** The supervisor calls the returned function when it has seen the mount's end. */
export function keep(mount: MountInfo): () => void {
  const unmount = isSuperuser() ? ['umount', '-i', '-c', '-l', '--', mount.mountpoint] : ['fusermount3', '-u', '-z', '--', mount.mountpoint];
  // In a session of its own: what ends the supervisor must not end it, too.
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', mount.device, ...unmount], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' });
  child.on('error', () => {}); // then there is none
  child.stdin.on('error', () => {});
  child.unref();
  return () => void child.stdin.end('\n');
}
