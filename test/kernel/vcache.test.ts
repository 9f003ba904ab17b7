import t from 'tap';
import type { Test } from 'tap';
import { E, errno } from '../../src/kernel/errno.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { MNT_FORCE, O_CREAT, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpKernel } from '../../src/kernel/rump.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import { VBAD } from '../../src/kernel/vfs/vattr.js';
import type { Vfsops } from '../../src/kernel/vfs/vfsops.js';
import { mimpl } from '../../src/kernel/vfs/mntimpl.js';
import { vimpl } from '../../src/kernel/vfs/vnimpl.js';
import { VnodeTable } from '../../src/kernel/vfs/vnodetable.js';
import { Vnode, VS_ACTIVE, VS_RECLAIMED } from '../../src/kernel/vfs/vnode.js';
import { VnodeImpl } from '../../src/kernel/vfs/vnimpl.js';
import { boot, fails, writeFile } from './support.js';
import { slowfs } from './slowfs.js';

function mountOf(kernel: RumpKernel, type: string): Mount {
  return [...kernel.mountlist].find((mp) => mp.mnt_op.vfs_name === type)!;
}

/** A pause that a test opens and closes operation by operation. */
class Gate {
  readonly seen: string[] = [];
  private readonly waiting = new Map<string, (() => void)[]>();
  private readonly closed = new Set<string>();

  readonly pause = async (operation: string): Promise<void> => {
    this.seen.push(operation);
    await null;
    if (!this.closed.has(operation)) return;
    await new Promise<void>((go) => {
      const list = this.waiting.get(operation);
      if (list === undefined) this.waiting.set(operation, [go]);
      else list.push(go);
    });
  };

  close(operation: string): void {
    this.closed.add(operation);
  }

  open(operation: string): void {
    this.closed.delete(operation);
    for (const go of this.waiting.get(operation) ?? []) go();
    this.waiting.delete(operation);
  }
}

/** Lets every chain of microtasks that can run, run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A kernel with a tmpfs on /m whose operations pass a gate. `change`: of its VFS operations. */
async function gated(t: Test, change: (vfsops: Vfsops) => Vfsops = (vfsops) => vfsops) {
  const gate = new Gate();
  const component = slowfs({ ...tmpfs, vfsops: { ...tmpfs.vfsops!, vfs_name: 'slowfs' } }, gate.pause);
  const { kernel, sys } = await boot(t, [{ ...component, vfsops: change(component.vfsops!) }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('slowfs', '/m', 0);
  return { gate, kernel, sys, mp: mountOf(kernel, 'slowfs') };
}

t.test('a released vnode stays until the limit, the longest unused goes first', async (t) => {
  const { kernel, sys } = await boot(t, [], { vnode_limit: 10 });
  for (let i = 0; i < 30; i++) await writeFile(sys, `/f${i}`, 'x');
  t.equal(kernel.vcache.lru_count, 10);
  const mp = mountOf(kernel, 'tmpfs');
  const keys = mimpl(mp).vnodes.all().filter((vp) => vp.v_usecount === 0).map((vp) => vp.v_key).sort((a, b) => a - b);
  const last = Number((await sys.stat('/f29')).st_ino);
  t.same(keys, Array.from({ length: 10 }, (_, i) => last - 9 + i));
  const fds = [];
  for (let i = 0; i < 30; i++) fds.push(await sys.open(`/f${i}`, O_RDONLY));
  t.equal(kernel.vcache.lru_count, 0, 'in use they are not on the list');
  t.equal(mimpl(mp).vnodes.size, 31, 'and all in memory');
  for (const fd of fds) await sys.close(fd);
  t.equal(kernel.vcache.lru_count, 10);
  t.equal(mimpl(mp).vnodes.size, 11);
  t.equal(kernel.vcache.count, 11);
});

t.test('concurrent users of one key share one load', async (t) => {
  const { gate, kernel, sys, mp } = await gated(t);
  await writeFile(sys, '/m/f', 'content');
  await kernel.vcache.drain(mp);
  gate.close('loadvnode');
  gate.seen.length = 0;
  const stats = [sys.stat('/m/f'), sys.stat('/m/f'), sys.stat('/m/f')];
  await settle();
  t.equal(gate.seen.filter((op) => op === 'loadvnode').length, 1);
  gate.open('loadvnode');
  for (const st of await Promise.all(stats)) t.equal(st.st_size, 7);
  t.equal(gate.seen.filter((op) => op === 'loadvnode').length, 1);
  await sys.unmount('/m');
});

t.test('a load that fails fails for all who wait, and leaves nothing behind', async (t) => {
  let broken = false;
  const { gate, kernel, sys, mp } = await gated(t, (vfsops) => ({
    ...vfsops,
    async loadvnode(mp, vp, key) {
      await vfsops.loadvnode(mp, vp, key);
      if (broken) throw errno(E.EIO);
    },
  }));
  await writeFile(sys, '/m/f', 'content');
  await kernel.vcache.drain(mp);
  broken = true;
  gate.close('loadvnode');
  const calls = [sys.stat('/m/f'), sys.stat('/m/f')];
  for (const call of calls) call.catch(() => undefined);
  await settle();
  gate.open('loadvnode');
  for (const call of calls) await fails(t, call, 'EIO');
  t.equal(mimpl(mp).vnodes.size, 1, 'the root only');
  broken = false;
  t.equal((await sys.stat('/m/f')).st_size, 7, 'tried again');
  await sys.unmount('/m');
});

t.test('while VOP_INACTIVE runs nobody gets the vnode', async (t) => {
  const { gate, kernel, sys } = await gated(t);
  const fd = await sys.open('/m/f', O_RDWR | O_CREAT, 0o644);
  const fh = await sys.getfh('/m/f');
  gate.close('inactive');
  const closing = sys.close(fd);
  await settle();
  let found = false;
  const stat = sys.stat('/m/f').then((st) => {
    found = true;
    return st;
  });
  const byHandle = sys.fhstat(fh);
  t.equal(kernel.vcache.lookup(mountOf(kernel, 'slowfs'), fh.fh_fid.fid_ino), undefined);
  await settle();
  t.equal(found, false);
  gate.open('inactive');
  await closing;
  t.equal((await stat).st_ino, (await byHandle).st_ino);
  await sys.unmount('/m');
});

t.test('a file without a name is reclaimed with its last reference', async (t) => {
  const { kernel, sys } = await boot(t);
  const fd = await sys.open('/f', O_RDWR | O_CREAT, 0o644);
  const fh = await sys.getfh('/f');
  const mp = mountOf(kernel, 'tmpfs');
  const vp = kernel.vcache.lookup(mp, fh.fh_fid.fid_ino)!;
  t.equal(vp.v_usecount, 2);
  await sys.unlink('/f');
  t.equal(vp.v_state, VS_ACTIVE);
  await sys.close(fd);
  t.equal(vp.v_state, VS_ACTIVE, 'we hold it');
  await kernel.vrele(vp);
  t.equal(vp.v_state, VS_RECLAIMED);
  t.equal(vp.v_type, VBAD);
  t.equal(vp.v_data, null);
  await fails(t, sys.fhstat(fh), 'ESTALE');
});

t.test('a reclaim that sleeps: the key is waited for and loaded anew', async (t) => {
  const { gate, kernel, sys, mp } = await gated(t);
  await writeFile(sys, '/m/f', 'content');
  gate.close('reclaim');
  const draining = kernel.vcache.drain(mp);
  await settle();
  const stat = sys.stat('/m/f');
  await settle();
  gate.seen.length = 0;
  gate.open('reclaim');
  await draining;
  t.equal((await stat).st_size, 7);
  t.ok(gate.seen.includes('loadvnode'));
  await sys.unmount('/m');
});

t.test('an inactive or reclaim that throws is logged and harms nobody', async (t) => {
  const inner = tmpfs.vfsops!;
  const vfsops: Vfsops = {
    ...inner,
    vfs_name: 'badfs',
    loadvnode(mp, vp, key) {
      const done = inner.loadvnode(mp, vp, key);
      vp.v_op = {
        ...vp.v_op,
        inactive() {
          throw errno(E.EIO);
        },
        reclaim() {
          throw errno(E.EIO);
        },
      };
      return done;
    },
  };
  const { sys, host } = await boot(t, [{ name: 'badfs', vfsops }]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('badfs', '/m', 0);
  await writeFile(sys, '/m/f', 'x');
  t.equal((await sys.stat('/m/f')).st_size, 1);
  await sys.unmount('/m');
  t.ok(host.log.some((line) => line.level === 'error'));
});

t.test('forced unmount: users see a dead file', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await sys.mount('tmpfs', '/m', 0);
  const fd = await sys.open('/m/f', O_RDWR | O_CREAT, 0o644);
  const dir = await sys.open('/m', O_RDONLY);
  const before = kernel.vcache.count;
  await fails(t, sys.unmount('/m'), 'EBUSY');
  await sys.unmount('/m', MNT_FORCE);
  await fails(t, sys.read(fd, new Uint8Array(1)), 'EIO');
  await fails(t, sys.write(fd, new Uint8Array(1)), 'EIO');
  await fails(t, sys.fstat(fd), 'EBADF');
  await fails(t, sys.fsync(fd), 'EBADF');
  await fails(t, sys.fchmod(fd, 0o600), 'EBADF');
  await fails(t, sys.fstatvfs(fd), 'EBADF');
  await fails(t, sys.flistxattr(fd), 'EBADF');
  await fails(t, sys.getdents(dir), 'EINVAL');
  await fails(t, sys.fstatat(dir, 'f'), 'ENOTDIR');
  await fails(t, sys.openat(dir, 'f', O_RDWR | O_CREAT, 0o644), 'ENOTDIR');
  await sys.close(fd);
  await sys.close(dir);
  t.ok(kernel.vcache.count < before);
  t.equal((await sys.stat('/m')).st_nlink, 2);
});

t.test('the name cache is bounded and leads to no dead vnode', async (t) => {
  const { kernel, sys } = await boot(t, [], { vnode_limit: 20 });
  for (let i = 0; i < 500; i++) {
    await fails(t, sys.stat(`/missing${i}`), 'ENOENT');
    await writeFile(sys, `/f${i}`, 'x');
    if (i % 3 === 0) await sys.unlink(`/f${i}`);
  }
  t.ok(kernel.namecache.count <= kernel.namecache.limit, `${kernel.namecache.count} entries`);
  t.equal(kernel.namecache.limit, 80);
  let entries = 0;
  for (const vp of mimpl(mountOf(kernel, 'tmpfs')).vnodes.all()) {
    for (const entry of vimpl(vp).nc_children?.values() ?? []) {
      entries++;
      if (entry.nc_vp !== null && entry.nc_vp.v_state !== VS_ACTIVE) t.fail('dead vnode in the cache');
      if (entry.nc_vp !== null) {
        let linked = false;
        for (let name = vimpl(entry.nc_vp).nc_names; name !== null; name = name.nc_vnext) linked ||= name === entry;
        if (!linked) t.fail('entry is not among the names of its vnode');
      }
    }
  }
  t.equal(entries, kernel.namecache.count);
});

t.test('the table of vnodes agrees with a Map', async (t) => {
  const { kernel } = await boot(t);
  const mp = mountOf(kernel, 'tmpfs');
  const table = new VnodeTable();
  const model = new Map<number, Vnode>();
  let seed = 99;
  const random = (n: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) % n;
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) {
    const key = random(3) === 0 ? random(500) * 0x1_0000_0001 : random(700);
    const had = model.get(key);
    if (table.get(key) !== had) wrong++;
    if (had === undefined) {
      const vp = new Vnode(mp, key);
      vp.v_private = new VnodeImpl();
      table.insert(vp);
      model.set(key, vp);
    } else {
      table.remove(had);
      model.delete(key);
    }
    if (table.size !== model.size) wrong++;
  }
  t.equal(wrong, 0);
  t.same(new Set(table.all()), new Set(model.values()));
});

t.test('nothing is left after a thousand mounts', async (t) => {
  const { kernel, sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await writeFile(sys, '/outside', 'x');
  const vnodes = kernel.vcache.count;
  const entries = kernel.namecache.count;
  for (let i = 0; i < 1000; i++) {
    await sys.mount('tmpfs', '/m', 0);
    await writeFile(sys, '/m/f', 'x');
    await sys.mkdir('/m/d', 0o755);
    await sys.unmount('/m');
  }
  t.equal(kernel.vcache.count, vnodes);
  t.ok(kernel.namecache.count <= entries + 1);
  t.equal([...kernel.mountlist].length, 1);
});

t.test('a reference given back twice is noticed and harms nobody', async (t) => {
  const { kernel, sys, host } = await boot(t, [], { vnode_limit: 4 });
  await writeFile(sys, '/f', 'x');
  const mp = mountOf(kernel, 'tmpfs');
  const vp = kernel.vcache.lookup(mp, Number((await sys.stat('/f')).st_ino))!;
  await kernel.vrele(vp);
  t.equal(vp.v_usecount, 0);
  await kernel.vrele(vp);
  t.equal(vp.v_usecount, 0);
  t.ok(host.log.some((line) => line.level === 'error' && line.message.includes('twice')));
  kernel.vref(vp);
  t.equal(vp.v_usecount, 1);
  for (let i = 0; i < 20; i++) await writeFile(sys, `/g${i}`, 'x');
  await kernel.vrele(vp);
  t.equal(kernel.vcache.lru_count, 4);
  t.equal(mimpl(mp).vnodes.size, 5);
});
