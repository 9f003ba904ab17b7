/** Damage of every kind: found, mended, nothing lost without need, and clean afterwards for fsck.fat, too. */
import t from 'tap';
import type { Test } from 'tap';
import type { MemoryDevice } from '../../../src/blockdev/memory.js';
import type { FatType } from '../../../src/fs/msdosfs/disk/bpb.js';
import { lfnChecksum } from '../../../src/fs/msdosfs/disk/direntry.js';
import { fsck } from '../../../src/fs/msdosfs/tools/fsck/index.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { CONTENT, LONG, crafted } from './craft.js';
import type { Crafted } from './craft.js';
import { VOL, fsckFat, mountFat, names, pattern, readFile } from './volumes.js';

t.setTimeout(0); // the runner has a limit

interface Damage {
  readonly what: string;
  /** Types that it is tried on; default: all, but of FAT32 only a share. */
  readonly types?: readonly FatType[];
  readonly says: RegExp;
  /** A run of fsck -p mends it. */
  readonly preen?: boolean;
  damage(c: Crafted): void;
  /** Files that are other ones after the repair; undefined: gone. */
  after?(c: Crafted): Readonly<Record<string, Buffer | undefined>>;
}

const BETA = CONTENT.get('/BETA.BIN')!;
const ALPHA = CONTENT.get('/alpha')!;
/** All six clusters of the file. */
const DEEP = Buffer.concat([CONTENT.get('/dir/sub/deep')!, Buffer.alloc(72)]);
const SUB_GONE = { '/dir/sub': undefined, '/dir/sub/deep': undefined };
const SHORT = 'ALONGN~1.TEX';

function bytesOf(c: Crafted, clusters: readonly number[]): Buffer {
  return Buffer.concat(clusters.map((cluster) => c.bytes.subarray(c.offset(cluster), c.offset(cluster) + 512)));
}

/** A chain that no file has. */
function lose(c: Crafted, clusters: readonly number[], seed: number): void {
  clusters.forEach((cluster, i) => {
    c.set(cluster, clusters[i + 1] ?? c.eoc);
    pattern(512, seed + i).copy(c.bytes, c.offset(cluster));
  });
}

function put(c: Crafted, at: number, name: string, attr: number, start: number, size: number): void {
  c.bytes.fill(0, at, at + 32);
  c.bytes.write(name, at, 'latin1');
  c.bytes[at + 11] = attr;
  c.view.setUint16(at + 24, (44 << 9) | (1 << 5) | 1, true);
  c.setStart(at, start);
  c.view.setUint32(at + 28, size, true);
}

const patterns = (count: number, seed: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => pattern(512, seed + i)));

const DAMAGES: readonly Damage[] = [
  {
    what: 'a lost chain',
    says: /3 clusters from \d+ on are in use, but no file has them/,
    preen: true,
    damage: (c) => lose(c, c.free(3), 50),
    after: () => ({ '/FSCK0000.REC': patterns(3, 50) }),
  },
  {
    what: 'two lost chains, one of them a circle',
    says: /2 clusters from/,
    preen: true,
    damage: (c) => {
      const [a, b, d, e] = c.free(4) as [number, number, number, number];
      lose(c, [a, b], 50);
      lose(c, [d, e], 60);
      c.set(e, d);
    },
    // Those that begin somewhere come first.
    after: () => ({
      '/FSCK0000.REC': patterns(2, 50),
      '/FSCK0001.REC': Buffer.concat([pattern(512, 61), pattern(512, 60)]),
    }),
  },
  {
    what: 'a lost chain that runs into a file',
    says: /2 clusters from \d+ on are in use/,
    preen: true,
    damage: (c) => {
      const clusters = c.free(2);
      lose(c, clusters, 50);
      c.set(clusters[1]!, c.chainOf('/alpha')[2]!);
    },
    after: () => ({ '/FSCK0000.REC': patterns(2, 50) }),
  },
  {
    what: 'two files share clusters',
    says: /which \/alpha has, too/,
    damage: (c) => c.set(c.chainOf('/BETA.BIN')[1]!, c.chainOf('/alpha')[3]!),
    after: () => ({
      '/BETA.BIN': BETA.subarray(0, 1024),
      '/FSCK0000.REC': Buffer.concat([BETA.subarray(1024), Buffer.alloc(100)]),
    }),
  },
  {
    what: 'a chain runs in a circle',
    says: /runs in a circle/,
    damage: (c) => {
      const chain = c.chainOf('/BETA.BIN');
      c.set(chain[5]!, chain[2]!);
      c.view.setUint32(c.entry('/BETA.BIN').at + 28, 50_000, true);
    },
    after: (c) => ({ '/BETA.BIN': bytesOf(c, c.chainOf('/BETA.BIN').slice(0, 6)) }),
  },
  {
    what: 'a chain ends in a free cluster',
    says: /which is free/,
    damage: (c) => c.set(c.chainOf('/BETA.BIN')[5]!, 0),
    after: () => ({ '/BETA.BIN': BETA.subarray(0, 5 * 512) }),
  },
  {
    what: 'a chain ends in a bad cluster',
    says: /marked bad/,
    damage: (c) => c.set(c.chainOf('/BETA.BIN')[5]!, c.eoc - 8),
    after: () => ({ '/BETA.BIN': BETA.subarray(0, 5 * 512) }),
  },
  {
    what: 'a chain leaves the volume',
    says: /does not exist/,
    damage: (c) => c.set(c.chainOf('/BETA.BIN')[4]!, c.g.clusters + 10),
    after: (c) => ({
      '/BETA.BIN': BETA.subarray(0, 5 * 512),
      '/FSCK0000.REC': bytesOf(c, [c.chain(c.start(c.entry('/BETA.BIN').at)).at(-1)! + 1]),
    }),
  },
  {
    what: 'a first cluster that does not exist',
    says: /its first cluster is 1, which does not exist/,
    damage: (c) => c.setStart(c.entry('/alpha').at, 1),
    after: () => ({ '/alpha': Buffer.alloc(0), '/FSCK0000.REC': ALPHA }),
  },
  {
    what: 'a directory without clusters',
    says: /\/dir\/sub: /,
    damage: (c) => c.setStart(c.entry('/dir/sub').at, 0),
    after: (c) => ({ ...SUB_GONE, '/FSCK0000.REC': c.bytes.subarray(c.sub, c.sub + 512), '/FSCK0001.REC': DEEP }),
  },
  {
    what: 'a file that is shorter than its chain',
    says: /more clusters than its 1100 bytes need/,
    preen: true,
    damage: (c) => c.view.setUint32(c.entry('/BETA.BIN').at + 28, 1100, true),
    after: () => ({ '/BETA.BIN': BETA.subarray(0, 1100) }),
  },
  {
    what: 'an empty file with clusters',
    says: /more clusters than its 0 bytes need/,
    preen: true,
    damage: (c) => {
      const clusters = c.free(2);
      lose(c, clusters, 50);
      c.setStart(c.entry('/EMPTY').at, clusters[0]!);
    },
  },
  {
    what: 'a file that is longer than its chain',
    says: /it has 9000 bytes, but clusters for 3072 only/,
    preen: true,
    damage: (c) => c.view.setUint32(c.entry('/BETA.BIN').at + 28, 9000, true),
    after: (c) => ({ '/BETA.BIN': bytesOf(c, c.chainOf('/BETA.BIN')) }),
  },
  {
    what: 'a directory with a size',
    says: /a directory with a size, 512/,
    preen: true,
    damage: (c) => c.view.setUint32(c.entry('/dir').at + 28, 512, true),
  },
  {
    what: 'the FAT copies differ',
    says: /FAT 2 differs from FAT 1/,
    preen: true,
    damage: (c) => c.setIn(1, c.chainOf('/alpha')[2]!, 0),
  },
  {
    what: 'the first FAT is zeros',
    says: /FAT 1 differs from FAT 2/,
    preen: true,
    damage: (c) => c.bytes.fill(0, c.g.fatOffset, c.g.fatOffset + 512),
  },
  {
    what: 'a long name with a wrong checksum',
    says: /long name that belongs to no file/,
    preen: true,
    damage: (c) => c.entry(`/${LONG}`).parts.forEach((at) => void (c.bytes[at + 13]! ^= 0x55)),
    after: () => ({ [`/${LONG}`]: undefined, [`/${SHORT}`]: CONTENT.get(`/${LONG}`)! }),
  },
  {
    what: 'a long name in the wrong order',
    says: /long name that belongs to no file/,
    preen: true,
    damage: (c) => {
      const [, second, third] = c.entry(`/${LONG}`).parts as [number, number, number];
      const kept = Buffer.from(c.bytes.subarray(second, second + 32));
      c.bytes.copyWithin(second, third, third + 32);
      kept.copy(c.bytes, third);
    },
    after: () => ({ [`/${LONG}`]: undefined, [`/${SHORT}`]: CONTENT.get(`/${LONG}`)! }),
  },
  {
    what: 'parts of a long name whose file is gone',
    says: /long name that belongs to no file/,
    preen: true,
    damage: (c) => {
      const { at } = c.entry(`/${LONG}`);
      for (const cluster of c.chain(c.start(at))) c.set(cluster, 0);
      c.bytes[at] = 0xe5;
    },
    after: () => ({ [`/${LONG}`]: undefined }),
  },
  {
    what: 'half of a long name is gone',
    says: /long name that belongs to no file/,
    preen: true,
    damage: (c) => void (c.bytes[c.entry(`/${LONG}`).parts[1]!] = 0xe5),
    after: () => ({ [`/${LONG}`]: undefined, [`/${SHORT}`]: CONTENT.get(`/${LONG}`)! }),
  },
  {
    what: 'a long name with a slash and a control character',
    says: /characters that no name has/,
    damage: (c) => {
      const [at] = c.entry(`/${LONG}`).parts.slice(-1);
      c.view.setUint16(at! + 1, 47, true);
      c.view.setUint16(at! + 3, 7, true);
    },
    after: () => ({ [`/${LONG}`]: undefined, [`/${SHORT}`]: CONTENT.get(`/${LONG}`)! }),
  },
  {
    what: 'a short name with characters that no name has',
    says: /the short name "B\*TA .*" is no name/,
    damage: (c) => void (c.bytes[c.entry('/BETA.BIN').at + 1] = 42),
    after: () => ({ '/BETA.BIN': undefined, '/FSCK0000.REN': BETA }),
  },
  {
    what: 'a name twice in a directory',
    says: /is the name of two files/,
    damage: (c) => {
      const clusters = c.free(1);
      lose(c, clusters, 50);
      put(c, c.end('/'), 'BETA    BIN', 0x20, clusters[0]!, 512);
    },
    after: () => ({ '/FSCK0000.REN': pattern(512, 50) }),
  },
  {
    what: 'a long name twice in a directory',
    says: /two files have this name/,
    damage: (c) => {
      const { parts } = c.entry(`/${LONG}`);
      const clusters = c.free(1);
      lose(c, clusters, 50);
      let at = c.end('/');
      const from = at;
      for (const part of parts) {
        c.bytes.copyWithin(at, part, part + 32);
        at += 32;
      }
      put(c, at, 'OTHER      ', 0x20, clusters[0]!, 512);
      for (let part = from; part < at; part += 32) c.bytes[part + 13] = lfnChecksum(c.bytes, at);
    },
    after: () => ({ '/OTHER': pattern(512, 50) }),
  },
  {
    what: 'a wrong "."',
    says: /"\." names cluster/,
    preen: true,
    damage: (c) => c.setStart(c.slots('/dir/sub')[0]!, 7),
  },
  {
    what: 'a wrong ".."',
    says: /"\.\." names cluster/,
    preen: true,
    damage: (c) => c.setStart(c.slots('/dir/sub')[1]!, 0),
  },
  {
    what: 'no "." and ".."',
    says: /it has no "\."/,
    damage: (c) => {
      const [dot, dotdot] = c.slots('/dir/sub');
      c.bytes[dot!] = c.bytes[dotdot!] = 0xe5;
    },
  },
  {
    what: 'other files where "." and ".." should be',
    says: /it has no "\.\."/,
    damage: (c) => {
      const slots = c.slots('/dir/sub');
      const deep = c.entry('/dir/sub/deep');
      // Short name only, so that nothing but an entry has to be moved.
      c.bytes.copyWithin(slots[1]!, deep.at, deep.at + 32);
      for (const at of [...deep.parts, deep.at]) c.bytes[at] = 0xe5;
    },
    after: () => ({ '/dir/sub/deep': undefined, '/dir/sub/DEEP': CONTENT.get('/dir/sub/deep')! }),
  },
  {
    what: 'a directory full of something else',
    says: /holds no entries, but something else/,
    damage: (c) => pattern(512, 99).copy(c.bytes, c.offset(c.chainOf('/dir/sub')[0]!)),
    after: () => ({
      '/dir/sub': pattern(512, 99),
      '/dir/sub/deep': undefined,
      '/FSCK0000.REC': DEEP,
    }),
  },
  {
    what: 'a directory that is in itself',
    says: /\/dir\/sub/,
    damage: (c) => {
      const { at } = c.entry('/dir/sub');
      c.setStart(at, c.chainOf('/dir')[0]!);
      // Another birthday: it is no renamed one.
      c.view.setUint16(at + 16, 0x4a21, true);
    },
    after: (c) => ({ ...SUB_GONE, '/FSCK0000.REC': c.bytes.subarray(c.sub, c.sub + 512), '/FSCK0001.REC': DEEP }),
  },
  {
    what: 'entries behind the end of a directory',
    says: /entries behind its end/,
    preen: true,
    damage: (c) => put(c, c.slots('/dir').at(-1)!, 'JUNK       ', 0x20, 0, 0),
  },
  {
    what: 'reserved bits of the attributes',
    says: /attributes 0xe0/,
    preen: true,
    damage: (c) => void (c.bytes[c.entry('/BETA.BIN').at + 11]! |= 0xc0),
  },
  {
    what: 'a wrong count of free clusters',
    types: [32],
    says: /says that 77 clusters are free/,
    preen: true,
    damage: (c) => c.view.setUint32(c.g.fsInfoOffset + 488, 77, true),
  },
  {
    what: 'an FSInfo sector of zeros',
    types: [32],
    says: /FSInfo sector has no signature/,
    preen: true,
    damage: (c) => c.bytes.fill(0, c.g.fsInfoOffset, c.g.fsInfoOffset + 512),
  },
  {
    what: 'a wrong media cell in both FATs',
    says: /does not begin with the media byte/,
    damage: (c) => [0, 1].forEach((fat) => c.setIn(fat, 0, (c.eoc & ~0xff) | 0xf4)),
  },
  {
    what: 'the backup of the boot sector is gone',
    types: [32],
    says: /backup of the boot sector differs/,
    preen: true,
    damage: (c) => c.bytes.fill(0, c.g.backupOffset, c.g.backupOffset + 512),
  },
  {
    what: 'the boot sector is gone, its backup is there',
    types: [32],
    says: /boot sector .*its backup/,
    damage: (c) => c.bytes.fill(0, 0, 512),
  },
  {
    what: 'the dirty bit of the boot sector',
    says: /^$/,
    preen: true,
    damage: (c) => void (c.bytes[c.g.stateOffset]! |= 1),
  },
  {
    what: 'the dirty bit of the FAT',
    types: [16, 32],
    says: /^$/,
    preen: true,
    damage: (c) => c.set(1, c.cell(1) & (c.g.type === 16 ? 0x7fff : 0x07ffffff)),
  },
  {
    what: 'the bit of disk errors',
    types: [16, 32],
    says: /^$/,
    preen: true,
    damage: (c) => c.set(1, c.cell(1) & (c.g.type === 16 ? 0xbfff : 0x0bffffff)),
  },
];

async function contentOf(sys: RumpSys, dir = ''): Promise<Map<string, Buffer | null>> {
  const all = new Map<string, Buffer | null>();
  for (const name of await names(sys, `${VOL}${dir}/`)) {
    const path = `${dir}/${name}`;
    if (((await sys.stat(VOL + path)).st_mode & 0o170000) !== 0o040000) {
      all.set(path, await readFile(sys, VOL + path));
      continue;
    }
    all.set(path, null);
    for (const [below, bytes] of await contentOf(sys, path)) all.set(below, bytes);
  }
  return all;
}

async function raw(dev: MemoryDevice): Promise<Buffer> {
  const bytes = Buffer.alloc(dev.size_bytes);
  await dev.read(bytes, 0, bytes.length, 0);
  return bytes;
}

async function aftermath(t: Test, dev: MemoryDevice, expected: ReadonlyMap<string, Buffer | null>): Promise<void> {
  const again = await fsck(dev, { mode: 'check' });
  t.match(again, { clean: true, exitStatus: 0, problems: [] }, 'clean afterwards');
  t.equal(await fsckFat(dev), '', 'clean for fsck.fat');
  const m = await mountFat(dev);
  const found = await contentOf(m.sys);
  await m.close();
  t.strictSame(m.log, [], 'mounts without a word');
  t.strictSame([...found.keys()].sort(), [...expected.keys()].sort(), 'the names');
  for (const [path, bytes] of expected) if (bytes !== null) t.ok(found.get(path)?.equals(bytes), path);
}

for (const type of [12, 16, 32] as const) {
  t.test(`FAT${type}`, async (t) => {
    const sound = await crafted(type);
    t.equal(await fsckFat(sound.device()), '', 'sound for fsck.fat');
    t.match(await fsck(sound.device(), { mode: 'check' }), { clean: true, exitStatus: 0, problemCount: 0 });
    for (const [index, { what, types, says, preen, damage, after }] of DAMAGES.entries()) {
      if (types?.includes(type) === false || (type === 32 && types === undefined && index % 5 !== 0)) continue;
      await t.test(what, async (t) => {
        const c = sound.copy();
        damage(c);
        const expected = new Map(CONTENT);
        for (const [path, bytes] of Object.entries(after?.(c) ?? {})) {
          if (bytes === undefined) expected.delete(path);
          else expected.set(path, bytes);
        }
        const dev = c.device();
        const said = await fsck(dev, { mode: 'check' });
        t.equal(said.clean, false, 'found');
        t.match(said.problems.map(({ message }) => message).join('\n'), says);
        t.ok((await raw(dev)).equals(c.bytes), 'a check writes nothing');
        for (const mode of ['preen', 'repair'] as const) {
          const mended = c.device();
          const report = await fsck(mended, { mode });
          if (mode === 'preen' && preen !== true) {
            t.not(report.exitStatus, 0, 'not for -p');
            continue;
          }
          t.match(report, { clean: true, exitStatus: 0 }, `${mode}: ${report.problems.map((p) => p.message).join('; ')}`);
          await aftermath(t, mended, expected);
        }
      });
    }
  });
}
