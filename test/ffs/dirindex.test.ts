import t from 'tap';
import fc from 'fast-check';
import { DIRECTSIZ, dirent_put } from '../../src/fs/ufs/dir.js';
import { DirIndex, DirIndexCache, dirhash_name } from '../../src/fs/ufs/dirindex.js';

const params = { numRuns: Number(process.env.PROPERTY_RUNS ?? 60), seed: 1302 };
const nodrop = (): void => undefined;

/** All offsets that the index gives for a name. */
function candidates(index: DirIndex, name: string): number[] {
  const hash = dirhash_name(name);
  const found: number[] = [];
  for (let slot = index.next(hash, -1); slot >= 0; slot = index.next(hash, slot)) found.push(index.offset(slot));
  return found.sort((a, b) => a - b);
}

t.test('against a map', async (t) => {
  const op = fc.oneof(
    fc.record({ op: fc.constant('add' as const), name: fc.nat(300), at: fc.nat(5000) }),
    fc.record({ op: fc.constant('remove' as const), name: fc.nat(300), at: fc.nat(5000) }),
    fc.record({ op: fc.constant('move' as const), name: fc.nat(300), at: fc.nat(5000) }),
  );
  fc.assert(
    fc.property(fc.array(op, { maxLength: 2000, size: 'max' }), (ops) => {
      const index = new DirIndex(512, 4, 10, nodrop);
      const model = new Map<string, number>();
      for (const { op, name, at } of ops) {
        const key = `name${name}`;
        const offset = model.get(key);
        if (op === 'add' && offset === undefined) {
          index.add(key, at * 4);
          model.set(key, at * 4);
        } else if (op === 'remove') {
          if (offset !== undefined) index.remove(key, offset);
          else index.remove(key, at * 4);
          model.delete(key);
        } else if (op === 'move' && offset !== undefined) {
          index.move(key, offset, at * 4);
          model.set(key, at * 4);
        }
      }
      if (index.entries !== model.size) return false;
      for (let n = 0; n <= 300; n++) {
        const want = model.get(`name${n}`);
        const got = candidates(index, `name${n}`);
        if (want === undefined ? got.length !== 0 : got.length !== 1 || got[0] !== want) return false;
      }
      return true;
    }),
    params,
  );
  t.pass('same names at the same offsets');
});

t.test('free room', async (t) => {
  const change = fc.record({
    chunk: fc.nat(40),
    bytes: fc.nat(128).map((n) => n * 4),
    want: fc.integer({ min: 3, max: 66 }).map((n) => n * 4),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300, size: 'max' }), (changes) => {
      const index = new DirIndex(512, 4, 10, nodrop);
      const model: number[] = [];
      for (const { chunk, bytes, want } of changes) {
        const c = Math.min(chunk, model.length);
        index.setfree(c * 512, bytes);
        model[c] = bytes;
        const expected = model.findIndex((free) => free >= want);
        if (index.findfree(want) !== (expected < 0 ? -1 : expected * 512)) return false;
      }
      let end = model.length;
      while (end > 0 && model[end - 1] === 512) end--;
      if (index.enduseful() !== end * 512) return false;
      index.truncate(end * 512);
      const left = model.slice(0, end).findIndex((free) => free >= 12);
      return index.findfree(12) === (left < 0 ? -1 : left * 512);
    }),
    params,
  );
  t.pass('the first chunk with room, always');
});

t.test('from blocks', async (t) => {
  const fmt = { le: true, old: false, dirblksiz: 512 };
  const block = new Uint8Array(1024);
  const view = new DataView(block.buffer);
  dirent_put(block, view, 0, fmt, 2, 12, 4, '.');
  dirent_put(block, view, 12, fmt, 2, 100, 4, '..');
  dirent_put(block, view, 112, fmt, 9, 400, 8, 'file');
  dirent_put(block, view, 512, fmt, 0, 500, 8, 'gone');
  dirent_put(block, view, 1012, fmt, 7, 12, 8, 'x');
  const index = new DirIndex(512, 2, 10, nodrop);
  t.equal(index.addblock(block, view, 1024, 8192, fmt), undefined);
  t.same(candidates(index, 'file'), [8192 + 112]);
  t.same(candidates(index, 'gone'), [], 'free entries do not count');
  t.equal(index.findfree(264), 8192, 'room of the first chunk');
  t.equal(index.findfree(DIRECTSIZ(255)), 8192);
  view.setUint16(16, 3, true);
  const damaged = new DirIndex(512, 2, 10, nodrop);
  t.match(damaged.addblock(block, view, 1024, 0, fmt), /entry at 12: d_reclen 3/, 'damage is told');
  t.same(
    [candidates(damaged, '.'), candidates(damaged, 'file'), candidates(damaged, 'x')],
    [[0], [], [1012]],
    'the next chunk is taken in',
  );
  t.equal(damaged.findfree(12), 512, 'a damaged chunk has no room');
});

t.test('a million names', async (t) => {
  const index = new DirIndex(512, 50_000, 10, nodrop);
  const begin = performance.now();
  for (let i = 0; i < 1_000_000; i++) index.add(`file-${i}`, i * 24 + 4);
  let missing = 0;
  for (let i = 0; i < 1_000_000; i += 7) if (!candidates(index, `file-${i}`).includes(i * 24 + 4)) missing++;
  t.equal(missing, 0, 'all are found');
  t.ok(index.bytes <= 17 * 2 ** 20, `${index.bytes} bytes of memory`);
  t.comment(`${Math.round(performance.now() - begin)} ms`);
});

t.test('bounded memory', async (t) => {
  const dropped: number[] = [];
  const cache = new DirIndexCache(20_000);
  const indexes = Array.from({ length: 10 }, (_, i) => new DirIndex(512, 16, 500, () => dropped.push(i)));
  for (const index of indexes) cache.use(index);
  t.ok(cache.bytes <= 20_000, `${cache.bytes} bytes`);
  t.same(dropped, [0, 1, 2, 3, 4, 5, 6, 7], 'the oldest go first');
  cache.use(indexes[8]!);
  cache.use(new DirIndex(512, 16, 500, () => dropped.push(99)));
  t.equal(dropped.at(-1), 9, 'use makes young');
  const large = new DirIndex(512, 16, 100_000, () => dropped.push(100));
  cache.use(large);
  t.notOk(dropped.includes(100), 'the one in use stays, however large');
});
