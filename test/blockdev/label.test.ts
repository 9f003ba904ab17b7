import t from 'tap';
import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openImage } from '../../src/blockdev/image.js';
import { crc32 } from '../../src/blockdev/label/crc32.js';
import type { Partition } from '../../src/blockdev/label/partition-table.js';
import { humanSize, scan, selectPartition } from '../../src/blockdev/label/scan.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { Errno } from '../../src/kernel/errno.js';
import { nodeRumpuser } from '../../src/kernel/rumpuser/node.js';
import { failure } from './failure.js';
import { MiB, appleMap, bsdLabel, disk, gpt, mbrSector, solarisVtoc, sunLabel } from './label-fixtures.js';

const FFS = 7;
const SWAP = 1;
const NETBSD_FFS = '49f48d5a-b10e-11dc-b99b-0019d1879648';
const FREEBSD_UFS = '516e7cb6-6ecf-11d6-8ff8-00022d09712b';
const FREEBSD = '516e7cb4-6ecf-11d6-8ff8-00022d09712b';
const OPENBSD = '824cc7a0-36a8-11e3-890a-952519ad3f61';

const haveTool = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rumpfuse-label-'));
t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));

/** "path offset size" of each, in sectors. */
function short(partitions: readonly Partition[], unit = 512): string[] {
  return partitions.map((p) => `${p.path} ${p.offset_bytes / unit} ${p.size_bytes / unit}`);
}

/** The same as partx of util-linux, an independent reader, sees them; undefined where it is absent. */
function partx(dev: MemoryDevice): string[] | undefined {
  if (!haveTool('partx')) return undefined;
  const image = path.join(folder, 'partx.img');
  fs.writeFileSync(image, dev.toBytes());
  const run = spawnSync('partx', ['-g', '-r', '-o', 'START,SECTORS', image], { encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim().split('\n') : undefined;
}

/** Every partition that partx sees is one that we see. */
function heldAgainstPartx(
  t: { ok: (v: unknown, m: string) => void; fail: (m: string) => void },
  dev: MemoryDevice,
  partitions: readonly Partition[],
): void {
  const theirs = partx(dev);
  if (theirs === undefined) return;
  const ours = new Set(partitions.map((p) => `${p.offset_bytes / 512} ${p.size_bytes / 512}`));
  for (const line of theirs)
    if (!ours.has(line)) {
      t.fail(`partx sees a partition at ${line}; we see ${[...ours].join(', ')}`);
    }
  t.ok(theirs.length > 0, `agrees with partx on ${theirs.length} partitions`);
}

t.test('crc32 of "123456789" is the standard check value', async (t) => {
  t.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  t.equal(crc32(new TextEncoder().encode('6789'), crc32(new TextEncoder().encode('12345'))), 0xcbf43926);
});

t.test('no table at all', async (t) => {
  for (const dev of [disk(MiB), disk(100), disk(512), disk(1)]) {
    t.same(await scan(dev), { partitions: [], remarks: [] });
  }
  t.match(await failure(selectPartition(disk(MiB), '1')), {
    code: 'ENXIO',
    message: 'test.img has no partition table',
  });
});

t.test('MBR: primary and logical partitions', async (t) => {
  const dev = disk(
    16 * MiB,
    [
      0,
      mbrSector([
        { type: 0x0c, start: 63, size: 1000, flag: 0x80 },
        { type: 0, start: 0, size: 0 },
        { type: 0x05, start: 4096, size: 16384 },
        { type: 0x83, start: 2048, size: 1024 },
      ]),
    ],
    [
      4096 * 512,
      mbrSector([
        { type: 0x83, start: 63, size: 100 },
        { type: 0x05, start: 1024, size: 2000 },
      ]),
    ],
    [
      (4096 + 1024) * 512,
      mbrSector([
        { type: 0xa9, start: 63, size: 200 },
        { type: 0x05, start: 8192, size: 2000 },
      ]),
    ],
    [(4096 + 8192) * 512, mbrSector([{ type: 0x07, start: 1, size: 300 }])],
  );
  const { partitions, remarks } = await scan(dev);
  t.same(short(partitions), [
    '1 63 1000',
    '3 4096 16384',
    '4 2048 1024',
    `5 ${4096 + 63} 100`,
    `6 ${4096 + 1024 + 63} 200`,
    `7 ${4096 + 8192 + 1} 300`,
  ]);
  t.same(remarks, []);
  t.match(partitions[0], { scheme: 'mbr', type: '0x0c', type_name: 'FAT32, LBA' });
  t.equal(partitions[4]!.type_name, 'NetBSD');
  const { device, partition } = await selectPartition(dev, '6');
  t.equal(partition.path, '6');
  t.equal(device.offset_bytes, (4096 + 1024 + 63) * 512);
  t.equal(device.size_bytes, 200 * 512);
  t.match(await failure(selectPartition(dev, '2')), {
    code: 'ENXIO',
    message: 'no partition 2; it has 1 (FAT32, LBA, 500 KiB), 3 (extended',
  });
});

t.test('MBR: chains that do not end, that leave their partition, that break off', async (t) => {
  const extended = { type: 0x0f, start: 64, size: 1024 };
  const circle = disk(
    MiB,
    [0, mbrSector([extended])],
    [
      64 * 512,
      mbrSector([
        { type: 0x83, start: 1, size: 1 },
        { type: 5, start: 10, size: 5 },
      ]),
    ],
    [
      74 * 512,
      mbrSector([
        { type: 0x83, start: 1, size: 1 },
        { type: 5, start: 0, size: 5 },
      ]),
    ],
  );
  t.match(await scan(circle), {
    partitions: [{ path: '1' }, { path: '5' }, { path: '6' }],
    remarks: [/runs in a circle/],
  });
  const away = disk(
    MiB,
    [0, mbrSector([extended])],
    [
      64 * 512,
      mbrSector([
        { type: 0x83, start: 1, size: 1 },
        { type: 5, start: 0xfffffff0, size: 5 },
      ]),
    ],
  );
  t.match(await scan(away), { partitions: [{ path: '1' }, { path: '5' }], remarks: [/leaves its extended partition/] });
  const broken = disk(MiB, [0, mbrSector([extended])]);
  t.match(await scan(broken), { partitions: [{ path: '1' }], remarks: [/no table/] });
  const long = disk(64 * MiB, [0, mbrSector([{ type: 5, start: 1, size: 100_000 }])]);
  for (let i = 0; i < 200; i++) {
    const sector = mbrSector([{ type: 0x83, start: 1, size: 1 }, { type: 5, start: (i + 1) * 10, size: 5 }]);
    long.write(sector, 0, 512, (1 + i * 10) * 512);
  }
  const { partitions, remarks } = await scan(long);
  t.equal(partitions.length, 129);
  t.match(remarks, [/longer than 128/]);
});

t.test('MBR: what only looks like one', async (t) => {
  const code = mbrSector([{ type: 0x83, start: 63, size: 100, flag: 0x33 }]);
  t.same((await scan(disk(MiB, [0, code]))).partitions, []);
  const fat = mbrSector([{ type: 0x0d, start: 0x20202020, size: 0x74656c70 }]);
  fat.set(new TextEncoder().encode('FAT16   '), 54);
  t.same((await scan(disk(MiB, [0, fat]))).partitions, []);
  t.same((await scan(disk(MiB, [0, mbrSector([])]))).partitions, []);
});

t.test('a partition that does not lie on the disk is shown and refused', async (t) => {
  const dev = disk(MiB, [
    0,
    mbrSector([
      { type: 0x83, start: 63, size: 10_000 },
      { type: 0x83, start: 0xffffffff, size: 0xffffffff },
    ]),
  ]);
  t.match(await scan(dev), {
    partitions: [
      { path: '1', problem: /ends .* behind the end.*truncated/ },
      { path: '2', problem: /begins behind the end/ },
    ],
  });
  t.match(await failure(selectPartition(dev, '1')), {
    code: 'ENXIO',
    message: 'partition 1 of test.img cannot be used: it ends',
  });
});

t.test('GPT', async (t) => {
  const size = 16 * MiB;
  const parts = [
    {
      type: NETBSD_FFS,
      start: 64,
      end: 1063,
      name: 'net\u001b[31m\u202ebsd',
      guid: '01234567-89ab-cdef-0123-456789abcdef',
    },
    { type: FREEBSD_UFS, start: 2048, end: 4095, name: 'Süden' },
  ];
  for (const sector_bytes of [512, 4096]) {
    const dev = disk(
      size,
      [0, mbrSector([{ type: 0xee, start: 1, size: 0xffffffff }])],
      ...gpt(
        size,
        parts.map((p) => (sector_bytes === 512 ? p : { ...p, start: p.start / 8, end: (p.end + 1) / 8 - 1 })),
        { sector_bytes },
      ),
    );
    const { partitions, remarks } = await scan(dev);
    t.same(short(partitions).slice(0, 2), ['1 64 1000', '2 2048 2048']);
    t.same(remarks, []);
    t.match(partitions[0], {
      scheme: 'gpt',
      type: NETBSD_FFS,
      type_name: 'NetBSD FFS',
      label: 'net?[31m?bsd',
      guid: '01234567-89ab-cdef-0123-456789abcdef',
    });
    t.equal((await selectPartition(dev, 'Süden')).partition.path, '2');
    t.equal((await selectPartition(dev, '01234567-89AB-CDEF-0123-456789ABCDEF')).partition.path, '1');
    t.equal((await selectPartition(dev, 'p2')).partition.path, '2');
  }
});

t.test('GPT: damage', async (t) => {
  const size = 4 * MiB;
  const parts = [{ type: NETBSD_FFS, start: 64, end: 1063 }];
  const pmbr: [number, Uint8Array] = [0, mbrSector([{ type: 0xee, start: 1, size: 0xffffffff }])];
  const damaged = (...at: number[]): MemoryDevice => {
    const dev = disk(size, pmbr, ...gpt(size, parts));
    for (const offset of at) dev.write(new Uint8Array([0xff]), 0, 1, offset);
    return dev;
  };
  const last = size - 512;
  t.match(await scan(damaged(512 + 60)), {
    partitions: [{ path: '1' }],
    remarks: [/damaged \(the checksum of its header is wrong\): the backup/],
  });
  t.match(await scan(damaged(1024 + 5000)), {
    partitions: [{ path: '1' }],
    remarks: [/the checksum of its table is wrong/],
  });
  t.match(await scan(damaged(512)), { partitions: [{ path: '1' }], remarks: [/it is not there/] });
  t.match(await scan(damaged(512 + 60, last + 60)), { remarks: [/cannot be used.*backup neither/] });
  t.equal((await scan(damaged(512 + 60, last + 60))).partitions.filter((p) => p.scheme === 'gpt').length, 0);
  t.match(await scan(disk(size / 2, pmbr, ...gpt(size, parts).slice(0, 2))), {
    partitions: [{ path: '1' }],
    remarks: [/backup of the GPT lies behind the end/],
  });

  // hostile headers with right checksums
  const hostile = async (header: (view: DataView) => void): Promise<string> =>
    (await scan(disk(size, pmbr, ...gpt(size, parts, { header }).slice(0, 2)))).remarks.join();
  t.match(await hostile((v) => v.setUint32(12, 0xffffffff, true)), 'says that it has 4294967295 bytes');
  t.match(await hostile((v) => v.setUint32(80, 0xffffffff, true)), 'claims 4294967295 entries');
  t.match(await hostile((v) => v.setUint32(84, 0, true)), 'entries have 0 bytes');
  t.match(await hostile((v) => v.setUint32(84, 0x80000000, true)), 'entries have');
  t.match(await hostile((v) => v.setBigUint64(72, 2n ** 64n - 1n, true)), 'behind the end of the disk');
  t.match(await hostile((v) => v.setBigUint64(24, 7n, true)), 'belongs to sector 7');
  const absurd = disk(
    size,
    pmbr,
    ...gpt(size, [
      { type: NETBSD_FFS, start: 100, end: 50 },
      { type: NETBSD_FFS, start: 2 ** 53, end: 2 ** 53 + 2 },
    ]),
  );
  t.match(await scan(absurd), { partitions: [{ problem: 'makes no sense' }, { problem: 'makes no sense' }] });
});

t.test('GPT: entries larger than 128 bytes; a GPT that an MBR has taken the place of', async (t) => {
  const size = 4 * MiB;
  const parts = [{ type: NETBSD_FFS, start: 100, end: 199 }, { type: OPENBSD, start: 300, end: 399 }];
  t.same(short((await scan(disk(size, ...gpt(size, parts, { entsz: 256 })))).partitions), ['1 100 100', '2 300 100']);
  const stale = disk(size, [0, mbrSector([{ type: 0xa9, start: 64, size: 100 }])], ...gpt(size, parts));
  t.same(short((await scan(stale)).partitions), ['1 64 100']);
});

t.test('BSD disklabel, bare, wherever the ports put it, both byte orders', async (t) => {
  const parts = [
    { size: 1000, offset: 16, fstype: FFS },
    { size: 200, offset: 1016, fstype: SWAP },
    { size: 2048, offset: 0, fstype: 0 },
    undefined,
    { size: 300, offset: 1300, fstype: 17 },
  ];
  for (const big_endian of [false, true]) {
    for (const place of [512, 64, 128, 0, 1024, 2048, 4096, 8188]) {
      const dev = disk(MiB, [place, bsdLabel(parts, { big_endian, packname: 'mydisk' })]);
      const { partitions, remarks } = await scan(dev);
      t.same(short(partitions), ['a 16 1000', 'b 1016 200', 'c 0 2048', 'e 1300 300'], `at ${place}`);
      t.same(remarks, []);
      t.match(partitions, [
        { scheme: 'bsd', type: '7', type_name: '4.2BSD', label: 'mydisk' },
        { type_name: 'swap' },
        { type_name: 'unused (the whole disk' },
        {},
      ]);
      if (place === 512 && !big_endian) heldAgainstPartx(t, dev, partitions);
    }
  }
});

t.test('BSD disklabel: sectors of 2048 and 4096 bytes, many partitions', async (t) => {
  t.same(
    short(
      (await scan(disk(MiB, [2048, bsdLabel([{ size: 100, offset: 4, fstype: FFS }], { secsize: 2048 })]))).partitions,
    ),
    ['a 16 400'],
  );
  const many = Array.from({ length: 52 }, (_, i) => ({ size: 1, offset: i, fstype: FFS }));
  const { partitions } = await scan(disk(MiB, [512, bsdLabel(many)]));
  t.same(partitions.map((p) => p.path).join(''), 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ');
});

t.test('BSD disklabel: what is damaged is no label', async (t) => {
  const label = bsdLabel([{ size: 1000, offset: 16, fstype: FFS }]);
  for (const at of [0, 40, 41, 132, 136, 138, 139, 150, 159, 275]) {
    const bad = label.slice();
    bad[at]! ^= 0x41;
    t.same((await scan(disk(MiB, [512, bad]))).partitions, [], `byte ${at}`);
  }
  t.match(await scan(disk(MiB, [64, label], [512, bsdLabel([{ size: 5, offset: 5, fstype: FFS }])])), {
    partitions: [{ offset_bytes: 5 * 512 }],
    remarks: [/more than one disklabel/],
  });
});

t.test('BSD disklabels inside MBR partitions', async (t) => {
  // NetBSD counts from the beginning of the disk and shows partitions outside its own
  const netbsd = disk(
    8 * MiB,
    [
      0,
      mbrSector([
        { type: 0x0b, start: 63, size: 1000 },
        { type: 0xa9, start: 2048, size: 8192 },
      ]),
    ],
    [
      2049 * 512,
      bsdLabel([
        { size: 4096, offset: 2048, fstype: FFS },
        undefined,
        { size: 8192, offset: 2048, fstype: 0 },
        { size: 16384, offset: 0, fstype: 0 },
        { size: 1000, offset: 63, fstype: 8 },
      ]),
    ],
  );
  let { partitions } = await scan(netbsd);
  t.same(short(partitions), ['1 63 1000', '2 2048 8192', '2a 2048 4096', '2c 2048 8192', '2d 0 16384', '2e 63 1000']);
  t.equal(
    (await selectPartition(netbsd, 'a')).device.offset_bytes,
    2048 * 512,
    'the letter alone, where only one label is',
  );
  t.equal((await selectPartition(netbsd, 's2a')).partition.path, '2a');

  // FreeBSD counts from partition c: from the slice (c at 0), or from the disk (c at the slice's start)
  for (const base of [0, 2048]) {
    const dev = disk(
      8 * MiB,
      [0, mbrSector([{ type: 0xa5, start: 2048, size: 8192 }])],
      [
        2049 * 512,
        bsdLabel([
          { size: 4096, offset: base + 16, fstype: FFS },
          { size: 100, offset: base + 5000, fstype: 27 },
          { size: 8192, offset: base, fstype: 0 },
        ]),
      ],
    );
    ({ partitions } = await scan(dev));
    t.same(short(partitions), ['1 2048 8192', '1a 2064 4096', '1b 7048 100', '1c 2048 8192']);
    t.equal(partitions[2]!.type_name, 'ZFS', 'type numbers are FreeBSD\'s there');
    heldAgainstPartx(t, dev, partitions);
  }

  // OpenBSD counts from the disk, in 48 bits
  const openbsd = disk(
    8 * MiB,
    [0, mbrSector([{ type: 0xa6, start: 64, size: 8192 }])],
    [
      65 * 512,
      bsdLabel([{ size: 4096, offset: 64, fstype: FFS }, undefined, { size: 16384, offset: 0, fstype: 0 }], {
        v1: true,
        npartitions: 16,
      }),
    ],
  );
  ({ partitions } = await scan(openbsd));
  t.same(short(partitions), ['1 64 8192', '1a 64 4096', '1c 0 16384']);
  heldAgainstPartx(t, openbsd, partitions);
  const large = disk(2 ** 45, [
    512,
    bsdLabel(
      [
        { size: 2 ** 33 + 7, offset: 2 ** 32 + 64, fstype: FFS },
        { size: 2 ** 47, offset: 2 ** 47, fstype: FFS },
      ],
      { v1: true, big_endian: true },
    ),
  ]);
  ({ partitions } = await scan(large));
  t.same(short(partitions).slice(0, 1), [`a ${2 ** 32 + 64} ${2 ** 33 + 7}`]);
  t.match(partitions[1], { problem: 'makes no sense' });

  // "dangerously dedicated": the partition begins where the disk begins
  const dedicated = disk(
    8 * MiB,
    [
      0,
      mbrSector([
        { type: 0, start: 0, size: 0 },
        { type: 0, start: 0, size: 0 },
        { type: 0, start: 0, size: 0 },
        { type: 0xa5, start: 0, size: 10_000, flag: 0x80 },
      ]),
    ],
    [512, bsdLabel([{ size: 4096, offset: 16, fstype: FFS }, undefined, { size: 16384, offset: 0, fstype: 0 }])],
  );
  ({ partitions } = await scan(dedicated));
  t.same(short(partitions), ['4 0 10000', '4a 16 4096', '4c 0 16384']);
});

t.test('two disklabels: a letter alone is not enough; a bare label next to an MBR', async (t) => {
  const label = (start: number): Uint8Array => bsdLabel([{ size: 100, offset: start, fstype: FFS }]);
  const two = disk(
    8 * MiB,
    [
      0,
      mbrSector([
        { type: 0xa9, start: 2048, size: 1024 },
        { type: 0xa6, start: 4096, size: 1024 },
      ]),
    ],
    [2049 * 512, label(2048)],
    [4097 * 512, label(4096)],
  );
  t.match(await failure(selectPartition(two, 'a')), {
    code: 'EINVAL',
    message: 'more than one partition a: say which of 1a (4.2BSD, 50 KiB), 2a',
  });
  t.equal((await selectPartition(two, '2a')).device.offset_bytes, 4096 * 512);
  const both = disk(8 * MiB, [0, mbrSector([{ type: 0x0b, start: 2048, size: 1024 }])], [512, label(4096)]);
  t.same(short((await scan(both)).partitions), ['1 2048 1024', 'a 4096 100']);
});

t.test('BSD disklabels inside GPT partitions', async (t) => {
  const size = 8 * MiB;
  const dev = disk(
    size,
    ...gpt(size, [
      { type: FREEBSD, start: 2048, end: 4095 },
      { type: OPENBSD, start: 4096, end: 8191 },
    ]),
    [2049 * 512, bsdLabel([{ size: 1000, offset: 16, fstype: FFS }, undefined, { size: 2048, offset: 0, fstype: 0 }])],
    [4097 * 512, bsdLabel([{ size: 1000, offset: 4160, fstype: FFS }], { v1: true, npartitions: 16 })],
  );
  t.same(short((await scan(dev)).partitions), [
    '1 2048 2048',
    '1a 2064 1000',
    '1c 2048 2048',
    '2 4096 4096',
    '2a 4160 1000',
  ]);
});

t.test('Sun labels, on SPARC and PC', async (t) => {
  const sparc = disk(8 * MiB, [
    0,
    sunLabel(
      [
        { cylinder: 0, sectors: 640, tag: 2 },
        { cylinder: 10, sectors: 64, tag: 3 },
        { cylinder: 0, sectors: 16384, tag: 5 },
      ],
      'volume',
    ),
  ]);
  const { partitions } = await scan(sparc);
  t.same(short(partitions), ['a 0 640', 'b 640 64', 'c 0 16384']);
  t.match(partitions, [
    { scheme: 'sun', type: '2', type_name: 'root', label: 'volume' },
    { type_name: 'swap' },
    { type_name: 'backup (the whole disk)' },
  ]);
  heldAgainstPartx(t, sparc, partitions);
  sparc.write(new Uint8Array([1]), 0, 1, 200);
  t.same((await scan(sparc)).partitions, [], 'checksum');

  // NetBSD/sparc keeps its own label inside: it has the types
  const netbsd = disk(8 * MiB, [0, sunLabel([{ cylinder: 0, sectors: 640 }])]);
  const inner = bsdLabel([{ size: 640, offset: 0, fstype: FFS }], { big_endian: true });
  const sector = new Uint8Array(512);
  netbsd.read(sector, 0, 512, 0);
  sector.set(inner, 128);
  netbsd.write(sector, 0, 512, 0);
  t.match((await scan(netbsd)).partitions, [{ path: 'a', scheme: 'bsd' }]);

  const pc = disk(
    8 * MiB,
    [0, mbrSector([{ type: 0xbf, start: 2048, size: 8192 }])],
    [2049 * 512, solarisVtoc([{ start: 100, size: 500, tag: 2 }, undefined, { start: 0, size: 8192, tag: 5 }])],
  );
  const found = (await scan(pc)).partitions;
  t.same(short(found), ['1 2048 8192', '1a 2148 500', '1c 2048 8192']);
  heldAgainstPartx(t, pc, found);
});

t.test('Apple partition maps', async (t) => {
  const parts = [
    { name: 'Apple', type: 'Apple_partition_map', start: 1, size: 63 },
    { name: 'root', type: 'Apple_UNIX_SVR2', start: 64, size: 1000 },
    { name: '', type: 'Apple_HFS', start: 2000, size: 500 },
  ];
  const dev = disk(4 * MiB, [0, appleMap(parts)]);
  const { partitions, remarks } = await scan(dev);
  t.same(short(partitions), ['1 1 63', '2 64 1000', '3 2000 500']);
  t.match(partitions[1], { scheme: 'apm', type: 'Apple_UNIX_SVR2', label: 'root' });
  t.same(remarks, []);
  heldAgainstPartx(t, dev, partitions);
  t.same(short((await scan(disk(4 * MiB, [0, appleMap(parts, 2048)]))).partitions), [
    '1 4 252',
    '2 256 4000',
    '3 8000 2000',
  ]);
  const endless = appleMap(parts);
  new DataView(endless.buffer).setUint32(512 + 4, 0xffffffff, false);
  t.match(await scan(disk(4 * MiB, [0, endless])), {
    partitions: [{}, {}, {}],
    remarks: [/claims 4294967295/, /ends before its entry 4/],
  });
});

t.test('tables made by the tools of this host', async (t) => {
  const ru = nodeRumpuser();
  const image = path.join(folder, 'tool.img');
  const scanned = async (): Promise<Partition[]> => {
    const dev = await openImage(ru, image, { readonly: true });
    try {
      return (await scan(dev)).partitions;
    } finally {
      await dev.close();
    }
  };
  const blank = (): void => {
    fs.rmSync(image, { force: true });
    fs.writeFileSync(image, '');
    fs.truncateSync(image, 64 * MiB);
  };
  const sfdisk = haveTool('sfdisk');
  for (const [label, script, wanted] of [
    ['dos', '2048,4096,a9,*\n,8192,a5\n,,5\n,2048,83\n,,a6\n', ['1 2048 4096', '2 6144 8192']],
    [
      'gpt',
      `start=2048,size=4096,type=${NETBSD_FFS},name=one\nsize=2048,type=${FREEBSD_UFS}\n`,
      ['1 2048 4096', '2 6144 2048'],
    ],
    ['sun', '0,20M,82\n,20M,83\n', ['a 0 40960', 'b 48195 40960']],
  ] as const) {
    await t.test(`sfdisk ${label}`, { skip: !sfdisk }, async (t) => {
      blank();
      const run = spawnSync('sfdisk', ['-q', '--no-reread', image], {
        input: `label: ${label}\n${script}`,
        encoding: 'utf8',
      });
      t.equal(run.status, 0, run.stderr);
      const partitions = await scanned();
      t.same(short(partitions).slice(0, 2), wanted);
      const dump = JSON.parse(spawnSync('sfdisk', ['--json', image], { encoding: 'utf8' }).stdout) as {
        partitiontable: { partitions: { start: number; size: number }[] };
      };
      t.same(
        partitions.map((p) => [p.offset_bytes / 512, p.size_bytes / 512]),
        dump.partitiontable.partitions.map((p) => [p.start, p.size]),
      );
    });
  }
  await t.test('sgdisk', { skip: !haveTool('sgdisk') }, async (t) => {
    blank();
    spawnSync('sgdisk', ['-n', '1:2048:+8M', '-t', '1:a902', '-c', '1:net', '-n', '5:0:+1M', '-t', '5:a600', image]);
    t.match(await scanned(), [
      { path: '1', offset_bytes: MiB, size_bytes: 8 * MiB, label: 'net' },
      { path: '5', type_name: 'OpenBSD' },
    ]);
  });
});

t.test('sizes for people', async (t) => {
  t.same([0, 1023, 1024, 1536, 5 * MiB, 2 ** 50].map(humanSize), [
    '0 bytes',
    '1023 bytes',
    '1 KiB',
    '1.5 KiB',
    '5 MiB',
    '1 PiB',
  ]);
});

t.test('mutated tables: always an answer, and every partition that is called usable lies on the disk', async (t) => {
  const size = 4 * MiB;
  const sources: [number, Uint8Array][][] = [
    [
      [
        0,
        mbrSector([
          { type: 0xa9, start: 64, size: 100 },
          { type: 5, start: 200, size: 1000 },
        ]),
      ],
      [
        200 * 512,
        mbrSector([
          { type: 0xa5, start: 1, size: 64 },
          { type: 5, start: 100, size: 100 },
        ]),
      ],
      [300 * 512, mbrSector([{ type: 0xbf, start: 1, size: 9 }])],
      [65 * 512, bsdLabel([{ size: 100, offset: 64, fstype: FFS }])],
    ],
    [
      [0, mbrSector([{ type: 0xee, start: 1, size: 0xffffffff }])],
      ...gpt(size, [
        { type: FREEBSD, start: 64, end: 1063 },
        { type: OPENBSD, start: 2000, end: 3000 },
      ]),
      [65 * 512, bsdLabel([{ size: 100, offset: 64, fstype: FFS }])],
    ],
    [[0, sunLabel([{ cylinder: 0, sectors: 640 }])]],
    [[0, appleMap([{ name: 'a', type: 'b', start: 1, size: 63 }])]],
  ];
  const runs = Number(process.env.RUMPFUSE_PROPERTY_RUNS ?? 400);
  const change = fc.tuple(fc.nat(3), fc.nat(511), fc.nat(255));
  const changed = fc.array(change, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.nat(sources.length - 1), changed, fc.boolean(), async (which, changes, fix) => {
      const dev = disk(size, ...sources[which]!);
      for (const [part, at, value] of changes) {
        const [offset, bytes] = sources[which]![part % sources[which]!.length]!;
        dev.write(new Uint8Array([value]), 0, 1, offset + (at % bytes.length));
      }
      if (fix) {
        // make the GPT header's checksum right again, so that the change gets past it
        const header = new Uint8Array(92);
        dev.read(header, 0, 92, 512);
        header.fill(0, 16, 20);
        new DataView(header.buffer).setUint32(16, crc32(header), true);
        if (which === 1) dev.write(header, 0, 92, 512);
      }
      try {
        for (const p of (await scan(dev)).partitions) {
          const inside = p.offset_bytes >= 0 && p.size_bytes > 0 && p.offset_bytes + p.size_bytes <= size;
          if (p.problem === undefined && !inside) { throw new Error(`partition ${p.path}: ${p.offset_bytes}+${p.size_bytes}`); }
        }
      } catch (e) {
        if (!(e instanceof Errno)) throw e;
      }
    }),
    { numRuns: runs, seed: 5 },
  );
  t.pass(`${runs} runs`);
});
