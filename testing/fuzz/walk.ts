/** Looks at everything on a mounted volume, within bounds. */
import { bytestrToBytes } from '../../src/kernel/bytestr.js';
import {
  EXTATTR_NAMESPACE_SYSTEM,
  EXTATTR_NAMESPACE_USER,
  O_RDONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../src/kernel/fcntl.js';
import type { Dirent, Stat } from '../../src/kernel/stat.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import type { Probe } from './probe.js';

/** Where fuzzed volumes are mounted in their kernel. */
export const MOUNTPOINT = '/v';

const buffer = new Uint8Array(40_000);
/** Pieces of a directory that are read: one of 2 GiB in holes is legal, nobody reads it to the end here. */
const MAX_PIECES = 12;
/** Entries of a directory that are looked at. */
const MAX_ENTRIES = 40;
const MAX_PATH_BYTES = 400;

export function join(dir: Uint8Array, name: string): Uint8Array {
  return Buffer.concat([dir, Buffer.from('/'), bytestrToBytes(name)]);
}

export interface Found {
  readonly path: Uint8Array;
  readonly type: number;
}

function sane(value: number, low = 0, high = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

/** What no caller may be told, whatever is on the disk. */
function judgeStat(probe: Probe, st: Stat): void {
  const times = [st.st_atimensec, st.st_mtimensec, st.st_ctimensec, st.st_birthtimensec].every((n) =>
    sane(n, 0, 999_999_999),
  );
  const seconds = [st.st_atime, st.st_mtime, st.st_ctime, st.st_birthtime].every(
    (n) => Number.isInteger(n) && n >= -(2 ** 63) && n <= 2 ** 63,
  );
  const words = [st.st_mode, st.st_nlink, st.st_uid, st.st_gid, st.st_flags, st.st_gen].every((n) =>
    sane(n, 0, 0xffffffff),
  );
  if (!sane(st.st_size) || !sane(st.st_blocks, 0, 2 ** 60) || !sane(st.st_blksize, 1) || !times || !seconds || !words) {
    probe.violation(
      'answer',
      'stat',
      times && seconds ? 'numbers' : 'times',
      JSON.stringify(st, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    );
  }
}

function judgeName(probe: Probe, entry: Dirent): void {
  const name = entry.d_name;
  if (
    name.length === 0 ||
    name.length > 255 ||
    name.includes('/') ||
    name.includes('\0') ||
    !sane(Number(entry.d_off))
  ) {
    probe.violation('answer', 'getdents', 'name', JSON.stringify(name));
  }
}

async function file(probe: Probe, sys: RumpSys, path: Uint8Array, st: Stat): Promise<void> {
  const fd = await probe.op('open', () => sys.open(path, O_RDONLY));
  if (fd === undefined) return;
  const size = st.st_size;
  for (const at of new Set([0, Math.floor(size / 2), Math.max(0, size - 5000)])) {
    const n = await probe.op('pread', () => sys.pread(fd, buffer, at));
    if (n !== undefined && (n < 0 || n > buffer.length || (at < size && n > size - at))) {
      probe.violation('answer', 'pread', 'count', `${n} bytes at ${at} of ${size}`);
    }
  }
  if (size > buffer.length) {
    await probe.op('lseek hole', () => sys.lseek(fd, 0, SEEK_HOLE));
    await probe.op('lseek data', () => sys.lseek(fd, Math.floor(size / 2), SEEK_DATA));
  }
  await probe.op('close', () => sys.close(fd));
}

async function directory(probe: Probe, sys: RumpSys, path: Uint8Array): Promise<string[]> {
  const fd = await probe.op('open directory', () => sys.open(path, O_RDONLY));
  if (fd === undefined) return [];
  const found: string[] = [];
  for (let pieces = 0; pieces < MAX_PIECES; pieces++) {
    const entries = await probe.op('getdents', () => sys.getdents(fd));
    if (entries === undefined || entries.length === 0) break;
    for (const e of entries) {
      judgeName(probe, e);
      if (e.d_name !== '.' && e.d_name !== '..' && found.length < MAX_ENTRIES) found.push(e.d_name);
    }
  }
  await probe.op('close', () => sys.close(fd));
  return found;
}

async function attributes(probe: Probe, sys: RumpSys, path: Uint8Array): Promise<void> {
  // A format without says so for any namespace.
  for (const namespace of [EXTATTR_NAMESPACE_USER, EXTATTR_NAMESPACE_SYSTEM]) {
    const names = await probe.op('extattr_list', () => sys.extattr_list_link(path, namespace));
    if (names === undefined) return;
    for (const name of names.slice(0, 5)) {
      await probe.op('extattr_get', () => sys.extattr_get_link(path, namespace, bytestrToBytes(name)));
    }
  }
}

/** Walks from the mount point on, at most `limit` files (damaged directories may form circles). */
export async function walk(probe: Probe, sys: RumpSys, limit: number): Promise<Found[]> {
  const found: Found[] = [];
  const pending: Uint8Array[] = [Buffer.from(MOUNTPOINT)];
  for (let path = pending.shift(); path !== undefined && found.length < limit; path = pending.shift()) {
    const here = path;
    const st = await probe.op('lstat', () => sys.lstat(here));
    await attributes(probe, sys, here);
    if (st === undefined) continue;
    judgeStat(probe, st);
    const type = st.st_mode & S_IFMT;
    found.push({ path: here, type });
    if (type === S_IFLNK) {
      const target = await probe.op('readlink', () => sys.readlink(here));
      if (target !== undefined && target.length > 65_536) {
        probe.violation('answer', 'readlink', 'length', `${target.length}`);
      }
      await probe.op('stat', () => sys.stat(here));
    } else if (type === S_IFREG) {
      await file(probe, sys, here, st);
    } else if (type === S_IFDIR) {
      await probe.op('lookup of nothing', () => sys.lstat(join(here, 'no such name')));
      await probe.op('lookup of ..', () => sys.lstat(join(here, '..')));
      // Deep ones first in turn, so that a directory of hundreds does not use up the limit.
      const names = await directory(probe, sys, here);
      if (here.length < MAX_PATH_BYTES) for (const name of names) pending.push(join(here, name));
    }
    if (found.length % 8 === 0) {
      const fh = await probe.op('getfh', () => sys.getfh(here));
      if (fh !== undefined) await probe.op('fhstat', () => sys.fhstat(fh));
    }
  }
  probe.count('files', found.length);
  return found;
}
