import t from 'tap';
import { PartitionDevice } from '../../src/blockdev/partition.js';
import { selectPartition } from '../../src/blockdev/label/scan.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { ambiguous, occupied } from '../../src/care/occupied.js';
import { MemoryDevice, fsck, newfs, tunefs } from '../../src/index.js';
import { newfs as makeVolume } from '../../src/fs/ffs/tools/newfs.js';
import { MiB, bsdLabel, disk, gpt, mbrSector } from '../blockdev/label-fixtures.js';

const SECTORS = MiB / 512;
const FS_BSDFFS = 7;

async function part(dev: BlockDevice, spec: string): Promise<PartitionDevice> {
  return (await selectPartition(dev, spec)).device;
}

/** A NetBSD disk of 32 MiB: a from the beginning, e behind it, c and d for all of it, as the i386 port has it. */
function netbsdDisk(): MemoryDevice {
  const whole = { offset: 0, size: 32 * SECTORS, fstype: 0 };
  return disk(32 * MiB, [
    512,
    bsdLabel([
      { offset: 0, size: 16 * SECTORS, fstype: FS_BSDFFS },
      undefined,
      whole,
      whole,
      { offset: 16 * SECTORS, size: 16 * SECTORS, fstype: FS_BSDFFS },
    ]),
  ]);
}

t.test('empty places are empty', async (t) => {
  t.equal(await occupied(new MemoryDevice({ size_bytes: 16 * MiB })), undefined);
  const dev = netbsdDisk();
  for (const name of ['a', 'e']) t.equal(await occupied(await part(dev, name)), undefined, name);
  const divided = disk(
    32 * MiB,
    ...gpt(32 * MiB, [{ type: '49f48d5a-b10e-11dc-b99b-0019d1879648', start: 2048, end: 20479 }]),
  );
  t.equal(await occupied(await part(divided, '1')), undefined, 'a partition of a GPT');
});

t.test('the whole disk, given as a partition, has others inside', async (t) => {
  t.match(await occupied(await part(netbsdDisk(), 'd')), /has inside it partition a .* partition e/);
  t.match(await occupied(netbsdDisk()), /has inside it partition a/);
});

t.test('a partition inside which a larger volume began', async (t) => {
  const dev = netbsdDisk();
  await makeVolume(dev);
  // The volume on all of the disk leaves the label where it was.
  t.match(await occupied(await part(dev, 'e')), /lies inside a volume of FFSv1 of 32 MiB that begins with/);
  const proper = netbsdDisk();
  await makeVolume(await part(proper, 'a'));
  t.equal(await occupied(await part(proper, 'e')), undefined, 'the volume in a ends before e');
  t.match(await occupied(await part(proper, 'a')), /holds a volume of FFSv1/);
});

t.test('partitions that overlap, and windows at an offset', async (t) => {
  const dev = disk(32 * MiB, [
    0,
    mbrSector([
      { type: 0xa9, start: 2048, size: 16384 },
      { type: 0x83, start: 10240, size: 16384 },
    ]),
  ]);
  t.match(await occupied(await part(dev, '1')), /overlaps partition 2/);
  const fine = disk(32 * MiB, [0, mbrSector([{ type: 0xa9, start: 2048, size: 16384 }])]);
  const window = new PartitionDevice(fine, 2 * MiB, 30 * MiB, 'window');
  t.match(await occupied(window), /overlaps partition 1/);
  t.equal(await occupied(window, { size_bytes: 4 * MiB }), undefined, 'a volume of that size lies inside it');
});

t.test('content that nobody knows', async (t) => {
  for (const at of [0, 5_000_001, 16 * MiB - 1]) {
    const dev = new MemoryDevice({ size_bytes: 16 * MiB });
    dev.write(Uint8Array.of(1), 0, 1, at);
    t.match(await occupied(dev), new RegExp(`not empty: there is something at byte ${at} `));
  }
});

t.test('the library refuses as the command line does', async (t) => {
  const dev = new MemoryDevice({ size_bytes: 16 * MiB, name: 'memory' });
  await newfs(dev);
  await t.rejects(newfs(dev), { code: 'EEXIST', message: /memory holds a volume of FFSv1/ });
  await newfs(dev, { force: true });
  // ext4 over an old FFS: its superblock at 1 KiB, and what FFS keeps at 64 KiB shows through.
  const ext = new Uint8Array(1024);
  const view = new DataView(ext.buffer);
  // s_inodes_count, s_blocks_count, s_first_data_block, s_blocks_per_group, s_clusters_per_group, s_inodes_per_group,
  // s_rev_level, s_first_ino
  for (const [at, value] of [
    [0, 4096],
    [4, 16384],
    [20, 1],
    [32, 8192],
    [36, 8192],
    [40, 2048],
    [76, 1],
    [84, 11],
    [96, 0x40],
  ] as const) {
    view.setUint32(at, value, true);
  }
  view.setUint16(56, 0xef53, true);
  view.setUint16(88, 256, true); // s_inode_size
  dev.write(ext, 0, 1024, 1024);
  t.match(await ambiguous(dev, 'ffs'), /holds a volume of ext4 as well as a volume of FFSv1/);
  await t.rejects(tunefs(dev, { minfree: 7 }), { code: 'EEXIST' });
  await t.rejects(fsck(dev, { mode: 'repair' }), { code: 'EEXIST' });
  t.equal((await fsck(dev)).clean, true, 'a check that writes nothing is free');
  t.equal((await fsck(dev, { mode: 'repair', force: true })).clean, true);
});

t.test('a volume that reaches into partitions is not repaired', async (t) => {
  const dev = netbsdDisk();
  await makeVolume(dev);
  t.match(await ambiguous(dev, 'ffs'), /which has inside it partition e/);
  const proper = netbsdDisk();
  await makeVolume(await part(proper, 'a'));
  t.equal(await ambiguous(proper, 'ffs'), undefined, 'a begins with the disk, and ends before e');
  t.equal(await ambiguous(await part(proper, 'a'), 'ffs'), undefined);
});
