import {
  MNT_ASYNC,
  MNT_NOATIME,
  MNT_NODEV,
  MNT_NOEXEC,
  MNT_NOGRPID,
  MNT_NOSUID,
  MNT_RDONLY,
  MNT_RELATIME,
  MNT_SYNCHRONOUS,
} from '../kernel/fcntl.js';
import { Failure } from './failure.js';
import { parseBytes } from './units.js';

/** What `-o` said, sorted by who it is for. */
export interface MountOptions {
  /** MNT_* for the rump kernel. */
  flags: number;
  /** `rw` was asked for in so many words: then a volume that can only be mounted read-only is an error. */
  mustWrite: boolean;
  /** For the host's mount: nosuid, nodev, noexec, allow_other, default_permissions... */
  suid: boolean;
  dev: boolean;
  exec: boolean;
  allowOther: boolean;
  defaultPermissions: boolean;
  partition?: string;
  offset?: number;
  type?: string;
  fsname?: string;
  /** A file that takes what is written; the disk stays as it is. */
  overlay?: string;
  channel: 'dev-fuse' | 'fuse-native';
  /** A second server waits to go on when the first one dies. */
  standby: boolean;
  /** Another server goes on when one dies. */
  survive: boolean;
  /** Seconds after which a server that does not answer is taken for hung; 0: never. */
  watchdog_s?: number;
  /** For the driver. */
  driver: Map<string, string | true>;
}

/** Options of mount(8) and fstab(5) that say something to those programs and nothing to us. */
const IGNORED = new Set([
  'defaults',
  'auto',
  'noauto',
  'user',
  'nouser',
  'users',
  'owner',
  'group',
  '_netdev',
  'nofail',
  'nodiratime',
  'diratime',
  'loop',
  'nolazytime',
  'strictatime',
  'iversion',
  'noiversion',
  'silent',
  'loud',
]);

/** Splits at commas that no backslash escapes. */
function split(list: string): string[] {
  return (list.match(/(?:\\.|[^,\\])+/g) ?? []).map((item) => item.replace(/\\(.)/g, '$1'));
}

/**
 * Parses the texts of all -o options. `root` mounts allow others by default, as mount(8) does. Without `driverOptions`
 * (the driver is not known yet) every unknown name is taken for one of the driver's.
 * @throws Failure
 */
export function parseMountOptions(
  lists: readonly string[],
  root: boolean,
  driverOptions: ReadonlySet<string> | undefined,
): MountOptions {
  const options: MountOptions = {
    flags: MNT_RELATIME, mustWrite: false, suid: false, dev: false, exec: true,
    allowOther: root, defaultPermissions: true, channel: 'dev-fuse', standby: true, survive: true, driver: new Map(),
  };
  const clear = (flag: number) => (options.flags &= ~flag);
  for (const item of lists.flatMap(split)) {
    const at = item.indexOf('=');
    const name = at < 0 ? item : item.slice(0, at);
    const value = at < 0 ? undefined : item.slice(at + 1);
    const need = () => {
      if (value === undefined || value === '') throw new Failure(`-o ${name}: needs a value, as ${name}=...`);
      return value;
    };
    switch (name) {
      case 'ro': case 'rdonly': options.flags |= MNT_RDONLY; options.mustWrite = false; break;
      case 'rw': clear(MNT_RDONLY); options.mustWrite = true; break;
      case 'sync': options.flags |= MNT_SYNCHRONOUS; break;
      case 'async': options.flags |= MNT_ASYNC; break;
      case 'noatime': options.flags |= MNT_NOATIME; clear(MNT_RELATIME); break;
      case 'relatime': options.flags |= MNT_RELATIME; clear(MNT_NOATIME); break;
      case 'atime': clear(MNT_NOATIME | MNT_RELATIME); break;
      case 'nogrpid': case 'sysvgroups': options.flags |= MNT_NOGRPID; break;
      case 'grpid': case 'bsdgroups': clear(MNT_NOGRPID); break;
      case 'suid': options.suid = true; break;
      case 'nosuid': options.suid = false; break;
      case 'dev': options.dev = true; break;
      case 'nodev': options.dev = false; break;
      case 'exec': options.exec = true; break;
      case 'noexec': options.exec = false; break;
      case 'allow_other': options.allowOther = true; break;
      case 'noallow_other': options.allowOther = false; break;
      case 'default_permissions': options.defaultPermissions = true; break;
      case 'no_default_permissions': options.defaultPermissions = false; break;
      case 'partition': options.partition = need(); break;
      case 'offset': options.offset = parseBytes(need(), '-o offset'); break;
      case 'type': options.type = need(); break;
      case 'fsname': options.fsname = need(); break;
      case 'overlay': options.overlay = need(); break;
      case 'standby': options.standby = true; break;
      case 'nostandby': options.standby = false; break;
      case 'survive': options.survive = true; break;
      case 'nosurvive': options.survive = false; break;
      case 'watchdog': {
        const seconds = Number(need());
        if (!(seconds >= 0 && seconds <= 86400)) {
          throw new Failure(`-o watchdog=${value}: seconds, from 0 (none) to 86400`);
        }
        options.watchdog_s = seconds;
        break;
      }
      case 'channel': {
        const channel = need();
        if (channel !== 'dev-fuse' && channel !== 'fuse-native') {
          throw new Failure(`-o channel=${channel}: the channels are dev-fuse and fuse-native`);
        }
        options.channel = channel;
        break;
      }
      default:
        if (IGNORED.has(name) || name.startsWith('x-') || name.startsWith('X-') || name.startsWith('comment')) break;
        if (driverOptions !== undefined && !driverOptions.has(name)) {
          throw new Failure(`-o ${name}: no such option (rumpfuse mount --help lists them)`);
        }
        options.driver.set(name, value ?? true);
    }
  }
  if (!options.suid) options.flags |= MNT_NOSUID;
  if (!options.dev) options.flags |= MNT_NODEV;
  if (!options.exec) options.flags |= MNT_NOEXEC;
  return options;
}
