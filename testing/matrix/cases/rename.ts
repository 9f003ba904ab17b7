import assert from 'node:assert/strict';
import { O_RDONLY } from '../../../src/kernel/fcntl.js';
import { S_IFDIR } from '../../../src/kernel/stat.js';
import { absent, fails, getText, names, put } from '../check.js';
import type { Case } from '../matrix.js';

/** Rename in all its corners. */
export const renameCases: readonly Case[] = [
  {
    name: 'rename: a file, in a directory and to another',
    async run({ fs }) {
      await put(fs, 'a', 'content');
      const { ino } = await fs.stat('a');
      await fs.rename('a', 'b');
      await absent(fs, 'a');
      await fs.mkdir('dir');
      await fs.rename('b', 'dir/c');
      await absent(fs, 'b');
      assert.equal(await getText(fs, 'dir/c'), 'content');
      assert.equal((await fs.stat('dir/c')).ino, ino);
      await fs.rename('dir/c', 'a');
      assert.deepEqual(await names(fs), ['a', 'dir']);
    },
  },
  {
    name: 'rename: over a file',
    async run({ fs }) {
      await put(fs, 'a', 'new');
      await put(fs, 'b', 'old');
      const fd = await fs.open('b', O_RDONLY);
      await fs.rename('a', 'b');
      assert.deepEqual(await names(fs), ['b']);
      assert.equal(await getText(fs, 'b'), 'new');
      assert.equal((await fs.fstat(fd)).nlink, 0);
      assert.equal(new TextDecoder().decode(await fs.pread(fd, 10, 0)), 'old');
      await fs.close(fd);
    },
  },
  {
    name: 'rename: a directory, with what is in it',
    async run({ fs }) {
      await fs.mkdir('a');
      await put(fs, 'a/file', 'x');
      await fs.mkdir('b');
      await fs.rename('a', 'b/c');
      assert.deepEqual(await names(fs), ['b']);
      assert.equal(await getText(fs, 'b/c/file'), 'x');
      assert.equal((await fs.stat('b/c/..')).ino, (await fs.stat('b')).ino);
      await fs.rename('b/c', 'a');
      assert.equal(await getText(fs, 'a/file'), 'x');
      assert.equal((await fs.stat('a/..')).ino, (await fs.stat('')).ino);
    },
  },
  {
    name: 'rename: a directory over an empty one, and over a full one',
    async run({ fs }) {
      await fs.mkdir('a');
      await put(fs, 'a/file', 'x');
      await fs.mkdir('empty');
      await fs.mkdir('full');
      await put(fs, 'full/other');
      await fails(['ENOTEMPTY', 'EEXIST'], fs.rename('a', 'full'), 'over a full one');
      await fs.rename('a', 'empty');
      assert.deepEqual(await names(fs), ['empty', 'full']);
      assert.equal(await getText(fs, 'empty/file'), 'x');
    },
  },
  {
    name: 'rename: into itself or below',
    async run({ fs }) {
      await fs.mkdir('a');
      await fs.mkdir('a/b');
      await fs.mkdir('a/b/c');
      await fails('EINVAL', fs.rename('a', 'a/x'), 'a to a/x');
      await fails('EINVAL', fs.rename('a', 'a/b/c/x'), 'a to a/b/c/x');
      await fails(['EINVAL', 'ENOTEMPTY'], fs.rename('a', 'a/b'), 'a to a/b');
      await fails(['EINVAL', 'ENOTEMPTY', 'EEXIST'], fs.rename('a/b/c', 'a'), 'over an ancestor');
      assert.deepEqual(await names(fs, 'a/b'), ['c']);
    },
  },
  {
    name: 'rename: dots',
    async run({ fs }) {
      await fs.mkdir('a');
      await fs.mkdir('a/b');
      for (const [from, to] of [
        ['a/.', 'x'],
        ['a/b/..', 'x'],
        ['a/b', 'a/.'],
        ['a/b', 'a/b/..'],
        ['.', 'x'],
        ['..', 'x'],
      ] as const) {
        await fails(['EINVAL', 'EBUSY', 'ENOTEMPTY', 'EEXIST', 'EISDIR'], fs.rename(from, to), `${from} to ${to}`);
      }
      assert.deepEqual(await names(fs), ['a']);
      assert.deepEqual(await names(fs, 'a'), ['b']);
    },
  },
  {
    name: 'rename: file over directory, directory over file, file as directory',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.mkdir('dir');
      await fails('EISDIR', fs.rename('file', 'dir'), 'file over directory');
      await fails('ENOTDIR', fs.rename('dir', 'file'), 'directory over file');
      await fails('ENOTDIR', fs.rename('dir', 'file/x'), 'below a file');
      await fails(['ENOTDIR', 'ENOENT'], fs.rename('file', 'other/'), 'file to a name with a slash');
      await fails('ENOTDIR', fs.rename('file/', 'other'), 'file from a name with a slash');
      assert.deepEqual(await names(fs), ['dir', 'file']);
      await fs.rename('dir', 'other/');
      assert.equal((await fs.stat('other')).type, S_IFDIR);
    },
  },
  {
    name: 'rename: to itself',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.mkdir('dir');
      await fs.rename('file', 'file');
      await fs.rename('dir', 'dir');
      assert.deepEqual(await names(fs), ['dir', 'file']);
      assert.equal(await getText(fs, 'file'), 'x');
    },
  },
  {
    name: 'rename: from nothing, to nowhere',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fails('ENOENT', fs.rename('none', 'other'), 'from nothing');
      await fails('ENOENT', fs.rename('none', 'file'), 'from nothing over a file');
      await fails('ENOENT', fs.rename('file', 'none/other'), 'to a missing directory');
      assert.equal(await getText(fs, 'file'), 'x');
    },
  },
  {
    name: 'rename: one hard link over the other does nothing',
    needs: ['hardlinks'],
    async run({ fs }) {
      await put(fs, 'a', 'x');
      await fs.link('a', 'b');
      await fs.mkdir('dir');
      await fs.link('a', 'dir/c');
      await fs.rename('a', 'b');
      await fs.rename('a', 'dir/c');
      assert.deepEqual(await names(fs), ['a', 'b', 'dir']);
      assert.equal((await fs.stat('a')).nlink, 3);
    },
  },
  {
    name: 'rename: over one of several links',
    needs: ['hardlinks'],
    async run({ fs }) {
      await put(fs, 'a', 'a');
      await put(fs, 'b', 'b');
      await fs.link('b', 'c');
      await fs.rename('a', 'b');
      assert.equal(await getText(fs, 'b'), 'a');
      assert.equal(await getText(fs, 'c'), 'b');
      assert.equal((await fs.stat('c')).nlink, 1);
    },
  },
  {
    name: 'rename: of an open file',
    async run({ fs }) {
      await put(fs, 'a', 'x');
      const fd = await fs.open('a', O_RDONLY);
      await fs.mkdir('dir');
      await fs.rename('a', 'dir/b');
      assert.equal((await fs.fstat(fd)).nlink, 1);
      assert.equal((await fs.fstat(fd)).ino, (await fs.stat('dir/b')).ino);
      assert.equal((await fs.pread(fd, 10, 0)).length, 1);
      await fs.close(fd);
    },
  },
  {
    name: 'rename: a symlink itself, not its target',
    needs: ['symlinks'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.symlink('file', 'link');
      await fs.rename('link', 'moved');
      assert.equal(await getText(fs, 'moved'), 'x');
      await put(fs, 'other', 'y');
      await fs.rename('other', 'moved');
      assert.equal(await getText(fs, 'file'), 'x');
      assert.equal(await getText(fs, 'moved'), 'y');
    },
  },
  {
    name: 'rename: many names in turn, in one directory',
    async run({ fs, namemax }) {
      const long = (i: number) => `${'longer'.repeat(i % 30).slice(0, namemax - 3)}-${i}`;
      for (let i = 0; i < 60; i++) await put(fs, `f${i}`, `${i}`);
      for (let i = 0; i < 60; i++) await fs.rename(`f${i}`, long(i));
      for (let i = 0; i < 60; i++) await fs.rename(long(i), `g${i}`);
      assert.equal((await names(fs)).length, 60);
      for (let i = 0; i < 60; i++) assert.equal(await getText(fs, `g${i}`), `${i}`);
    },
  },
];
