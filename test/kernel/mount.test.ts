import t from 'tap';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { E, errno } from '../../src/kernel/errno.js';
import {
  MNT_FORCE,
  MNT_NOSUID,
  MNT_RDONLY,
  MNT_SYNCHRONOUS,
  MNT_UPDATE,
  O_CREAT,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from '../../src/kernel/fcntl.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { Vfsops } from '../../src/kernel/vfs/vfsops.js';
import { boot, bytes, fails, names, readFile, text, writeFile } from './support.js';

function device(name: string, events: string[], readonly = false): BlockDevice {
  return {
    name, size_bytes: 1024, sector_bytes: 512, readonly,
    read() {},
    write() {},
    flush() {},
    discard() {},
    close() {
      events.push(`close ${name}`);
    },
  };
}

/** tmpfs under another name that tells what is asked of it and can be told to fail. */
function recording(events: string[], failing = new Set<string>()): Vfsops {
  const inner = tmpfs.vfsops!;
  const step = (what: string): void => {
    events.push(what);
    if (failing.has(what)) throw errno(E.EIO);
  };
  return {
    ...inner,
    vfs_name: 'recfs',
    mount(mp, args) {
      step('mount');
      return inner.mount(mp, { options: args.options });
    },
    update(mp, flags, args) {
      step('update');
      return inner.update(mp, flags, args);
    },
    root(mp) {
      step('root');
      return inner.root(mp);
    },
    sync(mp) {
      step('sync');
      return inner.sync(mp);
    },
    unmount(mp) {
      step('unmount');
      return inner.unmount(mp);
    },
  };
}

t.test('mounting and walking across', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/a', 0o755);
  await sys.mkdir('/a/m', 0o755);
  await writeFile(sys, '/a/m/hidden', 'x');
  await sys.mount('tmpfs', '/a/m', MNT_NOSUID);
  t.same(await names(sys, '/a/m'), []);
  await sys.mkdir('/a/m/in', 0o755);
  t.equal((await sys.stat('/a/m/in/../..')).st_ino, (await sys.stat('/a')).st_ino, '".." leaves the mount');
  t.equal((await sys.stat('/a/m/..')).st_dev, (await sys.stat('/a')).st_dev);
  t.not((await sys.stat('/a/m')).st_dev, (await sys.stat('/a')).st_dev);
  await sys.chdir('/a/m/in');
  t.equal(text(await sys.__getcwd()), '/a/m/in');
  await sys.chdir('/');
  await sys.mount('tmpfs', '/a/m/in', 0);
  await sys.mount('tmpfs', '/a/m/in', 0);
  const list = await sys.getvfsstat();
  t.same(list.map((s) => s.f_mntonname), ['/', '/a/m', '/a/m/in', '/a/m/in'], 'stacked');
  t.match(list[1], { f_fstypename: 'tmpfs', f_flag: MNT_NOSUID, f_fsid: (await sys.stat('/a/m')).st_dev });
  await fails(t, sys.unmount('/a/m'), 'EBUSY', 'another mount is inside');
  await fails(t, sys.unmount('/a/m', MNT_FORCE), 'EBUSY');
  await sys.unmount('/a/m/in');
  await sys.unmount('/a/m/in');
  await sys.unmount('/a/m');
  t.equal(await readFile(sys, '/a/m/hidden'), 'x');
  await fails(t, sys.unmount('/a/m'), 'EINVAL', 'not a mount');
  await fails(t, sys.unmount('/none'), 'ENOENT');
  await fails(t, sys.unmount('/'), 'EBUSY');
});

t.test('who and what', async (t) => {
  const events: string[] = [];
  const { kernel, sys } = await boot(t, [{ name: 'recfs', vfsops: recording(events) }]);
  await sys.mkdir('/m', 0o777);
  await writeFile(sys, '/f', 'x');
  await fails(t, sys.mount('nofs', '/m', 0), 'ENODEV');
  await fails(t, sys.mount('tmpfs', '/f', 0), 'ENOTDIR');
  await fails(t, sys.mount('tmpfs', '/none', 0), 'ENOENT');
  await fails(t, sys.mount('tmpfs', '/', 0), 'EBUSY');
  await fails(t, kernel.newproc(5, 5).mount('tmpfs', '/m', 0), 'EPERM');
  await fails(t, sys.mount('recfs', '/m', 0, { fspec_name: 'sd0a' }), 'ENOENT');
  await fails(t, sys.mount('tmpfs', '/m', MNT_UPDATE), 'EINVAL', 'nothing to update');
  await fails(t, sys.mount('tmpfs', '/m', 0, { options: new Map([['bogus', true]]) }), 'EINVAL');
  const dev = device('sd0a', events);
  kernel.etfs_register('sd0a', dev);
  t.throws(() => kernel.etfs_register('sd0a', dev), { code: 'EEXIST' });
  await sys.mount('recfs', '/m', 0, { fspec_name: 'sd0a' });
  t.equal((await sys.statvfs('/m')).f_mntfromname, 'sd0a');
  await sys.mkdir('/n', 0o755);
  await fails(t, sys.mount('recfs', '/n', 0, { fspec: dev }), 'EBUSY', 'one device, one mount');
  t.throws(() => kernel.etfs_remove('sd0a'), { code: 'EBUSY' });
  await fails(t, kernel.newproc(5, 5).unmount('/m'), 'EPERM');
  events.length = 0;
  await writeFile(sys, '/m/f', 'x');
  await sys.unmount('/m');
  t.same(events, ['sync', 'unmount', 'close sd0a']);
  kernel.etfs_remove('sd0a');
});

t.test('what uses a volume keeps it', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await sys.mount('tmpfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  await sys.mkdir('/m/d', 0o755);
  for (const flags of [O_RDONLY, O_PATH]) {
    const fd = await sys.open('/m/f', flags);
    await fails(t, sys.unmount('/m'), 'EBUSY');
    await sys.close(fd);
  }
  const p = kernel.newproc();
  await p.chdir('/m/d');
  await fails(t, sys.unmount('/m'), 'EBUSY', 'current directory');
  await p.chdir('/');
  await p.chroot('/m');
  await fails(t, sys.unmount('/m'), 'EBUSY', 'root directory');
  await p.exit();
  await sys.unmount('/m');

  const q = kernel.newproc();
  await q.chdir('/m');
  await sys.mount('tmpfs', '/m', 0);
  await writeFile(q, 'here', 'x');
  t.same(await names(sys, '/m'), ['here'], 'who stands in a covered directory stands in the mount');
  await q.exit();
  await sys.unmount('/m');
});

t.test('between read-write and read-only', async (t) => {
  const events: string[] = [];
  const { sys } = await boot(t, [{ name: 'recfs', vfsops: recording(events) }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('recfs', '/m', 0);
  const rw = await sys.open('/m/f', O_RDWR | O_CREAT, 0o644);
  await fails(t, sys.mount('recfs', '/m', MNT_UPDATE | MNT_RDONLY), 'EBUSY', 'open for writing');
  await sys.close(rw);
  const ro = await sys.open('/m/f', O_RDONLY);
  await writeFile(sys, '/m/g', 'x');
  const gone = await sys.open('/m/g', O_RDONLY);
  await sys.unlink('/m/g');
  await fails(t, sys.mount('recfs', '/m', MNT_UPDATE | MNT_RDONLY), 'EBUSY', 'open without a name');
  await sys.close(gone);
  events.length = 0;
  await sys.mount('recfs', '/m', MNT_UPDATE | MNT_RDONLY);
  t.same(events, ['sync', 'update']);
  await fails(t, sys.open('/m/f', O_WRONLY), 'EROFS');
  t.equal((await sys.statvfs('/m')).f_flag & MNT_RDONLY, MNT_RDONLY);
  await sys.mount('recfs', '/m', MNT_UPDATE);
  const writer = await sys.open('/m/f', O_WRONLY);
  await sys.mount('recfs', '/m', MNT_UPDATE | MNT_RDONLY | MNT_FORCE);
  await fails(t, sys.write(writer, bytes('x')), 'EIO', 'taken away');
  await sys.close(writer);
  await sys.close(ro);
  await sys.unmount('/m');

  const dev = device('cd0', events, true);
  await sys.mount('recfs', '/m', MNT_RDONLY, { fspec: dev });
  await fails(t, sys.mount('recfs', '/m', MNT_UPDATE), 'EROFS');
  await sys.unmount('/m');
});

t.test('a driver that fails', async (t) => {
  const events: string[] = [];
  const failing = new Set<string>();
  const { kernel, sys, host } = await boot(t, [{ name: 'recfs', vfsops: recording(events, failing) }]);
  await sys.mkdir('/m', 0o755);
  const vnodes = kernel.vcache.count;
  for (const step of ['mount', 'root']) {
    failing.add(step);
    await fails(t, sys.mount('recfs', '/m', 0, { fspec: device('sd0', events) }), 'EIO', step);
    failing.clear();
    t.same(await names(sys, '/m'), []);
    t.equal(kernel.vcache.count, vnodes);
  }
  t.notOk(events.includes('close sd0'), 'the device stays open for another try');
  await sys.mount('recfs', '/m', 0, { fspec: device('sd1', events) });
  await writeFile(sys, '/m/f', 'x');
  failing.add('sync');
  await fails(t, sys.unmount('/m'), 'EIO', 'what cannot be written is not thrown away');
  t.equal(await readFile(sys, '/m/f'), 'x');
  await sys.sync();
  t.ok(host.log.some((line) => line.level === 'error'), 'sync(2) logs');
  await sys.unmount('/m', MNT_FORCE);
  failing.clear();
  await sys.mount('recfs', '/m', 0, { fspec: device('sd2', events) });
  failing.add('unmount');
  await fails(t, sys.unmount('/m'), 'EIO');
  t.ok(events.includes('close sd2'));
  t.same(await names(sys, '/m'), [], 'it is gone all the same');
});

t.test('walkers wait for an unmount at work', async (t) => {
  const events: string[] = [];
  let hold: (() => void) | undefined;
  const inner = recording(events);
  const vfsops: Vfsops = {
    ...inner,
    async sync(mp) {
      await new Promise<void>((go) => (hold = go));
      return inner.sync(mp);
    },
  };
  const { sys } = await boot(t, [{ name: 'recfs', vfsops }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('recfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  const fh = await sys.getfh('/m/f');
  const unmounting = sys.unmount('/m');
  await new Promise((resolve) => setImmediate(resolve));
  const walk = sys.stat('/m/f');
  const handle = sys.fhstat(fh);
  const second = sys.unmount('/m');
  for (const call of [walk, handle, second]) call.catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  hold!();
  await unmounting;
  await fails(t, walk, 'ENOENT', 'the directory below');
  await fails(t, handle, 'ESTALE');
  await fails(t, second, 'EINVAL');
});

t.test('a synchronous mount writes at once', async (t) => {
  const inner = tmpfs.vfsops!;
  let fsyncs = 0;
  const ioflags: number[] = [];
  const vfsops: Vfsops = {
    ...inner,
    vfs_name: 'syncfs',
    loadvnode(mp, vp, key) {
      const done = inner.loadvnode(mp, vp, key);
      const op = vp.v_op;
      vp.v_op = {
        ...op,
        fsync() {
          fsyncs++;
        },
        write(v, uio, ioflag, cred) {
          ioflags.push(ioflag);
          return op.write(v, uio, ioflag, cred);
        },
      };
      return done;
    },
  };
  const { sys } = await boot(t, [{ name: 'syncfs', vfsops }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('syncfs', '/m', MNT_SYNCHRONOUS);
  for (const call of [
    () => writeFile(sys, '/m/f', 'x'),
    () => sys.chmod('/m/f', 0o600),
    () => sys.mkdir('/m/d', 0o755),
    () => sys.rename('/m/f', '/m/g'),
    () => sys.link('/m/g', '/m/h'),
    () => sys.unlink('/m/g'),
    () => sys.rmdir('/m/d'),
    () => sys.setxattr('/m/h', 'user.a', bytes('x')),
  ]) {
    fsyncs = 0;
    await call();
    t.ok(fsyncs > 0);
  }
  t.same(ioflags, [4]);
});

t.test('booting', async (t) => {
  const host = memoryRumpuser();
  await fails(t, RumpKernel.boot({ rumpuser: host, components: [] }), 'ENODEV');
  const future = Object.create(host, { version: { value: 99 } }) as typeof host;
  await fails(t, RumpKernel.boot({ rumpuser: future, components: [tmpfs] }), 'EPROGMISMATCH');
  const other = await RumpKernel.boot({
    rumpuser: host,
    components: [{ name: 'recfs', vfsops: recording([]) }],
    rootfs: 'recfs',
  });
  t.equal((await other.sys.statvfs('/')).f_fstypename, 'recfs');
  await other.halt();
});

t.test('halting', async (t) => {
  const events: string[] = [];
  const kernel = await RumpKernel.boot({
    rumpuser: memoryRumpuser(),
    components: [tmpfs, { name: 'recfs', vfsops: recording(events) }],
  });
  const { sys } = kernel;
  await sys.mkdir('/m', 0o755);
  await sys.mount('recfs', '/m', 0, { fspec: device('sd0', events) });
  await sys.mkdir('/m/n', 0o755);
  await sys.mount('recfs', '/m/n', 0, { fspec: device('sd1', events) });
  const fd = await sys.open('/m/n/f', O_RDWR | O_CREAT, 0o644);
  await sys.write(fd, bytes('x'));
  await sys.chdir('/m/n');
  events.length = 0;
  await Promise.all([kernel.halt(), kernel.halt()]);
  t.same(events, ['sync', 'unmount', 'close sd1', 'sync', 'unmount', 'close sd0']);
  t.equal(kernel.vcache.count, 0);
  t.equal(kernel.namecache.count, 0);
  await fails(t, sys.fstat(fd), 'EBADF');
});
