/** The volumes that are mutated: small, made by newfs, filled through the kernel, the same in every process. */
import { ffs } from '../../src/fs/ffs/index.js';
import { createHash } from 'node:crypto';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { calculate_crc32c } from '../../src/fs/ffs/disk/ckhash.js';
import type { Fs } from '../../src/fs/ffs/disk/fs.js';
import { FS_DOWAPBL } from '../../src/fs/ffs/disk/fs.js';
import { newfs } from '../../src/fs/ffs/tools/newfs.js';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { ffs_superblock_search } from '../../src/fs/ffs/disk/sbsearch.js';
import { Errno } from '../../src/kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { S_IFBLK, SF_SNAPSHOT, makedev } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import type { Atlas } from './atlas.js';
import { makeAtlas } from './atlas.js';
import type { Journal } from './journal.js';
import { writeJournal } from './journal.js';
import { mountVolume } from '../../testing/fuzz/kernel.js';
import { MOUNTPOINT } from '../../testing/fuzz/walk.js';

export interface Base {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly atlas: Atlas;
  readonly digest: string;
  /** FreeBSD's check hash of the superblock is to be made right after mutations. */
  readonly hashed: boolean;
}

interface Plan {
  readonly newfs: NewfsVolumeOptions;
  readonly size_bytes: number;
  readonly journal?: { readonly le: boolean };
  readonly special?: 'freebsd' | 'apple' | 'snapshot' | 'solaris';
}

const MIB = 2 ** 20;
const JOURNAL_BYTES = 512 * 1024;

const PLANS: Readonly<Record<string, Plan>> = {
  'ffs1-le': {
    newfs: { format: 1, endian: 'little', blockSize: 4096, fragSize: 512, inodes: 700 },
    size_bytes: 3 * MIB,
  },
  'ffs1-be': { newfs: { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024, inodes: 500 }, size_bytes: 4 * MIB },
  'ffs1-le-unfragmented': {
    newfs: { format: 1, endian: 'little', blockSize: 4096, fragSize: 4096, inodes: 300, maxcontig: 1 },
    size_bytes: 4 * MIB,
  },
  'ffs0-be': { newfs: { format: 0, endian: 'big', blockSize: 4096, fragSize: 1024, inodes: 500 }, size_bytes: 3 * MIB },
  'ffs0-le': {
    newfs: { format: 0, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
  },
  'ffs2-le': {
    newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
  },
  'ffs2-be': { newfs: { format: 2, endian: 'big', blockSize: 4096, fragSize: 512, inodes: 500 }, size_bytes: 3 * MIB },
  'ffs2-le-16k': {
    newfs: { format: 2, endian: 'little', blockSize: 16384, fragSize: 2048, inodes: 700 },
    size_bytes: 6 * MIB,
  },
  'ffs2ea-le': {
    newfs: { format: '2ea', endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
  },
  'ffs2ea-be-32k': {
    newfs: { format: '2ea', endian: 'big', blockSize: 32768, fragSize: 4096, inodes: 700 },
    size_bytes: 12 * MIB,
  },
  'ffs2-le-journal': {
    newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500, size: 4 * MIB },
    size_bytes: 4 * MIB + JOURNAL_BYTES,
    journal: { le: true },
  },
  'ffs1-be-journal': {
    newfs: { format: 1, endian: 'big', blockSize: 4096, fragSize: 512, inodes: 500, size: 3 * MIB },
    size_bytes: 3 * MIB + JOURNAL_BYTES,
    journal: { le: true },
  },
  'ffs2-freebsd': {
    newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
    special: 'freebsd',
  },
  'ffs2-snapshot': {
    newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
    special: 'snapshot',
  },
  'ffs1-apple': {
    newfs: { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024, inodes: 500, maxcontig: 1 },
    size_bytes: 4 * MIB,
    special: 'apple',
  },
  'ffs0-solaris': {
    newfs: { format: 0, endian: 'big', blockSize: 8192, fragSize: 1024, inodes: 500 },
    size_bytes: 4 * MIB,
    special: 'solaris',
  },
};

export const baseNames: readonly string[] = Object.keys(PLANS);

/** Bytes that are not zero. */
function content(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((i * 31 + seed * 7) % 255);
  return bytes;
}

async function put(sys: RumpSys, name: string, length: number, at = 0): Promise<void> {
  const fd = await sys.open(`${MOUNTPOINT}/${name}`, O_RDWR | O_CREAT, 0o644);
  await sys.pwrite(fd, content(length, name.length), at);
  await sys.close(fd);
}

/** Something of everything that the format has a form for. */
async function fill(sys: RumpSys, bsize: number): Promise<void> {
  const at = (name: string): string => `${MOUNTPOINT}/${name}`;
  await sys.mkdir(at('dir'), 0o755);
  await sys.mkdir(at('dir/sub'), 0o700);
  await sys.mkdir(at('dir/sub/deep'), 0o777);
  await sys.mkdir(at('many'), 0o755);
  await sys.mkdir(at('void'), 0o755);
  await put(sys, 'empty', 0);
  await put(sys, 'one', 1);
  await put(sys, 'dir/frags', 3000);
  await put(sys, 'dir/block', bsize);
  await put(sys, 'dir/direct', Math.min(5 * bsize + 700, 100_000));
  await put(sys, 'dir/indirect', 12 * bsize + 2 * bsize + 100);
  await put(sys, 'sparse', 5000, 3 * bsize + 17);
  // Through the second and the third level of indirect blocks: both sparse.
  await put(sys, 'double', 2000, (12 + bsize / 4) * bsize + 40 * bsize);
  await put(sys, 'triple', 300, (12 + bsize / 4 + (bsize / 4) ** 2) * bsize + 5 * bsize);
  await put(sys, 'dir/sub/deep/bottom', 777);
  for (let i = 0; i < 90; i++) await put(sys, `many/file number ${i} ${'x'.repeat(i % 40)}`, i % 3 === 0 ? 100 : 0);
  for (let i = 0; i < 90; i += 7) await sys.unlink(at(`many/file number ${i} ${'x'.repeat(i % 40)}`));
  await sys.link(at('one'), at('dir/one too'));
  await sys.symlink('dir/sub', at('short'));
  await sys.symlink(`dir/${'./'.repeat(200)}frags`, at('long'));
  await sys.symlink('loop', at('loop'));
  await sys.mkfifo(at('fifo'), 0o600);
  await sys.mknod(at('device'), S_IFBLK | 0o600, makedev(3, 70000));
  try {
    for (const [i, name] of ['dir', 'one', 'dir/frags', 'short'].entries()) {
      await sys.extattr_set_link(at(name), EXTATTR_NAMESPACE_USER, 'a', content(1 + i * 40, i));
      await sys.extattr_set_link(
        at(name),
        EXTATTR_NAMESPACE_USER,
        'longer.name',
        content(i === 2 ? bsize - 300 : 300, i),
      );
      await sys.extattr_set_link(at(name), EXTATTR_NAMESPACE_SYSTEM, 'posix1e.acl_access', content(50, i));
    }
  } catch (thrown) {
    // Formats without.
    if (!(thrown instanceof Errno)) throw thrown;
  }
}

/** What the journal has and the volume has not. */
async function change(sys: RumpSys): Promise<void> {
  const at = (name: string): string => `${MOUNTPOINT}/${name}`;
  await sys.mkdir(at('dir/new'), 0o755);
  await put(sys, 'dir/new/file', 4000);
  await sys.unlink(at('dir/frags'));
  await sys.rename(at('one'), at('void/two'));
}

async function useVolume(dev: MemoryDevice, use: (sys: RumpSys) => Promise<void>): Promise<void> {
  const { kernel, sys } = await mountVolume(ffs, dev, 0);
  await use(sys);
  await sys.unmount(MOUNTPOINT);
  await kernel.halt();
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** FreeBSD's check hash over a superblock whose field for it is zero meanwhile. */
export function hashSuperblock(bytes: Uint8Array, at: number, length: number, le: boolean): void {
  const view = viewOf(bytes);
  view.setUint32(at + 1304, 0, le);
  view.setUint32(at + 1304, calculate_crc32c(0xffffffff, bytes.subarray(at, at + length)), le);
}

/** Puts on a finished volume what other systems put there. */
function specialise(bytes: Uint8Array, fs: Fs, sb: number, special: Plan['special']): void {
  const view = viewOf(bytes);
  switch (special) {
    case 'freebsd':
      view.setUint32(sb + 1312, fs.fs_flags | 0x200, fs.le);
      view.setUint32(sb + 1308, 1, fs.le);
      hashSuperblock(bytes, sb, fs.fs_sbsize, fs.le);
      break;
    case 'solaris':
      // fs_state + fs_time is the sign of a consistent volume.
      view.setInt32(sb + 1352, (0x7c269d38 - view.getInt32(sb + 32, fs.le)) | 0, fs.le);
      break;
    case 'snapshot': {
      const atlas = makeAtlas(bytes, undefined);
      const file = atlas.inodes.find((i) => i.path === '/dir/indirect')!;
      view.setUint32(file.at + 88, SF_SNAPSHOT, fs.le);
      view.setUint32(sb + 1116, file.ino, fs.le);
      break;
    }
    case 'apple': // from the beginning
    case undefined:
      break;
  }
}

/** Makes an empty volume Apple's: its label, and directories in chunks of 1024 bytes. */
async function appleVolume(dev: MemoryDevice): Promise<void> {
  const label = new Uint8Array(1024);
  const view = viewOf(label);
  view.setUint32(0, 0x4c41424c, false);
  view.setUint32(6, 1, false);
  view.setUint32(10, 1_000_000_000, false);
  view.setUint16(16, 5, false);
  label.set([...'apple'].map((c) => c.charCodeAt(0)), 18);
  let sum = 0;
  for (let i = 0; i < 1024; i += 2) sum += view.getUint16(i, false);
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  view.setUint16(4, ~sum & 0xffff, false);
  dev.write(label, 0, label.length, 7168);
  const root = makeAtlas(dev.toBytes(), undefined).inodes[0]!;
  const word = new Uint8Array(8);
  viewOf(word).setBigUint64(0, 1024n, false);
  dev.write(word, 0, 8, root.at + 8);
  viewOf(word).setUint16(0, 1012, false);
  const fs = await ffs_superblock_search(dev);
  dev.write(word, 0, 2, fs.fsbtob(root.dinode.i_db[0]!) + 12 + 4);
}

async function make(name: string, plan: Plan): Promise<Base> {
  const dev = new MemoryDevice({ size_bytes: plan.size_bytes });
  await newfs(dev, { ...plan.newfs, time: { sec: 1_700_000_000, nsec: 5 }, fsid: 12345 });
  if (plan.special === 'apple') await appleVolume(dev);
  await useVolume(dev, (sys) => fill(sys, plan.newfs.blockSize!));
  const fs = await ffs_superblock_search(dev);
  const sb = fs.fs_sblockloc;
  const bytes = dev.toBytes();
  let journal: Journal | undefined;
  if (plan.journal !== undefined) {
    const { le } = plan.journal;
    await useVolume(dev, change);
    const after = dev.toBytes();
    const start = plan.newfs.size!;
    for (const image of [bytes, after]) {
      const view = viewOf(image);
      view.setUint32(sb + 1312, view.getUint32(sb + 1312, fs.le) | FS_DOWAPBL, fs.le);
      view.setUint8(sb + 864, 1);
      view.setUint8(sb + 865, 1);
      view.setBigUint64(sb + 872, BigInt(start / 512), le);
      view.setBigUint64(sb + 880, BigInt(JOURNAL_BYTES / 512), le);
      view.setBigUint64(sb + 888, 512n, le);
      // A journalled volume is marked clean by its unmount only.
      view.setUint8(sb + 209, 2);
    }
    journal = writeJournal(bytes, after, start, fs.fs_fsize, le);
  }
  specialise(bytes, fs, sb, plan.special);
  const atlas = makeAtlas(bytes, journal);
  return {
    name,
    bytes,
    atlas,
    digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
    hashed: plan.special === 'freebsd',
  };
}

const made = new Map<string, Base>();

export async function prepareBases(names: readonly string[] = baseNames): Promise<void> {
  for (const name of names) if (!made.has(name)) made.set(name, await make(name, PLANS[name]!));
}

/** A base that has been prepared. */
export function baseOf(name: string): Base {
  const base = made.get(name);
  if (base === undefined) throw new Error(`no volume ${name}`);
  return base;
}
