import assert from 'node:assert/strict';
import {
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../../src/kernel/fcntl.js';
import { fails, get, joined, pattern, put, same, writeAll } from '../check.js';
import type { Case } from '../matrix.js';

const MIB = 2 ** 20;

/** Content of files. */
export const ioCases: readonly Case[] = [
  {
    name: 'io: sizes around every boundary',
    async run({ fs }) {
      for (const size of [
        0, 1, 511, 512, 513, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 32767, 65535, 65536, 65537, 98304,
        131073, 262144,
      ]) {
        await put(fs, 'file', pattern(size, size));
        same(await get(fs, 'file'), pattern(size, size), `size ${size}`);
      }
    },
  },
  {
    name: 'io: a large file in large and in odd pieces',
    async run({ fs }) {
      const data = pattern(5 * MIB + 12345);
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, data, 0);
      same(await get(fs, 'file'), data);
      const odd = pattern(data.length, 2);
      for (let at = 0; at < odd.length; at += 77_777) await writeAll(fs, fd, odd.subarray(at, at + 77_777), at);
      same(await get(fs, 'file'), odd);
      for (let at = 1; at < odd.length; at += 654_321) same(await fs.pread(fd, 3000, at), odd.subarray(at, at + 3000));
      await fs.close(fd);
    },
  },
  {
    name: 'io: extend by writing at the end',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      let whole = new Uint8Array(0);
      for (let i = 0; i < 100; i++) {
        const piece = pattern(1 + i * 17, i);
        await writeAll(fs, fd, piece, whole.length);
        whole = joined(whole, piece) as Uint8Array<ArrayBuffer>;
      }
      await fs.close(fd);
      same(await get(fs, 'file'), whole);
    },
  },
  {
    name: 'io: extend by O_APPEND, wherever the position is',
    async run({ fs }) {
      await put(fs, 'file', pattern(100));
      const fd = await fs.open('file', O_WRONLY | O_APPEND);
      await fs.write(fd, pattern(50, 2));
      await fs.lseek(fd, 0, SEEK_SET);
      await fs.write(fd, pattern(50, 3));
      await fs.truncate('file', 120);
      await fs.write(fd, pattern(10, 4));
      await fs.close(fd);
      same(await get(fs, 'file'), joined(pattern(100), pattern(50, 2).subarray(0, 20), pattern(10, 4)));
    },
  },
  {
    name: 'io: two appenders',
    async run({ fs }) {
      const [a, b] = [
        await fs.open('file', O_WRONLY | O_APPEND | O_CREAT),
        await fs.open('file', O_WRONLY | O_APPEND | O_CREAT),
      ];
      const line = new Uint8Array(100).fill(7);
      for (let i = 0; i < 20; i++) await Promise.all([fs.write(a, line), fs.write(b, line)]);
      await fs.close(a);
      await fs.close(b);
      assert.equal((await fs.stat('file')).size, 4000);
    },
  },
  {
    name: 'io: overwrite 512 bytes',
    async run({ fs }) {
      await put(fs, 'file', pattern(20_000));
      const fd = await fs.open('file', O_WRONLY);
      await writeAll(fs, fd, pattern(512, 2), 1024);
      await writeAll(fs, fd, pattern(512, 3), 0);
      await writeAll(fs, fd, pattern(512, 4), 19_700);
      await fs.close(fd);
      const wanted = joined(pattern(20_000), new Uint8Array(212));
      wanted.set(pattern(512, 2), 1024);
      wanted.set(pattern(512, 3), 0);
      wanted.set(pattern(512, 4), 19_700);
      same(await get(fs, 'file'), wanted);
    },
  },
  {
    name: 'io: overwrite 64 KiB, aligned and not',
    async run({ fs }) {
      const wanted = pattern(300_000);
      await put(fs, 'file', wanted);
      const fd = await fs.open('file', O_WRONLY);
      for (const at of [0, 65_536, 100_001, 234_464]) {
        const piece = pattern(65_536, at);
        await writeAll(fs, fd, piece, at);
        wanted.set(piece, at);
      }
      await fs.close(fd);
      same(await get(fs, 'file'), wanted);
    },
  },
  {
    name: 'io: overwrite after O_TRUNC',
    async run({ fs }) {
      await put(fs, 'file', pattern(100_000));
      const fd = await fs.open('file', O_RDWR | O_TRUNC);
      assert.equal((await fs.fstat(fd)).size, 0);
      await writeAll(fs, fd, pattern(10, 2), 50_000);
      await fs.close(fd);
      same(await get(fs, 'file'), joined(new Uint8Array(50_000), pattern(10, 2)));
    },
  },
  {
    name: 'io: shrink, and zeros when it grows again',
    async run({ fs }) {
      for (const [from, to] of [
        [100_000, 1],
        [100_000, 512],
        [70_000, 65_536],
        [8192, 8000],
        [200_000, 0],
        [3 * MIB, 100_001],
      ] as const) {
        await put(fs, 'file', pattern(from));
        await fs.truncate('file', to);
        same(await get(fs, 'file'), pattern(from).subarray(0, to), `${from} to ${to}`);
        await fs.truncate('file', from);
        same(
          await get(fs, 'file'),
          joined(pattern(from).subarray(0, to), new Uint8Array(from - to)),
          `${from} to ${to} and back`,
        );
      }
    },
  },
  {
    name: 'io: shrink and write behind the new end',
    async run({ fs }) {
      await put(fs, 'file', pattern(50_000));
      const fd = await fs.open('file', O_RDWR);
      await fs.ftruncate(fd, 10_000);
      await writeAll(fs, fd, pattern(100, 2), 10_200);
      await fs.close(fd);
      same(await get(fs, 'file'), joined(pattern(50_000).subarray(0, 10_000), new Uint8Array(200), pattern(100, 2)));
    },
  },
  {
    name: 'io: write and read after unlink',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(10_000), 0);
      await fs.unlink('file');
      same(await fs.pread(fd, 10_000, 0), pattern(10_000));
      await writeAll(fs, fd, pattern(100_000, 2), 5000);
      same(await fs.pread(fd, 100_000, 5000), pattern(100_000, 2));
      await fs.ftruncate(fd, 10);
      assert.equal((await fs.fstat(fd)).size, 10);
      await fs.fsync(fd);
      await fs.close(fd);
    },
  },
  {
    name: 'io: reading at and behind the end',
    async run({ fs }) {
      await put(fs, 'file', pattern(1000));
      const fd = await fs.open('file', O_RDONLY);
      same(await fs.pread(fd, 100, 950), pattern(1000).subarray(950));
      assert.equal((await fs.pread(fd, 100, 1000)).length, 0);
      assert.equal((await fs.pread(fd, 100, 1_000_000)).length, 0);
      assert.equal((await fs.pread(fd, 100, 2 ** 40)).length, 0);
      await fs.close(fd);
    },
  },
  {
    name: 'io: position of read, write and lseek',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      assert.equal(await fs.write(fd, pattern(100)), 100);
      assert.equal(await fs.lseek(fd, 0, SEEK_CUR), 100);
      assert.equal(await fs.lseek(fd, -40, SEEK_CUR), 60);
      same(await fs.read(fd, 20), pattern(100).subarray(60, 80));
      assert.equal(await fs.lseek(fd, -10, SEEK_END), 90);
      same(await fs.read(fd, 50), pattern(100).subarray(90));
      assert.equal((await fs.read(fd, 50)).length, 0);
      await fails('EINVAL', fs.lseek(fd, -1, SEEK_SET), 'before the start');
      same(await fs.pread(fd, 5, 0), pattern(100).subarray(0, 5));
      assert.equal(await fs.lseek(fd, 0, SEEK_CUR), 100, 'pread leaves the position');
      assert.equal(await fs.lseek(fd, 10_000, SEEK_SET), 10_000);
      assert.equal((await fs.fstat(fd)).size, 100, 'lseek does not extend');
      await fs.close(fd);
    },
  },
  {
    name: 'io: descriptors open for the other thing',
    async run({ fs }) {
      await put(fs, 'file', 'x');
      const r = await fs.open('file', O_RDONLY);
      const w = await fs.open('file', O_WRONLY);
      await fails('EBADF', fs.pwrite(r, Uint8Array.of(1), 0), 'write to a reader');
      await fails('EBADF', fs.pread(w, 1, 0), 'read from a writer');
      await fails(['EINVAL', 'EBADF'], fs.ftruncate(r, 0), 'truncate by a reader');
      await fs.close(r);
      await fs.close(w);
      await fails('EBADF', fs.pread(r, 1, 0), 'after close');
    },
  },
  {
    name: 'io: a fault in the middle of a hole reads zeros',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, Uint8Array.of(9), 1_000_000);
      for (const at of [0, 4095, 4096, 500_000, 999_990]) {
        same(await fs.pread(fd, 10, at), new Uint8Array(10), `at ${at}`);
      }
      same(await fs.pread(fd, 20, 999_990), joined(new Uint8Array(10), Uint8Array.of(9)));
      await fs.close(fd);
    },
  },
  {
    name: 'io: synchronous writes',
    async run({ fs }) {
      const fd = await fs.open('file', O_WRONLY | O_CREAT | O_SYNC);
      await writeAll(fs, fd, pattern(20_000), 0);
      await writeAll(fs, fd, pattern(100, 2), 40_000);
      await fs.close(fd);
      same(await get(fs, 'file'), joined(pattern(20_000), new Uint8Array(20_000), pattern(100, 2)));
    },
  },
  {
    name: 'io: fsync and fdatasync of files and directories',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await writeAll(fs, fd, pattern(100_000), 0);
      await fs.fsync(fd);
      await writeAll(fs, fd, pattern(1000, 2), 0);
      await fs.fdatasync(fd);
      await fs.close(fd);
      const dir = await fs.open('', O_RDONLY);
      await fs.fsync(dir);
      await fs.close(dir);
      assert.equal((await get(fs, 'file')).length, 100_000);
    },
  },
  {
    name: 'io: offsets that no file can have',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await fails('EINVAL', fs.ftruncate(fd, -1), 'truncate to -1');
      let size = 0;
      try {
        await fs.pwrite(fd, Uint8Array.of(1), Number.MAX_SAFE_INTEGER - 1);
        size = Number.MAX_SAFE_INTEGER; // a host's tmpfs can
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /^(EFBIG|EINVAL|ENOSPC)$/);
      }
      assert.equal((await fs.fstat(fd)).size, size);
      await fs.ftruncate(fd, 0);
      await fs.close(fd);
    },
  },
];
