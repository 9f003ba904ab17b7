import assert from 'node:assert/strict';
import { O_RDONLY, O_WRONLY, W_OK } from '../../../src/kernel/fcntl.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFSOCK } from '../../../src/kernel/stat.js';
import { bytestrFromBytes } from '../../../src/kernel/bytestr.js';
import { absent, fails, getText, names, put, sleep } from '../check.js';
import type { Case } from '../matrix.js';

/** Hard links, symbolic links, and files that are none. */
export const linkCases: readonly Case[] = [
  {
    name: 'link: two names, one file',
    needs: ['hardlinks'],
    async run({ fs }) {
      await put(fs, 'a', 'x');
      await fs.link('a', 'b');
      const [a, b] = [await fs.stat('a'), await fs.stat('b')];
      assert.equal(a.ino, b.ino);
      assert.equal(a.nlink, 2);
      await put(fs, 'b', 'changed');
      assert.equal(await getText(fs, 'a'), 'changed');
      await fs.unlink('a');
      assert.equal((await fs.stat('b')).nlink, 1);
      assert.equal(await getText(fs, 'b'), 'changed');
    },
  },
  {
    name: 'link: what cannot be linked',
    needs: ['hardlinks'],
    async run({ fs }) {
      await put(fs, 'a');
      await put(fs, 'b');
      await fs.mkdir('dir');
      await fails('EEXIST', fs.link('a', 'b'), 'over a file');
      await fails('EEXIST', fs.link('a', 'dir'), 'over a directory');
      await fails('ENOENT', fs.link('none', 'c'), 'of nothing');
      await fails('ENOENT', fs.link('a', 'none/c'), 'to nowhere');
      await fails(['EPERM', 'EISDIR'], fs.link('dir', 'c'), 'of a directory');
      assert.equal((await fs.stat('a')).nlink, 1);
      await absent(fs, 'c');
    },
  },
  {
    name: 'link: a hundred of them',
    needs: ['hardlinks'],
    async run({ fs }) {
      await put(fs, 'f', 'x');
      for (let i = 0; i < 100; i++) await fs.link('f', `l${i}`);
      assert.equal((await fs.stat('l50')).nlink, 101);
      for (let i = 0; i < 100; i++) await fs.unlink(`l${i}`);
      assert.equal((await fs.stat('f')).nlink, 1);
    },
  },
  {
    name: 'link: changes the change time only',
    needs: ['hardlinks', 'nstimes'],
    async run({ fs }) {
      await put(fs, 'f', 'x');
      await fs.utimes('f', 1_000_000_000_000_000_000n, 1_000_000_000_000_000_000n);
      const before = await fs.stat('f');
      await sleep(15);
      await fs.link('f', 'g');
      const after = await fs.stat('f');
      assert.equal(after.mtime, before.mtime);
      assert(after.ctime > before.ctime, 'ctime moved');
    },
  },
  {
    name: 'symlink: read back, followed, and removed by itself',
    needs: ['symlinks'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.symlink('file', 'link');
      const st = await fs.lstat('link');
      assert.equal(st.type, S_IFLNK);
      assert.equal(st.size, 4);
      assert.equal(bytestrFromBytes(await fs.readlink('link')), 'file');
      assert.equal((await fs.stat('link')).ino, (await fs.stat('file')).ino);
      assert.equal(await getText(fs, 'link'), 'x');
      await fs.unlink('link');
      assert.deepEqual(await names(fs), ['file']);
      await fails('EINVAL', fs.readlink('file'), 'readlink of a file');
    },
  },
  {
    name: 'symlink: targets of every length up to 1023',
    needs: ['symlinks'],
    async run({ fs }) {
      // Lengths around those at which formats change where they keep the target.
      for (const length of [
        1, 2, 58, 59, 60, 61, 62, 63, 64, 118, 119, 120, 121, 122, 123, 127, 128, 255, 256, 511, 512, 513, 1022, 1023,
      ]) {
        const target = 't'.repeat(length);
        await fs.symlink(target, `l${length}`);
        assert.equal(bytestrFromBytes(await fs.readlink(`l${length}`)), target, `length ${length}`);
        assert.equal((await fs.lstat(`l${length}`)).size, length);
      }
      await fails('ENAMETOOLONG', fs.symlink('t'.repeat(5000), 'toolong'), 'longer than a path');
      await absent(fs, 'toolong');
    },
  },
  {
    name: 'symlink: an empty target is refused or kept',
    needs: ['symlinks'],
    async run({ fs }) {
      try {
        await fs.symlink('', 'empty');
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /^(ENOENT|EINVAL)$/);
        await absent(fs, 'empty');
        return;
      }
      assert.equal((await fs.readlink('empty')).length, 0);
      await fails('ENOENT', fs.stat('empty'), 'following it');
    },
  },
  {
    name: 'symlink: dangling, looping, through directories',
    needs: ['symlinks'],
    async run({ fs }) {
      await fs.symlink('none', 'dangling');
      await fails('ENOENT', fs.stat('dangling'), 'dangling');
      assert.equal((await fs.lstat('dangling')).type, S_IFLNK);
      await fs.symlink('b', 'a');
      await fs.symlink('a', 'b');
      await fails('ELOOP', fs.stat('a'), 'loop');
      await fails('ELOOP', fs.open('a', O_RDONLY), 'open of a loop');
      await fs.mkdir('dir');
      await put(fs, 'dir/file', 'x');
      await fs.symlink('dir', 'way');
      assert.equal(await getText(fs, 'way/file'), 'x');
      await fs.symlink('../dir/file', 'dir/back');
      assert.equal(await getText(fs, 'way/back'), 'x');
      assert.equal((await fs.lstat('way/')).ino, (await fs.stat('dir')).ino, 'a slash follows');
      await fails('ENOTDIR', fs.rmdir('way'), 'rmdir of a symlink');
      await fails('EEXIST', fs.symlink('x', 'way'), 'symlink over a symlink');
      await fails('EEXIST', fs.mkdir('dangling'), 'mkdir over a dangling symlink');
    },
  },
  {
    name: 'symlink: a chain as long as allowed, and longer',
    needs: ['symlinks'],
    async run({ fs }) {
      await put(fs, 'l0', 'end');
      for (let i = 1; i <= 60; i++) await fs.symlink(`l${i - 1}`, `l${i}`);
      assert.equal(await getText(fs, 'l8'), 'end');
      await fails('ELOOP', fs.stat('l60'), 'sixty symlinks');
    },
  },
  {
    name: 'symlink: to the root and above',
    needs: ['symlinks'],
    async run({ fs }) {
      await fs.symlink('/', 'root');
      assert.equal((await fs.stat('root')).ino, (await fs.stat('root/..')).ino);
      await fs.symlink('../../../../../../../../../..', 'up');
      assert.equal((await fs.stat('up')).ino, (await fs.stat('root')).ino);
    },
  },
  {
    name: 'fifo: made, seen, removed',
    needs: ['fifos'],
    async run({ fs, features }) {
      await fs.mkfifo('fifo', 0o640);
      const st = await fs.lstat('fifo');
      assert.equal(st.type, S_IFIFO);
      if (features.has('modes')) assert.equal(st.mode, 0o640);
      assert.deepEqual(await fs.readdir(''), [{ name: 'fifo', type: S_IFIFO }]);
      await fs.rename('fifo', 'other');
      await fs.unlink('other');
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'devices: numbers kept',
    needs: ['devices'],
    async run({ fs }) {
      for (const [index, [maj, min]] of ([[0, 0], [1, 3], [8, 17], [255, 255], [254, 100_000]] as const).entries()) {
        for (const type of [S_IFCHR, S_IFBLK]) {
          const name = `${type === S_IFCHR ? 'c' : 'b'}${index}`;
          await fs.mknod(name, type, 0o600, maj, min);
          const st = await fs.lstat(name);
          assert.equal(st.type, type);
          assert.deepEqual([st.major, st.minor], [maj, min], name);
        }
      }
    },
  },
  {
    name: 'devices: a socket node',
    needs: ['devices'],
    async run({ fs }) {
      await fs.mknod('sock', S_IFSOCK, 0o755, 0, 0);
      assert.equal((await fs.lstat('sock')).type, S_IFSOCK);
      await fails(['EOPNOTSUPP', 'ENXIO'], fs.open('sock', O_RDONLY), 'open');
      await fs.unlink('sock');
    },
  },
  {
    name: 'devices: only for the superuser',
    needs: ['devices', 'processes'],
    async run({ fs, proc }) {
      await fs.chmod('', 0o777);
      const user = await proc(1000, 1000);
      await fails('EPERM', user.mknod('dev', S_IFCHR, 0o600, 1, 3), 'mknod');
      await user.mkfifo('fifo', 0o600);
      await fails('EACCES', (await proc(1001, 1001)).open('fifo', O_WRONLY), "another's fifo");
      await fs.access('fifo', W_OK);
    },
  },
];
