import assert from 'node:assert/strict';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { fails, get, getText, names, pattern, put, same, writeAll } from '../check.js';
import type { Volume } from '../fs.js';
import type { Case } from '../matrix.js';

const MIB = 2 ** 20;

/** Makes the mounted volume read-only or writable, by mount -u where that is possible. */
function setReadonly(volume: Volume, readonly: boolean): Promise<void> {
  return volume.update !== undefined ? volume.update(readonly) : volume.remount!(readonly);
}

/** Read-only volumes, and volumes that are mounted again. */
export const remountCases: readonly Case[] = [
  {
    name: 'read-only: nothing can be changed',
    needs: ['readonly'],
    alone: true,
    async run({ fs, volume, features }) {
      await put(fs, 'file', 'content');
      await fs.mkdir('dir');
      if (features.has('symlinks')) await fs.symlink('file', 'link');
      await setReadonly(volume, true);
      const before = await fs.stat('file');
      await fails('EROFS', fs.open('file', O_WRONLY), 'open for writing');
      await fails('EROFS', fs.open('file', O_RDWR | O_TRUNC), 'truncating open');
      await fails('EROFS', fs.open('new', O_WRONLY | O_CREAT), 'create');
      await fails('EROFS', fs.mkdir('new'), 'mkdir');
      await fails('EROFS', fs.rmdir('dir'), 'rmdir');
      await fails('EROFS', fs.unlink('file'), 'unlink');
      await fails('EROFS', fs.rename('file', 'new'), 'rename');
      await fails('EROFS', fs.chmod('file', 0o777), 'chmod');
      await fails('EROFS', fs.chown('file', 1, 1), 'chown');
      await fails('EROFS', fs.utimes('file', 'now', 'now'), 'utimes');
      await fails('EROFS', fs.truncate('file', 0), 'truncate');
      if (features.has('symlinks')) await fails('EROFS', fs.symlink('x', 'new'), 'symlink');
      if (features.has('hardlinks')) await fails('EROFS', fs.link('file', 'new'), 'link');
      if (features.has('fifos')) await fails('EROFS', fs.mkfifo('new', 0o600), 'mkfifo');
      await fails('EROFS', fs.access('file', 2), 'access W_OK');
      await fails('EEXIST', fs.mkdir('dir'), 'mkdir over what is there');
      assert.equal(await getText(fs, 'file'), 'content');
      assert.equal((await fs.statvfs('')).readonly, true);
      assert.equal((await fs.stat('file')).atime, before.atime, 'access time stays');
      await setReadonly(volume, false);
      await put(fs, 'file', 'changed');
      assert.equal((await fs.statvfs('')).readonly, false);
    },
  },
  {
    name: 'read-only: rw to ro while files are open for reading',
    needs: ['readonly', 'update'],
    alone: true,
    async run({ fs, volume }) {
      await put(fs, 'file', 'content');
      const fd = await fs.open('file', O_RDONLY);
      await volume.update!(true);
      assert.equal((await fs.pread(fd, 100, 0)).length, 7);
      await volume.update!(false);
      await fs.close(fd);
    },
  },
  {
    name: 'read-only: rw to ro is refused while a file is open for writing',
    needs: ['readonly', 'update'],
    alone: true,
    async run({ fs, volume }) {
      await put(fs, 'file', 'content');
      const fd = await fs.open('file', O_RDWR);
      await fails('EBUSY', volume.update!(true), 'update');
      await fs.pwrite(fd, pattern(10), 0);
      await fs.close(fd);
      await volume.update!(true);
      await fails('EROFS', fs.open('file', O_RDWR), 'open');
      await volume.update!(false);
    },
  },
  {
    name: 'read-only: rw to ro with an unlinked file open',
    needs: ['readonly', 'update'],
    alone: true,
    async run({ fs, volume }) {
      await put(fs, 'reader', 'content');
      const fd = await fs.open('reader', O_RDONLY);
      await fs.unlink('reader');
      // A volume must not become read-only with a file to be freed: it could not be freed any more.
      await fails('EBUSY', volume.update!(true), 'with an unlinked file open for reading');
      assert.equal((await fs.pread(fd, 100, 0)).length, 7);
      await fs.close(fd);
      await put(fs, 'writer', 'content');
      const wfd = await fs.open('writer', O_RDWR);
      await fs.unlink('writer');
      await fails('EBUSY', volume.update!(true), 'with an unlinked file open for writing');
      await fs.close(wfd);
      await volume.update!(true);
      await volume.update!(false);
      await put(fs, 'after', 'x');
    },
  },
  {
    name: 'remount: all is there again',
    needs: ['remount'],
    alone: true,
    async run({ fs, volume, features }) {
      await fs.mkdir('dir');
      for (let i = 0; i < 50; i++) await put(fs, `dir/f${i}`, pattern(i * 997, i), 0o640);
      if (features.has('symlinks')) await fs.symlink('t'.repeat(200), 'link');
      if (features.has('hardlinks')) await fs.link('dir/f1', 'hard');
      if (features.has('nstimes')) await fs.utimes('dir/f2', 1_000_000_000_123_456_789n, -5_000_000_000n + 7n);
      const before = await fs.stat('dir/f2');
      await volume.remount!(false);
      for (let i = 0; i < 50; i++) same(await get(fs, `dir/f${i}`), pattern(i * 997, i), `f${i}`);
      if (features.has('symlinks')) assert.equal((await fs.readlink('link')).length, 200);
      if (features.has('hardlinks')) assert.equal((await fs.stat('hard')).ino, (await fs.stat('dir/f1')).ino);
      const after = await fs.stat('dir/f2');
      assert.deepEqual(
        [after.ino, after.mode, after.size, after.mtime, after.nlink],
        [before.ino, before.mode, before.size, before.mtime, before.nlink],
      );
      await fs.unlink('dir/f3');
      await put(fs, 'new', 'x');
    },
  },
  {
    name: 'remount: read-only from the start',
    needs: ['remount', 'readonly'],
    alone: true,
    async run({ fs, volume }) {
      await put(fs, 'file', 'content');
      await volume.remount!(true);
      assert.equal(await getText(fs, 'file'), 'content');
      await fails('EROFS', fs.mkdir('new'), 'mkdir');
      await fails('EROFS', fs.unlink('file'), 'unlink');
      await volume.remount!(false);
      await fs.unlink('file');
    },
  },
  {
    name: 'remount: file handles stay true',
    needs: ['remount', 'filehandles'],
    alone: true,
    async run({ fs, volume }) {
      await put(fs, 'file', 'content');
      await put(fs, 'gone', 'x');
      const [fh, gone] = [await fs.getfh('file'), await fs.getfh('gone')];
      await fs.unlink('gone');
      await volume.remount!(false);
      assert.equal((await fs.fhstat(fh)).size, 7);
      await fails('ESTALE', fs.fhstat(gone), 'of a removed file');
    },
  },
  {
    name: 'remount: files that were open and unlinked are gone',
    needs: ['remount', 'limited'],
    alone: true,
    async run({ fs, volume }) {
      const { free } = await fs.statvfs('');
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(MIB), 0);
      await fs.unlink('file');
      await fs.close(fd);
      await volume.remount!(false);
      assert.equal((await fs.statvfs('')).free, free);
      assert.deepEqual(await names(fs), []);
    },
  },
];
