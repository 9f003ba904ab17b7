import t from 'tap';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { AT_FDCWD, O_RDONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { boot, fails, names, readFile, writeFile } from './support.js';
import { randomPause, slowfs } from './slowfs.js';

t.test('what fits on what', async (t) => {
  const { sys } = await boot(t);
  for (const d of ['/d', '/empty', '/full', '/full/x']) await sys.mkdir(d, 0o755);
  await writeFile(sys, '/f', 'f');
  await writeFile(sys, '/g', 'g');
  await fails(t, sys.rename('/none', '/x'), 'ENOENT');
  await fails(t, sys.rename('/f', '/none/x'), 'ENOENT');
  await fails(t, sys.rename('/f', '/d'), 'EISDIR');
  await fails(t, sys.rename('/d', '/f'), 'ENOTDIR');
  await fails(t, sys.rename('/d', '/full'), 'ENOTEMPTY');
  await fails(t, sys.rename('/f/', '/x'), 'ENOTDIR');
  await fails(t, sys.rename('/f', '/x/'), 'ENOTDIR');
  await fails(t, sys.rename('/f', '/g/'), 'ENOTDIR');
  await fails(t, sys.rename('/f', '/d/'), 'EISDIR');
  await fails(t, sys.rename('/f', '/g/x'), 'ENOTDIR');
  await sys.rename('/d', '/empty');
  await fails(t, sys.stat('/d'), 'ENOENT');
  await sys.rename('/empty/', '/renamed/');
  await sys.rename('/f', '/g');
  t.equal(await readFile(sys, '/g'), 'f');
  t.same(await names(sys, '/'), ['full', 'g', 'renamed']);
});

t.test('"." and "..", the root, itself', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await sys.mkdir('/d/e', 0o755);
  for (const path of ['/d/.', '/d/..', '.', '..', '/d/e/..']) {
    await fails(t, sys.rename(path, '/x'), 'EINVAL', path);
    await fails(t, sys.rename('/d/e', path), 'EINVAL', `to ${path}`);
  }
  await fails(t, sys.rename('/', '/x'), 'EBUSY');
  await fails(t, sys.rename('/d', '/'), 'EBUSY');
  await sys.rename('/d', '/d');
  await fails(t, sys.rename('/d', '/d/x'), 'EINVAL', 'into itself');
  await fails(t, sys.rename('/d', '/d/e/x'), 'EINVAL', 'far below itself');
  await fails(t, sys.rename('/d', '/d/e'), 'EINVAL', 'onto what is in it');
  await fails(t, sys.rename('/d/e', '/d'), 'ENOTEMPTY', 'onto its parent');
  await sys.mkdir('/d/e/f', 0o755);
  await fails(t, sys.rename('/d/e/f', '/d'), 'ENOTEMPTY', 'onto its grandparent');
});

t.test('two names of one file', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/f', 'x');
  await sys.link('/f', '/d/g');
  await sys.rename('/f', '/d/g');
  t.same(await names(sys, '/'), ['d', 'f'], 'nothing happens');
  t.equal((await sys.stat('/f')).st_nlink, 2);
  await fails(t, sys.rename('/f', '/d/g/'), 'ENOTDIR');
  await sys.rename('/f', '/f');
});

t.test('".." and link counts of a moved directory', async (t) => {
  const { sys } = await boot(t);
  for (const d of ['/a', '/b', '/a/m', '/a/m/in']) await sys.mkdir(d, 0o755);
  t.equal((await sys.stat('/a/m/..')).st_ino, (await sys.stat('/a')).st_ino, 'cached before the move');
  await sys.rename('/a/m', '/b/m');
  t.equal((await sys.stat('/b/m/..')).st_ino, (await sys.stat('/b')).st_ino);
  t.equal((await sys.stat('/b/m/in/../..')).st_ino, (await sys.stat('/b')).st_ino);
  t.equal((await sys.stat('/a')).st_nlink, 2);
  t.equal((await sys.stat('/b')).st_nlink, 3);
  await sys.chdir('/b/m/in');
  t.equal(new TextDecoder().decode(await sys.__getcwd()), '/b/m/in');
  await sys.rename('/b/m', '/m2');
  t.equal(new TextDecoder().decode(await sys.__getcwd()), '/m2/in');
  await sys.chdir('/');
});

t.test('permissions', async (t) => {
  const { kernel, sys } = await boot(t);
  for (const [d, uid] of [['/mine', 5], ['/mine2', 5], ['/theirs', 6]] as const) {
    await sys.mkdir(d, 0o755);
    await sys.chown(d, uid, uid);
  }
  const user = kernel.newproc(5, 5);
  const other = kernel.newproc(6, 6);
  await writeFile(user, '/mine/f', 'x');
  await fails(t, user.rename('/mine/f', '/theirs/f'), 'EACCES', 'target directory');
  await fails(t, other.rename('/mine/f', '/theirs/f'), 'EACCES', 'source directory');
  await user.mkdir('/mine/sub', 0o755);
  await sys.chown('/mine/sub', 6, 6);
  await user.rename('/mine/sub', '/mine/sub2');
  await fails(t, user.rename('/mine/sub2', '/mine2/sub'), 'EACCES', 'the moved directory itself is written');
  await sys.chmod('/mine/sub2', 0o777);
  await user.rename('/mine/sub2', '/mine2/sub');

  await sys.mkdir('/tmp', 0o1777);
  await sys.chmod('/tmp', 0o1777);
  await writeFile(user, '/tmp/u', 'u');
  await writeFile(other, '/tmp/o', 'o');
  await fails(t, other.rename('/tmp/u', '/tmp/x'), 'EPERM', 'sticky source');
  await fails(t, user.rename('/tmp/u', '/tmp/o'), 'EPERM', 'sticky target');
  await fails(t, other.unlink('/tmp/u'), 'EPERM', 'sticky unlink');
  await user.rename('/tmp/u', '/tmp/u2');
  await sys.rename('/tmp/u2', '/tmp/o');
  await user.exit();
  await other.exit();
});

t.test('mounts', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/m', 0o755);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/f', 'x');
  await sys.mount('tmpfs', '/m', 0);
  await fails(t, sys.rename('/f', '/m/f'), 'EXDEV');
  await fails(t, sys.link('/f', '/m/f'), 'EXDEV');
  await fails(t, sys.rename('/m', '/n'), 'EBUSY', 'a mount point as the source');
  await fails(t, sys.rename('/d', '/m'), 'EBUSY', 'a mount point as the target');
  await fails(t, sys.rmdir('/m'), 'EBUSY');
  await sys.unmount('/m');
  await sys.rename('/d', '/m');
});

t.test('renameat2', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/a', 'a');
  await writeFile(sys, '/b', 'b');
  await fails(t, sys.renameat2(AT_FDCWD, 'a', AT_FDCWD, 'b', RENAME_NOREPLACE), 'EEXIST');
  await fails(t, sys.renameat2(AT_FDCWD, 'a', AT_FDCWD, 'a', RENAME_NOREPLACE), 'EEXIST');
  await fails(t, sys.renameat2(AT_FDCWD, 'a', AT_FDCWD, 'b', RENAME_EXCHANGE | RENAME_NOREPLACE), 'EINVAL');
  await fails(t, sys.renameat2(AT_FDCWD, 'a', AT_FDCWD, 'b', 8), 'EINVAL');
  await sys.renameat2(AT_FDCWD, 'a', AT_FDCWD, 'c', RENAME_NOREPLACE);
  t.same(await names(sys, '/'), ['b', 'c']);
});

t.test('the name cache forgets what was renamed', async (t) => {
  const { sys } = await boot(t);
  await sys.mkdir('/d', 0o755);
  await writeFile(sys, '/d/a', 'a');
  await fails(t, sys.stat('/d/b'), 'ENOENT');
  await sys.rename('/d/a', '/d/b');
  t.equal(await readFile(sys, '/d/b'), 'a');
  await fails(t, sys.stat('/d/a'), 'ENOENT');
  await sys.mkdir('/e', 0o755);
  await sys.mkdir('/e/sub', 0o755);
  await fails(t, sys.stat('/e/sub/x'), 'ENOENT');
  await sys.rmdir('/e/sub');
  await sys.rename('/d', '/e/sub');
  t.equal(await readFile(sys, '/e/sub/b'), 'a');
});

/**
 * Many callers move, make and remove directories of one small tree at once over a driver that sleeps: it must end, and
 * the tree must be one.
 */
t.test('a storm of renames ends', async (t) => {
  const slow = slowfs({ ...tmpfs, vfsops: { ...tmpfs.vfsops!, vfs_name: 'slowfs' } }, randomPause(3));
  const { kernel, sys } = await boot(t, [slow]);
  await sys.mkdir('/m', 0o755);
  await sys.mount('slowfs', '/m', 0);
  let seed = 12345;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % n;
  };
  const path = (): string => {
    let p = '/m';
    for (let depth = 1 + random(4); depth > 0; depth--) p += `/${'abc'[random(3)]}`;
    return p;
  };
  let done = 0;
  const worker = async (p: RumpSys): Promise<void> => {
    for (let i = 0; i < 250; i++) {
      const op = random(7);
      try {
        if (op === 0) await p.mkdir(path(), 0o755);
        else if (op === 1) await p.rmdir(path());
        else if (op === 2) await p.close(await p.creat(path(), 0o644));
        else if (op === 3) await p.unlink(path());
        else if (op === 4) await p.link(path(), path());
        else await p.rename(path(), path());
        done++;
      } catch (thrown) {
        const code = (thrown as { code?: string }).code ?? String(thrown);
        if (!/^(ENOENT|EEXIST|ENOTDIR|EISDIR|ENOTEMPTY|EINVAL|EPERM)$/.test(code)) throw thrown;
      }
    }
  };
  const workers = Array.from({ length: 8 }, () => worker(kernel.newproc()));
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('deadlock')), 600_000).unref());
  await Promise.race([Promise.all(workers), late]);
  t.ok(done > 100, `${done} operations succeeded`);

  // Every directory's ".." is where we came from, and link counts agree with what is there.
  const walk = async (dir: string, parent: bigint): Promise<void> => {
    const st = await sys.stat(dir);
    t.equal((await sys.stat(`${dir}/..`)).st_ino, parent, `parent of ${dir}`);
    let subdirs = 0;
    const fd = await sys.open(dir, O_RDONLY);
    const entries = await sys.getdents(fd, 1000);
    await sys.close(fd);
    for (const entry of entries) {
      if (entry.d_name === '.' || entry.d_name === '..' || entry.d_type !== 4) continue;
      subdirs++;
      await walk(`${dir}/${entry.d_name}`, st.st_ino);
    }
    t.equal(st.st_nlink, 2 + subdirs, `links of ${dir}`);
  };
  await walk('/m', (await sys.stat('/')).st_ino);
  await sys.unmount('/m');
});
