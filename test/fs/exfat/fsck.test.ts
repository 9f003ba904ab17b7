/** Damage of every kind: found, mended, and clean afterwards for fsck.exfat, too. */
import t from 'tap';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import type { Crafted } from './craft.js';
import { crafted } from './craft.js';
import { V, bytesof, get, has, list, mount, pattern, put, same, strangersays } from './volumes.js';

t.setTimeout(0); // the runner has a limit

interface Damage {
  readonly what: string;
  readonly says: RegExp;
  /** A run of fsck -p mends it. */
  readonly preen?: boolean;
  /** The volume may be mounted for writing without a check, though it is marked dirty. */
  readonly writable?: boolean;
  damage(c: Crafted): void;
  /** Files of the root after the repair; default: as before. */
  readonly left?: readonly string[];
}

const FILES = ['row', 'chain', 'other', 'dir', 'empty'];

function fat(c: Crafted, cluster: number, next: number): void {
  c.view.setUint32(c.atlas.fatat + 4 * cluster, next, true);
}

function stream(c: Crafted, name: string, change: (at: number) => void): void {
  const entries = c.entries(name);
  change(entries[1]!);
  c.sum(entries);
}

function bit(c: Crafted, cluster: number): void {
  const { bitmapat } = c.atlas;
  c.bytes[bitmapat + ((cluster - 2) >>> 3)]! ^= 1 << ((cluster - 2) & 7);
}

const DAMAGES: readonly Damage[] = [
  { what: 'the boot sector is gone', says: /boot sector is damaged/, damage: (c) => c.bytes.fill(0, 0, 512) },
  {
    what: 'the checksum of the boot region is wrong',
    says: /checksum of the boot region/,
    damage: (c) => void (c.bytes[100]! ^= 1),
  },
  { what: 'the backup differs', says: /backup/, preen: true, damage: (c) => c.bytes.fill(0, 12 * 512, 13 * 512) },
  { what: 'only marked dirty', says: /^$/, preen: true, writable: true, damage: (c) => void (c.bytes[106]! |= 2) },
  {
    what: 'a wrong SetChecksum',
    says: /SetChecksum/,
    preen: true,
    writable: true,
    damage: (c) => void (c.bytes[c.entries('row')[0]! + 2]! ^= 1),
  },
  {
    what: 'a wrong NameHash',
    says: /NameHash/,
    preen: true,
    writable: true,
    damage: (c) => stream(c, 'row', (at) => void (c.bytes[at + 4]! ^= 1)),
  },
  {
    what: 'a set without its last entry',
    says: /make no sense/,
    preen: true,
    left: ['chain', 'other', 'dir', 'empty', 'FSCK0000.REC'],
    damage: (c) => void (c.bytes[c.entries('row')[2]!] = 0x41),
  },
  {
    what: 'a name with a slash',
    says: /characters/,
    left: ['r_w', 'chain', 'other', 'dir', 'empty'],
    damage: (c) => {
      const entries = c.entries('row');
      c.bytes[entries[2]! + 4] = 0x2f;
      c.sum(entries);
    },
  },
  {
    what: 'two files of one name',
    says: /same name/,
    preen: true,
    left: ['row', 'row~1', 'chain', 'dir', 'empty'],
    damage: (c) => {
      const entries = c.entries('other');
      const from = c.entries('row');
      c.bytes.copyWithin(entries[2]!, from[2]!, from[2]! + 32);
      c.bytes[entries[1]! + 3] = 3;
      c.bytes.copyWithin(entries[1]! + 4, from[1]! + 4, from[1]! + 6);
      c.sum(entries);
    },
  },
  {
    what: 'clusters of a file are free in the bitmap',
    says: /calls 2 clusters free/,
    preen: true,
    damage: (c) => [0, 1].forEach((i) => bit(c, c.first('row') + i)),
  },
  {
    what: 'clusters that nobody has',
    says: /3 clusters are in use that no file has/,
    preen: true,
    writable: true,
    left: [...FILES, 'FSCK0000.REC'],
    damage: (c) => [0, 1, 2].forEach((i) => bit(c, 300 + i)),
  },
  {
    what: 'a chain that ends early',
    says: /leads to the end/,
    damage: (c) => fat(c, c.first('chain'), 0xffffffff),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'a chain that leads out of the volume',
    says: /leads to 99999/,
    damage: (c) => fat(c, c.first('chain'), 99999),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'a chain in a circle',
    says: /leads back/,
    damage: (c) => fat(c, c.first('chain'), c.first('chain')),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'a chain that is too long',
    says: /longer than the file/,
    preen: true,
    writable: true,
    damage: (c) =>
      stream(c, 'chain', (at) => {
        c.view.setUint32(at + 24, 5000, true);
        c.view.setUint32(at + 8, 5000, true);
      }),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'two files that share clusters',
    says: /belong to another file/,
    damage: (c) => {
      const to = c.first('row') + 3;
      fat(c, c.first('chain'), to);
      for (let i = 0; i < 4; i++) fat(c, to + i, to + i + 1);
    },
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'FirstCluster out of the volume',
    says: /FirstCluster 1/,
    damage: (c) => stream(c, 'row', (at) => c.view.setUint32(at + 20, 1, true)),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'ValidDataLength above DataLength',
    says: /ValidDataLength/,
    damage: (c) => stream(c, 'row', (at) => c.view.setUint32(at + 8, 40_000, true)),
  },
  {
    what: 'a directory that is the root',
    says: /belong to something else/,
    damage: (c) => stream(c, 'dir', (at) => c.view.setUint32(at + 20, c.atlas.boot.FirstClusterOfRootDirectory, true)),
    left: ['row', 'chain', 'other', 'empty', 'FSCK0000.REC'],
  },
  {
    what: 'no up-case table',
    says: /up-case table/,
    damage: (c) => void (c.bytes[c.atlas.groups.find(({ type }) => type === 0x82)!.entries[0]!] = 0x02),
  },
  {
    what: 'a damaged up-case table',
    says: /up-case table/,
    damage: (c) => void (c.bytes[c.atlas.upcaseat + 200]! ^= 1),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'no bitmap',
    says: /bitmap is missing/,
    damage: (c) => void (c.bytes[c.atlas.groups.find(({ type }) => type === 0x81)!.entries[0]!] = 0x01),
  },
  {
    what: 'secondary entries without a file',
    says: /belongs to no file/,
    preen: true,
    writable: true,
    damage: (c) => {
      const entries = c.entries('empty');
      c.bytes[entries[0]!] = 0x05;
    },
    left: ['row', 'chain', 'other', 'dir'],
  },
  {
    what: 'NameLength of more units than there are entries for',
    says: /NameLength 16 with 2 secondary entries/,
    preen: true,
    left: ['chain', 'other', 'dir', 'empty', 'FSCK0000.REC'],
    damage: (c) => stream(c, 'row', (at) => void (c.bytes[at + 3] = 16)),
  },
  {
    what: 'NameLength 0',
    says: /NameLength 0/,
    preen: true,
    left: ['chain', 'other', 'dir', 'empty', 'FSCK0000.REC'],
    damage: (c) => stream(c, 'row', (at) => void (c.bytes[at + 3] = 0)),
  },
  {
    what: 'NameLength of fewer units than the name had',
    says: /NameHash/,
    preen: true,
    writable: true,
    left: ['ro', 'chain', 'other', 'dir', 'empty'],
    damage: (c) => stream(c, 'row', (at) => void (c.bytes[at + 3] = 2)),
  },
  {
    what: 'an unknown critical entry in a set',
    says: /unknown critical entry, type 0xc2/,
    preen: true,
    left: ['row', 'chain', 'other', 'dir', 'FSCK0000.REC'],
    damage: (c) => {
      const entries = c.entries('empty');
      const at = entries[2]! + 32;
      c.bytes[entries[0]! + 1] = 3;
      c.bytes[at] = 0xc2;
      c.bytes[entries[1]! + 1] = 3;
      c.view.setUint32(entries[1]! + 20, 300, true);
      c.view.setUint32(entries[1]! + 8, 100, true);
      c.view.setUint32(entries[1]! + 24, 100, true);
      bit(c, 300);
      c.sum([...entries, at]);
    },
  },
  {
    what: 'NoFatChain of a chain',
    says: /belong to another file/,
    damage: (c) => stream(c, 'chain', (at) => void (c.bytes[at + 1]! |= 2)),
    left: [...FILES, 'FSCK0000.REC', 'FSCK0001.REC'],
  },
  {
    what: 'no NoFatChain of a row',
    says: /leads to 0/,
    damage: (c) => stream(c, 'row', (at) => void (c.bytes[at + 1]! &= ~2)),
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'NoFatChain of an empty file',
    says: /GeneralSecondaryFlags 0x3/,
    preen: true,
    writable: true,
    damage: (c) => stream(c, 'empty', (at) => void (c.bytes[at + 1]! |= 2)),
  },
  {
    what: 'a size without clusters',
    says: /FirstCluster 0/,
    damage: (c) =>
      stream(c, 'empty', (at) => {
        c.view.setUint32(at + 8, 100, true);
        c.view.setUint32(at + 24, 100, true);
      }),
  },
  {
    what: 'a cluster of an empty file',
    says: /FirstCluster 300 of an empty file/,
    damage: (c) => stream(c, 'empty', (at) => c.view.setUint32(at + 20, 300, true)),
  },
  {
    what: 'DataLength above all that the volume has',
    says: /no file can be so long/,
    damage: (c) => stream(c, 'row', (at) => c.view.setUint32(at + 28, 0x7fff, true)),
  },
  {
    what: 'ValidDataLength of a directory',
    says: /ValidDataLength 0/,
    preen: true,
    writable: true,
    damage: (c) => stream(c, 'dir', (at) => c.view.setUint32(at + 8, 0, true)),
  },
  {
    what: 'a directory without clusters',
    says: /directory without clusters/,
    left: ['row', 'chain', 'other', 'empty', 'FSCK0000.REC'],
    damage: (c) =>
      stream(c, 'dir', (at) => {
        c.bytes.fill(0, at + 8, at + 16);
        c.bytes.fill(0, at + 20, at + 32);
        c.bytes[at + 1] = 1;
      }),
  },
  {
    what: 'two directories of the same clusters',
    says: /same file goes by another name/,
    preen: true,
    left: ['row', 'chain', 'other', 'dir'],
    damage: (c) => {
      const entries = c.entries('empty');
      const from = c.entries('dir');
      c.bytes[entries[0]! + 4] = 0x10;
      c.bytes.copyWithin(entries[1]! + 8, from[1]! + 8, from[1]! + 32);
      c.bytes[entries[1]! + 1] = c.bytes[from[1]! + 1]!;
      c.sum(entries);
    },
  },
  {
    what: 'the chain of the root in a circle',
    says: /leads back/,
    damage: (c) => {
      const { FirstClusterOfRootDirectory: root } = c.atlas.boot;
      fat(c, root, root);
    },
  },
  {
    what: 'the chain of the root broken',
    says: /chain of the root/,
    damage: (c) => fat(c, c.atlas.boot.FirstClusterOfRootDirectory, 0),
  },
  {
    what: 'the first cells of the FAT',
    says: /FAT: cell 0/,
    preen: true,
    writable: true,
    damage: (c) => c.bytes.fill(0, c.atlas.fatat, c.atlas.fatat + 8),
  },
  {
    what: 'a bitmap that is too small',
    says: /bitmap is missing or out of reach/,
    damage: (c) => c.view.setUint32(c.atlas.groups.find(({ type }) => type === 0x81)!.entries[0]! + 24, 10, true),
  },
  {
    what: 'a bitmap out of reach',
    says: /bitmap is missing or out of reach/,
    damage: (c) => c.view.setUint32(c.atlas.groups.find(({ type }) => type === 0x81)!.entries[0]! + 20, 99999, true),
  },
  {
    what: 'a bitmap of zeros',
    says: /clusters free that files have/,
    damage: (c) => c.bytes.fill(0, c.atlas.bitmapat, c.atlas.bitmapat + c.atlas.bitmapbytes),
    preen: true,
  },
  {
    what: 'a bitmap full of ones',
    says: /clusters are in use that no file has/,
    damage: (c) => c.bytes.fill(0xff, c.atlas.bitmapat, c.atlas.bitmapat + Math.floor(c.atlas.boot.ClusterCount / 8)),
    preen: true,
    writable: true,
    left: [...FILES, 'FSCK0000.REC'],
  },
  {
    what: 'the backup has a wrong checksum',
    says: /backup/,
    preen: true,
    damage: (c) => void (c.bytes[23 * 512]! ^= 1),
  },
  {
    what: 'both boot regions have a wrong checksum',
    says: /checksum of the boot region/,
    damage: (c) => [11, 23].forEach((sector) => void (c.bytes[sector * 512]! ^= 1)),
  },
  {
    what: 'a rename that was cut off, and the newer name is known',
    says: /is called "\/empty" by now: a rename that was not finished/,
    preen: true,
    left: ['chain', 'other', 'dir', 'empty'],
    damage: (c) => {
      const entries = c.entries('empty');
      const from = c.entries('row');
      c.bytes.copyWithin(entries[0]! + 8, from[0]! + 8, from[0]! + 32);
      // One turn later.
      c.bytes[entries[0]! + 24] = (c.bytes[from[0]! + 24]! & ~3) | ((c.bytes[from[0]! + 24]! + 1) & 3);
      c.bytes.copyWithin(entries[1]! + 8, from[1]! + 8, from[1]! + 32);
      c.bytes[entries[1]! + 1] = c.bytes[from[1]! + 1]!;
      c.sum(entries);
    },
  },
  {
    what: 'a rename that was cut off',
    says: /rename that was not finished/,
    preen: true,
    damage: (c) => {
      const entries = c.entries('empty');
      const from = c.entries('row');
      c.bytes.copyWithin(entries[1]! + 8, from[1]! + 8, from[1]! + 32);
      c.bytes[entries[1]! + 1] = c.bytes[from[1]! + 1]!;
      c.sum(entries);
    },
  },
];

for (const { what, says, preen, writable, damage, left } of DAMAGES) {
  await t.test(what, async (t) => {
    const c = await crafted();
    damage(c);
    // As if it had been unplugged.
    if (c.bytes[3] === 0x45) c.bytes[106]! |= 2;
    const dev = c.dev;
    const before = bytesof(dev);
    const found = await fsck(dev, 'check');
    t.ok(same(bytesof(dev), before), '-n writes nothing');
    t.match(found.problems.map(({ message }) => message).join('\n'), says);
    t.notOk(found.clean);
    t.notOk(found.modified);
    const mounted = await mount(dev.clone());
    const refused = mounted.log.find((line) => line.includes('read-only'));
    if (writable === true) t.equal(refused, undefined, 'may be written');
    else t.match(refused, /rumpfuse fsck/, 'is mounted read-only, with the way out');
    await mounted.close();
    const preened = dev.clone();
    const report = await fsck(preened, 'preen');
    t.equal(report.clean, preen === true, `-p ${preen === true ? 'mends it' : 'leaves it to a repair'}`);
    t.equal(report.exitStatus, preen === true ? 0 : 2);
    const repaired = await fsck(dev, 'repair');
    t.ok(repaired.clean, repaired.problems.map(({ message, fixed }) => `${message} ${fixed ?? ''}`).join('; '));
    t.same((await fsck(dev, 'check')).problems, []);
    if (has('fsck.exfat')) t.equal(await strangersays(dev), undefined, 'fsck.exfat');
    const m = await mount(dev);
    t.same(m.log, []);
    t.same((await list(m.sys, V)).sort(), [...(left ?? FILES)].sort());
    if ((left ?? FILES).includes('dir')) {
      t.ok(same(await get(m.sys, `${V}/dir/in`), pattern(2, 6000)), 'what was not touched is as it was');
    }
    await m.close();
  });
}

await t.test('MediaFailure is told, stays, and keeps nobody from writing', async (t) => {
  const c = await crafted();
  c.bytes[106]! |= 4;
  const dev = c.dev;
  const m = await mount(dev);
  await put(m.sys, `${V}/new`, pattern(1, 10_000));
  await m.close();
  for (const mode of ['check', 'repair'] as const) {
    const report = await fsck(dev, mode);
    t.same(report.problems, []);
    t.match(report.notes.join(), /MediaFailure/);
    t.equal(report.exitStatus, 0);
  }
  t.equal(bytesof(dev)[106]! & 6, 4);
});

await t.test('lost clusters of a full volume are kept: the root gets one of them', async (t) => {
  for (const clusterSize of [512, 4096]) {
    const c = await crafted({ clusterSize });
    const { boot, bitmapat } = c.atlas;
    // Pieces of one cluster each, so that there are more of them than the root has room for.
    for (let i = 0; i < boot.ClusterCount; i++) c.bytes[bitmapat + (i >>> 3)]! |= 1 << (i & 7);
    for (let cluster = 300; cluster < boot.ClusterCount + 2; cluster++) fat(c, cluster, 0xffffffff);
    c.bytes[106]! |= 2;
    const dev = c.dev;
    const report = await fsck(dev, 'preen');
    t.ok(report.clean, report.problems.map(({ message, fixed }) => `${message} ${fixed ?? ''}`).slice(0, 5).join('; '));
    if (has('fsck.exfat')) t.equal(await strangersays(dev), undefined, 'fsck.exfat');
    const m = await mount(dev);
    const names = await list(m.sys, V);
    const kept = names.filter((name) => name.endsWith('.REC')).length;
    t.ok(kept > 390, `${kept} files`);
    t.equal((await m.sys.statvfs(V)).f_bfree, 0);
    await m.close();
  }
});
