import * as fc from 'fast-check';
import t from 'tap';
import { boot_checksum, boot_decode, boot_encode, boot_region, boot_sealed } from '../../../src/fs/exfat/disk/boot.js';
import { table_checksum } from '../../../src/fs/exfat/disk/entry.js';
import { Timestamp } from '../../../src/fs/exfat/disk/timestamp.js';
import { upcase_decode, upcase_default, upcase_encode } from '../../../src/fs/exfat/disk/upcase.js';
import { FileSet } from '../../../src/fs/exfat/dir/fileset.js';
import { NameRules } from '../../../src/fs/exfat/dir/name.js';
import { bits_clear, bits_count, bits_free_run, bits_set, bits_used_run } from '../../../src/fs/lib/bits.js';
import { exfat_layout } from '../../../src/fs/exfat/tools/layout.js';
import { fixedZone } from '../../../src/fs/lib/dostime.js';

await t.test('the up-case table is that of the specification, byte for byte', async (t) => {
  const bytes = upcase_encode(upcase_default());
  t.equal(bytes.length, 5836);
  t.equal(table_checksum(bytes), 0xe619d30d);
  t.ok(Buffer.compare(Buffer.from(upcase_decode(bytes).buffer), Buffer.from(upcase_default().buffer)) === 0);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(65535), fc.nat(65535)), { maxLength: 200 }), (changes) => {
    const table = upcase_default();
    for (const [unit, to] of changes) table[unit] = to;
    // What stands for a row that is left out can be no unit but the last.
    for (let i = 0; i < 65535; i++) if (table[i] === 0xffff) table[i] = i;
    return Buffer.compare(Buffer.from(upcase_decode(upcase_encode(table)).buffer), Buffer.from(table.buffer)) === 0;
  }), { numRuns: 20 });
});

await t.test('names: keys, hashes', async (t) => {
  const rules = new NameRules(upcase_default(), false);
  t.equal(rules.key('Straße.txt'), 'STRAßE.TXT');
  t.equal(rules.key('ÿ ж ａ'), 'Ÿ Ж Ａ');
  t.equal(rules.key('dots...'), 'DOTS');
  t.equal(rules.fold('.'), '.');
  t.equal(rules.fold('..'), '..');
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (name) => {
    const bytes = Buffer.from(name).toString('latin1');
    return rules.fold(rules.fold(bytes)) === rules.fold(bytes);
  }));
  t.throws(() => rules.newname('a/b'), { code: 'EINVAL' });
  t.throws(() => rules.newname('a\xff'), { code: 'EILSEQ' });
  t.throws(() => rules.newname('x'.repeat(256)), { code: 'ENAMETOOLONG' });
  t.equal(rules.newname('x'.repeat(255)).length, 255);
  // A table that leads in circles, as nobody's should.
  const circle = upcase_default();
  circle[0x100] = 0x102;
  circle[0x102] = 0x100;
  const odd = new NameRules(circle, false);
  t.equal(odd.key(odd.key('\u0100\u0102')), odd.key('\u0100\u0102'));
});

await t.test('sets of entries keep names of all lengths', async (t) => {
  const rules = new NameRules(upcase_default(), true);
  for (const length of [1, 14, 15, 16, 29, 30, 31, 254, 255]) {
    const set = new FileSet();
    set.clear();
    set.setname('ä'.repeat(length), rules.hash('ä'.repeat(length)));
    set.sum();
    t.equal(set.name(), 'ä'.repeat(length));
    t.equal(set.count, 2 + Math.ceil(length / 15));
    t.equal(set.problem(), undefined);
    t.ok(set.summed);
    set.bytes[40] ^= 1;
    t.notOk(set.summed);
  }
});

await t.test('timestamps', async (t) => {
  const time = new Timestamp();
  const zone = fixedZone(90);
  fc.assert(fc.property(fc.integer({ min: 315532800 + 86400, max: 4354819199 - 86400 }), fc.nat(99), (sec, tens) => {
    time.set(sec, tens * 10_000_000, zone);
    return time.sec(fixedZone(0)) === sec && time.nsec === tens * 10_000_000;
  }));
  time.set(-5, 0, zone);
  t.equal(time.stamp >>> 25, 0, 'before 1980');
  time.stamp = 0;
  time.utc = 0;
  time.tens = 255;
  t.equal(time.sec(fixedZone(0)), 315532800, 'zero fields are the first of the first');
  t.equal(time.nsec, 0);
  time.stamp = 0xffffffff;
  t.ok(Number.isFinite(time.sec(fixedZone(0))));
  time.utc = 0x80 | 0x7f;
  time.stamp = ((40 << 25) | (6 << 21) | (15 << 16) | (12 << 11)) >>> 0;
  t.equal(time.sec(fixedZone(0)), Date.UTC(2020, 5, 15, 12, 15) / 1000, 'a quarter of an hour behind UTC');
});

await t.test('boot regions', async (t) => {
  const { boot } = exfat_layout(64 * 2 ** 20, 5836, { sectorSize: 512, serial: 0xdeadbeef });
  const region = boot_region(boot);
  t.same(boot_decode(region.subarray(0, 512)), boot);
  t.ok(boot_sealed(region, 512));
  const sum = boot_checksum(region, 512);
  region[106] = 2;
  region[112] = 77;
  t.equal(boot_checksum(region, 512), sum, 'flags and percentage are left out');
  region[100] ^= 1;
  t.notOk(boot_sealed(region, 512));
  const sector = boot_encode(boot);
  for (const [at, value] of [[108, 8], [108, 13], [109, 17], [110, 3], [105, 2], [11, 1], [96, 1], [80, 1]] as const) {
    const bad = sector.slice();
    bad[at] = value;
    if (at === 80) bad.fill(0, 81, 84);
    if (at === 96) bad.fill(0, 97, 100);
    t.throws(() => boot_decode(bad), { code: 'EFTYPE' }, `byte ${at} ${value}`);
  }
});

await t.test('bits', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 40 }), fc.nat(300), fc.nat(300), (bytes, a, b) => {
      const bits = bytes.length * 8;
      const from = Math.min(a, b) % bits;
      const to = from + (Math.max(a, b) % (bits - from + 1));
      const naive = [...bytes].flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >>> i) & 1));
      const count = naive.reduce((sum, bit) => sum + bit, 0);
      const run = (bit: number): number => {
        let n = 0;
        while (from + n < to && naive[from + n] === bit) n++;
        return n;
      };
      if (
        bits_count(bytes, bits) !== count ||
        bits_free_run(bytes, from, to) !== run(0) ||
        bits_used_run(bytes, from, to) !== run(1)
      ) {
        return false;
      }
      const set = bits_set(bytes, from, to);
      if (set !== naive.slice(from, to).filter((bit) => bit === 0).length) return false;
      return bits_clear(bytes, from, to) === to - from;
    }),
  );
});

await t.test('layouts: everything lies within the volume, and where it should', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 6000 }),
      fc.constantFrom(512, 1024, 2048, 4096),
      fc.constantFrom(undefined, 4096, 32768, 131072),
      fc.boolean(),
      fc.boolean(),
      (megabytes, sectorSize, clusterSize, sd, packBitmap) => {
        let layout;
        try {
          layout = exfat_layout(megabytes * 2 ** 20, 5836, { sectorSize, clusterSize, sd, packBitmap, serial: 1 });
        } catch (thrown) {
          return (thrown as { code?: string }).code === 'ENOSPC';
        }
        const { boot, bitmapClusters } = layout;
        boot_decode(boot_encode(boot));
        const first = boot.ClusterHeapOffset * sectorSize + (packBitmap ? bitmapClusters * layout.clusterBytes : 0);
        return first % sectorSize === 0;
      },
    ),
  );
  const big = exfat_layout(64 * 2 ** 30, 5836, { sectorSize: 512, sd: true, serial: 1 });
  t.equal(big.clusterBytes, 128 << 10);
  t.equal(
    (big.boot.ClusterHeapOffset * 512) % (16 << 20),
    0,
    'clusters of a card of 64 GiB begin at a multiple of 16 MiB',
  );
  const huge = exfat_layout(2 ** 50, 5836, { sectorSize: 4096, serial: 1 });
  t.ok(huge.boot.ClusterCount <= 0xfffffff5);
});
