import t from 'tap';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { E, errno } from '../../src/kernel/errno.js';
import { O_RDWR } from '../../src/kernel/fcntl.js';
import { KEEP_BYTES_MIN, Keep } from '../../src/kernel/keep/keep.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import type { Vfsops } from '../../src/kernel/vfs/vfsops.js';
import { SYNC_DELAY_MS } from '../../src/kernel/vfs/syncer.js';
import { boot, bytes, writeFile } from './support.js';

t.test('a dirty mount is written after a while, once', async (t) => {
  let syncs = 0;
  let broken = false;
  let during: (() => Promise<void>) | undefined;
  const vfsops: Vfsops = {
    ...tmpfs.vfsops!,
    vfs_name: 'countfs',
    async sync() {
      syncs++;
      await during?.();
      if (broken) throw errno(E.EIO);
    },
  };
  const { kernel, sys, host } = await boot(t, [{ name: 'countfs', vfsops }]);
  await kernel.syncer.run(true);
  await sys.mkdir('/m', 0o755);
  await sys.mount('countfs', '/m', 0);
  await kernel.syncer.run(true);
  t.equal(kernel.syncer.next_due_ms, undefined);
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  await writeFile(sys, '/m/f', 'x');
  syncs = 0;
  const due = kernel.syncer.next_due_ms!;
  t.ok(due > SYNC_DELAY_MS - 100 && due <= SYNC_DELAY_MS, `${due}`);
  await kernel.syncer.run();
  t.equal(syncs, 0, 'not due yet');
  await sys.stat('/m/f');
  host.advance(SYNC_DELAY_MS + 1);
  await settle();
  t.equal(syncs, 1, 'by the timer');
  t.equal(kernel.syncer.next_due_ms, undefined);
  host.advance(10 * SYNC_DELAY_MS);
  await settle();
  t.equal(syncs, 1);

  for (const change of [
    () => sys.chmod('/m/f', 0o600),
    () => sys.mkdir('/m/d', 0o755),
    () => sys.rmdir('/m/d'),
    () => sys.rename('/m/f', '/m/g'),
    () => sys.link('/m/g', '/m/f'),
    () => sys.unlink('/m/g'),
    () => sys.symlink('x', '/m/l'),
    () => sys.truncate('/m/f', 0),
    () => sys.utimes('/m/f'),
    () => sys.setxattr('/m/f', 'user.a', bytes('x')),
    () => sys.mkfifo('/m/p', 0o600),
    () => sys.creat('/m/new', 0o644),
    async () => {
      const fd = await sys.open('/m/f', O_RDWR);
      await sys.write(fd, bytes('x'));
      await sys.close(fd);
    },
  ]) {
    await change();
    t.not(kernel.syncer.next_due_ms, undefined, change.toString());
    await kernel.syncer.run(true);
    t.equal(kernel.syncer.next_due_ms, undefined);
  }

  // What is changed while a sync is at work is dirty again behind it.
  await sys.chmod('/m/f', 0o644);
  during = async () => sys.chmod('/m/f', 0o600);
  await kernel.syncer.run(true);
  during = undefined;
  t.not(kernel.syncer.next_due_ms, undefined);
  await kernel.syncer.run(true);

  broken = true;
  await sys.chmod('/m/f', 0o644);
  await kernel.syncer.run(true);
  t.ok(host.log.some((line) => line.level === 'error'));
  t.not(kernel.syncer.next_due_ms, undefined, 'tried again');
  broken = false;
  syncs = 0;
  host.advance(SYNC_DELAY_MS + 1);
  await settle();
  t.equal(syncs, 1);
});

t.test('one sync of a mount at a time, and none behind its unmount', async (t) => {
  let inside = 0;
  let most = 0;
  let mounted = false;
  let late = false;
  const vfsops: Vfsops = {
    ...tmpfs.vfsops!,
    vfs_name: 'countfs',
    mount(mp, args) {
      mounted = true;
      return tmpfs.vfsops!.mount(mp, args);
    },
    unmount(mp) {
      mounted = false;
      return tmpfs.vfsops!.unmount(mp);
    },
    async sync() {
      inside++;
      most = Math.max(most, inside);
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      late ||= !mounted;
      inside--;
    },
  };
  const { kernel, sys } = await boot(t, [{ name: 'countfs', vfsops }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('countfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  await Promise.all([sys.sync(), sys.sync(), kernel.syncer.run(true), sys.unmount('/m'), sys.sync(), sys.getvfsstat()]);
  t.equal(most, 1);
  t.equal(late, false);
});

t.test('freeing a file makes its volume dirty', async (t) => {
  const { kernel, sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const fd = await sys.open('/f', O_RDWR);
  await sys.unlink('/f');
  await kernel.syncer.run(true);
  t.equal(kernel.syncer.next_due_ms, undefined);
  await sys.close(fd);
  t.not(kernel.syncer.next_due_ms, undefined);
});

t.test('a commit that waits for the end of a sync goes on behind it', async (t) => {
  let mount: Mount | undefined;
  let flushed = (): void => {};
  const vfsops: Vfsops = {
    ...tmpfs.vfsops!,
    vfs_name: 'slowlykept',
    vfs_survives: 'buffers',
    mount(mp, args) {
      mount = mp;
      return tmpfs.vfsops!.mount(mp, { ...args, options: new Map() });
    },
    sync: () => new Promise<void>((done) => (flushed = done)),
  };
  const keep = new Keep(new Uint8Array(KEEP_BYTES_MIN));
  const kernel = await RumpKernel.boot({
    rumpuser: memoryRumpuser(), components: [tmpfs, { name: 'slowlykept', vfsops }], keep,
  });
  await kernel.sys.mkdir('/m', 0o755);
  const fspec = new MemoryDevice({ size_bytes: 1 << 20 });
  await kernel.sys.mount('slowlykept', '/m', 0, { fspec, options: new Map() });
  await kernel.sys.mkdir('/m/d', 0o755);
  const syncing = kernel.syncer.run(true);
  await new Promise(setImmediate);
  mount!.mnt_kept!.put(1, [1]);
  let committed = false;
  const commit = keep.commit();
  t.type(commit, Promise, 'the volume is not at rest while it is synced');
  void (commit as Promise<void>).then(() => (committed = true));
  flushed();
  await syncing;
  await new Promise(setImmediate);
  t.ok(committed, 'and nobody else has to come along for that');
});
