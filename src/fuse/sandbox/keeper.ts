/** Unmounts when the supervisor has died: a locked-down server cannot. */
import { spawn } from 'node:child_process';
import { isSuperuser } from '../mount/mount.js';
import { FSTYPE } from '../mount/options.js';
import { isOurs } from './orphans.js';

/**
 * Waits for a line with the mount's number (a dash: there is none), and for a second one, or for the end of everybody
 * who has the pipe; then, if the mount is still there, detaches it. Without a number it is the one of our type on that
 * directory: nobody else mounts there while a supervisor is about to.
 */
const SCRIPT = `
place=$1
type=$2
shift 2
read -r device && read -r line && exit 0
[ "$device" = - ] && exit 0
while read -r id parent number root point rest; do
  [ "$point" = "$place" ] || continue
  if [ -n "$device" ]; then
    [ "$number" = "$device" ] && exec "$@"
  else
    case $rest in *" - $type "*) exec "$@" ;; esac
  fi
done < /proc/self/mountinfo
`;

/** As mountinfo writes it (proc(5)). */
function escaped(directory: string): string {
  return directory.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

export interface Keeper {
  /**
   * The descriptor of its pipe, for a program that makes the mount (fusermount3, mount(8)) and may go on when this
   * process has died: the keeper waits for both. undefined: there is no keeper.
   */
  readonly pipe: number | undefined;
  /** The mount has been made. `device`: its number. */
  mounted(device: string): void;
  /** There is nothing to be unmounted any more, or there never was. */
  dismiss(): void;
}

/** To be started before the mount is made: from then on it does not stay when this process dies. */
export function startKeeper(mountpoint: string): Keeper {
  const unmount = isSuperuser()
    ? ['umount', '-i', '-c', '-l', '--', mountpoint]
    : ['fusermount3', '-u', '-z', '--', mountpoint];
  // In a session of its own: what ends the supervisor must not end it, too.
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', escaped(mountpoint), FSTYPE, ...unmount], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  isOurs(child.pid);
  child.on('error', () => {}); // then there is none
  child.stdin.on('error', () => {});
  child.unref();
  let told = false;
  return {
    // Node has no public name for it.
    pipe: (child.stdin as unknown as { _handle: { fd: number } | null })._handle?.fd,
    mounted(device) {
      told = true;
      child.stdin.write(`${device}\n`);
    },
    dismiss: () => void child.stdin.end(told ? '\n' : '-\n\n'),
  };
}
