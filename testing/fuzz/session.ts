/** Changes things on a mounted volume: random operations in places that are there, and that are not. */
import {
  EXTATTR_NAMESPACE_USER,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
} from '../../src/kernel/fcntl.js';
import { S_IFBLK, S_IFDIR, S_IFMT, S_IFREG, makedev } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import type { Probe } from './probe.js';
import type { Random } from './random.js';
import type { Found } from './walk.js';
import { MOUNTPOINT, join } from './walk.js';

const content = new Uint8Array(70_000).fill(0x5a);
const LENGTHS = [1, 100, 512, 4096, 8192, 20_000, 70_000];
const OFFSETS = [0, 0, 1, 4095, 8192, 50_000, 98_304, 110_000, 2 ** 21, 2 ** 23, 2 ** 31 - 100, 2 ** 40];

/** Runs `count` operations, now and then several at once. */
export async function session(
  probe: Probe,
  sys: RumpSys,
  random: Random,
  found: readonly Found[],
  count: number,
): Promise<void> {
  const dirs = found.filter((f) => (f.type & S_IFMT) === S_IFDIR).map((f) => f.path);
  if (dirs.length === 0) dirs.push(Buffer.from(MOUNTPOINT));
  const files = found.filter((f) => (f.type & S_IFMT) === S_IFREG).map((f) => f.path);
  const all = found.map((f) => f.path);
  let made = 0;
  const fresh = (): Uint8Array => {
    const path = join(random.pick(dirs), `n${made++}${random.once(6) ? 'y'.repeat(random.below(250)) : ''}`);
    all.push(path);
    return path;
  };
  const any = (): Uint8Array => (all.length === 0 ? fresh() : random.pick(all));
  const someFile = (): Uint8Array => (files.length === 0 ? fresh() : random.pick(files));

  const withFd = async (
    what: string,
    path: Uint8Array,
    flags: number,
    use: (fd: number) => Promise<unknown>,
  ): Promise<void> => {
    const fd = await probe.op(`open to ${what}`, () => sys.open(path, flags, 0o644));
    if (fd === undefined) return;
    await probe.op(what, () => use(fd));
    if (random.once(5)) await probe.op('fsync', () => sys.fsync(fd));
    await probe.op('close', () => sys.close(fd));
  };

  const write = (): Promise<void> => {
    const at = random.pick(OFFSETS);
    const length = random.pick(LENGTHS);
    return withFd('pwrite', someFile(), O_RDWR, (fd) => sys.pwrite(fd, content, at, 0, length));
  };
  const create = (): Promise<void> => {
    const path = fresh();
    files.push(path);
    const length = random.pick(LENGTHS);
    return withFd('write', path, O_RDWR | O_CREAT | random.pick([0, O_EXCL, O_TRUNC]), (fd) =>
      sys.write(fd, content, 0, length),
    );
  };
  const append = (): Promise<void> =>
    withFd('append', someFile(), O_RDWR | O_APPEND, (fd) => sys.write(fd, content, 0, 300));
  const truncate = (): Promise<unknown> => {
    const path = someFile();
    const length = random.pick([0, 0, 1, 511, 4096, 60_000, 100_000, 2 ** 30, 2 ** 41]);
    return probe.op('truncate', () => sys.truncate(path, length));
  };
  const overwritten = (): Promise<void> =>
    withFd('truncating open', any(), O_RDWR | O_TRUNC, (fd) => sys.write(fd, content, 0, 5000));
  const mkdir = (): Promise<unknown> => {
    const path = fresh();
    dirs.push(path);
    return probe.op('mkdir', () => sys.mkdir(path, 0o755));
  };
  const one =
    (name: string, call: (path: Uint8Array) => Promise<unknown>, pick: () => Uint8Array = any) =>
    (): Promise<unknown> => {
      const path = pick();
      return probe.op(name, () => call(path));
    };
  const two = (name: string, call: (a: Uint8Array, b: Uint8Array) => Promise<unknown>) => (): Promise<unknown> => {
    const a = any();
    const b = random.once(3) ? any() : fresh();
    return probe.op(name, () => call(a, b));
  };
  const setattr = (path: Uint8Array): Promise<unknown> =>
    sys.extattr_set_link(
      path,
      EXTATTR_NAMESPACE_USER,
      `k${random.below(4)}`,
      content.subarray(0, random.pick([0, 10, 700, 9000, 60_000])),
    );

  const OPS: readonly (readonly [number, () => Promise<unknown>])[] = [
    [8, write], [6, create], [4, append], [5, truncate], [2, overwritten], [5, mkdir],
    [5, one('unlink', (p) => sys.unlink(p))],
    [3, one('rmdir', (p) => sys.rmdir(p), () => random.pick(dirs))],
    [6, two('rename', (a, b) => sys.rename(a, b))],
    [3, two('link', (a, b) => sys.link(a, b))],
    [2, one('symlink', (p) => sys.symlink('x'.repeat(1 + random.below(300)), p), fresh)],
    [1, one('mknod', (p) => sys.mknod(p, S_IFBLK | 0o600, makedev(1, 2)), fresh)],
    [1, one('mkfifo', (p) => sys.mkfifo(p, 0o600), fresh)],
    [2, one('chmod', (p) => sys.lchmod(p, random.below(0o7777)))],
    [1, one('chown', (p) => sys.lchown(p, random.below(70_000), -1))],
    [1, one('utimes', (p) => sys.lutimes(p, { sec: -5, nsec: 1 }, { sec: 2 ** 33, nsec: 999_999_999 }))],
    [2, one('extattr_set', setattr)],
    [1, one('extattr_delete', (p) => sys.extattr_delete_link(p, EXTATTR_NAMESPACE_USER, 'a'))],
    [2, one('sync', () => sys.sync())],
    [1, one('statvfs', (p) => sys.statvfs(p))],
    [3, one('lstat', (p) => sys.lstat(p))],
    // Removed while open: it goes away at the close.
    [2, () => {
      const path = someFile();
      return withFd('unlink while open', path, O_RDWR, async (fd) => {
        await sys.unlink(path);
        await sys.pwrite(fd, content, random.pick(OFFSETS), 0, 3000);
      });
    }],
    [2, () => withFd('read', someFile(), O_RDONLY, (fd) => sys.read(fd, new Uint8Array(30_000)))],
  ];

  for (let i = 0; i < count; i++) {
    if (random.once(10)) await Promise.all([0, 1, 2].map(() => random.weighted(OPS)()));
    else await random.weighted(OPS)();
  }
  probe.count('changes', count);
}
