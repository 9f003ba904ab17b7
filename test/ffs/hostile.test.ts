import type { Test } from 'tap';
import t from 'tap';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, Errno, errno } from '../../src/kernel/errno.js';
import { EXTATTR_NAMESPACE_USER, MNT_RDONLY, O_RDONLY, SEEK_DATA, SEEK_HOLE } from '../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, fixture, fixtureNames, has, join, mountFfs } from './volumes.js';

/** Damaged volumes: nothing may crash, hang, or end in anything but an errno. FFS_FUZZ_ROUNDS makes more mutants. */
const skip = has('zstd') ? false : 'zstd is not installed';
const ROUNDS = Number(process.env.FFS_FUZZ_ROUNDS ?? 20);
const SEED = Number(process.env.FFS_FUZZ_SEED ?? 1);
/** No operation on a volume of this size takes longer unless it runs in circles. */
const OP_CPU_MS = 5000;

class Random {
  constructor(private x: number) {}
  next(n: number): number {
    this.x = (Math.imul(this.x ^ (this.x >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return Math.floor(((this.x ^ (this.x >>> 13)) >>> 0) / 2 ** 32 * n);
  }
  pick<T>(of: readonly T[]): T {
    return of[this.next(of.length)]!;
  }
}

/** A read-only disk: a shared image with some bytes changed, possibly cut off. */
class Mutant implements BlockDevice {
  readonly name = 'mutant';
  readonly sector_bytes = 512;
  readonly readonly = true;
  readonly patches: { at: number; bytes: Uint8Array }[] = [];

  constructor(private readonly image: Uint8Array, readonly size_bytes = image.length) {}

  put(at: number, ...bytes: number[]): this {
    this.patches.push({ at, bytes: Uint8Array.from(bytes) });
    return this;
  }
  read(into: Uint8Array, into_offset: number, length: number, offset: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size_bytes)) {
      throw errno(E.EINVAL, `range ${offset}+${length}`);
    }
    into.set(this.image.subarray(offset, offset + length), into_offset);
    for (const { at, bytes } of this.patches) {
      for (let i = 0; i < bytes.length; i++)
        if (at + i >= offset && at + i < offset + length) {
          into[into_offset + at + i - offset] = bytes[i]!;
        }
    }
  }
  write(): never {
    throw errno(E.EROFS);
  }
  flush(): void {}
  discard(): void {}
  close(): void {}
  toString(): string {
    return (
      this.patches.map((p) => `${p.at}: ${Buffer.from(p.bytes).toString('hex')}`).join(', ') +
      (this.size_bytes < this.image.length ? ` cut at ${this.size_bytes}` : '')
    );
  }
}

/** Runs a call; what it may answer is a value or an Errno, and soon. */
async function call<T>(run: () => Promise<T>): Promise<T | undefined> {
  const began = process.cpuUsage();
  let answer: T | undefined;
  try {
    answer = await run();
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
  }
  const { user, system } = process.cpuUsage(began);
  const ms = Math.round((user + system) / 1000);
  if (ms > OP_CPU_MS) throw new Error(`an operation took ${ms} ms: ${run.toString()}`);
  return answer;
}

const buffer = new Uint8Array(200_000);

async function file(sys: RumpSys, path: Uint8Array, size: number): Promise<void> {
  const fd = await call(() => sys.open(path, O_RDONLY));
  if (fd === undefined) return;
  for (const at of [0, 96 * 1024, Math.floor(size / 2), Math.max(0, size - 5000)]) {
    await call(() => sys.pread(fd, buffer, at));
  }
  await call(() => sys.lseek(fd, 0, SEEK_HOLE));
  await call(() => sys.lseek(fd, Math.floor(size / 2), SEEK_DATA));
  await sys.close(fd);
}

async function directory(sys: RumpSys, path: Uint8Array): Promise<string[]> {
  const fd = await call(() => sys.open(path, O_RDONLY));
  if (fd === undefined) return [];
  const found: string[] = [];
  // A directory of 2 GiB in holes is legal to ask about; nobody reads it to the end here.
  for (let pieces = 0; pieces < 20; pieces++) {
    const entries = await call(() => sys.getdents(fd));
    if (entries === undefined || entries.length === 0) break;
    for (const e of entries) if (e.d_name !== '.' && e.d_name !== '..') found.push(e.d_name);
  }
  await sys.close(fd);
  return found;
}

/** Looks at everything, at most `limit` files (damaged directories may form circles). */
async function walk(sys: RumpSys, limit: number): Promise<number> {
  const pending: Uint8Array[] = [Buffer.from(MOUNTPOINT)];
  let seen = 0;
  for (let path = pending.shift(); path !== undefined && seen < limit; path = pending.shift(), seen++) {
    const here = path;
    const st = await call(() => sys.lstat(here));
    await call(() => sys.extattr_list_link(here, EXTATTR_NAMESPACE_USER));
    if (st === undefined) continue;
    const type = st.st_mode & S_IFMT;
    if (type === S_IFLNK) await call(() => sys.readlink(here));
    else if (type === S_IFREG) await file(sys, here, st.st_size);
    else if (type === S_IFDIR) {
      await call(() => sys.lstat(join(here, 'no such name')));
      await call(() => sys.lstat(join(here, '..')));
      if (path.length < 900) for (const name of await directory(sys, here)) pending.push(join(here, name));
    }
  }
  return seen;
}

/** Mounts a mutant if it can be mounted and looks around in it. @returns files seen */
async function survive(dev: Mutant, limit: number): Promise<number> {
  let vol;
  try {
    vol = await mountFfs(dev, MNT_RDONLY, {}, 2 ** 20);
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    return 0;
  }
  try {
    await call(() => vol.sys.statvfs(MOUNTPOINT));
    return await walk(vol.sys, limit);
  } finally {
    await vol.close();
  }
}

/** Tries mutants; the first that does harm is reported with what was changed in it. */
async function attempt(t: Test, mutants: Iterable<Mutant>, limit: number): Promise<{ tried: number; seen: number }> {
  let tried = 0;
  let seen = 0;
  for (const dev of mutants) {
    tried++;
    try {
      seen += await survive(dev, limit);
    } catch (thrown) {
      t.fail(`mutant ${tried} (${String(dev)}): ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
      break;
    }
  }
  return { tried, seen };
}

const sbloc = (name: string): number => (name.includes('ffs2') ? 65536 : 8192);
const le = (name: string): boolean => !name.includes('-be');
const word = (value: number, little: boolean): number[] => {
  const b = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
  return little ? b : b.reverse();
};

t.test('every field of the superblock', { skip }, async (t) => {
  for (const [n, name] of ['netbsd-ffs2-le', 'netbsd-ffs1-be', 'netbsd-ffs0-le', 'netbsd-ffs2-log-dirty'].entries()) {
    const image = fixture(name);
    const base = sbloc(name);
    const view = new DataView(image.buffer, image.byteOffset + base, 1376);
    const mutants = function* (): Generator<Mutant> {
      for (let at = 0; at < 1376; at += 4) {
        // The mount point's name and what the kernel keeps in memory mean nothing.
        if (at >= 212 && at < 724) continue;
        const was = view.getUint32(at, le(name));
        const values = [0, 0x7fffffff, 0xffffffff, was ^ 1, 1, 0x80000000, was ^ 0x8000, was << 1];
        for (const [v, value] of values.entries()) {
          // Half of them on each volume.
          if ((v + n) % 2 === 0 && ROUNDS < 100) continue;
          if (value >>> 0 !== was) yield new Mutant(image).put(base + at, ...word(value >>> 0, le(name)));
        }
      }
    };
    const { tried, seen } = await attempt(t, mutants(), 3);
    t.ok(tried > 600 && seen > tried, `${name}: ${tried} mutants, ${seen} files seen`);
  }
});

t.test('inodes, directories, indirect blocks, groups', { skip }, async (t) => {
  for (const [n, name] of fixtureNames.entries()) {
    const image = fixture(name);
    const random = new Random(SEED * 1000 + n);
    const little = le(name);
    const view = new DataView(image.buffer, image.byteOffset + sbloc(name), 1376);
    const field = (at: number): number => view.getUint32(at, little);
    const fsize = field(52);
    const group = field(188) * fsize;
    const inodes = field(16) * fsize;
    const data = field(20) * fsize;
    const isize = name.includes('ffs2') ? 256 : 128;
    // Blocks that look like directories, and the journal, are where structure is.
    const dirs: number[] = [];
    for (let at = data; at + fsize <= image.length; at += fsize)
      if (image[at + 8] === 0x2e && image[at + 9] === 0 && image[at + 20] === 0x2e) {
        dirs.push(at);
      }
    const mutants = function* (): Generator<Mutant> {
      for (let i = 0; i < ROUNDS; i++) {
        const dev = new Mutant(image);
        for (let changes = 1 + random.next(6); changes > 0; changes--) {
          const c = random.next(4);
          let at: number;
          switch (random.next(5)) {
            case 0: // an inode in use (they are taken from the start of a table)
            case 1:
              at = c * group + inodes + random.next(80) * isize + random.next(isize / 4) * 4;
              break;
            case 2:
              at = random.pick(dirs) + random.next(fsize / 4) * 4;
              break;
            case 3:
              at = c * group + field(12) * fsize + random.next(64) * 4;
              break;
            default:
              at = data + random.next((image.length - data) / 4) * 4;
          }
          const was = new DataView(image.buffer, image.byteOffset).getUint32(at, little);
          const value = random.pick([
            0,
            1,
            2,
            0x7fffffff,
            0xffffffff,
            was ^ (1 << random.next(32)),
            random.next(2 ** 32),
            random.next(24576),
            was << 8,
          ]);
          dev.put(at, ...word(value >>> 0, little));
        }
        yield dev;
      }
    };
    const { tried, seen } = await attempt(t, mutants(), 60);
    t.ok(tried === ROUNDS && seen > ROUNDS * 10, `${name}: ${tried} mutants, ${seen} files seen`);
  }
});

t.test('the journal', { skip }, async (t) => {
  for (const name of ['netbsd-ffs1-be-log-dirty', 'netbsd-ffs2-log-dirty']) {
    const image = fixture(name);
    // The journal is in the byte order of the little-endian machine that wrote it.
    const start = Number(new DataView(image.buffer, image.byteOffset + sbloc(name)).getBigUint64(872, true)) * 512;
    const random = new Random(SEED + 7);
    const mutants = function* (): Generator<Mutant> {
      for (let at = 0; at < 80; at += 4) {
        for (const value of [0, 1, 0x7fffffff, 0xffffffff, 512, 1024, random.next(2 ** 31)]) {
          // Both headers, so that the damaged one is taken.
          yield new Mutant(image).put(start + at, ...word(value, true)).put(start + 512 + at, ...word(value, true));
        }
      }
      for (let i = 0; i < ROUNDS * 2; i++) {
        const tail = start + random.pick([1024, 113152, 162304, 141312]);
        yield new Mutant(image).put(
          tail + random.next(24) * 4,
          ...word(random.pick([0, 1, 0xffffffff, 512, 65536, random.next(2 ** 32)]), true),
        );
      }
    };
    const { tried, seen } = await attempt(t, mutants(), 10);
    t.ok(seen > tried, `${name}: ${tried} mutants, ${seen} files seen`);
  }
});

t.test('cut off anywhere', { skip }, async (t) => {
  const image = fixture('netbsd-ffs1-le');
  const lengths = [0, 1, 511, 512, 8191, 8192, 8193, 16383, 16384, 65536, 73727, 2 ** 20, 2 ** 23, image.length - 1];
  const { tried, seen } = await attempt(t, lengths.map((length) => new Mutant(image, length)), 10);
  t.equal(tried, lengths.length, 'all tried');
  t.equal(seen, 0, 'none is mounted');
});
