import assert from 'node:assert/strict';
import { O_CREAT, O_RDWR } from '../../../src/kernel/fcntl.js';
import { get, names, pattern, put, writeAll } from '../check.js';
import type { Fs } from '../fs.js';
import type { Case } from '../matrix.js';

/** Runs a call and swallows the errors that a lost race may give. */
async function mayLose(call: Promise<unknown>, ...codes: string[]): Promise<void> {
  try {
    await call;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === undefined || !codes.includes(code)) throw error;
  }
}

async function removeTree(fs: Fs, path: string): Promise<void> {
  for (const { name, type } of await fs.readdir(path)) {
    if (type === 0o040000) await removeTree(fs, `${path}/${name}`);
    else await fs.unlink(`${path}/${name}`);
  }
  await fs.rmdir(path);
}

const ROUNDS = 60;

/** Operations that meet. What is asked: no odd error, no hang, and a sound tree afterwards. */
export const raceCases: readonly Case[] = [
  {
    name: 'race: mkdir and rmdir of the same name',
    async run({ fs }) {
      const worker = async () => {
        for (let i = 0; i < ROUNDS; i++) {
          await mayLose(fs.mkdir('dir'), 'EEXIST');
          await mayLose(fs.rmdir('dir'), 'ENOENT');
        }
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'race: rmdir against creation inside',
    async run({ fs }) {
      const maker = async (name: string) => {
        for (let i = 0; i < ROUNDS; i++) {
          await mayLose(fs.mkdir('dir'), 'EEXIST');
          await mayLose(put(fs, `dir/${name}`), 'ENOENT');
          await mayLose(fs.unlink(`dir/${name}`), 'ENOENT');
        }
      };
      const remover = async () => {
        for (let i = 0; i < ROUNDS; i++) await mayLose(fs.rmdir('dir'), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
      };
      await Promise.all([maker('a'), maker('b'), remover(), remover()]);
      await mayLose(removeTree(fs, 'dir'), 'ENOENT');
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'race: rename back and forth, with creation and removal',
    async run({ fs }) {
      const worker = async (from: string, to: string) => {
        for (let i = 0; i < ROUNDS; i++) {
          await put(fs, from);
          await mayLose(fs.rename(from, to), 'ENOENT');
          await mayLose(fs.rename(to, from), 'ENOENT');
          await mayLose(fs.unlink(from), 'ENOENT');
        }
      };
      await Promise.all([worker('a', 'b'), worker('b', 'c'), worker('c', 'a')]);
      for (const name of await names(fs)) await fs.unlink(name);
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'race: renames of directories that would make a cycle',
    async run({ fs }) {
      await fs.mkdir('a');
      await fs.mkdir('b');
      const worker = async (one: string, other: string) => {
        for (let i = 0; i < ROUNDS; i++) {
          await mayLose(fs.rename(one, `${other}/x`), 'ENOENT', 'EINVAL', 'ENOTEMPTY');
          await mayLose(fs.rename(`${other}/x`, one), 'ENOENT', 'EINVAL', 'ENOTEMPTY');
          await mayLose(fs.mkdir(one), 'EEXIST');
        }
      };
      await Promise.all([worker('a', 'b'), worker('b', 'a')]);
      for (const name of await names(fs)) await removeTree(fs, name);
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'race: rename over each other across directories',
    async run({ fs }) {
      await fs.mkdir('d1');
      await fs.mkdir('d2');
      const worker = async (id: number) => {
        for (let i = 0; i < ROUNDS; i++) {
          const [from, to] = (i + id) % 2 === 0 ? ['d1', 'd2'] : ['d2', 'd1'];
          await put(fs, `${from}/f${id}`, `${id}`);
          await mayLose(fs.rename(`${from}/f${id}`, `${to}/same`), 'ENOENT');
          await mayLose(fs.rename(`${to}/same`, `${from}/same`), 'ENOENT');
        }
      };
      await Promise.all([worker(1), worker(2), worker(3), worker(4)]);
      await removeTree(fs, 'd1');
      await removeTree(fs, 'd2');
    },
  },
  {
    name: 'race: lookups, stats and reads while the file is replaced',
    async run({ fs }) {
      await put(fs, 'file', pattern(5000, 0));
      let done = false;
      const replace = async () => {
        for (let i = 1; i <= ROUNDS; i++) {
          await put(fs, 'new', pattern(5000, i));
          await fs.rename('new', 'file');
        }
        done = true;
      };
      const reader = async () => {
        while (!done) {
          // Replacing is atomic: the name is always there, and always whole.
          const data = await get(fs, 'file');
          assert.equal(data.length, 5000);
          assert.equal((await fs.stat('file')).size, 5000);
        }
      };
      await Promise.all([replace(), reader(), reader()]);
      assert.deepEqual(await names(fs), ['file']);
    },
  },
  {
    name: 'race: writers to different parts of a file',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      await Promise.all(
        Array.from({ length: 16 }, (_, i) => writeAll(fs, fd, new Uint8Array(10_000).fill(i + 1), i * 10_000)),
      );
      await fs.close(fd);
      const data = await get(fs, 'file');
      assert.equal(data.length, 160_000);
      for (let i = 0; i < 16; i++) {
        assert(
          data.subarray(i * 10_000, (i + 1) * 10_000).every((byte) => byte === i + 1),
          `part ${i}`,
        );
      }
    },
  },
  {
    name: 'race: creation of many files at once',
    async run({ fs }) {
      await Promise.all(Array.from({ length: 200 }, (_, i) => put(fs, `f${i}`, `${i}`)));
      assert.equal((await names(fs)).length, 200);
      await Promise.all(Array.from({ length: 200 }, (_, i) => fs.unlink(`f${i}`)));
      assert.deepEqual(await names(fs), []);
    },
  },
  {
    name: 'race: truncation against writing',
    async run({ fs }) {
      const fd = await fs.open('file', O_RDWR | O_CREAT);
      const writer = async () => {
        for (let i = 0; i < ROUNDS; i++) await writeAll(fs, fd, pattern(3000, 5), (i * 7919) % 200_000);
      };
      const cutter = async () => {
        for (let i = 0; i < ROUNDS; i++) await fs.ftruncate(fd, (i * 104_729) % 150_000);
      };
      await Promise.all([writer(), cutter(), writer(), cutter()]);
      const { size } = await fs.fstat(fd);
      assert.equal((await get(fs, 'file')).length, size);
      await fs.close(fd);
    },
  },
];
