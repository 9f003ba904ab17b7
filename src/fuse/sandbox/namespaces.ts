/**
 * Ways to start a process in namespaces of its own, best first:
 *
 *   bwrap      bubblewrap: every namespace, a root with nothing but what Node needs to start, no capabilities but those
 *              with which the superuser's server becomes somebody else
 *   own root   the same by unshare(1), mount(8) and chroot(8), where bubblewrap is missing
 *   unshare    the namespaces alone
 *   (nothing)  no user namespaces, or a container that does not let them be made
 *
 * The server is process 1 of its namespace; the wrapper stays as its parent outside, and passes descriptors and the exit
 * status on. It must not end before the server, so nothing ends it when the supervisor ends: the server sees that itself
 * and finishes what it has to write.
 */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { isSuperuser } from '../mount/mount.js';
import type { Layer } from './layers.js';
import { bringing, needs } from './needs.js';
import type { Piece } from './needs.js';

/** A command line that goes before the server's. */
export interface Way {
  readonly name: string;
  readonly prefix: readonly string[];
  readonly layers: readonly Layer[];
  /** An empty directory in the new root. */
  readonly root?: string;
}

const EMPTY = '/empty';
/** With these the superuser's server reads its own files wherever they are, and then gives everything up; see lockdown.ts. */
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

function layers(root: Layer): Layer[] {
  return [{ name: 'namespaces', on: true, detail: 'network, mounts, processes, ipc, host name' }, root];
}

const NEW_ROOT: Layer = { name: 'root', on: true, detail: 'read-only, nothing but libraries and this program' };
const NEW_ROOT_EMPTY: Layer = { name: 'root', on: true, detail: 'read-only and empty' };

function bwrap(program: string, pieces: readonly Piece[]): Way {
  const superuser = isSuperuser();
  const root = pieces.flatMap((piece) => (piece.kind === 'bind' ? ['--ro-bind', piece.path, piece.path] : ['--symlink', piece.target, piece.path]));
  return {
    name: 'bwrap',
    prefix: [
      program, '--unshare-net', '--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try', ...(superuser ? [] : ['--unshare-user']),
      '--as-pid-1', '--cap-drop', 'ALL', ...(superuser ? TO_GIVE_UP.flatMap((capability) => ['--cap-add', capability]) : []),
      ...root, '--dir', EMPTY, '--remount-ro', '/', '--chdir', '/', '--',
    ],
    layers: layers(superuser ? NEW_ROOT_EMPTY : NEW_ROOT),
    ...(superuser ? { root: EMPTY } : {}),
  };
}

function unshareArguments(unshare: string): string[] {
  // An ordinary user's id stays what it is, and what is executed as it has no capabilities.
  const user = isSuperuser() ? [] : ['--user', '--map-current-user'];
  return [unshare, ...user, '--net', '--mount', '--ipc', '--uts', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
}

/**
 * Arguments: pieces, as `bind PATH` and `link TARGET PATH`, then -- and the command. The new root grows on /sys, which every
 * system has and nothing of ours lies in, and covers the old one in the end.
 */
const OWN_ROOT = `
set -e
umask 022
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
mkdir $R${EMPTY}
mount -n -o remount,ro,nosuid,nodev $R
cd $R
mount -n --move . /
exec chroot . "$@"
`;

function ownRoot(unshare: string, setpriv: string | undefined, pieces: readonly Piece[]): Way | undefined {
  const superuser = isSuperuser();
  // The ordinary user's script works with capabilities of its namespace, which must end with it.
  if (!superuser && setpriv === undefined) return undefined;
  const all: Piece[] = superuser ? [...pieces] : [...pieces, { kind: 'bind', path: setpriv! }];
  const root = all.flatMap((piece) => (piece.kind === 'bind' ? ['bind', piece.path] : ['link', piece.target, piece.path]));
  const drop = superuser ? [] : [setpriv!, '--ambient-caps=-all', '--inh-caps=-all', '--bounding-set=-all'];
  return {
    name: 'own root',
    prefix: [...unshareArguments(unshare), ...(superuser ? [] : ['--keep-caps']), '/bin/sh', '-c', OWN_ROOT, 'sh', ...root, '--', ...drop],
    layers: layers(superuser ? NEW_ROOT_EMPTY : NEW_ROOT),
    ...(superuser ? { root: EMPTY } : {}),
  };
}

function bare(unshare: string, why: string): Way {
  return { name: 'unshare', prefix: unshareArguments(unshare), layers: layers({ name: 'root', on: false, detail: why }) };
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
    const own = unshare === undefined ? undefined : ownRoot(unshare, which('setpriv'), pieces);
    if (own !== undefined) found.push(own);
  }
  if (unshare !== undefined) found.push(bare(unshare, inside === undefined ? 'needs bubblewrap (bwrap)' : `the mount point lies in ${inside}, which the server needs`));
  const detail = unshare === undefined ? 'needs bubblewrap (bwrap) or unshare(1)' : 'this host does not let namespaces be made';
  found.push({ name: 'no namespaces', prefix: [], layers: [{ name: 'namespaces', on: false, detail }, { name: 'root', on: false, detail }] });
  return found;
}
