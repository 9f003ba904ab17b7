import assert from 'node:assert/strict';
import { O_CREAT, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/kernel/fcntl.js';
import { get, put, sleep } from '../check.js';
import type { Case } from '../matrix.js';

const S = 1_000_000_000n;
/** 2001-09-09, in the past of every test. */
const PAST = 1_000_000_000n * S;

/** Times: set, kept, moved. */
export const timeCases: readonly Case[] = [
  {
    name: 'times: set and kept to the nanosecond',
    needs: ['nstimes'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.utimes('file', PAST + 123_456_789n, PAST + 987_654_321n);
      const st = await fs.stat('file');
      assert.equal(st.atime, PAST + 123_456_789n);
      assert.equal(st.mtime, PAST + 987_654_321n);
      assert(st.ctime > PAST + S, 'ctime is now');
      const fd = await fs.open('file', O_RDWR);
      await fs.futimes(fd, PAST + 1n, PAST + 999_999_999n);
      assert.equal((await fs.fstat(fd)).atime, PAST + 1n);
      assert.equal((await fs.fstat(fd)).mtime, PAST + 999_999_999n);
      await fs.close(fd);
    },
  },
  {
    name: 'times: of whole seconds, from 1970 to 2037',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      for (const sec of [1n, 86_400n * 365n, 1_000_000_000n, 1_700_000_000n, 2_147_483_647n]) {
        await fs.utimes('file', sec * S, sec * S);
        const st = await fs.stat('file');
        assert.equal(st.atime, sec * S);
        assert.equal(st.mtime, sec * S);
      }
    },
  },
  {
    name: 'times: before 1970',
    needs: ['nstimes'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      for (const time of [0n, -1n * S, -1n * S + 999_999_999n, -86_400n * 365n * 30n * S, -2_147_483_648n * S]) {
        await fs.utimes('file', time, time);
        const st = await fs.stat('file');
        assert.equal(st.atime, time);
        assert.equal(st.mtime, time);
      }
    },
  },
  {
    name: 'times: past 2038',
    needs: ['times64'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      for (const sec of [2_147_483_648n, 4_294_967_295n, 4_294_967_296n, 10_000_000_000n]) {
        await fs.utimes('file', sec * S, (sec + 1n) * S);
        const st = await fs.stat('file');
        assert.equal(st.atime, sec * S);
        assert.equal(st.mtime, (sec + 1n) * S);
      }
    },
  },
  {
    name: 'times: now, and one of the two',
    needs: ['nstimes'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await fs.utimes('file', PAST, PAST);
      await fs.utimes('file', 'omit', PAST + S);
      assert.deepEqual([(await fs.stat('file')).atime, (await fs.stat('file')).mtime], [PAST, PAST + S]);
      await fs.utimes('file', PAST + 2n * S, 'omit');
      assert.deepEqual([(await fs.stat('file')).atime, (await fs.stat('file')).mtime], [PAST + 2n * S, PAST + S]);
      await fs.utimes('file', 'now', 'omit');
      const now = await fs.stat('file');
      assert(now.atime > PAST + 1000n * S);
      assert.equal(now.mtime, PAST + S);
      await fs.utimes('file', 'now', 'now');
      assert((await fs.stat('file')).mtime > PAST + 1000n * S);
    },
  },
  {
    name: 'times: of a symlink and of a directory',
    needs: ['symlinks', 'nstimes'],
    async run({ fs }) {
      await put(fs, 'file');
      await fs.symlink('file', 'link');
      await fs.utimes('file', PAST, PAST);
      await fs.lutimes('link', PAST + 5n * S, PAST + 6n * S);
      assert.equal((await fs.lstat('link')).mtime, PAST + 6n * S);
      assert.equal((await fs.stat('file')).mtime, PAST);
      await fs.mkdir('dir');
      await fs.utimes('dir', PAST, PAST + 7n);
      assert.equal((await fs.stat('dir')).mtime, PAST + 7n);
    },
  },
  {
    name: 'times: modification time moves on write',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const fd = await fs.open('file', O_RDWR);
      await fs.utimes('file', PAST, PAST);
      await fs.pwrite(fd, Uint8Array.of(1, 2), 0);
      await fs.fsync(fd);
      const first = await fs.fstat(fd);
      assert(first.mtime > PAST, 'after a write');
      assert(first.ctime > PAST);
      await fs.utimes('file', PAST, PAST);
      await fs.ftruncate(fd, 1);
      assert((await fs.fstat(fd)).mtime > PAST, 'after a truncate');
      await fs.close(fd);
    },
  },
  {
    name: 'times: modification time moves on O_TRUNC, of an empty file too',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      await put(fs, 'empty');
      for (const name of ['file', 'empty']) {
        await fs.utimes(name, PAST, PAST);
        await fs.close(await fs.open(name, O_WRONLY | O_CREAT | O_TRUNC));
        const st = await fs.stat(name);
        assert.equal(st.size, 0);
        assert(st.mtime > PAST, name);
      }
    },
  },
  {
    name: 'times: reading moves neither modification nor change time',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const before = await fs.stat('file');
      await sleep(15);
      await get(fs, 'file');
      const after = await fs.stat('file');
      assert.equal(after.mtime, before.mtime);
      assert.equal(after.ctime, before.ctime);
    },
  },
  {
    name: 'times: a directory changes with its entries',
    needs: ['nstimes'],
    async run({ fs, features }) {
      await fs.mkdir('dir');
      await put(fs, 'outside');
      const steps: [string, () => Promise<unknown>][] = [
        ['create', () => put(fs, 'dir/a')],
        ['mkdir', () => fs.mkdir('dir/d')],
        ['rename', () => fs.rename('dir/a', 'dir/b')],
        ['rename in', () => fs.rename('outside', 'dir/in')],
        ['unlink', () => fs.unlink('dir/b')],
        ['rmdir', () => fs.rmdir('dir/d')],
      ];
      if (features.has('symlinks')) steps.push(['symlink', () => fs.symlink('x', 'dir/s')]);
      if (features.has('hardlinks')) steps.push(['link', () => fs.link('dir/in', 'dir/l')]);
      for (const [what, step] of steps) {
        await fs.utimes('dir', PAST, PAST);
        await step();
        assert((await fs.stat('dir')).mtime > PAST, what);
      }
    },
  },
  {
    name: 'times: birth time stays',
    needs: ['birthtime'],
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const born = (await fs.stat('file')).birthtime;
      assert(born > PAST);
      await sleep(15);
      await put(fs, 'file', 'changed');
      await fs.rename('file', 'other');
      await fs.chmod('other', 0o600);
      assert.equal((await fs.stat('other')).birthtime, born);
    },
  },
];
