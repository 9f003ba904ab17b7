/**
 * Ways to start a process in namespaces of its own, best first:
 *
 *   bwrap      bubblewrap: every namespace, a root with nothing but what Node needs to start, no capabilities but those
 *              with which the superuser's server becomes somebody else
 *   own root   the same by unshare(1), mount(8) and pivot_root(8), where bubblewrap is missing; for the superuser
 *   unshare    the namespaces alone
 *   (nothing)  no user namespaces, or a container that does not let them be made
 *
 * The server is process 1 of its namespace; the wrapper stays as its parent outside, and passes descriptors and the
 * exit status on. Until the server has locked itself down it ends with the wrapper; from then on it does not, nor does
 * it when the supervisor ends: it sees that itself and finishes what it has to write.
 */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { isSuperuser } from '../mount/mount.js';
import type { Layer } from './layers.js';
import type { NewRoot } from './lockdown.js';
import { sandboxLibc } from './libc.js';
import { bringing, needs } from './needs.js';
import type { Piece } from './needs.js';

/** A command line that goes before the server's. */
export interface Way {
  readonly name: string;
  readonly prefix: readonly string[];
  readonly layers: readonly Layer[];
  /** Namespaces that it has to itself, as /proc/PID/ns names them. */
  readonly namespaces: readonly string[];
  /** Names in its root directory, where that is the server's own and stays. */
  readonly holds?: ReadonlySet<string>;
  /** What the server itself makes of its root: see LockdownOrder. */
  readonly root?: NewRoot;
}

const EMPTY = '/empty';
const OLD = '/old';
const WITHOUT_MOUNTS = ['net', 'ipc', 'uts', 'pid'];
const WITH_MOUNTS = [...WITHOUT_MOUNTS, 'mnt'];
/**
 * With these the superuser's server reads its own files wherever they are, and then gives everything up; see
 * lockdown.ts.
 */
const TO_GIVE_UP = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_SYS_CHROOT', 'CAP_DAC_READ_SEARCH'];

/** On PATH, or where the superuser's programs are. */
function which(program: string): string | undefined {
  for (const directory of `${process.env['PATH'] ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`.split(':')) {
    if (!directory.startsWith('/')) continue;
    const file = path.join(directory, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

const ALL: Layer = { name: 'namespaces', on: true, detail: 'network, mounts, processes, ipc, host name' };

function bwrap(program: string, pieces: readonly Piece[]): Way {
  const superuser = isSuperuser();
  const root = pieces.flatMap((piece) =>
    piece.kind === 'bind' ? ['--ro-bind', piece.path, piece.path] : ['--symlink', piece.target, piece.path],
  );
  return {
    name: 'bwrap',
    prefix: [
      program,
      '--unshare-net',
      '--unshare-ipc',
      '--unshare-pid',
      '--unshare-uts',
      '--unshare-cgroup-try',
      ...(superuser ? [] : ['--unshare-user']),
      '--as-pid-1',
      ...(sandboxLibc() === null ? [] : ['--die-with-parent']),
      '--cap-drop',
      'ALL',
      ...(superuser ? TO_GIVE_UP.flatMap((capability) => ['--cap-add', capability]) : []),
      ...root,
      '--dir',
      EMPTY,
      '--remount-ro',
      '/',
      '--chdir',
      '/',
      '--',
    ],
    layers: superuser
      ? [ALL]
      : [ALL, { name: 'root', on: true, detail: 'read-only, nothing but libraries and this program' }],
    namespaces: superuser ? WITH_MOUNTS : [...WITH_MOUNTS, 'user'],
    ...(superuser
      ? { root: { empty: EMPTY } }
      : { holds: new Set([EMPTY, ...pieces.map((piece) => piece.path)].map((file) => file.split('/')[1]!)) }),
  };
}

/** Not --mount on its own: the copy of the host's mounts would keep each of them busy that is unmounted there. */
function unshareArguments(unshare: string): string[] {
  // An ordinary user's id stays what it is, and what is executed as it has no capabilities.
  const user = isSuperuser() ? [] : ['--user', '--map-current-user'];
  return [unshare, ...user, '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child'];
}

/**
 * Arguments: pieces, as `bind PATH` and `link TARGET PATH`, then -- and the command. The new root grows on /sys, which
 * every system has and nothing of ours lies in. Mounts that others end meanwhile end here, too, where the host shares
 * them. The server lets go of the old root.
 */
const OWN_ROOT = `
set -e
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
R=/sys
mount -n -t tmpfs -o mode=755,size=256k,nosuid,nodev none $R
while [ "$1" != -- ]; do
  if [ "$1" = link ]; then
    mkdir -p "$R\${3%/*}"; ln -s "$2" "$R$3"; shift 3
  else
    if [ -d "$2" ]; then mkdir -p "$R$2"; else mkdir -p "$R\${2%/*}"; : > "$R$2"; fi
    mount -n --bind -o ro,nosuid,nodev "$2" "$R$2"; shift 2
  fi
done
shift
mkdir $R${EMPTY} $R${OLD}
mount -n -o remount,ro,nosuid,nodev $R
cd $R
# What is mounted on the host's root is not to be held here when somebody unmounts it there.
set -f
for point in $(cut -d' ' -f5 /proc/self/mountinfo); do
  case $point in / | $R | $R/*) ;; *) umount -n -l "$(printf '%b' "$point")" 2>&- || : ;; esac
done
pivot_root . .${OLD}
exec "$@"
`;

/** For the superuser: letting go of the old root takes privileges that an ordinary user's server must never have. */
function ownRoot(unshare: string, pieces: readonly Piece[]): Way {
  const root = pieces.flatMap((piece) =>
    piece.kind === 'bind' ? ['bind', piece.path] : ['link', piece.target, piece.path],
  );
  return {
    name: 'own root',
    prefix: [
      ...unshareArguments(unshare),
      '--mount',
      '--propagation',
      'slave',
      '/bin/sh',
      '-c',
      OWN_ROOT,
      'sh',
      ...root,
      '--',
    ],
    layers: [ALL],
    namespaces: WITH_MOUNTS,
    root: { empty: EMPTY, old: OLD },
  };
}

function bare(unshare: string, why: string): Way {
  return {
    name: 'unshare', prefix: unshareArguments(unshare),
    namespaces: WITHOUT_MOUNTS,
    layers: [
      { name: 'namespaces', on: true, detail: 'network, processes, ipc, host name' },
      { name: 'root', on: false, detail: why },
    ],
  };
}

/** The ways to start `node entry` that this host may allow, best first, none of them last. */
export function ways(entry: string, mountpoint: string): Way[] {
  const found: Way[] = [];
  const unshare = which('unshare');
  const pieces = needs(entry);
  const inside = bringing(pieces, mountpoint);
  if (inside === undefined) {
    const program = which('bwrap');
    if (program !== undefined) found.push(bwrap(program, pieces));
    if (unshare !== undefined && isSuperuser()) found.push(ownRoot(unshare, pieces));
  }
  const lacking =
    which('bwrap') === undefined
      ? 'needs bubblewrap (install the package bubblewrap)'
      : 'bubblewrap is not allowed to make it here';
  if (unshare !== undefined) {
    found.push(
      bare(unshare, inside === undefined ? lacking : `the mount point lies in ${inside}, which the server needs`),
    );
  }
  const detail = unshare === undefined ? lacking : 'this host does not let them be made';
  found.push({
    name: 'no namespaces',
    prefix: [],
    namespaces: [],
    layers: [
      { name: 'namespaces', on: false, detail },
      { name: 'root', on: false, detail },
    ],
  });
  return found;
}
