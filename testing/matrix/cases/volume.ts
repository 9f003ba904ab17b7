import assert from 'node:assert/strict';
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { absent, fails, get, getText, names, pattern, put, same, writeAll } from '../check.js';
import type { Fs } from '../fs.js';
import type { Case } from '../matrix.js';

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

/** The volume as a whole: room, sync, file handles. */
export const volumeCases: readonly Case[] = [
  {
    name: 'statvfs: plausible, and follows the room taken',
    needs: ['limited'],
    async run({ fs, namemax }) {
      const before = await fs.statvfs('');
      assert(before.size > 0 && before.free > 0 && before.free <= before.size);
      assert(before.files > 0 && before.ffree <= before.files);
      assert(before.namemax >= namemax);
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
      for (let i = 0; i < made; i += 97) {
        same(await get(fs, `d${Math.floor(i / 500)}/f${i}`), pattern(1500, i), `file ${i}`);
      }
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
];
