import { createReadStream, lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import path from 'node:path';
import type { BlockDevice } from '../kernel/blkdev.js';
import { O_CREAT, O_EXCL, O_PATH, O_WRONLY, AT_SYMLINK_NOFOLLOW, AT_FDCWD, MNT_ASYNC } from '../kernel/fcntl.js';
import { RumpKernel } from '../kernel/rump.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import { printable } from '../kernel/printable.js';
import type { MountFacts, RumpSys, Timestamp } from '../kernel/sys/rumpsys.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, makedev } from '../kernel/stat.js';
import type { Format } from '../fs/format.js';
import { tmpfs } from '../fs/tmpfs/index.js';
import { Failure, words } from './failure.js';

const CHUNK_BYTES = 1 << 20;

interface Filler {
  readonly sys: RumpSys;
  /** Copies of files with several links: host device and inode to path on the volume. */
  readonly links: Map<string, Buffer>;
  /** Throws when who waits for it has given up. */
  readonly check: () => Promise<void>;
  /** What the format can keep. */
  readonly traits: MountFacts;
  /** What it cannot, and what was done about it: how often, and the first such file. */
  readonly departures: Map<string, { count: number; first: string }>;
  entries: number;
  bytes: number;
}

/** What a copy has become. */
export interface Filled {
  readonly entries: number;
  readonly bytes: number;
  /** For people: what the format could not keep, a line each. */
  readonly departures: readonly string[];
}

function depart({ departures }: Filler, what: string, file: Buffer): void {
  const known = departures.get(what);
  if (known === undefined) departures.set(what, { count: 1, first: printable(file.toString()) });
  else known.count++;
}

/** Linux's st_rdev as the kernel packs device numbers. */
function rdev(dev: bigint): bigint {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return makedev(Number(major & 0xffffffffn), Number(minor & 0xffffffffn));
}

function timestamp(ns: bigint): Timestamp {
  const nsec = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { sec: Number((ns - nsec) / 1_000_000_000n), nsec: Number(nsec) };
}

function join(dir: Buffer, name: Buffer): Buffer {
  return Buffer.concat([dir, Buffer.from('/'), name]);
}

async function copyFile(filler: Filler, from: Buffer, to: Buffer): Promise<void> {
  const { sys } = filler;
  const fd = await sys.open(to, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    let position = 0;
    for await (const chunk of createReadStream(from, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
      position += await sys.pwrite(fd, chunk, position);
      await filler.check();
    }
    filler.bytes += position;
  } finally {
    await sys.close(fd);
  }
}

async function copyAttributes(sys: RumpSys, st: BigIntStats, to: Buffer): Promise<void> {
  await sys.lchown(to, Number(st.uid), Number(st.gid));
  if (!st.isSymbolicLink()) await sys.chmod(to, Number(st.mode & 0o7777n));
  await sys.utimensat(AT_FDCWD, to, timestamp(st.atimeNs), timestamp(st.mtimeNs), AT_SYMLINK_NOFOLLOW);
}

/** One entry that is no directory. */
async function copyEntry(filler: Filler, from: Buffer, to: Buffer, st: BigIntStats): Promise<void> {
  const { sys } = filler;
  const key = `${st.dev}:${st.ino}`;
  const twin = st.nlink > 1n ? filler.links.get(key) : undefined;
  if (twin !== undefined && filler.traits.hardlinks) {
    await sys.link(twin, to);
    return;
  }
  if (twin !== undefined && st.isFile()) depart(filler, 'further names of a file became files of their own', from);
  if (st.nlink > 1n) filler.links.set(key, to);
  if (st.isFile()) {
    await copyFile(filler, from, to);
  } else if (st.isSymbolicLink()) {
    if (!filler.traits.symlinks) return depart(filler, 'symbolic links were left out', from);
    await sys.symlink(readlinkSync(from, { encoding: 'buffer' }), to);
  } else if (!filler.traits.specials) {
    return depart(filler, 'devices, fifos and sockets were left out', from);
  } else if (st.isFIFO()) {
    await sys.mknod(to, S_IFIFO | 0o600, 0n);
  } else if (st.isBlockDevice() || st.isCharacterDevice()) {
    await sys.mknod(to, (st.isBlockDevice() ? S_IFBLK : S_IFCHR) | 0o600, rdev(st.rdev));
  } else {
    return;
  } // A socket is nothing without the process that made it.
  await copyAttributes(sys, st, to);
  filler.entries++;
}

/**
 * Copies a tree: content, owners, modes, times, hard links, device nodes. Directories get their times when they are
 * full.
 */
async function copyTree(filler: Filler, from: Buffer, to: Buffer): Promise<void> {
  const done: { st: BigIntStats; to: Buffer }[] = [];
  const pending: { from: Buffer; to: Buffer }[] = [{ from, to }];
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    done.push({ st: await lstat(dir.from, { bigint: true }), to: dir.to });
    for (const name of readdirSync(dir.from, { encoding: 'buffer' })) {
      const source = join(dir.from, name);
      const target = join(dir.to, name);
      const st = lstatSync(source, { bigint: true });
      await filler.check();
      try {
        if (st.isDirectory()) {
          await filler.sys.mkdir(target, 0o700);
          filler.entries++;
          pending.push({ from: source, to: target });
        } else {
          await copyEntry(filler, source, target, st);
        }
      } catch (error) {
        throw refused(error, source);
      }
    }
  }
  for (const dir of done.reverse()) await copyAttributes(filler.sys, dir.st, dir.to);
}

/** Names that the format does not take, or takes for one, in words that say which. */
function refused(error: unknown, file: Buffer): unknown {
  const name = printable(file.toString());
  switch ((error as { code?: unknown }).code) {
    case 'EEXIST':
      return new Failure(`${name}: this file system takes that name for another one of the same folder`);
    case 'EINVAL': case 'EILSEQ': case 'ENAMETOOLONG':
      return new Failure(`${name}: this file system cannot have that name (${words(error)})`);
    case 'EFBIG':
      return new Failure(`${name}: too large for a file of this file system`);
    default:
      return error;
  }
}

/** Unmounting closes the device that was mounted; this one's owner still needs it. */
class LentDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly: boolean;

  constructor(private readonly dev: BlockDevice) {
    this.name = dev.name;
    this.size_bytes = dev.size_bytes;
    this.sector_bytes = dev.sector_bytes;
    this.readonly = dev.readonly;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number) {
    return this.dev.read(into, into_offset, length, offset_bytes);
  }
  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number) {
    return this.dev.write(from, from_offset, length, offset_bytes);
  }
  flush() {
    return this.dev.flush();
  }
  discard(offset_bytes: number, length: number) {
    return this.dev.discard(offset_bytes, length);
  }
  close() {
    return this.dev.flush();
  }
}

/**
 * Fills a new volume with a copy of a directory of the host (`newfs --from`). `check` is asked before each entry and
 * each MiB, and ends it by throwing.
 */
export async function fill(
  ru: Rumpuser,
  volume: BlockDevice,
  format: Format,
  directory: string,
  check: () => Promise<void>,
): Promise<Filled> {
  const rump = await RumpKernel.boot({ rumpuser: ru, components: [tmpfs, await format.load()] });
  rump.sys.umask(0);
  await rump.sys.mkdir('/volume', 0o755);
  // Owners and modes that the format cannot keep are no reason to refuse a file.
  const options = new Map(format.options.some(({ name }) => name === 'quiet') ? [['quiet', true as const]] : []);
  await rump.sys.mount(format.name, '/volume', MNT_ASYNC, { fspec: new LentDevice(volume), options });
  const root = await rump.sys.open('/volume', O_PATH);
  const traits = rump.sys.fmounttraits(root);
  await rump.sys.close(root);
  const filler: Filler = {
    sys: rump.sys, links: new Map(), check, traits, departures: new Map(), entries: 0, bytes: 0,
  };
  try {
    await copyTree(filler, Buffer.from(path.resolve(directory)), Buffer.from('/volume'));
  } finally {
    await rump.halt();
  }
  const departures = [...filler.departures].map(([what, { count, first }]) => `${what}: ${count}, first ${first}`);
  return { entries: filler.entries, bytes: filler.bytes, departures };
}
