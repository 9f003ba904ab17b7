/**
 * The part of the conformance matrix for formats that are only read: the cases find their files in a tree that was
 * mastered onto the volume, all in the same.
 */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY, R_OK, SEEK_CUR, SEEK_END, W_OK,
} from '../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../src/kernel/stat.js';
import { fails, get, getText, names, pattern } from './check.js';
import type { Case } from './matrix.js';

const MANY = 500;
const BIG_BYTES = 300_001;
const DEEP = Array.from({ length: 12 }, (_, i) => `level${i}`).join('/');
const LONG = 'l'.repeat(180);

/** Makes the tree in a folder of the host. */
export function makeReadingTree(folder: string): void {
  const put = (name: string, data: Uint8Array | string): void => writeFileSync(path.join(folder, name), data);
  mkdirSync(path.join(folder, 'dir/sub'), { recursive: true });
  mkdirSync(path.join(folder, 'many'));
  mkdirSync(path.join(folder, DEEP), { recursive: true });
  mkdirSync(path.join(folder, 'private'));
  put('file', 'hello');
  put('empty', '');
  put('big', pattern(BIG_BYTES, 7));
  put('dir/sub/leaf', 'leaf');
  put(`${DEEP}/bottom`, 'bottom');
  put(LONG, 'long');
  put('grüße 漢字', 'unicode');
  put('secret', 'secret');
  put('private/inside', 'inside');
  for (let i = 0; i < MANY; i++) put(`many/${'x'.repeat((i * 7) % 100)}${i}`, String(i));
  linkSync(path.join(folder, 'file'), path.join(folder, 'dir/twin'));
  symlinkSync('sub/leaf', path.join(folder, 'dir/link'));
  symlinkSync('nowhere', path.join(folder, 'dangling'));
  symlinkSync('loop-b', path.join(folder, 'loop-a'));
  symlinkSync('loop-a', path.join(folder, 'loop-b'));
  symlinkSync('dir', path.join(folder, 'dirlink'));
  chmodSync(path.join(folder, 'secret'), 0o600);
  chmodSync(path.join(folder, 'private'), 0o700);
  chmodSync(folder, 0o755);
}

export const readingCases: readonly Case[] = [
  {
    name: 'reading: dots and slashes',
    async run({ fs }) {
      const { ino } = await fs.stat('dir/sub/leaf');
      for (const way of ['dir//sub/leaf', './dir/./sub/leaf', 'dir/sub/../sub/leaf', '///dir///sub/.//leaf']) {
        assert.equal((await fs.stat(way)).ino, ino, way);
      }
      await fails('ENOENT', fs.stat('dir/none/../sub/leaf'), 'through a missing directory');
      await fails('ENOTDIR', fs.stat('file/../file'), '.. of a file');
      await fails('ENOTDIR', fs.stat('file/x'), 'below a file');
      assert.equal((await fs.stat('dir/')).type, S_IFDIR);
      await fails('ENOTDIR', fs.stat('file/'), 'stat file/');
      await fails(['ENOTDIR', 'EISDIR'], fs.open('file/', O_RDONLY), 'open file/');
    },
  },
  {
    name: 'reading: what is not there',
    async run({ fs }) {
      for (const name of ['none', 'fil', 'filee', 'dir/none', `${LONG}l`, 'FILE/x']) {
        await fails('ENOENT', fs.stat(name), name);
        await fails('ENOENT', fs.open(name, O_RDONLY), name);
      }
      await fails('ENAMETOOLONG', fs.stat('n'.repeat(256)), 'a name of 256 bytes');
      await fails('ENOTDIR', fs.open('file', O_RDONLY | O_DIRECTORY), 'a file as a directory');
    },
  },
  {
    name: 'reading: every entry once, with its type',
    async run({ fs }) {
      const types = new Map((await fs.readdir('')).map(({ name, type }) => [name, type]));
      assert.equal(types.get('dir'), S_IFDIR);
      assert.equal(types.get('file'), S_IFREG);
      assert.equal(types.get('dangling'), S_IFLNK);
      assert.equal(types.get(Buffer.from('grüße 漢字').toString('latin1')), S_IFREG);
      assert.equal(types.get(LONG), S_IFREG);
      assert.deepEqual(await names(fs, 'dir'), ['link', 'sub', 'twin']);
    },
  },
  {
    name: 'reading: five hundred entries in small pieces',
    async run({ fs }) {
      const wanted = Array.from({ length: MANY }, (_, i) => `${'x'.repeat((i * 7) % 100)}${i}`);
      const dir = await fs.opendir('many');
      const seen: string[] = [];
      for (let max = 1; ; max = (max % 9) + 1) {
        const some = await fs.getdents(dir, max);
        if (some.length === 0) break;
        seen.push(...some.map(({ name }) => name));
      }
      await fs.closedir(dir);
      assert.deepEqual(seen.sort(), wanted.sort());
    },
  },
  {
    name: 'reading: content, at any place',
    async run({ fs }) {
      const wanted = pattern(BIG_BYTES, 7);
      assert.deepEqual(Buffer.from(await get(fs, 'big')), Buffer.from(wanted));
      assert.equal(await getText(fs, 'empty'), '');
      const fd = await fs.open('big', O_RDONLY);
      for (const [at, length] of [[0, 1], [2047, 2], [4095, 4098], [BIG_BYTES - 5, 100], [BIG_BYTES, 10]] as const) {
        const some = await fs.pread(fd, length, at);
        assert.deepEqual(Buffer.from(some), Buffer.from(wanted.subarray(at, at + length)), `${length} at ${at}`);
      }
      assert.equal(await fs.lseek(fd, -10, SEEK_END), BIG_BYTES - 10);
      assert.deepEqual(Buffer.from(await fs.read(fd, 4)), Buffer.from(wanted.subarray(-10, -6)));
      assert.equal(await fs.lseek(fd, 0, SEEK_CUR), BIG_BYTES - 6);
      await fs.close(fd);
      const dir = await fs.open('dir', O_RDONLY);
      await fails('EISDIR', fs.read(dir, 10), 'read of a directory');
      await fs.close(dir);
    },
  },
  {
    name: 'reading: symbolic links',
    needs: ['symlinks'],
    async run({ fs }) {
      const target = async (name: string): Promise<string> => Buffer.from(await fs.readlink(name)).toString();
      assert.equal(await target('dir/link'), 'sub/leaf');
      assert.equal((await fs.lstat('dir/link')).type, S_IFLNK);
      assert.equal((await fs.lstat('dir/link')).size, 8);
      assert.equal(await getText(fs, 'dir/link'), 'leaf');
      assert.equal(await getText(fs, 'dirlink/sub/leaf'), 'leaf');
      await fails('ENOENT', fs.stat('dangling'), 'a link to nothing');
      await fails('ELOOP', fs.stat('loop-a'), 'links in a circle');
      await fails(['ELOOP', 'EFTYPE'], fs.open('dir/link', O_RDONLY | O_NOFOLLOW), 'O_NOFOLLOW');
      await fails('EINVAL', fs.readlink('file'), 'readlink of a file');
    },
  },
  {
    name: 'reading: a file with two names, and deep directories',
    needs: ['hardlinks'],
    async run({ fs }) {
      const [one, two] = [await fs.stat('file'), await fs.stat('dir/twin')];
      assert.equal(one.ino, two.ino);
      assert.equal(one.nlink, 2);
      assert.equal(await getText(fs, `${DEEP}/bottom`), 'bottom');
      let at = DEEP;
      while (at.includes('/')) {
        const above = at.slice(0, at.lastIndexOf('/'));
        assert.equal((await fs.stat(`${at}/..`)).ino, (await fs.stat(above)).ino, `.. of ${at}`);
        at = above;
      }
    },
  },
  {
    name: 'reading: permissions of others',
    needs: ['modes', 'owners', 'processes'],
    async run({ fs, proc }) {
      assert.equal((await fs.stat('secret')).mode, 0o600);
      const other = await proc(1000, 1000);
      assert.equal(await getText(other, 'file'), 'hello');
      await fails('EACCES', other.open('secret', O_RDONLY), 'another\'s file');
      await fails('EACCES', other.stat('private/inside'), 'through another\'s directory');
      await fails('EACCES', other.opendir('private'), 'another\'s directory');
      await fails('EACCES', other.access('secret', R_OK), 'access');
      assert.equal(await getText(fs, 'private/inside'), 'inside', 'but not of the superuser');
    },
  },
  {
    name: 'reading: whatever changes something is EROFS',
    async run({ fs }) {
      const before = await fs.stat('file');
      for (const [what, call] of [
        ['open for writing', () => fs.open('file', O_RDWR)],
        ['create', () => fs.open('new', O_WRONLY | O_CREAT, 0o644)],
        ['truncate', () => fs.truncate('file', 0)],
        ['unlink', () => fs.unlink('file')],
        ['mkdir', () => fs.mkdir('new')],
        ['rmdir', () => fs.rmdir('dir/sub')],
        ['rename', () => fs.rename('file', 'new')],
        ['link', () => fs.link('file', 'new')],
        ['symlink', () => fs.symlink('x', 'new')],
        ['mkfifo', () => fs.mkfifo('new', 0o644)],
        ['chmod', () => fs.chmod('file', 0o777)],
        ['chown', () => fs.chown('file', 1, 1)],
        ['utimes', () => fs.utimes('file', 1n, 1n)],
        ['access for writing', () => fs.access('file', W_OK)],
      ] as const) {
        await fails('EROFS', call(), what);
      }
      assert.deepEqual(await fs.stat('file'), before);
      assert.equal(await getText(fs, 'file'), 'hello');
    },
  },
  {
    name: 'reading: the volume says that it is read-only',
    async run({ fs }) {
      const volume = await fs.statvfs('');
      assert.equal(volume.readonly, true);
      assert.equal(volume.free, 0);
      assert(volume.size > BIG_BYTES);
      assert(volume.namemax >= LONG.length);
    },
  },
  {
    name: 'reading: file handles',
    needs: ['filehandles'],
    async run({ fs }) {
      const handle = await fs.getfh('dir/sub/leaf');
      const fd = await fs.fhopen(handle, O_RDONLY);
      assert.equal(Buffer.from(await fs.read(fd, 10)).toString(), 'leaf');
      await fs.close(fd);
      await fails('ESTALE', fs.fhopen(await fs.badfh('dir/sub/leaf'), O_RDONLY), 'a wrong number');
    },
  },
  {
    name: 'reading: many at once',
    async run({ fs }) {
      const wanted = Buffer.from(pattern(BIG_BYTES, 7));
      const one = async (i: number): Promise<void> => {
        for (let round = 0; round < 3; round++) {
          assert.deepEqual(Buffer.from(await get(fs, 'big')), wanted);
          assert.equal((await names(fs, 'many')).length, MANY);
          assert.equal(await getText(fs, `many/${'x'.repeat((i * 7) % 100)}${i}`), String(i));
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, i) => one(i)));
    },
  },
  {
    name: 'reading: the same numbers after the volume is mounted again',
    needs: ['remount'],
    async run({ fs, volume }) {
      const seen = async (): Promise<string> => {
        const list: string[] = [];
        for (const name of ['file', 'dir', 'big', 'dir/twin', LONG]) list.push(String((await fs.stat(name)).ino));
        return list.join(' ');
      };
      const before = await seen();
      await volume.remount!(true);
      assert.equal(await seen(), before);
      assert.equal(await getText(fs, 'dir/twin'), 'hello');
    },
  },
];
