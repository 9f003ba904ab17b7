import t from 'tap';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { MemoryDevice as Disk } from '../../src/blockdev/memory.js';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { csum_load, csum_store } from '../../src/fs/ffs/disk/csum.js';
import { Cg } from '../../src/fs/ffs/disk/cg.js';
import { Errno } from '../../src/kernel/errno.js';
import { O_RDWR } from '../../src/kernel/fcntl.js';
import { dice } from './dice.js';
import { GEOMETRIES, V, bytesOf, errnameOf, newdisk, pattern, put, rw } from './write-support.js';
import type { Geometry } from './write-support.js';

/**
 * Volumes that call themselves clean and are not: EIO, a line in the log, no further writes; never a crash or an
 * endless search.
 */

const UFS2: Geometry = { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 };

/** A volume with a few files, and its superblock. */
async function planted(): Promise<{ dev: MemoryDevice; fs: Fs }> {
  const dev = await newdisk(UFS2, 8 * 2 ** 20);
  const vol = await rw(dev);
  await vol.sys.mkdir(`${V}/d`, 0o755);
  for (let i = 0; i < 20; i++) await put(vol.sys, `${V}/f${i}`, pattern(3000 * i, i));
  await vol.close();
  const sb = new Uint8Array(8192);
  dev.read(sb, 0, sb.length, 65536);
  return { dev, fs: Fs.decode(sb, 65536)! };
}

/** Changes the block of group `c`, its summary with it. */
function changecg(dev: MemoryDevice, fs: Fs, c: number, change: (cg: Cg) => void): void {
  const at = fs.fsbtob(fs.cgtod(c));
  const bytes = new Uint8Array(fs.cgbytes);
  dev.read(bytes, 0, bytes.length, at);
  change(Cg.open(fs, bytes, new DataView(bytes.buffer), c));
  dev.write(bytes, 0, bytes.length, at);
}

function eachcg(dev: MemoryDevice, fs: Fs, change: (cg: Cg) => void): void {
  for (let c = 0; c < fs.fs_ncg; c++) changecg(dev, fs, c, change);
}

/** Superblock totals and summary area are what the groups say. */
function retotal(dev: MemoryDevice, fs: Fs): void {
  const area = new Uint8Array(fs.fs_ncg * 16);
  const at = fs.fsbtob(fs.fs_csaddr);
  dev.read(area, 0, area.length, at);
  const cs = new Int32Array(fs.fs_ncg * 4);
  csum_load(fs, area, cs);
  const total = [0, 0, 0, 0];
  for (let c = 0; c < fs.fs_ncg; c++) {
    changecg(dev, fs, c, (cg) => cs.set([cg.cs_ndir, cg.cs_nbfree, cg.cs_nifree, cg.cs_nffree], 4 * c));
    csum_store(fs, cs, c, new DataView(area.buffer), 16 * c);
    for (let i = 0; i < 4; i++) total[i]! += cs[4 * c + i]!;
  }
  dev.write(area, 0, area.length, at);
  Object.assign(fs.fs_cstotal, { cs_ndir: total[0], cs_nbfree: total[1], cs_nifree: total[2], cs_nffree: total[3] });
  dev.write(fs.encode(), 0, fs.fs_sbsize, fs.fs_sblockloc);
}

interface Case {
  readonly name: string;
  spoil(dev: MemoryDevice, fs: Fs): void;
  /** What is tried; the errno of the last step is checked. */
  readonly expect: string;
}

const CASES: readonly Case[] = [
  {
    name: 'no free block in the maps though the counts say so',
    spoil: (dev, fs) =>
      eachcg(dev, fs, (cg) => cg.bytes.fill(0, cg.cg_freeoff, cg.cg_freeoff + Math.ceil(fs.fs_fpg / 8))),
    expect: 'EIO',
  },
  {
    name: 'runs of fragments that are not there',
    spoil: (dev, fs) => eachcg(dev, fs, (cg) => {
      for (let n = 1; n < fs.fs_frag; n++) cg.setfrsum(n, 1000);
      cg.bytes.fill(0, cg.cg_freeoff, cg.cg_freeoff + Math.ceil(fs.fs_fpg / 8));
    }),
    expect: 'EIO',
  },
  {
    name: 'counts of groups and summary area differ',
    spoil: (dev, fs) => eachcg(dev, fs, (cg) => {
      cg.cs_nbfree += 5;
    }),
    expect: 'EIO',
  },
  {
    name: 'inodes in use that the map calls free',
    spoil: (dev, fs) => {
      eachcg(dev, fs, (cg) => {
        if (cg.cg_cgx !== 0) return;
        cg.bytes.fill(0, cg.cg_iusedoff, cg.cg_iusedoff + 2);
        cg.bytes[cg.cg_iusedoff] = 0x07;
        cg.cg_irotor = 0;
        cg.cs_nifree += 5;
      });
      retotal(dev, fs);
    },
    expect: 'EIO',
  },
  {
    name: 'a group without its magic',
    spoil: (dev, fs) => {
      for (let c = 0; c < fs.fs_ncg; c++) dev.write(new Uint8Array(4), 0, 4, fs.fsbtob(fs.cgtod(c)) + 4);
    },
    expect: 'EIO',
  },
];

for (const one of CASES) {
  await t.test(one.name, async (t) => {
    const { dev, fs } = await planted();
    one.spoil(dev, fs);
    const vol = await rw(dev);
    const { sys } = vol;
    let error = '';
    for (let i = 0; i < 40 && error === ''; i++) error = await errnameOf(put(sys, `${V}/new${i}`, pattern(700 * i, i)));
    t.equal(error, one.expect);
    t.equal(await errnameOf(sys.mkdir(`${V}/again`, 0o755)), 'EIO', 'nothing is written any more');
    t.equal(vol.log.filter((line) => line.startsWith('error')).length, 1, 'said once');
    const before = bytesOf(dev)[65536 + 209];
    await vol.close();
    t.not(bytesOf(dev)[65536 + 209], 1, `not marked clean (${before})`);
  });
}

await t.test('blocks that are freed but were free', async (t) => {
  const { dev, fs } = await planted();
  eachcg(dev, fs, (cg) => {
    const all = Math.floor(cg.cg_ndblk / 8);
    cg.bytes.fill(0xff, cg.cg_freeoff + Math.ceil(fs.fs_dblkno / 8) + 4, cg.cg_freeoff + all);
  });
  const vol = await rw(dev);
  for (let i = 10; i < 15; i++) await errnameOf(vol.sys.unlink(`${V}/f${i}`));
  await errnameOf(vol.sys.sync());
  t.equal(await errnameOf(vol.sys.mkdir(`${V}/again`, 0o755)), 'EIO');
  t.equal(vol.log.filter((line) => line.startsWith('error')).length, 1, 'said once');
  await vol.close();
  t.not(bytesOf(dev)[65536 + 209], 1, 'not marked clean');
});

await t.test('a file whose pointers lead into the metadata is not written', async (t) => {
  const { dev, fs } = await planted();
  let vol = await rw(dev);
  const ino = Number((await vol.sys.stat(`${V}/f19`)).st_ino);
  await vol.close();
  const at = fs.fsbtob(fs.ino_to_fsba(ino)) + fs.ino_to_bo(ino);
  const pointer = new Uint8Array(8);
  new DataView(pointer.buffer).setUint32(0, fs.cgimin(0), true);
  dev.write(pointer, 0, 8, at + 112);
  const inodes = bytesOf(dev).slice(fs.fsbtob(fs.cgimin(0)), fs.fsbtob(fs.cgimin(0)) + fs.fs_bsize);
  vol = await rw(dev);
  const fd = await vol.sys.open(`${V}/f19`, O_RDWR, 0);
  t.equal(await errnameOf(vol.sys.pwrite(fd, pattern(100, 1), 0)), 'EIO');
  await vol.sys.close(fd);
  await vol.close();
  t.equal(
    Buffer.compare(inodes, bytesOf(dev).subarray(fs.fsbtob(fs.cgimin(0)), fs.fsbtob(fs.cgimin(0)) + fs.fs_bsize)),
    0,
    'the inodes are whole',
  );
});

/** Random damage in the metadata: any answer will do, if it comes. FFS_HOSTILE_RUNS asks for more. */
await t.test('random damage', { timeout: 0 }, async (t) => {
  const runs = Number(process.env.FFS_HOSTILE_RUNS ?? 60);
  const first = Number(process.env.FFS_HOSTILE_FIRST ?? 1);
  let surprises = '';
  let slowest = 0;
  for (let seed = first; seed < first + runs; seed++) {
    const roll = dice(seed);
    const geometry = GEOMETRIES[seed % GEOMETRIES.length]!;
    const pristine = await newdisk(geometry, 6 * 2 ** 20);
    let vol = await rw(pristine);
    for (let i = 0; i < 30; i++) await put(vol.sys, `${V}/f${i}`, pattern(roll(60_000), i));
    await vol.sys.mkdir(`${V}/d`, 0o755);
    await vol.close();
    const bytes = bytesOf(pristine);
    // Bytes that are not zero are likelier to mean something.
    const start = geometry.format === 2 || geometry.format === '2ea' ? 65536 + 8192 : 16384;
    for (let n = 0; n < 40; n++) {
      let at = start + roll(600_000);
      for (let k = 0; k < 2000 && bytes[at] === 0; k++) at++;
      bytes[at] = roll(3) === 0 ? 0xff : roll(256);
    }
    const began = process.cpuUsage();
    try {
      vol = await rw(new Disk({ content: bytes }));
    } catch (error) {
      if (!(error instanceof Errno)) surprises += ` ${seed}: mount ${String(error)}`;
      continue;
    }
    const { sys } = vol;
    const tried = async (call: Promise<unknown>): Promise<void> => {
      try {
        await call;
      } catch (error) {
        if (!(error instanceof Errno)) {
          surprises += ` ${seed}: ` +
            `${error instanceof Error ? (error.stack ?? '').split('\n').slice(0, 4).join(' ') : String(error)}`;
        }
      }
    };
    for (let i = 0; i < 60; i++) {
      const name = `${V}/f${roll(34)}`;
      await tried(put(sys, name, pattern(roll(40_000), i)));
      await tried(sys.truncate(name, roll(90_000)));
      if (roll(2) === 0) await tried(sys.unlink(`${V}/f${roll(34)}`));
      await tried(sys.rename(`${V}/f${roll(34)}`, `${V}/d/g${roll(34)}`));
      await tried(sys.mkdir(`${V}/d/h${i}`, 0o755));
      if (roll(6) === 0) await tried(sys.sync());
    }
    await tried(vol.close());
    for (const line of vol.log) if (/TypeError|RangeError|undefined/.test(line)) surprises += ` ${seed}: ${line}`;
    const { user, system } = process.cpuUsage(began);
    slowest = Math.max(slowest, Math.round((user + system) / 1000));
  }
  t.equal(surprises, '');
  t.ok(slowest < 20_000, `the slowest took ${slowest} ms of CPU`);
});
