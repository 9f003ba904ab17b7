import assert from 'node:assert/strict';
import { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/kernel/stat.js';
import { absent, fails, get, getText, names, put } from '../check.js';
import type { Case } from '../matrix.js';

/** Names, lookups and directories. */
export const lookupCases: readonly Case[] = [
  {
    name: 'lookup: a new file',
    async run({ fs }) {
      await absent(fs, 'file');
      await put(fs, 'file', 'hello');
      const st = await fs.stat('file');
      assert.equal(st.type, S_IFREG);
      assert.equal(st.size, 5);
      assert.equal(st.nlink, 1);
      assert.equal(await getText(fs, 'file'), 'hello');
    },
  },
  {
    name: 'lookup: dots and slashes',
    async run({ fs }) {
      await fs.mkdir('dir');
      await fs.mkdir('dir/sub');
      await put(fs, 'dir/file', 'x');
      const { ino } = await fs.stat('dir/file');
      for (const path of [
        'dir//file',
        './dir/./file',
        'dir/sub/../file',
        `../${fs.rootName}/dir/file`,
        'dir/sub/../../dir/file',
        '////dir///./file',
      ]) {
        assert.equal((await fs.stat(path)).ino, ino, path);
      }
      await fails('ENOENT', fs.stat('dir/none/../file'), 'through a missing directory');
      await fails('ENOTDIR', fs.stat('dir/file/../file'), '.. of a file');
      await fails('ENOTDIR', fs.stat('dir/file/x'), 'below a file');
      await fails('ENOTDIR', fs.stat('dir/file/.'), '. of a file');
    },
  },
  {
    name: 'lookup: trailing slash',
    async run({ fs }) {
      await fs.mkdir('dir');
      await put(fs, 'file');
      assert.equal((await fs.stat('dir/')).type, S_IFDIR);
      assert.equal((await fs.stat('dir//')).type, S_IFDIR);
      assert.equal((await fs.stat('dir/.')).type, S_IFDIR);
      await fails('ENOTDIR', fs.stat('file/'), 'stat file/');
      await fails(['ENOTDIR', 'EISDIR'], fs.open('file/', O_RDONLY), 'open file/');
      await fails(['ENOENT', 'EISDIR', 'ENOTDIR'], fs.open('new/', O_WRONLY | O_CREAT), 'create new/');
      await fails(['ENOTDIR', 'EISDIR', 'EPERM'], fs.unlink('file/'), 'unlink file/');
      await absent(fs, 'new');
    },
  },
  {
    name: 'lookup: dot-dot entries lead to the parent',
    async run({ fs }) {
      await fs.mkdir('a');
      await fs.mkdir('a/b');
      assert.equal((await fs.stat('a/b/..')).ino, (await fs.stat('a')).ino);
      assert.equal((await fs.stat('a/b/.')).ino, (await fs.stat('a/b')).ino);
      await fs.mkdir('c');
      await fs.rename('a/b', 'c/b');
      assert.equal((await fs.stat('c/b/..')).ino, (await fs.stat('c')).ino);
    },
  },
  {
    name: 'lookup: a missing name stays missing, a made one is found',
    async run({ fs }) {
      for (let i = 0; i < 3; i++) {
        await absent(fs, 'blink');
        await put(fs, 'blink', `${i}`);
        assert.equal(await getText(fs, 'blink'), `${i}`);
        await fs.unlink('blink');
        await absent(fs, 'blink');
        await fs.mkdir('blink');
        assert.equal((await fs.lstat('blink')).type, S_IFDIR);
        await fs.rmdir('blink');
      }
    },
  },
  {
    name: 'names: the longest, and one byte more',
    async run({ fs, namemax }) {
      const longest = 'n'.repeat(namemax);
      await put(fs, longest, 'long');
      assert.deepEqual(await names(fs), [longest]);
      assert.equal(await getText(fs, longest), 'long');
      const longer = `${longest}n`;
      await fails('ENAMETOOLONG', fs.open(longer, O_WRONLY | O_CREAT), 'open');
      await fails('ENAMETOOLONG', fs.mkdir(longer), 'mkdir');
      await fails('ENAMETOOLONG', fs.rename(longest, longer), 'rename to');
      await fails('ENAMETOOLONG', fs.lstat(longer), 'lstat');
      await fails('ENAMETOOLONG', fs.unlink(longer), 'unlink');
      await fs.mkdir(`${longest.slice(1)}d`);
      await fs.rename(longest, `${longest.slice(1)}d/${longest}`);
      assert.equal(await getText(fs, `${longest.slice(1)}d/${longest}`), 'long');
    },
  },
  {
    name: 'names: link and symlink of one byte more than the longest',
    needs: ['symlinks', 'hardlinks'],
    async run({ fs, namemax }) {
      const longest = 'n'.repeat(namemax);
      await put(fs, 'file');
      await fails('ENAMETOOLONG', fs.symlink('file', `${longest}n`), 'symlink');
      await fails('ENAMETOOLONG', fs.link('file', `${longest}n`), 'link');
      await fs.link('file', longest);
      assert.equal((await fs.stat('file')).nlink, 2);
    },
  },
  {
    name: 'names: a path that is too long',
    async run({ fs }) {
      const deep = Array.from({ length: 2500 }, () => '.').join('/');
      await fails('ENAMETOOLONG', fs.stat(deep), 'stat');
      await fails('ENAMETOOLONG', fs.mkdir(`${deep}/x`), 'mkdir');
    },
  },
  {
    name: 'names: every byte but / and NUL',
    needs: ['bytenames'],
    async run({ fs }) {
      const wanted: string[] = [];
      for (let byte = 1; byte < 256; byte++) {
        if (byte === 0x2f) continue;
        await put(fs, Uint8Array.of(0x78, byte), `${byte}`);
        wanted.push(`x${String.fromCharCode(byte)}`);
      }
      assert.deepEqual(await names(fs), wanted.sort());
      for (const byte of [1, 0x20, 0x2e, 0x80, 0xc3, 0xff]) {
        assert.equal(await getText(fs, Uint8Array.of(0x78, byte)), `${byte}`);
      }
    },
  },
  {
    name: 'names: not UTF-8, through rename, link target and removal',
    needs: ['bytenames'],
    async run({ fs }) {
      const a = Uint8Array.of(0xff, 0xfe, 0x80);
      const b = Uint8Array.of(0xc3, 0x28);
      await put(fs, a, 'raw');
      await fs.rename(a, b);
      assert.deepEqual(await names(fs), ['\xc3(']);
      assert.equal(await getText(fs, b), 'raw');
      await fs.unlink(b);
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'names: Unicode is kept byte for byte',
    async run({ fs }) {
      // Composed and decomposed forms are two names.
      const both = ['\u00e9', 'e\u0301', '\u65e5\u672c\u8a9e', '\u{1f41f}'];
      for (const name of both) await put(fs, name, name);
      assert.equal((await names(fs)).length, both.length);
      for (const name of both) assert.equal(await getText(fs, name), name);
    },
  },
  {
    name: 'names: upper and lower case differ',
    async run({ fs }) {
      await put(fs, 'Name', '1');
      await put(fs, 'name', '2');
      assert.equal(await getText(fs, 'Name'), '1');
      assert.deepEqual(await names(fs), ['Name', 'name']);
    },
  },
  {
    name: 'names: what is not alphanumeric',
    async run({ fs }) {
      const odd = [' ', '...', '..x', '-rf', '*', '\\', '~', '"', "'", '%s', 'a b ', ':', '\n'];
      for (const name of odd) await put(fs, name, name);
      assert.deepEqual(await names(fs), [...odd].sort());
      for (const name of odd) assert.equal(await getText(fs, name), name);
    },
  },
  {
    name: 'create: exclusive, and over what is there',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT | O_EXCL, 0o600);
      await fs.close(fd);
      await fails('EEXIST', fs.open('file', O_RDWR | O_CREAT | O_EXCL), 'exclusive over a file');
      await fs.mkdir('dir');
      await fails('EEXIST', fs.open('dir', O_RDWR | O_CREAT | O_EXCL), 'exclusive over a directory');
      await fails('EISDIR', fs.open('dir', O_WRONLY), 'directory for writing');
      await fails('EEXIST', fs.mkdir('file'), 'mkdir over a file');
      await fails('EEXIST', fs.mkdir('dir'), 'mkdir over a directory');
      await fails('EEXIST', fs.mkdir('dir/.'), 'mkdir .');
      await fails('EEXIST', fs.mkdir('dir/..'), 'mkdir ..');
      await fails('ENOENT', fs.open('none/file', O_WRONLY | O_CREAT), 'create below nothing');
      await fails('ENOENT', fs.mkdir('none/dir'), 'mkdir below nothing');
      await fails('ENOTDIR', fs.mkdir('file/dir'), 'mkdir below a file');
    },
  },
  {
    name: 'create: exclusive over a symlink, and through one',
    needs: ['symlinks'],
    async run({ fs }) {
      await fs.symlink('target', 'link');
      await fails('EEXIST', fs.open('link', O_RDWR | O_CREAT | O_EXCL), 'exclusive');
      await absent(fs, 'target');
      await fails(['ELOOP', 'EFTYPE', 'EMLINK'], fs.open('link', O_RDWR | O_NOFOLLOW), 'nofollow');
      await fs.close(await fs.open('link', O_RDWR | O_CREAT));
      assert.equal((await fs.lstat('target')).type, S_IFREG);
      assert.equal((await fs.lstat('link')).type, S_IFLNK);
    },
  },
  {
    name: 'dir: mkdir and rmdir with odd slashes',
    async run({ fs }) {
      await fs.mkdir('one/');
      await fs.mkdir('two//');
      await fs.mkdir('one//three/');
      assert.deepEqual(await names(fs), ['one', 'two']);
      await fs.rmdir('one///three');
      await fs.rmdir('one/');
      await fs.rmdir('.//two//');
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'dir: a new directory is empty, with two links',
    async run({ fs, features }) {
      await fs.mkdir('dir', 0o750);
      const st = await fs.stat('dir');
      assert.equal(st.type, S_IFDIR);
      if (features.has('modes')) assert.equal(st.mode, 0o750);
      if (features.has('linkcounts')) assert.equal(st.nlink, 2);
      assert.deepEqual(await names(fs, 'dir'), []);
    },
  },
  {
    name: 'dir: link counts follow the subdirectories',
    needs: ['linkcounts'],
    async run({ fs }) {
      await fs.mkdir('a');
      await fs.mkdir('b');
      for (const name of ['x', 'y', 'z']) await fs.mkdir(`a/${name}`);
      await put(fs, 'a/file');
      assert.equal((await fs.stat('a')).nlink, 5);
      await fs.rename('a/x', 'b/x');
      assert.equal((await fs.stat('a')).nlink, 4);
      assert.equal((await fs.stat('b')).nlink, 3);
      await fs.rename('a/y', 'a/z');
      assert.equal((await fs.stat('a')).nlink, 3);
      await fs.rename('a/z', 'b/x');
      assert.equal((await fs.stat('a')).nlink, 2);
      assert.equal((await fs.stat('b')).nlink, 3);
      await fs.rmdir('b/x');
      assert.equal((await fs.stat('b')).nlink, 2);
    },
  },
  {
    name: 'dir: rmdir of what is not empty',
    async run({ fs }) {
      await fs.mkdir('dir');
      await put(fs, 'dir/file');
      await fails(['ENOTEMPTY', 'EEXIST'], fs.rmdir('dir'), 'with a file');
      await fs.unlink('dir/file');
      await fs.mkdir('dir/sub');
      await fails(['ENOTEMPTY', 'EEXIST'], fs.rmdir('dir'), 'with a directory');
      await fs.rmdir('dir/sub');
      await fs.rmdir('dir');
      await absent(fs, 'dir');
    },
  },
  {
    name: 'dir: rmdir of ".", "..", a file and nothing',
    async run({ fs }) {
      await fs.mkdir('dir');
      await fs.mkdir('dir/sub');
      await put(fs, 'file');
      await fails(['ENOTEMPTY', 'EINVAL', 'EEXIST'], fs.rmdir('dir/sub/..'), 'rmdir ..');
      await fails('EINVAL', fs.rmdir('dir/sub/.'), 'rmdir .');
      await fails('ENOTDIR', fs.rmdir('file'), 'rmdir file');
      await fails('ENOENT', fs.rmdir('none'), 'rmdir of nothing');
      await fails('ENOTDIR', fs.rmdir('file/none'), 'rmdir below a file');
      assert.deepEqual(await names(fs, 'dir'), ['sub']);
    },
  },
  {
    name: 'dir: unlink of a directory, of nothing, of dots',
    async run({ fs }) {
      await fs.mkdir('dir');
      await fails(['EPERM', 'EISDIR'], fs.unlink('dir'), 'unlink dir');
      await fails('ENOENT', fs.unlink('none'), 'unlink of nothing');
      await fails(['EPERM', 'EISDIR', 'EINVAL', 'ENOTEMPTY', 'EBUSY'], fs.unlink('dir/..'), 'unlink ..');
      assert.deepEqual(await names(fs), ['dir']);
    },
  },
  {
    name: 'dir: a removed directory that is still open',
    async run({ fs }) {
      await fs.mkdir('dir');
      const dir = await fs.opendir('dir');
      await fs.rmdir('dir');
      assert.deepEqual(await fs.getdents(dir, 10), []);
      await fs.closedir(dir);
      await fs.mkdir('dir');
      await put(fs, 'dir/file');
      assert.deepEqual(await names(fs, 'dir'), ['file']);
    },
  },
  {
    name: 'dir: reading a directory as a file',
    async run({ fs }) {
      await fs.mkdir('dir');
      const fd = await fs.open('dir', O_RDONLY | O_DIRECTORY);
      await fails(['EISDIR', 'EINVAL'], fs.pread(fd, 512, 0), 'read');
      await fails(['EBADF', 'EISDIR', 'EINVAL'], fs.pwrite(fd, Uint8Array.of(1), 0), 'write');
      await fails(['EINVAL', 'EISDIR', 'EBADF'], fs.ftruncate(fd, 0), 'ftruncate');
      await fs.close(fd);
      await put(fs, 'file');
      await fails('ENOTDIR', fs.open('file', O_RDONLY | O_DIRECTORY), 'O_DIRECTORY on a file');
      await fails('ENOTDIR', fs.readdir('file'), 'readdir of a file');
      await fails('EISDIR', fs.truncate('dir', 0), 'truncate');
    },
  },
  {
    name: 'dir: a deep tree',
    async run({ fs }) {
      let path = 'd';
      await fs.mkdir(path);
      for (let depth = 0; depth < 200; depth++) {
        path += '/d';
        await fs.mkdir(path);
      }
      await put(fs, `${path}/file`, 'deep');
      assert.equal(await getText(fs, `${path}/file`), 'deep');
      await fs.unlink(`${path}/file`);
      for (; path.includes('/'); path = path.slice(0, -2)) await fs.rmdir(path);
      await fs.rmdir('d');
    },
  },
  {
    name: 'file: unlinked but open',
    async run({ fs }) {
      await put(fs, 'file', 'still here');
      const fd = await fs.open('file', O_RDWR);
      await fs.unlink('file');
      await absent(fs, 'file');
      assert.equal((await fs.fstat(fd)).nlink, 0);
      assert.equal(new TextDecoder().decode(await fs.pread(fd, 100, 0)), 'still here');
      await put(fs, 'file', 'another');
      assert.equal(new TextDecoder().decode(await fs.pread(fd, 100, 0)), 'still here');
      await fs.close(fd);
      assert.equal(await getText(fs, 'file'), 'another');
    },
  },
  {
    name: 'file: an empty path',
    async run({ fs }) {
      await put(fs, 'file', '');
      assert.equal((await get(fs, 'file')).length, 0);
      assert.equal((await fs.stat('')).type, S_IFDIR);
    },
  },
];
