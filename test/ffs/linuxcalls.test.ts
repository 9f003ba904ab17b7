/**
 * What Linux programs ask of a file system beyond POSIX: on tmpfs and on volumes of FFS, which a checker then finds in
 * order.
 */
import type { Test } from 'tap';
import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, MNT_NOGRPID,
  O_RDONLY, O_RDWR, O_TMPFILE, RENAME_EXCHANGE, RENAME_WHITEOUT, SEEK_DATA, SEEK_HOLE,
} from '../../src/kernel/fcntl.js';
import { S_IFCHR, S_IFMT, S_ISGID, S_ISUID, Stat } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { boot, fails, names, readFile, writeFile } from '../kernel/support.js';
import { mountFfs } from './volumes.js';
import { checked } from './write-support.js';

interface Target {
  readonly name: string;
  readonly xattr: boolean;
  /** Blocks behind the end of a file. */
  readonly behind: boolean;
  open(t: Test, flags?: number): Promise<{ sys: RumpSys; end(): Promise<void> }>;
}

function onFfs(name: string, format: 1 | '2ea', endian: 'little' | 'big', log: boolean): Target {
  return {
    name, xattr: format === '2ea', behind: false,
    async open(t, flags = 0) {
      const dev = new MemoryDevice({ size_bytes: 24 << 20 });
      await newfs(dev, { format, endian, ...(log ? { log: true as const } : {}) });
      const volume = await mountFfs(dev, flags, log ? { log: true } : {});
      await volume.sys.chdir('/vol');
      return {
        sys: volume.sys,
        async end() {
          await volume.sys.chdir('/');
          await volume.close();
          await checked(t, dev, name);
        },
      };
    },
  };
}

const TARGETS: readonly Target[] = [
  {
    name: 'tmpfs', xattr: true, behind: true,
    async open(t, flags = 0) {
      const { sys } = await boot(t);
      await sys.mkdir('/vol', 0o755);
      await sys.mount('tmpfs', '/vol', flags);
      await sys.chdir('/vol');
      return { sys, end: () => sys.chdir('/') };
    },
  },
  onFfs('UFS1', 1, 'big', false),
  onFfs('UFS2ea', '2ea', 'little', false),
  onFfs('UFS2ea with a journal', '2ea', 'little', true),
];

const exchange = (sys: RumpSys, a: string, b: string) => sys.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
const dotdot = async (sys: RumpSys, dir: string) => (await sys.stat(`${dir}/..`)).st_ino;

for (const target of TARGETS) {
  t.test(`${target.name}: names change places`, async (t) => {
    const { sys, end } = await target.open(t);
    for (const dir of ['one', 'two', 'one/dir', 'one/dir/below']) await sys.mkdir(dir, 0o755);
    await writeFile(sys, 'one/a', 'a');
    await writeFile(sys, 'one/b', 'bb');
    await writeFile(sys, 'two/c', 'ccc');
    await exchange(sys, 'one/a', 'one/b');
    t.equal(await readFile(sys, 'one/a'), 'bb');
    t.equal(await readFile(sys, 'one/b'), 'a');
    await exchange(sys, 'one/b', 'two/c');
    t.equal(await readFile(sys, 'two/c'), 'a', 'from one directory to another');
    t.equal(await readFile(sys, 'one/b'), 'ccc');
    const [one, two] = [(await sys.stat('one')).st_ino, (await sys.stat('two')).st_ino];
    await exchange(sys, 'one/dir', 'two/c');
    t.equal(await readFile(sys, 'one/dir'), 'a', 'a file and a directory');
    t.equal(await dotdot(sys, 'two/c'), two, 'the directory has another parent');
    t.same([(await sys.stat('one')).st_nlink, (await sys.stat('two')).st_nlink], [2, 3]);
    await sys.mkdir('one/other', 0o755);
    await exchange(sys, 'one/other', 'two/c');
    t.equal(await dotdot(sys, 'one/other'), one, 'two directories');
    t.equal(await dotdot(sys, 'two/c'), two);
    t.same(await names(sys, 'one/other'), ['below']);
    await fails(t, exchange(sys, 'one', 'one/other/below'), 'EINVAL');
    await fails(t, exchange(sys, 'one/other/below', 'one'), 'EINVAL');
    await fails(t, exchange(sys, 'one/a', 'nothing'), 'ENOENT');
    await fails(t, sys.renameat2(AT_FDCWD, 'one/a', AT_FDCWD, 'one/b', RENAME_EXCHANGE | RENAME_WHITEOUT), 'EINVAL');
    await exchange(sys, 'one/a', 'one/a');
    t.same((await names(sys, 'one')).sort(), ['a', 'b', 'dir', 'other']);
    await end();
  });

  t.test(`${target.name}: a rename leaves a whiteout`, async (t) => {
    const { sys, end } = await target.open(t);
    await sys.mkdir('dir', 0o755);
    await sys.mkdir('moved', 0o755);
    await writeFile(sys, 'a', 'a');
    await writeFile(sys, 'dir/b', 'b');
    for (const [from, to] of [['a', 'dir/b'], ['moved', 'dir/moved']] as const) {
      await sys.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_WHITEOUT);
      const st = await sys.fstatat(AT_FDCWD, from, new Stat(), AT_SYMLINK_NOFOLLOW);
      t.equal(st.st_mode & S_IFMT, S_IFCHR, `${from} is a device`);
      t.equal(st.st_rdev, 0n);
      t.equal(st.st_nlink, 1);
    }
    t.equal(await readFile(sys, 'dir/b'), 'a');
    t.same((await names(sys, 'dir')).sort(), ['b', 'moved']);
    const user = sys.withCred(1000, 1000, [], false);
    await sys.chmod('.', 0o777);
    await writeFile(user, 'own', 'x');
    await fails(t, user.renameat2(AT_FDCWD, 'own', AT_FDCWD, 'mine', RENAME_WHITEOUT), 'EPERM');
    await sys.unlink('a');
    await end();
  });

  t.test(`${target.name}: files without a name`, async (t) => {
    const { sys, end } = await target.open(t);
    await sys.mkdir('dir', 0o755);
    const fd = await sys.open('dir', O_TMPFILE | O_RDWR, 0o640);
    await sys.write(fd, new TextEncoder().encode('nameless'));
    t.equal((await sys.fstat(fd)).st_nlink, 0);
    t.same(await names(sys, 'dir'), []);
    await sys.sync();
    await sys.linkat(fd, '', AT_FDCWD, 'dir/named', AT_EMPTY_PATH);
    t.equal((await sys.fstat(fd)).st_nlink, 1);
    t.equal((await sys.stat('dir/named')).st_mode & 0o7777, 0o640);
    await sys.close(fd);
    t.equal(await readFile(sys, 'dir/named'), 'nameless');
    const free = (await sys.statvfs('.')).f_ffree;
    const other = await sys.open('.', O_TMPFILE | O_RDWR, 0o600);
    await sys.close(other);
    await sys.sync();
    t.equal((await sys.statvfs('.')).f_ffree, free, 'it goes when it is closed');
    await fails(t, sys.open('.', O_TMPFILE | O_RDONLY, 0o600), 'EINVAL');
    await fails(t, sys.open('dir/named', O_TMPFILE | O_RDWR, 0o600), 'ENOTDIR');
    await end();
  });

  t.test(`${target.name}: fallocate in all its modes`, async (t) => {
    const { sys, end } = await target.open(t);
    const fd = await sys.open('f', O_RDWR | 0x200, 0o644);
    await sys.pwrite(fd, new Uint8Array(200_000).fill(7), 0);
    await sys.ftruncate(fd, 1_000_000);
    await sys.fallocate(fd, FALLOC_KEEP_SIZE, 200_000, 800_000);
    t.equal((await sys.fstat(fd)).st_size, 1_000_000);
    t.equal(await sys.lseek(fd, 0, SEEK_HOLE), 1_000_000, 'the holes are filled');
    await sys.fallocate(fd, FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, 1000, 100_000);
    const bytes = new Uint8Array(200_000);
    await sys.pread(fd, bytes, 0);
    t.ok(bytes.every((byte, i) => byte === (i >= 1000 && i < 101_000 ? 0 : 7)), 'just that range is zeros');
    await sys.fallocate(fd, FALLOC_ZERO_RANGE, 999_000, 50_000);
    t.equal((await sys.fstat(fd)).st_size, 1_049_000, 'and the file grows');
    await sys.fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 1_049_000);
    const behind = sys.fallocate(fd, FALLOC_KEEP_SIZE, 0, 2_000_000);
    if (target.behind) await behind;
    else await fails(t, behind, 'EOPNOTSUPP', 'the format has no blocks behind the end');
    t.equal((await sys.fstat(fd)).st_size, 1_049_000);
    for (const mode of [FALLOC_PUNCH_HOLE, 8, 0x20, FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE]) {
      await fails(t, sys.fallocate(fd, mode, 0, 10), 'EOPNOTSUPP');
    }
    await sys.close(fd);
    await end();
  });

  t.test(`${target.name}: set-id bits, offsets`, async (t) => {
    const { sys, end } = await target.open(t);
    const user = sys.withCred(1000, 1000, [], false);
    for (const mode of [0, FALLOC_ZERO_RANGE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE]) {
      await writeFile(sys, 'setid', 'content');
      await sys.chown('setid', 0, 50);
      await sys.chmod('setid', 0o6777);
      const fd = await user.open('setid', O_RDWR);
      await user.fallocate(fd, mode, 0, 10);
      t.equal((await sys.stat('setid')).st_mode & (S_ISUID | S_ISGID), 0, `fallocate ${mode} by somebody else`);
      await user.close(fd);
    }
    const fd = await sys.open('setid', O_RDWR);
    for (const whence of [SEEK_DATA, SEEK_HOLE]) {
      for (const offset of [-1, -(2 ** 40), 1_000_000, 2 ** 53 - 1, 2 ** 60]) {
        await fails(t, sys.lseek(fd, offset, whence), 'ENXIO', `lseek ${offset}`);
      }
    }
    await sys.close(fd);
    await end();
  });

  t.test(`${target.name}: groups of new files`, async (t) => {
    for (const linux of [false, true]) {
      const { sys, end } = await target.open(t, linux ? MNT_NOGRPID : 0);
      const user = sys.withCred(1000, 1000, [], false);
      for (const [dir, mode] of [['plain', 0o777], ['setgid', 0o2777]] as const) {
        await sys.mkdir(dir, 0o755);
        await sys.chown(dir, 0, 50);
        await sys.chmod(dir, mode);
        await user.mkdir(`${dir}/sub`, 0o755);
        await writeFile(user, `${dir}/file`, '');
        await user.symlink('x', `${dir}/link`);
        const inherits = linux && dir === 'setgid';
        const gid = linux && dir === 'plain' ? 1000 : 50;
        for (const name of ['sub', 'file', 'link']) {
          t.equal((await sys.lstat(`${dir}/${name}`)).st_gid, gid, `${dir}/${name}, ${linux ? 'nogrpid' : 'grpid'}`);
        }
        t.equal((await sys.stat(`${dir}/sub`)).st_mode & S_ISGID, inherits ? S_ISGID : 0);
        t.equal((await sys.stat(`${dir}/file`)).st_mode & S_ISGID, 0);
      }
      await end();
    }
  });

  if (!target.xattr) continue;
  t.test(`${target.name}: attributes of trusted and security`, async (t) => {
    const { sys, end } = await target.open(t);
    const user = sys.withCred(1000, 1000, [], false);
    await writeFile(sys, 'f', '');
    const value = Uint8Array.of(1, 0, 0, 2);
    for (const name of ['trusted.overlay.opaque', 'security.capability', 'user.x', 'system.y']) {
      await sys.setxattr('f', name, value);
    }
    for (const name of ['trusted.overlay.opaque', 'security.capability']) {
      t.same([...(await sys.getxattr('f', name))], [...value], name);
    }
    t.same((await sys.listxattr('f')).sort(), ['security.capability', 'system.y', 'trusted.overlay.opaque', 'user.x']);
    t.same((await user.listxattr('f')).sort(), ['security.capability', 'user.x'], 'what others see');
    t.same([...(await user.getxattr('f', 'security.capability'))], [...value], 'everybody runs programs');
    await fails(t, user.getxattr('f', 'trusted.overlay.opaque'), 'EPERM');
    await fails(t, user.setxattr('f', 'security.capability', value), 'EPERM');
    await fails(t, sys.setxattr('f', 'system.trusted.x', value), 'EOPNOTSUPP');
    await fails(t, sys.setxattr('f', 'trusted.', value), 'EINVAL');
    await sys.removexattr('f', 'trusted.overlay.opaque');
    await fails(t, sys.getxattr('f', 'trusted.overlay.opaque'), 'ENOATTR');
    await end();
  });
}
