import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { printable } from '../kernel/printable.js';
import { readMountinfo, type MountInfo } from '../fuse/mount/mountinfo.js';
import type { MountStanding } from '../fuse/messages.js';
import { FSTYPE } from '../fuse/mount/options.js';
import type { Layer } from '../fuse/sandbox/layers.js';
import { Failure, words } from './failure.js';

/** A rumpfuse mount as the host sees it, with what the mounting process left on record about it. */
export interface HostMount {
  /** `major:minor` of the mount's anonymous device: names this mount and no later one on the same directory. */
  readonly device: string;
  readonly mountpoint: string;
  readonly source: string;
  readonly options: string;
  /** The supervisor, where the record is there and the process alive. */
  readonly pid?: number;
  readonly details?: MountRecord;
  /** What has changed since it was mounted. */
  readonly standing?: MountStanding;
}

/** What `mount` leaves on record for `list`, `umount` and `info`. */
export interface MountRecord {
  readonly pid: number;
  readonly image: string;
  readonly mountpoint: string;
  readonly type: string;
  readonly readonly: boolean;
  readonly since: string;
  /** The server's process. */
  readonly server_pid?: number;
  /** How the server is confined; empty: not at all. */
  readonly sandbox: readonly Layer[];
  /** The file that its supervisor and server write warnings and errors to. */
  readonly log?: string;
  /** Another server goes on when one dies. */
  readonly survives?: boolean;
  /** The file where its supervisor says what changes while it lives. */
  readonly standing?: string;
}

/** The superuser; or, where his ids are those of a user namespace (a container), who that is outside. */
function outerUid(): number {
  try {
    const [, outside, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
    if (count === 1 && outside !== undefined) return outside;
  } catch {
    // No user namespaces here.
  }
  return process.getuid?.() ?? 0;
}

/** Where the records are: a file of each mount, see {@link RECORD_NAME}. */
export function recordDirectory(): string {
  const uid = outerUid();
  if (uid === 0) return '/run/rumpfuse';
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return runtime ? path.join(runtime, 'rumpfuse') : `/tmp/rumpfuse-${uid}`;
}

/**
 * Below /tmp somebody else may have been there first: his records must not be believed, nor may ours be written to him.
 */
function ours(): boolean {
  try {
    const st = lstatSync(recordDirectory());
    return st.isDirectory() && st.uid === process.getuid?.() && (st.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

function makeRecordDirectory(): void {
  try {
    mkdirSync(recordDirectory(), { recursive: true, mode: 0o700 });
  } catch (error) {
    const hint = outerUid() === 0 ? '' : '; XDG_RUNTIME_DIR names another place';
    throw new Failure(
      `${recordDirectory()} is needed for the records of mounts and cannot be made (${words(error)})${hint}`,
    );
  }
  try {
    accessSync(recordDirectory(), constants.W_OK);
  } catch (error) {
    const hint = outerUid() === 0
      ? ' (a file system that can be written, a tmpfs, belongs on /run)'
      : '; XDG_RUNTIME_DIR names another place';
    throw new Failure(
      `${recordDirectory()} ${words(error)}: the records of mounts and their logs cannot be written there${hint}`,
    );
  }
  if (!ours()) {
    throw new Failure(
      `${recordDirectory()} belongs to somebody else, or others may write to it: it must be removed before anything ` +
        'can be mounted',
    );
  }
}

/**
 * How the record of a mount is called: after its device number and its supervisor. The host gives device numbers out
 * again at once, so that two mounts may have had one number; a file of its own for each needs no lock.
 */
const RECORD_NAME = /^(\d+)-(\d+)-(\d+)\.json$/;

function recordFile(device: string, pid: number): string {
  return path.join(recordDirectory(), `${device.replace(':', '-')}-${pid}.json`);
}

export function writeRecord(device: string, record: MountRecord): void {
  makeRecordDirectory();
  const file = recordFile(device, record.pid);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Removes the record of a mount that has ended, and its log; others that had its device number keep theirs. */
export function removeRecord(device: string, pid: number): void {
  if (!ours()) return;
  const file = recordFile(device, pid);
  const record = readRecordFile(file);
  for (const name of [file, record?.log, record?.standing]) if (name !== undefined) rmSync(name, { force: true });
}

/** What a mount writes while it lives. */
export interface RecordFiles {
  readonly log: string;
  readonly standing: string;
}

/** For a mount that is about to be made. */
export function newRecordFiles(): RecordFiles {
  makeRecordDirectory();
  const name = path.join(recordDirectory(), `${process.pid}-${Date.now()}`);
  return { log: `${name}.log`, standing: `${name}.standing` };
}

/** Of a log no more than its end is read, bytes; of a line no more than its beginning, characters. */
const LOG_TAIL_BYTES = 64 << 10;
const LOG_LINE_MAX = 2000;

/** What a background mount has said last, a line each; empty if it was content. */
export function readLog(log: string): string[] {
  let fd: number | undefined;
  try {
    fd = openSync(log, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    const got = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8', 0, got).split('\n');
    // The first may have lost its beginning.
    if (size > bytes.length) lines[0] = '(more before)';
    return lines.filter((line) => line !== '').map((line) => printable(line.slice(0, LOG_LINE_MAX)));
  } catch {
    return [];
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Of a long story its beginning, where the cause is, and its end. */
const FIRST_LINES = 4;
const LAST_LINES = 2;

export function inShort(said: readonly string[]): readonly string[] {
  const left_out = said.length - FIRST_LINES - LAST_LINES;
  return left_out > 1 ? [...said.slice(0, FIRST_LINES), `(${left_out} more lines)`, ...said.slice(-LAST_LINES)] : said;
}

/** How long the last words of a mount are kept, milliseconds. */
const TOLD_MS = 3_600_000;

/** A mount that has ended by itself or by other hands, and what its processes said last. */
export interface EndedMount {
  readonly record: MountRecord;
  readonly said: readonly string[];
}

/**
 * Removes records and logs of mounts that are gone (unmounted by umount(8), a server that died, a machine that lost
 * power); returns those that had something to say. These stay for an hour, so that whoever looks first does not take
 * the message from whom it concerns, or until somebody asks for that mount point or image (`target`, absolute).
 */
export function dropStaleRecords(mounts: readonly HostMount[], target?: string): EndedMount[] {
  const ended: EndedMount[] = [];
  if (!ours()) return ended;
  const live = new Set<string>();
  const keep = (...files: (string | undefined)[]): void => {
    for (const file of files) if (file !== undefined) live.add(path.basename(file));
  };
  for (const { device, details } of mounts) {
    if (details !== undefined) keep(recordFile(device, details.pid), details.log, details.standing);
  }
  const stale: string[] = [];
  for (const name of readdirSync(recordDirectory())) {
    const file = path.join(recordDirectory(), name);
    const record = name.endsWith('.json') ? readRecordFile(file) : undefined;
    // The log of a mount that is being made bears the number of the process that makes it, a record that is being
    // written that of the supervisor. A mount that is not to be seen here may be in another mount namespace: its
    // process tells.
    const owner = /^(\d+)-\d+\.(?:log|standing)$|^\d+-\d+-(\d+)\.json\.new$/.exec(name);
    const pid = owner?.[1] ?? owner?.[2] ?? record?.pid;
    if (live.has(name) || (pid !== undefined && alive(Number(pid)))) {
      keep(record?.log, record?.standing);
      continue;
    }
    const said = record?.log === undefined ? [] : readLog(record.log);
    if (record?.log !== undefined && said.length > 0) {
      ended.push({ record, said });
      if (
        target !== record.mountpoint &&
        target !== record.image &&
        Date.now() - (statSync(record.log, { throwIfNoEntry: false })?.mtimeMs ?? 0) < TOLD_MS
      ) {
        keep(record.log);
        continue;
      }
    }
    stale.push(name);
  }
  for (const name of stale) if (!live.has(name)) rmSync(path.join(recordDirectory(), name), { force: true });
  return ended;
}

function readRecordFile(file: string): MountRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as MountRecord;
  } catch {
    return undefined;
  }
}

function readStanding(file: string | undefined): MountStanding | undefined {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as MountStanding;
  } catch {
    return undefined; // nothing has changed yet
  }
}

/** All records, with the device number that each mount had. */
function readRecords(): { readonly device: string; readonly record: MountRecord }[] {
  if (!ours()) return [];
  return readdirSync(recordDirectory()).flatMap((name) => {
    const parts = RECORD_NAME.exec(name);
    const record = parts === null ? undefined : readRecordFile(path.join(recordDirectory(), name));
    return record === undefined ? [] : [{ device: `${parts![1]}:${parts![2]}`, record }];
  });
}

/** What is on record of a mount: of all that had its device number the newest, but none that has ended elsewhere. */
function recordOf(mount: MountInfo, records: ReturnType<typeof readRecords>): MountRecord | undefined {
  return records
    .filter(({ device }) => device === mount.device)
    .map(({ record }) => record)
    .filter(({ mountpoint, pid }) => mountpoint === mount.mountpoint || alive(pid))
    .sort((one, other) => (one.since < other.since ? 1 : -1))[0];
}

/**
 * The supervisor of a mount of that image that has been unmounted (umount(8) does not wait), and is still writing or
 * has just ended; undefined: there is none on record.
 */
export function finishing(image: string): number | undefined {
  if (!ours()) return undefined;
  const mounted = new Set(
    readMountinfo()
      .filter((mount) => mount.fstype === FSTYPE)
      .map((mount) => `${mount.device} ${mount.mountpoint}`),
  );
  for (const { device, record } of readRecords()) {
    if (record.image === image && !mounted.has(`${device} ${record.mountpoint}`)) return record.pid;
  }
  return undefined;
}

/** As much of a process's title as Linux may show (the length of what the process was started with is the limit). */
const TITLE_BEGINS = 'rumpfuse: supervisor of /';

/**
 * The supervisor of a mount that nothing is on record about (its launcher was killed at the last moment): by its title,
 * which Linux may have cut off. undefined: there is none, or there are several that may be meant.
 */
function findSupervisor(mountpoint: string, options: string): number | undefined {
  const owner = Number(/(?:^|,)user_id=(\d+)/.exec(options)?.[1]);
  const title = `rumpfuse: supervisor of ${mountpoint}`;
  const found: number[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      // Anybody can give a process that title.
      if (statSync(`/proc/${pid}`).uid !== owner) continue;
      const shown = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '');
      if (shown === title) return Number(pid);
      if (shown.startsWith(TITLE_BEGINS) && title.startsWith(shown)) found.push(Number(pid));
    } catch {
      // Ended meanwhile.
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

/** Is the process at work? One that has ended and only waits for its parent to notice is not. */
export function alive(pid: number): boolean {
  try {
    // proc(5): pid (comm) state ...; the name may hold spaces and parentheses.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** All mounts of rumpfuse, in the order in which they were made. */
export function listMounts(): HostMount[] {
  const records = readRecords();
  return readMountinfo()
    .filter((mount) => mount.fstype === FSTYPE)
    .map((mount) => {
      const { device, mountpoint, source, options } = mount;
      const record = recordOf(mount, records);
      const standing = readStanding(record?.standing);
      const server_pid = standing?.server_pid ?? record?.server_pid;
      const details =
        record === undefined ? undefined : { ...record, ...(server_pid !== undefined ? { server_pid } : {}) };
      const pid = details?.pid ?? findSupervisor(mountpoint, options);
      return {
        device,
        mountpoint,
        source,
        options,
        ...(details !== undefined ? { details } : {}),
        ...(standing !== undefined ? { standing } : {}),
        ...(pid !== undefined && alive(pid) ? { pid } : {}),
      };
    });
}
