import assert from 'node:assert/strict';
import { O_CREAT, O_RDWR, SEEK_DATA, SEEK_HOLE } from '../../../src/kernel/fcntl.js';
import { fails, get, joined, pattern, put, same, writeAll } from '../check.js';
import type { Case } from '../matrix.js';

const MIB = 2 ** 20;

/** Holes, and room that is reserved. */
export const holeCases: readonly Case[] = [
  {
    name: 'holes: a truncated hole',
    needs: ['holes'],
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(100), 0);
      await fs.ftruncate(fd, 2 ** 33);
      assert.equal((await fs.fstat(fd)).size, 2 ** 33);
      same(await fs.pread(fd, 100, 2 ** 33 - 100), new Uint8Array(100));
      same(await fs.pread(fd, 200, 0), joined(pattern(100), new Uint8Array(100)));
      await fs.ftruncate(fd, 50);
      same(await get(fs, 'file'), pattern(100).subarray(0, 50));
      await fs.close(fd);
    },
  },
  {
    name: 'holes: islands in a large hole',
    needs: ['holes'],
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      // Far apart, so that single, double and triple indirection come in where a format has them.
      const places = [0, 5 * 8192, 12 * 65_536 + 3, 3 * MIB + 1, 2 ** 27 + 77, 2 ** 31 - 5, 2 ** 32 + 4095, 2 ** 34];
      for (const [i, at] of places.entries()) await writeAll(fs, fd, pattern(100, i), at);
      for (const [i, at] of places.entries()) {
        same(await fs.pread(fd, 100, at), pattern(100, i), `island at ${at}`);
        same(await fs.pread(fd, 50, at + 100), new Uint8Array(at === places.at(-1) ? 0 : 50), `behind ${at}`);
      }
      const st = await fs.fstat(fd);
      assert.equal(st.size, 2 ** 34 + 100);
      assert(st.blocks * 512 < 8 * MIB, `takes ${st.blocks} blocks`);
      await fs.ftruncate(fd, 2 ** 31 - 50);
      same(await fs.pread(fd, 100, 2 ** 27 + 77), pattern(100, 4));
      await fs.ftruncate(fd, 0);
      assert.equal((await fs.fstat(fd)).size, 0);
      await fs.close(fd);
    },
  },
  {
    name: 'holes: filled from behind',
    needs: ['holes'],
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      const wanted = pattern(400_000);
      for (let at = wanted.length; at > 0; at -= 12_500) {
        await writeAll(fs, fd, wanted.subarray(Math.max(0, at - 12_500), at), Math.max(0, at - 12_500));
      }
      await fs.close(fd);
      same(await get(fs, 'file'), wanted);
    },
  },
  {
    name: 'holes: SEEK_DATA and SEEK_HOLE',
    needs: ['seekhole'],
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(100), 0);
      await writeAll(fs, fd, pattern(100), 10 * MIB);
      await fs.fsync(fd);
      const hole = await fs.lseek(fd, 0, SEEK_HOLE);
      assert(hole >= 100 && hole <= MIB, `hole at ${hole}`);
      const data = await fs.lseek(fd, hole, SEEK_DATA);
      assert(data > hole && data <= 10 * MIB, `data at ${data}`);
      assert.equal(await fs.lseek(fd, 10 * MIB + 10, SEEK_DATA), 10 * MIB + 10);
      assert.equal(await fs.lseek(fd, 10 * MIB, SEEK_HOLE), 10 * MIB + 100, 'the end is a hole');
      await fails('ENXIO', fs.lseek(fd, 10 * MIB + 100, SEEK_DATA), 'data behind the end');
      await fails('ENXIO', fs.lseek(fd, 20 * MIB, SEEK_HOLE), 'hole behind the end');
      await fs.ftruncate(fd, 20 * MIB);
      // FFS gives every file a last block; nothing else lies in the last hole.
      let last = 20 * MIB;
      try {
        last = await fs.lseek(fd, 12 * MIB, SEEK_DATA);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ENXIO');
      }
      assert(last >= 20 * MIB - 65_536, `data at ${last} in the last hole`);
      await fs.close(fd);
    },
  },
  {
    name: 'holes: punched',
    needs: ['fdiscard'],
    async run({ fs, features }) {
      const wanted = pattern(3 * MIB);
      await put(fs, 'file', wanted);
      const fd = await fs.open('file', O_RDWR);
      const before = (await fs.fstat(fd)).blocks;
      for (const [at, length] of [
        [10, 100],
        [60_000, 10_000],
        [MIB - 1, MIB + 2],
        [3 * MIB - 100, 100],
        [5 * MIB, 10],
      ] as const) {
        await fs.fdiscard(fd, at, length);
        wanted.fill(0, at, Math.min(wanted.length, at + length));
      }
      same(await get(fs, 'file'), wanted);
      await fs.fsync(fd);
      if (features.has('blocks')) assert((await fs.fstat(fd)).blocks < before - 1024, 'room was given back');
      await fs.close(fd);
    },
  },
  {
    name: 'allocation: reserved room reads as zeros and extends the file',
    needs: ['fallocate'],
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(1000), 0);
      await fs.fallocate(fd, 500, 200_000);
      assert.equal((await fs.fstat(fd)).size, 200_500);
      same(await get(fs, 'file'), joined(pattern(1000), new Uint8Array(199_500)));
      await fs.fallocate(fd, 0, 100);
      assert.equal((await fs.fstat(fd)).size, 200_500);
      await fs.close(fd);
    },
  },
  {
    name: 'allocation: more than there is',
    needs: ['fallocate', 'limited'],
    size_bytes: 16 * MIB,
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(1000), 0);
      const { free } = await fs.statvfs('');
      await fails(['ENOSPC', 'EFBIG'], fs.fallocate(fd, 0, 10 * free + 2 ** 34), 'fallocate');
      same(await get(fs, 'file'), pattern(1000));
      const after = (await fs.statvfs('')).free;
      assert(after > free - MIB, 'room is given back');
      await fs.close(fd);
    },
  },
];
