/**
 * For the tests of FreeBSD's dialect: turns a volume of ours into one as FreeBSD's newfs makes it (sbin/newfs/mkfs.c:
 * the fields that only FreeBSD fills, and its check hashes), and looks at all check hashes of a volume. The hash is
 * computed here bit by bit, apart from the code that is tested.
 */
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { put64 } from '../../src/fs/lib/endian.js';
import { bytesOf } from './write-support.js';

export const FS_DOSOFTDEP = 0x2;
export const FS_NEEDSFSCK = 0x4;
export const FS_SUJ = 0x8;
export const FS_METACKHASH = 0x200;

export function slowcrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return crc >>> 0;
}

/** The hash over `length` bytes at `at`, with the field at `field` (from `at`) taken for zero. */
function hashof(image: Uint8Array, at: number, length: number, field: number): number {
  const copy = image.slice(at, at + length);
  copy.fill(0, field, field + 4);
  return slowcrc32c(copy);
}

export interface FreebsdOptions {
  /** fs_metackhash; 0: a volume of FreeBSD 11 or UFS1. */
  readonly metackhash?: number;
  /** fs_flags besides FS_METACKHASH. */
  readonly flags?: number;
  readonly mtime?: number;
}

/** The superblock of an image made by our newfs. */
export function superblock(image: Uint8Array, loc = image[65536 + 1372] === 0 ? 8192 : 65536): Fs {
  for (const at of [loc, 65536, 8192]) {
    const fs = Fs.decode(image.subarray(at, at + 8192), at);
    if (fs !== undefined) return fs;
  }
  throw new Error('no superblock');
}

/** Changes `image`. */
export function freebsdise(image: Uint8Array, options: FreebsdOptions = {}): void {
  const fs = superblock(image);
  const { le } = fs;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const metackhash = fs.ufs2 ? options.metackhash ?? 7 : 0;
  const places = [fs.fs_sblockloc];
  for (let c = 0; c < fs.fs_ncg; c++) places.push(fs.fsbtob(fs.cgsblock(c)));
  for (const sb of places) {
    put64(view, sb + 872, fs.fs_size, le); // fs_providersize
    put64(view, sb + 880, fs.blknum(Math.floor((fs.fs_fpg * fs.fs_minfree) / 200)), le); // fs_metaspace
    put64(view, sb + 992, sb, le); // fs_sblockactualloc
    put64(view, sb + 1208, options.mtime ?? 1_700_000_000, le);
    view.setUint32(sb + 1308, metackhash, le);
    view.setUint32(sb + 1312, (options.flags ?? 0) | (metackhash !== 0 ? FS_METACKHASH : 0), le);
  }
  rehashall(image);
}

/** Makes every check hash right that the superblock says is kept. */
export function rehashall(image: Uint8Array): void {
  walk(image, (at, length, field, fs) => {
    new DataView(image.buffer, image.byteOffset).setUint32(at + field, hashof(image, at, length, field), fs.le);
  });
}

/** What has a check hash that does not fit. */
export function badhashes(image: Uint8Array): string[] {
  const bad: string[] = [];
  walk(image, (at, length, field, fs, what) => {
    if (
      new DataView(image.buffer, image.byteOffset).getUint32(at + field, fs.le) !== hashof(image, at, length, field)
    ) {
      bad.push(what);
    }
  });
  return bad;
}

function walk(
  image: Uint8Array,
  visit: (at: number, length: number, field: number, fs: Fs, what: string) => void,
): void {
  const fs = superblock(image);
  const view = new DataView(image.buffer, image.byteOffset);
  if (fs.fs_metackhash === 0) return;
  for (let c = 0; c < fs.fs_ncg; c++) {
    const cg = fs.fsbtob(fs.cgtod(c));
    if ((fs.fs_metackhash & 2) !== 0) visit(cg, fs.fs_cgsize, 132, fs, `group ${c}`);
    if ((fs.fs_metackhash & 4) === 0) continue;
    const inited = view.getUint32(cg + 120, fs.le);
    for (let i = 0; i < inited; i++) {
      const at = fs.fsbtob(fs.cgimin(c)) + 256 * i;
      if (view.getUint16(at, fs.le) !== 0) visit(at, 256, 244, fs, `inode ${c * fs.fs_ipg + i}`);
    }
  }
  if ((fs.fs_metackhash & 1) !== 0) visit(fs.fs_sblockloc, fs.fs_sbsize, 1304, fs, 'superblock');
}

/** The volume on a disk, as FreeBSD would see it now. */
export function look(dev: MemoryDevice): { fs: Fs; bad: string[] } {
  const image = bytesOf(dev);
  return { fs: superblock(image), bad: badhashes(image) };
}
