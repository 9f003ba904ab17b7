import assert from 'node:assert/strict';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { absent, fails, get, getText, names, pattern, put, same, writeAll } from '../matrix/check.js';
import type { Fs, Volume } from '../matrix/fs.js';
import type { Case } from '../matrix/matrix.js';

const MIB = 2 ** 20;

/** Writes until there is no room; returns the bytes stored. */
async function fill(fs: Fs, name: string, piece: Uint8Array): Promise<number> {
  const fd = await fs.open(name, O_WRONLY | O_CREAT);
  let at = 0;
  try {
    for (;;) {
      const count = await fs.pwrite(fd, piece, at);
      at += count;
      if (count < piece.length) await fails('ENOSPC', fs.pwrite(fd, piece, at), 'a write after a short one');
      if (count < piece.length) break;
    }
    await fs.fsync(fd);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  } finally {
    // Where the host caches writes, the error may come as late as here.
    await fs.close(fd).catch((error: { code?: string }) => assert.equal(error.code, 'ENOSPC'));
  }
  return (await fs.stat(name)).size;
}

/** Makes the mounted volume read-only or writable, by mount -u where that is possible. */
function setReadonly(volume: Volume, readonly: boolean): Promise<void> {
  return volume.update !== undefined ? volume.update(readonly) : volume.remount!(readonly);
}

/** The volume as a whole: room, sync, file handles, read-only. */
export const volumeCases: readonly Case[] = [
  {
    name: 'statvfs: plausible, and follows the room taken',
    needs: ['limited'],
    async run({ fs }) {
      const before = await fs.statvfs('');
      assert(before.size > 0 && before.free > 0 && before.free <= before.size);
      assert(before.files > 0 && before.ffree <= before.files);
      assert(before.namemax >= 255);
      assert.equal(before.readonly, false);
      await put(fs, 'file', pattern(2 * MIB));
      await fs.sync();
      const after = await fs.statvfs('file');
      assert(after.free <= before.free - 2 * MIB, `${before.free} -> ${after.free}`);
      assert.equal(after.size, before.size);
      await fs.unlink('file');
      await fs.sync();
      assert((await fs.statvfs('')).free >= before.free - 65_536, 'room comes back');
    },
  },
  {
    name: 'sync: with dirty files open',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(300_000), 0);
      await fs.sync();
      await writeAll(fs, fd, pattern(1000, 2), 299_500);
      await fs.sync();
      await fs.close(fd);
      assert.equal((await get(fs, 'file')).length, 300_500);
    },
  },
  {
    name: 'file handles: open and stat by handle, across rename',
    needs: ['filehandles'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const fh = await fs.getfh('file');
      const { ino } = await fs.stat('file');
      await fs.mkdir('dir');
      await fs.rename('file', 'dir/other');
      assert.equal((await fs.fhstat(fh)).ino, ino);
      const fd = await fs.fhopen(fh, O_RDWR);
      assert.equal((await fs.pread(fd, 10, 0)).length, 1);
      await fs.close(fd);
      const dirfh = await fs.getfh('dir');
      assert.equal((await fs.fhstat(dirfh)).ino, (await fs.stat('dir')).ino);
    },
  },
  {
    name: 'file handles: stale after removal, also when the number is used again',
    needs: ['filehandles'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const fh = await fs.getfh('file');
      await fs.unlink('file');
      await fails('ESTALE', fs.fhopen(fh, O_RDONLY), 'fhopen');
      for (let i = 0; i < 20; i++) await put(fs, `new${i}`, 'y');
      await fails('ESTALE', fs.fhopen(fh, O_RDONLY), 'fhopen after new files');
      await fails('ESTALE', fs.fhstat(fh), 'fhstat');
      await fs.mkdir('dir');
      const dirfh = await fs.getfh('dir');
      await fs.rmdir('dir');
      await fails('ESTALE', fs.fhstat(dirfh), 'of a removed directory');
    },
  },
  {
    name: 'file handles: an unlinked file that is still open',
    needs: ['filehandles'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const fd = await fs.open('file', O_RDWR);
      const fh = await fs.getfh('file');
      await fs.unlink('file');
      assert.equal((await fs.fhstat(fh)).nlink, 0);
      await fs.close(fd);
      await fails('ESTALE', fs.fhstat(fh), 'after the last close');
    },
  },
  {
    name: 'file handles: a number that is none',
    needs: ['filehandles'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fails(['ESTALE', 'EINVAL'], fs.fhopen(await fs.badfh('file'), O_RDONLY), 'fhopen');
      await fails(['ESTALE', 'EINVAL'], fs.fhstat(await fs.badfh('file')), 'fhstat');
    },
  },
  {
    name: 'full: until ENOSPC, and work after deletion',
    needs: ['limited'],
    size_bytes: 16 * MIB,
    async run({ fs }) {
      await put(fs, 'keep', pattern(10_000));
      const stored = await fill(fs, 'big', pattern(65_536));
      assert(stored > 8 * MIB, `stored ${stored}`);
      same((await get(fs, 'big')).subarray(0, 65_536), pattern(65_536), 'what was stored');
      const small = await fill(fs, 'small', pattern(512));
      assert(small <= 65_536 * 2, `another ${small} bytes fitted`);
      same(await get(fs, 'keep'), pattern(10_000));
      await fs.unlink('big');
      await fs.unlink('small');
      await fs.sync();
      await put(fs, 'again', pattern(4 * MIB, 3));
      same(await get(fs, 'again'), pattern(4 * MIB, 3));
      await fs.mkdir('dir');
      await put(fs, 'dir/file', 'x');
    },
  },
  {
    name: 'full: with many small files',
    needs: ['limited'],
    size_bytes: 16 * MIB,
    async run({ fs }) {
      let made = 0;
      try {
        for (; made < 30_000; made++) {
          if (made % 500 === 0) await fs.mkdir(`d${made / 500}`);
          await put(fs, `d${Math.floor(made / 500)}/f${made}`, pattern(1500, made));
        }
        assert.fail('30,000 files of 1500 bytes fitted');
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
      }
      assert(made > 500, `${made} files`);
      for (let i = 0; i < made; i += 97) same(await get(fs, `d${Math.floor(i / 500)}/f${i}`), pattern(1500, i), `file ${i}`);
      for (let i = 0; i < Math.min(made, 500); i++) await fs.unlink(`d0/f${i}`);
      await fs.sync();
      for (let i = 0; i < 100; i++) await put(fs, `d0/n${i}`, pattern(1500));
      assert.equal((await names(fs, 'd0')).filter((name) => name.startsWith('n')).length, 100);
    },
  },
  {
    name: 'full: everything but data still works, and nothing breaks',
    needs: ['limited'],
    size_bytes: 16 * MIB,
    async run({ fs }) {
      await put(fs, 'a', 'a');
      await fs.mkdir('dir');
      await fill(fs, 'big', pattern(65_536));
      await fill(fs, 'rest', pattern(512));
      await fs.rename('a', 'dir/b');
      await fs.chmod('dir/b', 0o600);
      assert.equal(await getText(fs, 'dir/b'), 'a');
      // May succeed where there is room left for an entry; must not do half.
      for (let i = 0; i < 50; i++) {
        try {
          await fs.mkdir(`new${i}`);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ENOSPC');
          await absent(fs, `new${i}`);
          continue;
        }
        await fs.rmdir(`new${i}`);
      }
      await fs.truncate('big', 1000);
      await fs.sync();
      await put(fs, 'after', pattern(100_000));
      same(await get(fs, 'after'), pattern(100_000));
    },
  },
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
      assert.deepEqual([after.ino, after.mode, after.size, after.mtime, after.nlink], [before.ino, before.mode, before.size, before.mtime, before.nlink]);
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
