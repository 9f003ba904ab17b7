import t from 'tap';
import type { Test } from 'tap';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import * as F from '../../src/fuse/protocol/fuse_kernel.js';
import { Client, ROOT, entryAt } from './fixtures/client.js';

async function fails(t: Test, promise: Promise<unknown>, code: string, what: string): Promise<void> {
  await promise.then(() => t.fail(`${what}: no error`), (error: { code?: string }) => t.equal(error.code, code, what));
}

for (const handles of [false, true]) {
  t.test(handles ? 'with handles' : 'by node', async (t) => {
    const c = await Client.boot({ handles });
    t.teardown(() => c.halt());

    t.test('names', async (t) => {
      const root = await c.getattr(ROOT);
      t.equal(root.mode & 0o170000, 0o040000);
      const missing = await c.lookup(ROOT, 'nothing');
      t.same(missing.node, { lo: 0, hi: 0 }, 'a name that is not there is an answer to be remembered');
      const dir = await c.mkdir(ROOT, 'dir', 0o750);
      t.equal(dir.attr.mode, 0o040750);
      t.same((await c.lookup(ROOT, 'dir')).node, dir.node, 'the node stays the same');
      t.same((await c.lookup(dir.node, '..')).node, ROOT, 'the root is node 1 from wherever');
      t.same((await c.lookup(dir.node, '.')).node, dir.node);
      t.same((await c.lookup(ROOT, '..')).node, ROOT);
      await fails(t, c.mkdir(ROOT, 'dir'), 'EEXIST', 'twice');
      await fails(t, c.lookup(dir.node, 'x'.repeat(256)), 'ENAMETOOLONG', 'a long name');

      const file = await c.create(dir.node, 'ä\u{1f600}', 0o100640);
      t.equal(file.attr.mode, 0o100640);
      t.same((await c.lookup(dir.node, 'ä\u{1f600}')).node, file.node, 'a name beyond ASCII');
      const other = entryAt(
        await c.call(
          'link',
          dir.node,
          ['u64', (BigInt(file.node.hi) << 32n) | BigInt(file.node.lo)],
          ['name', 'second'],
        ),
      );
      t.same(other.node, file.node);
      t.equal(other.attr.nlink, 2);

      const link = entryAt(await c.call('symlink', dir.node, ['name', 'link'], ['name', 'where/ever']));
      t.equal(link.attr.mode & 0o170000, 0o120000);
      t.equal(Buffer.from((await c.call('readlink', link.node)).buffer).toString(), 'where/ever');
      await fails(t, c.call('readlink', file.node), 'EINVAL', 'readlink of a file');

      const device = entryAt(
        await c.call('mknod', dir.node, ['u32', 0o020600], ['u32', 0x1103], ['u32', 0], ['u32', 0], ['name', 'dev']),
      );
      t.equal(device.attr.rdev, 0x1103);
      const fifo = entryAt(
        await c.call('mknod', dir.node, ['u32', 0o010600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', 'fifo']),
      );
      t.equal(fifo.attr.mode, 0o010600);
      const socket = entryAt(
        await c.call('mknod', dir.node, ['u32', 0o140600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', 'socket']),
      );
      t.equal(socket.attr.mode, 0o140600);
      const plain = entryAt(
        await c.call('mknod', dir.node, ['u32', 0o100600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', 'plain']),
      );
      t.equal(plain.attr.mode, 0o100600);

      await fails(t, c.call('rmdir', ROOT, ['name', 'dir']), 'ENOTEMPTY', 'rmdir');
      await fails(t, c.call('unlink', ROOT, ['name', 'dir']), 'EPERM', 'unlink of a directory');
      for (const name of ['ä\u{1f600}', 'second', 'link', 'dev', 'fifo', 'socket', 'plain']) {
        await c.call('unlink', dir.node, ['name', name]);
      }
      await c.call('rmdir', ROOT, ['name', 'dir']);
      t.equal((await c.lookup(ROOT, 'dir')).node.lo, 0);
      if (handles) await c.call('release', file.node, ['u64', file.fh], ['u32', 0], ['u32', 0], ['u64', 0]);
    });

    t.test('data', async (t) => {
      const { node, fh } = await c.create(ROOT, 'data');
      t.equal(fh > 0, handles);
      t.equal(await c.write(node, fh, 0, 'hello world'), 11);
      t.equal((await c.read(node, fh, 6, 100)).toString(), 'world', 'short at the end');
      t.equal((await c.read(node, fh, 100, 10)).length, 0);
      t.equal(await c.write(node, fh, 5, '-', 0, 0o2001), 1, 'the position is the host\'s even for O_APPEND');
      t.equal((await c.read(node, fh, 0, 11)).toString(), 'hello-world');
      t.equal((await c.setattr(node, F.FATTR_SIZE | (handles ? F.FATTR_FH : 0), { size: 3, fh })).size, 3);
      t.equal((await c.setattr(node, F.FATTR_SIZE, { size: 5 })).size, 5, 'truncation without a handle');
      t.equal((await c.read(node, fh, 0, 10)).toString('latin1'), 'hel\0\0');
      const big = Buffer.alloc(1 << 20, 'abcdefg');
      t.equal(await c.write(node, fh, 10, big), 1 << 20);
      t.ok((await c.read(node, fh, 10, 1 << 20)).equals(big), 'a megabyte');
      await fails(
        t,
        c.call(
          'write',
          node,
          ['u64', fh],
          ['u64', 0],
          ['u32', 100],
          ['u32', 0],
          ['u64', 0],
          ['u32', 0],
          ['u32', 0],
          ['bytes', Buffer.alloc(50)],
        ),
        'EINVAL',
        'less data than it says',
      );
      await fails(
        t,
        c.call(
          'write',
          node,
          ['u64', fh],
          ['u64', 2n ** 60n],
          ['u32', 1],
          ['u32', 0],
          ['u64', 0],
          ['u32', 0],
          ['u32', 0],
          ['bytes', Buffer.alloc(1)],
        ),
        'EFBIG',
        'beyond what can be counted',
      );
      for (const op of ['fsync', 'fsyncdir'] as const) {
        const isDir = op === 'fsyncdir';
        const target = isDir ? ROOT : node;
        const handle = !handles
          ? 0
          : isDir
            ? Number((await c.call('opendir', ROOT, ['u32', 0], ['u32', 0])).getBigUint64(0, true))
            : fh;
        t.equal((await c.call(op, target, ['u64', handle], ['u32', 0], ['u32', 0])).byteLength, 0, op);
        if (isDir && handles) await c.call('releasedir', ROOT, ['u64', handle], ['u32', 0], ['u32', 0], ['u64', 0]);
      }
      await c.call('syncfs', ROOT, ['u64', 0]);

      const seek = async (offset: number, whence: number) =>
        Number(
          (await c.call('lseek', node, ['u64', fh], ['u64', offset], ['u32', whence], ['u32', 0])).getBigUint64(
            0,
            true,
          ),
        );
      t.equal(await seek(0, 3), 0, 'SEEK_DATA');
      t.equal(await seek(0, 4), 10 + (1 << 20), 'SEEK_HOLE at the end');
      await fails(t, seek(1 << 22, 3), 'ENXIO', 'SEEK_DATA behind the end');
      await c.call('fallocate', node, ['u64', fh], ['u64', 0], ['u64', 2 << 20], ['u32', 0], ['u32', 0]);
      t.equal((await c.getattr(node)).size, 2 << 20, 'fallocate extends');
      await c.call('fallocate', node, ['u64', fh], ['u64', 0], ['u64', 65536], ['u32', 3], ['u32', 0]);
      t.ok((await c.read(node, fh, 0, 65536)).every((byte) => byte === 0), 'a hole was punched');
      t.equal((await c.getattr(node)).size, 2 << 20);
      await c.call('fallocate', node, ['u64', fh], ['u64', 0], ['u64', 1], ['u32', 1], ['u32', 0]);
      await c.call('fallocate', node, ['u64', fh], ['u64', 0], ['u64', 1], ['u32', 0x10], ['u32', 0]);
      t.equal((await c.getattr(node)).size, 2 << 20, 'KEEP_SIZE, ZERO_RANGE');
      await fails(
        t,
        c.call('fallocate', node, ['u64', fh], ['u64', 0], ['u64', 1], ['u32', 8], ['u32', 0]),
        'EOPNOTSUPP',
        'COLLAPSE_RANGE',
      );

      const copy = await c.create(ROOT, 'copy');
      const nodeid = (BigInt(copy.node.hi) << 32n) | BigInt(copy.node.lo);
      const copied = await c.call(
        'copy_file_range',
        node,
        ['u64', fh],
        ['u64', 65536],
        ['u64', nodeid],
        ['u64', copy.fh],
        ['u64', 0],
        ['u64', 100000],
        ['u64', 0],
      );
      t.equal(copied.getUint32(0, true), 100000);
      const copied64 = await c.call(
        'copy_file_range_64',
        node,
        ['u64', fh],
        ['u64', 0],
        ['u64', nodeid],
        ['u64', copy.fh],
        ['u64', 100000],
        ['u64', 7],
        ['u64', 0],
      );
      t.equal(Number(copied64.getBigUint64(0, true)), 7);
      t.ok((await c.read(copy.node, copy.fh, 0, 100000)).equals((await c.read(node, fh, 65536, 100000))));
      t.equal((await c.getattr(copy.node)).size, 100007);
      if (handles) {
        for (const [n, h] of [
          [node, fh],
          [copy.node, copy.fh],
        ] as const) {
          await c.call('release', n, ['u64', h], ['u32', 0], ['u32', 0], ['u64', 0]);
        }
      }
    });

    t.test('attributes', async (t) => {
      const { node, fh } = await c.create(ROOT, 'attr', 0o100600);
      const times = await c.setattr(node, F.FATTR_ATIME | F.FATTR_MTIME, {
        atime: -315619200,
        atimensec: 999999999,
        mtime: 2 ** 33,
        mtimensec: 5,
      });
      t.match(
        times,
        { atime: -315619200, atimensec: 999999999, mtime: 2 ** 33, mtimensec: 5 },
        'before 1970 and after 2106',
      );
      const half = await c.setattr(node, F.FATTR_MTIME, { mtime: 7 });
      t.match(half, { atime: -315619200, mtime: 7 }, 'one time alone');
      const now = await c.setattr(node, F.FATTR_ATIME | F.FATTR_ATIME_NOW | F.FATTR_MTIME | F.FATTR_MTIME_NOW, {});
      t.same([now.atime, now.mtime], [c.kernel.now().sec, c.kernel.now().sec], 'now');
      t.equal((await c.setattr(node, F.FATTR_MODE, { mode: 0o104755 })).mode, 0o104755);
      t.match(await c.setattr(node, F.FATTR_UID | F.FATTR_GID, { uid: 12, gid: 4000000000 }), {
        uid: 12,
        gid: 4000000000,
      });
      t.match(
        await c.setattr(node, F.FATTR_MODE | F.FATTR_UID, { uid: 13, mode: 0o102711 }),
        { uid: 13, gid: 4000000000, mode: 0o102711 },
        'owner first, then the mode',
      );
      const statx = await c.call('statx', node, ['u32', 0], ['u32', 0], ['u64', 0], ['u32', 0], ['u32', 0xfff]);
      t.equal(statx.byteLength, 288);
      t.equal(statx.getUint16(32 + 28, true), 0o102711);
      t.ok(statx.getUint32(32, true) & 0x800, 'birth time');
      const statfs = await c.call('statfs', ROOT);
      t.equal(statfs.byteLength, 80);
      t.equal(statfs.getUint32(44, true), 255, 'length of names');
      if (handles) await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
    });

    t.test('directories', async (t) => {
      const dir = await c.mkdir(ROOT, 'many');
      const names = Array.from({ length: 100 }, (_, i) => `entry-${i}${'x'.repeat(i % 13)}`);
      for (const name of names) {
        await c.call('mknod', dir.node, ['u32', 0o100600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', name]);
      }
      const fh = handles
        ? Number((await c.call('opendir', dir.node, ['u32', 0], ['u32', 0])).getBigUint64(0, true))
        : 0;
      for (const plus of [false, true]) {
        for (const size of [plus ? 200 : 64, 1000, 4096, 1 << 20]) {
          const seen: string[] = [];
          let offset = 0;
          for (;;) {
            const part = await c.readdir(dir.node, fh, offset, size, plus);
            if (part.length === 0) break;
            offset = part.at(-1)!.off;
            seen.push(...part.map((entry) => entry.name));
            for (const { name, entry, ino } of part) {
              if (!plus) continue;
              if (name === '.' || name === '..') {
                t.equal(entry!.node.lo, 0);
              } else if (entry!.node.lo === 0 || entry!.attr.ino !== ino || (entry!.attr.mode & 0o777) !== 0o600) {
                t.fail(`attributes of ${name}`);
              }
            }
          }
          t.same(
            seen.sort(),
            ['.', '..', ...names].sort(),
            `${plus ? 'with' : 'without'} attributes, ${size} bytes at a time`,
          );
        }
      }
      // Two who read the same directory in turns.
      const first = await c.readdir(dir.node, fh, 0, 256);
      const whole = await c.readdir(dir.node, fh, 0, 1 << 20);
      const rest = await c.readdir(dir.node, fh, first.at(-1)!.off, 1 << 20);
      t.same(
        [...first, ...rest].map((entry) => entry.name),
        whole.map((entry) => entry.name),
        'each from his own position',
      );
      // Two requests at once.
      const both = await Promise.all([
        c.readdir(dir.node, fh, 0, 1 << 20),
        c.readdir(dir.node, fh, whole[50]!.off, 1 << 20),
      ]);
      if (!handles)
        t.same(
          both.map((list) => list.length),
          [whole.length, whole.length - 51],
          'at the same time',
        );
      // Entries that go while one lists.
      for (const { name } of whole.slice(0, 60))
        if (!name.startsWith('.')) {
          await c.call('unlink', dir.node, ['name', name]);
        }
      const left = await c.readdir(dir.node, fh, whole[59]!.off, 1 << 20);
      t.same(left.map((entry) => entry.name), whole.slice(60).map((entry) => entry.name));
      if (handles) await c.call('releasedir', dir.node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
    });

    t.test('rename', async (t) => {
      const a = await c.mkdir(ROOT, 'a');
      const b = await c.mkdir(ROOT, 'b');
      const id = (BigInt(b.node.hi) << 32n) | BigInt(b.node.lo);
      await c.call('mknod', a.node, ['u32', 0o100600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', 'f']);
      const node = (await c.lookup(a.node, 'f')).node;
      await c.call('rename', a.node, ['u64', id], ['name', 'f'], ['name', 'g']);
      t.same((await c.lookup(b.node, 'g')).node, node);
      t.equal((await c.lookup(a.node, 'f')).node.lo, 0);
      await c.call('mknod', a.node, ['u32', 0o100600], ['u32', 0], ['u32', 0], ['u32', 0], ['name', 'f']);
      await fails(
        t,
        c.call('rename2', a.node, ['u64', id], ['u32', 1], ['u32', 0], ['name', 'f'], ['name', 'g']),
        'EEXIST',
        'NOREPLACE',
      );
      const f = (await c.lookup(a.node, 'f')).node;
      await c.call('rename2', a.node, ['u64', id], ['u32', 2], ['u32', 0], ['name', 'f'], ['name', 'g']);
      t.same([(await c.lookup(a.node, 'f')).node, (await c.lookup(b.node, 'g')).node], [node, f], 'EXCHANGE');
      await c.call('rename2', a.node, ['u64', id], ['u32', 2], ['u32', 0], ['name', 'f'], ['name', 'g']);
      await fails(
        t,
        c.call('rename2', a.node, ['u64', id], ['u32', 8], ['u32', 0], ['name', 'f'], ['name', 'g']),
        'EINVAL',
        'a flag to come',
      );
      await c.call('rename2', a.node, ['u64', id], ['u32', 0], ['u32', 0], ['name', 'f'], ['name', 'g']);
      t.equal((await c.getattr(node)).nlink, 0, 'what was replaced is there while the host knows it');
      await c.raw('forget', node, [['u64', 1]]);
      await fails(t, c.getattr(node), 'ESTALE', 'and not after');
      await fails(
        t,
        c.call('rename', ROOT, ['u64', id], ['name', 'b'], ['name', 'x']),
        'EINVAL',
        'a directory below itself',
      );
    });

    t.test('removed files live while the host knows them', async (t) => {
      const { node, fh } = await c.create(ROOT, 'open');
      await c.write(node, fh, 0, 'still here');
      await c.call('unlink', ROOT, ['name', 'open']);
      t.equal((await c.getattr(node)).nlink, 0);
      t.equal((await c.read(node, fh, 0, 100)).toString(), 'still here');
      t.equal(await c.write(node, fh, 10, '!'), 1);
      t.equal((await c.setattr(node, F.FATTR_SIZE, { size: 5 })).size, 5);
      if (handles) await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
      const again = await c.create(ROOT, 'open');
      t.not(JSON.stringify(again.node), JSON.stringify(node), 'another file of the name is another node');
      await c.raw('batch_forget', ROOT, [
        ['u32', 2],
        ['u32', 0],
        ['u64', (BigInt(node.hi) << 32n) | BigInt(node.lo)],
        ['u64', 3],
        ['u64', 999999],
        ['u64', 1],
      ]);
      await fails(t, c.getattr(node), 'ESTALE', 'gone when forgotten');
      if (handles) await c.call('release', again.node, ['u64', again.fh], ['u32', 0], ['u32', 0], ['u64', 0]);

      const dir = await c.mkdir(ROOT, 'gone');
      await c.call('rmdir', ROOT, ['name', 'gone']);
      t.ok(await c.getattr(dir.node), 'a directory somebody works in');
      await fails(t, c.create(dir.node, 'x'), 'ENOENT', 'nothing can be made in it');
      await c.raw('forget', dir.node, [['u64', 1]]);
      await fails(t, c.getattr(dir.node), 'ESTALE', 'gone');
    });

    t.test('who asks', async (t) => {
      c.uid = 1000;
      c.gid = 100;
      const { node, attr, fh } = await c.create(ROOT, 'mine', 0o100644);
      t.match(attr, { uid: 1000 });
      const dir = await c.mkdir(ROOT, 'mydir');
      t.match(dir.attr, { uid: 1000 });
      if (handles) await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
      c.uid = c.gid = 0;
    });

    t.test('set-id bits', async (t) => {
      c.uid = 1000;
      c.gid = 100;
      const { node, fh } = await c.create(ROOT, 'suid', 0o100777);
      c.uid = c.gid = 0;
      await c.setattr(node, F.FATTR_MODE, { mode: 0o106777 });
      await c.write(node, fh, 0, 'x');
      t.equal((await c.getattr(node)).mode, 0o106777, 'who may keep them keeps them');
      t.same(c.invalidated, []);
      await c.write(node, fh, 0, 'x', F.FUSE_WRITE_KILL_SUIDGID);
      t.equal((await c.getattr(node)).mode, 0o100777, 'taken away when the host says so');
      t.same(c.invalidated, [node], 'and the host is told');
      await c.write(node, fh, 0, 'x', F.FUSE_WRITE_KILL_SUIDGID);
      t.same(c.invalidated, [node], 'once');
      await c.setattr(node, F.FATTR_MODE, { mode: 0o102767 });
      await c.write(node, fh, 0, 'x', F.FUSE_WRITE_KILL_SUIDGID);
      t.equal((await c.getattr(node)).mode, 0o102767, 'set-gid without group execution is no set-gid');
      await c.setattr(node, F.FATTR_MODE, { mode: 0o104755 });
      t.equal((await c.setattr(node, F.FATTR_SIZE | F.FATTR_KILL_SUIDGID, { size: 0 })).mode, 0o100755, 'truncation');
      await c.setattr(node, F.FATTR_MODE, { mode: 0o104755 });
      t.equal((await c.setattr(node, 0, {})).mode, 0o100755, 'a SETATTR that sets nothing asks for it');
      if (handles) await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
    });

    t.test('extended attributes', async (t) => {
      const { node, fh } = await c.create(ROOT, 'xattr');
      const set = (name: string, value: string, flags = 0) =>
        c.call('setxattr', node, ['u32', value.length], ['u32', flags], ['name', name], ['bytes', Buffer.from(value)]);
      const get = async (name: string, room: number) =>
        await c.call('getxattr', node, ['u32', room], ['u32', 0], ['name', name]);
      await set('user.one', 'value');
      await set('user.two', '');
      t.equal((await get('user.one', 0)).getUint32(0, true), 5, 'the size');
      t.equal(Buffer.from((await get('user.one', 5)).buffer).toString(), 'value');
      t.equal((await get('user.two', 10)).byteLength, 0);
      await fails(t, get('user.one', 4), 'ERANGE', 'too little room');
      await fails(t, get('user.none', 0), 'ENODATA', 'not there');
      await fails(t, set('user.one', 'x', 1), 'EEXIST', 'XATTR_CREATE');
      await fails(t, set('user.three', 'x', 2), 'ENODATA', 'XATTR_REPLACE');
      await fails(
        t,
        c.call('setxattr', node, ['u32', 65537], ['u32', 0], ['name', 'user.big'], ['bytes', Buffer.alloc(65537)]),
        'E2BIG',
        'too big',
      );
      await fails(
        t,
        c.call('setxattr', node, ['u32', 100], ['u32', 0], ['name', 'user.short'], ['bytes', Buffer.alloc(5)]),
        'EINVAL',
        'less than it says',
      );
      await fails(t, get('security.capability', 0), 'ENODATA', 'what the host asks before each write');
      await set('security.capability', 'x');
      await set('trusted.x', 'x');
      await c.call('removexattr', node, ['name', 'security.capability']);
      await c.call('removexattr', node, ['name', 'trusted.x']);
      await fails(t, get('system.posix_acl_access', 0), 'EOPNOTSUPP', 'no ACLs');
      const list = Buffer.from((await c.call('listxattr', node, ['u32', 100], ['u32', 0])).buffer).toString();
      t.same(list.split('\0').sort(), ['', 'user.one', 'user.two']);
      t.equal((await c.call('listxattr', node, ['u32', 0], ['u32', 0])).getUint32(0, true), list.length);
      await fails(t, c.call('listxattr', node, ['u32', 5], ['u32', 0]), 'ERANGE', 'too little room for the list');
      await c.call('removexattr', node, ['name', 'user.one']);
      await fails(t, c.call('removexattr', node, ['name', 'user.one']), 'ENODATA', 'removed');
      if (handles) await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
    });

    t.test('opening', async (t) => {
      const { node, fh } = await c.create(ROOT, 'opened');
      if (handles) {
        await c.write(node, fh, 0, 'data');
        const second = await c.open(node, 0o1001);
        t.equal((await c.getattr(node)).size, 0, 'O_TRUNC');
        await fails(t, c.read(node, second, 0, 1), 'EBADF', 'reading through what is open for writing');
        for (const handle of [fh, second]) {
          await c.call('release', node, ['u64', handle], ['u32', 0], ['u32', 0], ['u64', 0]);
        }
        await fails(t, c.read(node, fh, 0, 1), 'EBADF', 'released');
        await fails(t, c.read(node, 0, 0, 1), 'EBADF', 'no handle');
        await fails(t, c.create(ROOT, 'opened', 0o100644, 0o302), 'EEXIST', 'O_EXCL');
      } else {
        await fails(t, c.open(node), 'ENOSYS', 'the host opens by itself');
        await fails(
          t,
          c.call('create', ROOT, ['u32', 0o102], ['u32', 0o100644], ['u32', 0], ['u32', 0], ['name', 'other']),
          'ENOSYS',
          'and makes files by MKNOD',
        );
        await fails(t, c.call('opendir', ROOT, ['u32', 0], ['u32', 0]), 'ENOSYS', 'directories too');
      }
      await fails(
        t,
        c.call('flush', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]),
        'ENOSYS',
        'nothing to flush',
      );
      await fails(
        t,
        c.call(
          'setlk',
          node,
          ['u64', fh],
          ['u64', 1],
          ['u64', 0],
          ['u64', 1],
          ['u32', 0],
          ['u32', 1],
          ['u32', 0],
          ['u32', 0],
        ),
        'ENOSYS',
        'the host keeps locks',
      );
    });

    t.test('what there is not', async (t) => {
      await fails(t, c.call('bmap', ROOT, ['u64', 0], ['u32', 512], ['u32', 0]), 'ENOSYS', 'BMAP');
      await fails(
        t,
        c.call('ioctl', ROOT, ['u64', 0], ['u32', 0], ['u32', 0], ['u64', 0], ['u32', 0], ['u32', 0]),
        'ENOTTY',
        'IOCTL',
      );
      await fails(t, c.call('poll', ROOT, ['u64', 0], ['u64', 0], ['u32', 0], ['u32', 0]), 'ENOSYS', 'POLL');
      await fails(t, c.call(48, ROOT), 'ENOSYS', 'SETUPMAPPING');
      await fails(t, c.call(4711, ROOT), 'ENOSYS', 'an opcode to come');
      t.equal((await c.call('destroy', ROOT)).byteLength, 0);
      await fails(t, c.call('getattr', ROOT, ['u32', 0]), 'EINVAL', 'a request that is too short');
      await fails(t, c.getattr({ lo: 123456, hi: 7 }), 'ESTALE', 'a node that never was');
      await fails(t, c.getattr({ lo: 0, hi: 7 }), 'ESTALE', 'a number that was never given');
    });
    t.end();
  });
}

t.test('few descriptors: nodes are opened again as needed', async (t) => {
  const c = await Client.boot({ nodes_max: 4 });
  const files = [];
  for (let i = 0; i < 50; i++) {
    const file = await c.create(ROOT, `f${i}`);
    await c.write(file.node, 0, 0, `content ${i}`);
    files.push(file.node);
  }
  t.ok(c.bridge.nodes.size <= 8, `${c.bridge.nodes.size} nodes are open`);
  for (const [i, node] of files.entries()) t.equal((await c.read(node, 0, 0, 100)).toString(), `content ${i}`);
  // All at once: what is in use is not closed.
  const contents = await Promise.all(files.map((node) => c.read(node, 0, 0, 100)));
  t.same(contents.map(String), files.map((_, i) => `content ${i}`));
  // Removed ones stay, however many.
  for (const i of files.keys()) await c.call('unlink', ROOT, ['name', `f${i}`]);
  for (const [i, node] of files.entries()) t.equal((await c.read(node, 0, 0, 100)).toString(), `content ${i}`);
  t.equal(c.bridge.nodes.size >= 50, true);
  for (const node of files) await c.raw('forget', node, [['u64', 1]]);
  t.ok(c.bridge.nodes.size <= 8, 'and go when they are forgotten');
  await c.halt();
});

t.test('a file number that is used again is another node', async (t) => {
  const c = await Client.boot();
  const first = await c.create(ROOT, 'a');
  await c.call('unlink', ROOT, ['name', 'a']);
  await c.raw('forget', first.node, [['u64', 1]]);
  for (let i = 0; i < 5; i++) {
    const next = await c.create(ROOT, `b${i}`);
    t.ok(next.node.lo !== first.node.lo || next.node.hi !== first.node.hi);
  }
  await fails(t, c.getattr(first.node), 'ESTALE', 'the old one is stale');
  await c.halt();
});

t.test('a volume that is mounted read-only', async (t) => {
  const c = await Client.boot({ readonly: true }, MNT_RDONLY);
  await fails(t, c.create(ROOT, 'x'), 'EROFS', 'create');
  await fails(t, c.mkdir(ROOT, 'x'), 'EROFS', 'mkdir');
  await fails(t, c.setattr(ROOT, F.FATTR_MODE, { mode: 0o700 }), 'EROFS', 'chmod');
  t.same((await c.readdir(ROOT, 0, 0, 4096)).map((entry) => entry.name), ['.', '..']);
  await c.halt();
});

t.test('own permission checks, where the host makes none', async (t) => {
  const c = await Client.boot({ default_permissions: false });
  const dir = await c.mkdir(ROOT, 'private', 0o700);
  const { node, fh } = await c.create(ROOT, 'file', 0o100640);
  await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 0]);
  c.uid = 1000;
  c.gid = 1000;
  await fails(t, c.lookup(dir.node, 'x'), 'EACCES', 'searching');
  await fails(t, c.create(dir.node, 'x'), 'EACCES', 'creating');
  await fails(t, c.open(node, 0), 'EACCES', 'reading');
  await fails(t, c.open(node, 1), 'EACCES', 'writing');
  await fails(t, c.call('opendir', dir.node, ['u32', 0], ['u32', 0]), 'EACCES', 'listing');
  await fails(t, c.call('access', node, ['u32', 4], ['u32', 0]), 'EACCES', 'ACCESS');
  t.equal((await c.call('access', node, ['u32', 0], ['u32', 0])).byteLength, 0);
  await fails(t, c.setattr(node, F.FATTR_MODE, { mode: 0o777 }), 'EPERM', 'chmod of another\'s');
  c.uid = c.gid = 0;
  await c.setattr(node, F.FATTR_UID, { uid: 1000 });
  c.uid = c.gid = 1000;
  const mine = await c.open(node, 2);
  t.ok(mine > 0, 'one\'s own');
  await c.call('release', node, ['u64', mine], ['u32', 0], ['u32', 0], ['u64', 0]);
  await c.halt();
});

t.test('locks kept here', async (t) => {
  const c = await Client.boot({ remote_locks: true });
  const { node, fh } = await c.create(ROOT, 'locked');
  const lock = (
    op: 'getlk' | 'setlk' | 'setlkw',
    owner: number,
    type: number,
    start: bigint,
    end: bigint,
    flags = 0,
    unique = 1000,
  ) =>
    c.raw(
      op,
      node,
      [
        ['u64', fh],
        ['u64', owner],
        ['u64', start],
        ['u64', end],
        ['u32', type],
        ['u32', 77],
        ['u32', flags],
        ['u32', 0],
      ],
      { unique },
    );
  const MAX = 0x7fffffffffffffffn;
  await lock('setlk', 1, 1, 0n, 99n);
  await fails(t, lock('setlk', 2, 0, 50n, 60n), 'EAGAIN', 'a conflict');
  const held = (await lock('getlk', 2, 0, 50n, 60n))!;
  t.same(
    [held.getBigUint64(0, true), held.getBigUint64(8, true), held.getUint32(16, true), held.getUint32(20, true)],
    [0n, 99n, 1, 77],
    'who holds it',
  );
  t.equal((await lock('getlk', 2, 1, 100n, MAX))!.getUint32(16, true), 2, 'nobody');
  await lock('setlk', 2, 1, 100n, MAX);
  t.equal(
    (await lock('getlk', 1, 1, 200n, 201n))!.getBigUint64(8, true),
    MAX,
    'to the end of the file, however it grows',
  );

  let granted = false;
  const waiting = lock('setlkw', 2, 1, 0n, 9n, 0, 5000).then(() => (granted = true));
  await new Promise(setImmediate);
  t.notOk(granted);
  await lock('setlk', 1, 2, 0n, MAX);
  await waiting;
  t.ok(granted, 'a lock that was waited for');

  const given_up = lock('setlkw', 1, 1, 0n, 9n, 0, 6000);
  await new Promise(setImmediate);
  await c.raw('interrupt', ROOT, [['u64', 6000]]);
  await fails(t, given_up, 'EINTR', 'INTERRUPT');

  const flushed = lock('setlkw', 1, 1, 0n, 9n, 0, 7000);
  await new Promise(setImmediate);
  await c.call('flush', node, ['u64', fh], ['u32', 0], ['u32', 0], ['u64', 2]);
  await flushed;
  t.pass('close drops the locks of the process');

  const FLOCK = F.FUSE_LK_FLOCK;
  await lock('setlk', 11, 1, 0n, MAX, FLOCK);
  await fails(t, lock('setlk', 12, 0, 0n, MAX, FLOCK), 'EAGAIN', 'flock');
  await lock('setlk', 11, 2, 0n, MAX, FLOCK);
  await lock('setlk', 12, 0, 0n, MAX, FLOCK);
  await c.call('release', node, ['u64', fh], ['u32', 0], ['u32', F.FUSE_RELEASE_FLOCK_UNLOCK], ['u64', 12]);
  await c.halt();
});
