import assert from 'node:assert/strict';
import { S_IFDIR, S_IFREG } from '../../../src/kernel/stat.js';
import { names, put } from '../check.js';
import type { Case } from '../matrix.js';

/** Reading directories, whole and while they change. */
export const readdirCases: readonly Case[] = [
  {
    name: 'readdir: every entry once, with its type',
    async run({ fs, features }) {
      await fs.mkdir('dir');
      await put(fs, 'file');
      if (features.has('symlinks')) await fs.symlink('file', 'link');
      const entries = await fs.readdir('');
      assert.equal(entries.find((e) => e.name === 'dir')?.type, S_IFDIR);
      assert.equal(entries.find((e) => e.name === 'file')?.type, S_IFREG);
      assert.equal(entries.length, features.has('symlinks') ? 3 : 2);
    },
  },
  {
    name: 'readdir: five hundred entries in small pieces',
    async run({ fs, namemax }) {
      const longest = Math.min(100, namemax - 3);
      await fs.mkdir('dir');
      const wanted: string[] = [];
      for (let i = 0; i < 500; i++) {
        const name = `${'x'.repeat((i * 7) % longest)}${i}`;
        wanted.push(name);
        await put(fs, `dir/${name}`);
      }
      const dir = await fs.opendir('dir');
      const seen: string[] = [];
      for (let max = 1; ; max = (max % 9) + 1) {
        const some = await fs.getdents(dir, max);
        if (some.length === 0) break;
        seen.push(...some.map((e) => e.name));
      }
      await fs.closedir(dir);
      assert.deepEqual(seen.sort(), wanted.sort());
    },
  },
  {
    name: 'readdir: while what was read is removed (rm -r)',
    async run({ fs }) {
      await fs.mkdir('dir');
      for (let i = 0; i < 300; i++) await put(fs, `dir/file-${i}`);
      const dir = await fs.opendir('dir');
      let removed = 0;
      for (;;) {
        const some = await fs.getdents(dir, 20);
        if (some.length === 0) break;
        for (const { name } of some) {
          await fs.unlink(`dir/${name}`);
          removed++;
        }
      }
      await fs.closedir(dir);
      assert.equal(removed, 300);
      assert.deepEqual(await names(fs, 'dir'), []);
      await fs.rmdir('dir');
    },
  },
  {
    name: 'readdir: what stays is seen exactly once, whatever comes and goes',
    async run({ fs }) {
      await fs.mkdir('dir');
      const stay: string[] = [];
      for (let i = 0; i < 120; i++) {
        await put(fs, `dir/stay${i}`);
        stay.push(`stay${i}`);
        await put(fs, `dir/go${i}`);
      }
      const dir = await fs.opendir('dir');
      const seen: string[] = [];
      for (let round = 0; ; round++) {
        const some = await fs.getdents(dir, 7);
        if (some.length === 0) break;
        seen.push(...some.map((e) => e.name));
        if (round < 60) {
          await fs.unlink(`dir/go${round * 2}`);
          await put(fs, `dir/new${round}`);
        }
        assert(round < 2000, 'no end');
      }
      await fs.closedir(dir);
      const stayed = seen.filter((name) => name.startsWith('stay'));
      assert.deepEqual(stayed.sort(), stay.sort());
      assert.equal(new Set(seen).size, seen.length, 'a name twice');
    },
  },
  {
    name: 'readdir: of two readers at once',
    async run({ fs }) {
      await fs.mkdir('dir');
      for (let i = 0; i < 100; i++) await put(fs, `dir/f${i}`);
      const [a, b] = [await fs.opendir('dir'), await fs.opendir('dir')];
      const [first, second] = [new Set<string>(), new Set<string>()];
      for (let i = 0; i < 200; i++) {
        for (const { name } of await fs.getdents(a, 3)) first.add(name);
        for (const { name } of await fs.getdents(b, 5)) second.add(name);
      }
      await fs.closedir(a);
      await fs.closedir(b);
      assert.equal(first.size, 100);
      assert.equal(second.size, 100);
    },
  },
];
