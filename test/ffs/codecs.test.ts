import t from 'tap';
import fc from 'fast-check';
import {
  DIRECTSIZ,
  dirent_ino,
  dirent_is,
  dirent_name,
  dirent_namlen,
  dirent_put,
  dirent_reclen,
  dirent_type,
  ufs_dirbadentry,
} from '../../src/fs/ufs/dir.js';
import type { DirFormat } from '../../src/fs/ufs/dir.js';
import type { DinodeFormat } from '../../src/fs/ufs/dinode.js';
import { Dinode, dinode_load, dinode_store } from '../../src/fs/ufs/dinode.js';
import { geti64, getu64, put64 } from '../../src/fs/lib/endian.js';
import { extattr_base, extattr_entries } from '../../src/fs/ufs/extattr.js';
import { isappleufs } from '../../src/fs/ffs/disk/dialect.js';
import { calculate_crc32c } from '../../src/fs/ffs/disk/ckhash.js';
import { Cg } from '../../src/fs/ffs/disk/cg.js';
import {
  FS_FLAGS_UPDATED,
  FS_MAGIC_OFFSET,
  FS_UFS1_MAGIC,
  FS_UFS2EA_MAGIC,
  FS_UFS2_MAGIC,
  Fs,
} from '../../src/fs/ffs/disk/fs.js';
import { rdev_decode, rdev_encode } from '../../src/fs/ffs/disk/rdev.js';
import { major, makedev, minor } from '../../src/kernel/stat.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200);
const params = { numRuns: RUNS, seed: 4711 };
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const order = fc.boolean();

/** Where two arrays differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  const at: number[] = [];
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) at.push(i);
  return at;
}

t.test('64-bit fields', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), order, (value, le) => {
      const view = new DataView(new ArrayBuffer(8));
      put64(view, 0, value, le);
      return (
        geti64(view, 0, le) === value &&
        view.getBigInt64(0, le) === BigInt(value) &&
        (value < 0 || getu64(view, 0, le) === value)
      );
    }),
    params,
  );
  t.pass('round trip');
});

t.test('superblock', async (t) => {
  const kinds = fc.constantFrom(FS_UFS1_MAGIC, FS_UFS2_MAGIC, FS_UFS2EA_MAGIC);
  const raw = fc.tuple(bytes(8192), kinds, order, fc.boolean()).map(([b, magic, le, wide]) => {
    const view = new DataView(b.buffer);
    view.setUint32(FS_MAGIC_OFFSET, magic, le);
    b[211] = wide ? b[211] | FS_FLAGS_UPDATED : b[211] & ~FS_FLAGS_UPDATED;
    view.setInt32(860, view.getInt32(48, le), le);
    return b;
  });
  fc.assert(
    fc.property(raw, (b) => {
      const fs = Fs.decode(b, 8192)!;
      return differences(fs.encode(), b).length === 0;
    }),
    params,
  );
  t.pass('what was not changed is written back as it was');

  fc.assert(
    fc.property(raw, fc.integer({ min: 1, max: 1e9 }), (b, value) => {
      const fs = Fs.decode(b, 8192)!;
      if (fs.fs_time === value || fs.fs_cstotal.cs_nbfree === value) return true;
      fs.fs_time = value;
      fs.fs_cstotal.cs_nbfree = value;
      fs.fs_fmod = fs.fs_fmod === 1 ? 0 : 1;
      const places = fs.wide ? [[1072, 8], [1016, 8], [208, 1]] : [[32, 4], [196, 4], [208, 1]];
      const only = differences(fs.encode(), b).every((i) => places.some(([at, n]) => i >= at && i < at + n));
      const again = Fs.decode(fs.raw, 8192)!;
      return (
        only &&
        again.fs_time === value &&
        again.fs_cstotal.cs_nbfree === value &&
        again.fs_fmod === fs.fs_fmod &&
        again.le === fs.le
      );
    }),
    params,
  );
  t.pass('a change goes to its own place and nowhere else');

  for (const le of [true, false]) {
    for (const magic of [FS_UFS1_MAGIC, FS_UFS2_MAGIC, FS_UFS2EA_MAGIC]) {
      const fs = Fs.create(magic, le);
      fs.fs_bsize = 16384;
      fs.fs_fsize = 2048;
      fs.derive();
      fs.fs_maxbsize = fs.fs_bsize;
      if (magic === FS_UFS1_MAGIC) fs.fs_old_flags = FS_FLAGS_UPDATED;
      fs.fs_size = 123456789;
      fs.fs_volname = 'label';
      fs.fs_swuid = 0xfedcba9876543210n;
      fs.fs_journallocs[3] = 77n;
      fs.fs_snapinum[19] = 4000000000;
      const back = Fs.decode(fs.encode(), 65536)!;
      t.same(
        [
          back.le,
          back.fs_magic,
          back.fs_size,
          back.fs_volname,
          back.fs_swuid,
          back.fs_journallocs,
          back.fs_snapinum[19],
          back.fs_bshift,
          back.fs_qbmask,
          back.fs_inopb,
        ],
        [
          le,
          magic,
          123456789,
          'label',
          0xfedcba9876543210n,
          [0n, 0n, 0n, 77n],
          4000000000,
          14,
          16383,
          16384 / (magic === FS_UFS1_MAGIC ? 128 : 256),
        ],
        `made from nothing: 0x${magic.toString(16)} ${le ? 'little' : 'big'}-endian`,
      );
    }
  }
  t.throws(
    () =>
      Fs.decode(
        new Uint8Array(8192).fill(0).map((_, i) => [0x19, 0x96, 0x04, 0x08][i - FS_MAGIC_OFFSET] ?? 0),
        65536,
      ),
    { code: 'EFTYPE' },
    'unfinished newfs',
  );
  t.equal(Fs.decode(new Uint8Array(8192), 65536), undefined, 'no magic');
  t.equal(Fs.decode(new Uint8Array(100), 65536), undefined, 'too short');
});

t.test('inodes', async (t) => {
  const formats: DinodeFormat[] = [];
  for (const le of [true, false]) {
    formats.push(
      { le, ufs2: true, oldids: false, maxsymlinklen: 120 },
      { le, ufs2: false, oldids: false, maxsymlinklen: 60 },
      { le, ufs2: false, oldids: true, maxsymlinklen: 0 },
    );
  }
  const sizes = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.integer({ min: 0, max: 2 ** 40 }));
  fc.assert(
    fc.property(
      bytes(512),
      fc.constantFrom(...formats),
      sizes,
      fc.constantFrom(0o120777, 0o100644, 0),
      (b, fmt, size, mode) => {
        const view = new DataView(b.buffer);
        // 64-bit fields of real inodes are below 2^53.
        if (fmt.ufs2) {
          for (let at = 256 + 16; at < 256 + 232; at += 8)
            if (at < 256 + 64 || at >= 256 + 96) {
              put64(view, at, view.getUint32(at, true), fmt.le);
            }
        }
        view.setUint16(256, mode, fmt.le);
        put64(view, 256 + (fmt.ufs2 ? 16 : 8), size, fmt.le);
        const ip = new Dinode();
        dinode_load(ip, view, 256, fmt);
        const copy = b.slice();
        dinode_store(ip, new DataView(copy.buffer), 256, fmt);
        if (ip.i_shortlink !== null) {
          // Behind a short target the store clears what no field stands for.
          for (const bytes of [copy, b])
            bytes.fill(0, 256 + (fmt.ufs2 ? 112 : 40) + size, 256 + (fmt.ufs2 ? 232 : 100));
        }
        return differences(copy, b).length === 0;
      },
    ),
    params,
  );
  t.pass('load and store are the identity, and touch nothing else');

  const fmt: DinodeFormat = { le: false, ufs2: true, oldids: false, maxsymlinklen: 120 };
  const ip = new Dinode();
  ip.i_mode = 0o100644;
  ip.i_size = 2 ** 45 + 1;
  ip.i_mtime = -62135596800;
  ip.i_atime = 2 ** 40;
  ip.i_uid = 4000000000;
  ip.i_gen = 0xffffffff;
  ip.i_flags = 0x80000001;
  ip.i_ib[2] = 2 ** 44;
  const view = new DataView(new ArrayBuffer(256));
  dinode_store(ip, view, 0, fmt);
  const back = new Dinode();
  dinode_load(back, view, 0, fmt);
  t.same(back, ip, 'large and negative values');
  t.equal(view.getBigInt64(40, false), -62135596800n, 'in its place');

  const old: DinodeFormat = { le: true, ufs2: false, oldids: true, maxsymlinklen: 0 };
  const ids = new DataView(new ArrayBuffer(128));
  const owner = new Dinode();
  owner.i_mode = 0o100644;
  owner.i_uid = 70000;
  dinode_store(owner, ids, 0, old);
  t.equal(ids.getUint16(4, true), 70000 & 0xffff, '4.2BSD sees the low half');
  dinode_load(back, ids, 0, old);
  t.equal(back.i_uid, 70000, 'we see all of it');
  ids.setUint16(4, 12, true);
  dinode_load(back, ids, 0, old);
  t.equal(back.i_uid, 12, 'what a 4.2BSD system changed counts');
});

t.test('directory entries', async (t) => {
  const fmts: DirFormat[] = [];
  for (const le of [true, false]) for (const old of [true, false]) fmts.push({ le, old, dirblksiz: 512 });
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 255, min: 1 })
    .map((a) => String.fromCharCode(...a).replaceAll('/', '_'));
  fc.assert(
    fc.property(fc.constantFrom(...fmts), name, fc.integer({ min: 2, max: 0xffffffff }), (fmt, n, ino) => {
      const b = new Uint8Array(512).fill(0xaa);
      const view = new DataView(b.buffer);
      dirent_put(b, view, 12, fmt, ino, DIRECTSIZ(n.length), 8, n);
      return (
        ufs_dirbadentry(b, view, 12, 512, fmt) === undefined &&
        dirent_ino(view, 12, fmt) === ino &&
        dirent_reclen(view, 12, fmt) === DIRECTSIZ(n.length) &&
        dirent_namlen(view, 12, fmt) === n.length &&
        dirent_name(b, 12, n.length) === n &&
        dirent_is(b, 12, n.length, n) &&
        dirent_type(view, 12, fmt) === (fmt.old ? 0 : 8) &&
        b[11] === 0xaa &&
        b[12 + DIRECTSIZ(n.length)] === 0xaa
      );
    }),
    params,
  );
  t.pass('round trip in all four formats');
  fc.assert(
    fc.property(fc.constantFrom(...fmts), bytes(64), fc.integer({ min: 0, max: 15 }), (fmt, b, slot) => {
      const view = new DataView(b.buffer);
      if (ufs_dirbadentry(b, view, slot * 4, 64, fmt) !== undefined) return true;
      const reclen = dirent_reclen(view, slot * 4, fmt);
      return (
        reclen >= 12 &&
        slot * 4 + reclen <= 64 &&
        (dirent_ino(view, slot * 4, fmt) === 0 || 8 + dirent_namlen(view, slot * 4, fmt) < reclen)
      );
    }),
    { ...params, numRuns: RUNS * 5 },
  );
  t.pass('an accepted entry lies inside its chunk');
});

t.test('cylinder group', async (t) => {
  const fs = Fs.create(FS_UFS2_MAGIC, false);
  Object.assign(fs, { fs_bsize: 8192, fs_fsize: 1024 });
  fs.derive();
  Object.assign(fs, {
    fs_ncg: 2,
    fs_ipg: 64,
    fs_fpg: 4096,
    fs_size: 6000,
    fs_cgsize: 2048,
    fs_contigsumsize: 8,
    fs_cblkno: 16,
  });
  const block = new Uint8Array(2048);
  const view = new DataView(block.buffer);
  const put = (at: number, value: number): void => view.setUint32(at, value, false);
  put(4, 0x90255);
  put(12, 1);
  put(20, 6000 - 4096);
  put(92, 168);
  put(96, 176);
  put(104, 688);
  put(108, 724);
  put(112, 200);
  put(116, 64);
  put(120, 32);
  t.equal(Cg.check(fs, view, 2048, 1), undefined, 'a sound group');
  const cg = Cg.open(fs, block, view, 1);
  cg.cs_nbfree = 5;
  cg.setfrsum(3, 7);
  cg.setclustersum(8, 9);
  t.same(
    [view.getInt32(28, false), cg.frsum(3), view.getInt32(688 + 32, false), cg.cg_initediblk],
    [5, 7, 9, 32],
    'accessors',
  );
  const damages: [string, number, number][] = [
    ['magic', 4, 0x90256], ['number', 12, 0], ['size', 20, 4096], ['inode map', 92, 2047],
    ['inode map', 92, 0xffffffff], ['free map', 96, 2000], ['overlap', 96, 170], ['cluster sums', 104, 2040],
    ['cluster map', 108, 5], ['clusters', 112, 513], ['initialised inodes', 120, 65], ['inodes', 116, 65],
  ];
  for (const [what, at, value] of damages) {
    const was = view.getUint32(at, false);
    put(at, value);
    t.throws(() => Cg.open(fs, block, view, 1), { code: 'EIO' }, `damaged: ${what}`);
    put(at, was);
  }
  t.throws(() => Cg.open(fs, block.subarray(0, 100), view, 1), { code: 'EIO' }, 'a short block');
});

t.test('extended attributes', async (t) => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 255, min: 1 });
  const attr = fc.record({ namespace: fc.constantFrom(1, 2), name, content: fc.uint8Array({ maxLength: 200 }) });
  fc.assert(
    fc.property(fc.array(attr, { maxLength: 8 }), order, fc.nat(40), (attrs, le, tail) => {
      const parts: number[] = [];
      for (const a of attrs) {
        const base = extattr_base(a.name.length);
        const padding = (8 - (a.content.length % 8)) % 8;
        const e = new Uint8Array(base + a.content.length + padding);
        new DataView(e.buffer).setUint32(0, e.length, le);
        e.set([a.namespace, padding, a.name.length, ...a.name], 4);
        e.set(a.content, base);
        parts.push(...e);
      }
      const area = new Uint8Array(parts.length + tail - (tail % 8));
      area.set(parts);
      const { entries, problem } = extattr_entries(area, le);
      return (
        problem === undefined &&
        entries.length === attrs.length &&
        entries.every(
          (e, i) =>
            e.namespace === attrs[i].namespace &&
            e.name === String.fromCharCode(...attrs[i].name) &&
            differences(area.subarray(e.content, e.content + e.size), attrs[i].content).length === 0 &&
            e.size === attrs[i].content.length,
        )
      );
    }),
    params,
  );
  t.pass('round trip');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), order, (area, le) =>
      extattr_entries(area, le).entries.every((e) => e.size >= 0 && e.content + e.size <= area.length),
    ),
    { ...params, numRuns: RUNS * 5 },
  );
  t.pass('garbage yields nothing outside the area');
});

t.test('device numbers', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xfff }),
      fc.integer({ min: 0, max: 0xfffff }),
      fc.constantFrom('netbsd', 'freebsd', 'openbsd') as fc.Arbitrary<'netbsd' | 'freebsd' | 'openbsd'>,
      (ma, mi, dialect) => {
        const raw = rdev_encode(makedev(ma, mi), dialect, true);
        if (raw === undefined) return dialect === 'openbsd' && ma > 0xff;
        const dev = rdev_decode(raw, dialect);
        return major(dev) === ma && minor(dev) === mi;
      },
    ),
    params,
  );
  t.equal(rdev_encode(makedev(14, 3), 'netbsd', false), 0xe03, 'small numbers are as they always were');
  t.equal(rdev_encode(makedev(0x1000, 0), 'netbsd', false), undefined, 'a major number that does not fit');
  t.equal(rdev_decode(-1, 'netbsd'), makedev(0xfff, 0xfffff), 'UFS1 fields are signed');
});

t.test('check hash and label', async (t) => {
  t.equal(calculate_crc32c(0xffffffff, new TextEncoder().encode('123456789')), ~0xe3069283 >>> 0, 'CRC-32C');
  const label = new Uint8Array(1024);
  const view = new DataView(label.buffer);
  view.setUint32(0, 0x4c41424c);
  view.setUint16(16, 4);
  label.set([0x41, 0x42, 0x43], 18);
  let sum = 0;
  for (let i = 0; i < 1024; i += 2) sum += view.getUint16(i);
  sum = (sum >>> 16) + (sum & 0xffff);
  sum += sum >>> 16;
  view.setUint16(4, ~sum & 0xffff);
  t.ok(isappleufs(label), 'an Apple UFS label');
  label[20] ^= 1;
  t.notOk(isappleufs(label), 'its checksum is verified');
});
