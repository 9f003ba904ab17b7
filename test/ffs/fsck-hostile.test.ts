import t from 'tap';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { Volume } from './damage.js';
import { SparseDevice } from './sparse-device.js';
import { fixture, has } from './volumes.js';

/** RUMPFUSE_FUZZ: how many volumes of each kind to wreck. RUMPFUSE_SEED: where to begin. */
const RUNS = Number(process.env.RUMPFUSE_FUZZ ?? 4);
const SEED = Number(process.env.RUMPFUSE_SEED ?? 1);
const skip = has('zstd') ? false : 'zstd is not installed';
/** No volume of 24 MiB may take longer, whatever is on it. */
const LIMIT_MS = 20_000;

function random(seed: number): (n: number) => number {
  let a = (seed * 2654435761) >>> 0;
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 4294967296) * n);
  };
}

type Region = readonly [at: number, length: number];

/** Where metadata is: superblock, copies, groups, inodes in use, directories, an indirect block. */
function regions(v: Volume): Region[] {
  const { fs } = v;
  const found: Region[] = [[v.sb, 1376], [v.frag(fs.fs_csaddr), 16 * fs.fs_ncg]];
  for (let c = 0; c < fs.fs_ncg; c++) {
    found.push(
      [v.cg(c), fs.fs_cgsize],
      [v.frag(fs.cgsblock(c)), 1376],
      [v.frag(fs.cgimin(c)), 100 * (fs.fs_bsize / fs.fs_inopb)],
    );
  }
  for (const path of ['dir', 'many', 'dir/sub', 'postcrash']) {
    // The volume with the journal lacks what is only in the journal.
    if (!v.has(path)) continue;
    const inode = v.inode(v.ino(path));
    for (let lbn = 0; lbn < 12 && lbn * fs.fs_bsize < inode.size; lbn++) {
      found.push([v.frag(inode.ptr(lbn)), Math.min(fs.fs_bsize, inode.size - lbn * fs.fs_bsize)]);
    }
  }
  found.push([v.frag(v.inode(2).ptr(0)), 1024]);
  if (v.has('dir/rand1500k')) found.push([v.frag(v.inode(v.ino('dir/rand1500k')).ptr(12)), fs.fs_bsize]);
  return found;
}

type Wreck = (bytes: Uint8Array, where: Region[], rnd: (n: number) => number) => void;

const KINDS: Record<string, Wreck> = {
  'one byte': (bytes, where, rnd) => {
    const [at, length] = where[rnd(where.length)]!;
    bytes[at + rnd(length)] = rnd(256);
  },
  'a thousand bytes': (bytes, all, rnd) => {
    // Not the superblocks: without one there is nothing to go through.
    const where = all.filter(([, length]) => length !== 1376);
    for (let i = 0; i < 1000; i++) {
      const [at, length] = where[rnd(where.length)]!;
      bytes[at + rnd(length)]! ^= 1 << rnd(8);
    }
  },
  'whole structures': (bytes, where, rnd) => {
    for (let i = 0; i < 4; i++) {
      const [at, length] = where[1 + rnd(where.length - 1)]!;
      const fill = rnd(3);
      for (let k = 0; k < length; k++) bytes[at + k] = fill === 0 ? 0 : fill === 1 ? 0xff : rnd(256);
    }
  },
  'everything behind the superblock': (bytes, where, rnd) => {
    for (let i = where[0]![0] + 8192; i < bytes.length; i += 1 + rnd(64)) bytes[i] = rnd(256);
  },
  'pointers into each other': (bytes, where, rnd) => {
    for (const [at, length] of where.slice(-6)) {
      for (let k = 0; k + 4 <= length; k += 4)
        if (rnd(4) === 0) {
          new DataView(bytes.buffer).setUint32(at + k, rnd(24576), true);
        }
    }
  },
};

t.test('nothing that is on a disk makes the checker fall, or wait', { skip }, async (t) => {
  for (const name of ['netbsd-ffs2-le', 'netbsd-ffs1-be', 'netbsd-ffs2-log-dirty']) {
    const original = fixture(name);
    const base = SparseDevice.from(original);
    for (const [kind, wreck] of Object.entries(KINDS)) {
      let mended = 0;
      let slowest = 0;
      for (let n = 0; n < RUNS; n++) {
        const seed = SEED + n;
        const bytes = original.slice();
        wreck(bytes, regions(new Volume(bytes)), random(seed));
        const dev = base.with(bytes);
        const began = process.cpuUsage();
        const found = await fsck(dev);
        if (dev.writes !== 0) t.fail(`${name}, ${kind}, seed ${seed}: a check wrote`);
        const preened = await fsck(dev.clone(), { mode: 'preen' });
        if (preened.clean && !(await fsck(dev)).clean && found.clean) {
          t.fail(`${name}, ${kind}, seed ${seed}: preen and check disagree`);
        }
        const repaired = await fsck(dev, { mode: 'repair' });
        const after = await fsck(dev);
        const { user, system } = process.cpuUsage(began);
        slowest = Math.max(slowest, (user + system) / 1000);
        if (repaired.clean !== after.clean) {
          t.fail(`${name}, ${kind}, seed ${seed}: said ${repaired.clean}, is ${after.clean}`);
        }
        if (after.clean) {
          mended++;
        } else if (process.env.RUMPFUSE_VERBOSE !== undefined) {
          t.comment(
            `${kind} ${seed}: ${repaired.exitStatus} ${after.problems
              .slice(0, 4)
              .map((p) => `${p.code} ${p.message}`)
              .join('; ')}`,
          );
        }
        if (!after.clean && repaired.exitStatus === 0) t.fail(`${name}, ${kind}, seed ${seed}: exit 0 and not clean`);
      }
      t.ok(
        slowest < LIMIT_MS,
        `${name}, ${kind}: ${mended} of ${RUNS} mended, the slowest took ${Math.round(slowest)} ms of CPU`,
      );
      if (kind === 'one byte') t.equal(mended, RUNS, `${name}: one wrong byte can be mended`);
    }
  }
});

t.test('images that are none', { skip }, async (t) => {
  const image = fixture('netbsd-ffs2-le');
  for (const length of [0, 511, 8192, 66000, 131072, 12 << 20]) {
    const report = await fsck(SparseDevice.from(image.slice(0, length)), { mode: 'repair' });
    t.equal(report.exitStatus, 8, `cut off at ${length}`);
    t.equal(report.modified, false, 'and left alone');
    t.not(report.problems.length, 0);
  }
  const rnd = random(7);
  const garbage = new Uint8Array(1 << 20).map(() => rnd(256));
  t.equal((await fsck(SparseDevice.from(garbage))).exitStatus, 8);
});

t.test('a device that fails to read here and there', { skip }, async (t) => {
  const base = SparseDevice.from(fixture('netbsd-ffs2-le'));
  for (let seed = 0; seed < 5; seed++) {
    const rnd = random(seed);
    const dev = base.clone();
    const broken = new Set(Array.from({ length: 40 }, () => rnd(dev.size_bytes / 512)));
    const read = dev.read.bind(dev);
    dev.read = (into, at, length, offset) => {
      for (let s = Math.floor(offset / 512); s * 512 < offset + length; s++)
        if (broken.has(s)) {
          throw new Error(`sector ${s}`);
        }
      read(into, at, length, offset);
    };
    const report = await fsck(dev);
    t.ok(report.clean || report.problems.some((p) => p.code === 'CANNOT_READ'));
  }
});

t.test('what cannot be read is not repaired away', { skip }, async (t) => {
  const dev = SparseDevice.from(fixture('netbsd-ffs2-le'));
  const v = new Volume(dev.bytes());
  const bad = v.frag(v.fs.cgimin(1));
  const read = dev.read.bind(dev);
  dev.read = (into, at, length, offset) => {
    if (offset < bad + 512 && offset + length > bad) throw new Error('medium error');
    read(into, at, length, offset);
  };
  const report = await fsck(dev, { mode: 'repair' });
  t.equal(report.exitStatus, 8);
  t.equal(dev.writes, 0);
  t.match(report.problems.map((p) => p.code).join(), /CANNOT_READ/);
});
