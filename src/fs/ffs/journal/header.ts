import type { BlockDevice } from '../../../kernel/blkdev.js';
import { getu64 } from '../../lib/endian.js';
import type { Fs } from '../disk/fs.js';

/**
 * Where a WAPBL journal is, and its header. Source: NetBSD sys/sys/wapbl_replay.h, sys/ufs/ufs/ufs_wapbl.h,
 * sys/kern/vfs_wapbl.c.
 *
 * Locators and journal are in the byte order of the machine that wrote them, which need not be the volume's (a
 * big-endian volume in a little-endian machine). Two header blocks stand at the start; the one with the larger
 * generation is valid. Behind them lies a ring of records from wc_tail to wc_head. Nothing carries a checksum.
 */
export const WAPBL_WC_HEADER = 0x5741424c;
export const WAPBL_WC_INODES = 0x5741424d;
export const WAPBL_WC_REVOCATIONS = 0x5741424e;
export const WAPBL_WC_BLOCKS = 0x5741424f;

/** fs_journal_version. */
export const UFS_WAPBL_VERSION = 1;
export const UFS_WAPBL_JOURNALLOC_END_PARTITION = 1;
export const UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM = 2;

/** fs_journal_flags: make a journal, or remove it, at the next mount that writes (NetBSD sys/ufs/ufs/ufs_wapbl.h). */
export const UFS_WAPBL_FLAGS_CREATE_LOG = 1;
export const UFS_WAPBL_FLAGS_CLEAR_LOG = 2;

/** Largest journal that is replayed. NetBSD makes them up to 64 MiB by itself. */
export const WAPBL_MAX_BYTES = 256 * 1024 * 1024;
const HEADER_BYTES = 80;

/** Where a journal lies. */
export interface WapblPlace {
  /** Byte order of locators, headers and records. */
  readonly le: boolean;
  /** Start of the journal, bytes on the device. */
  readonly start: number;
  readonly bytes: number;
  /** Bytes of a journal block. */
  readonly blksize: number;
  /** Inode of a journal inside the file system; else 0. */
  readonly ino: number;
}

/** A journal with a valid header. Offsets in the ring are bytes from the start of the journal. */
export interface WapblLog {
  readonly le: boolean;
  readonly place: WapblPlace;
  /** Start of the journal, bytes on the device. */
  readonly start: number;
  /** Bytes of a journal block, and of the unit in which logged blocks are cut. */
  readonly blksize: number;
  readonly fsblksize: number;
  readonly generation: number;
  readonly head: number;
  readonly tail: number;
  readonly circ_off: number;
  readonly circ_size: number;
}

/** The journal's place as the superblock says in byte order `le`; undefined if that makes no sense. */
export function wapbl_place(fs: Fs, le: boolean, device_bytes: number): WapblPlace | undefined {
  if (!fs.wide || fs.fs_journal_version !== UFS_WAPBL_VERSION) return undefined;
  if (
    fs.fs_journal_location !== UFS_WAPBL_JOURNALLOC_END_PARTITION &&
    fs.fs_journal_location !== UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM
  ) {
    return undefined;
  }
  const at = 872;
  const addr = getu64(fs.view, at, le);
  const count = getu64(fs.view, at + 8, le);
  const blksize = getu64(fs.view, at + 16, le);
  if (blksize < 512 || blksize > 65536 || (blksize & (blksize - 1)) !== 0) return undefined;
  if (addr <= 0 || count < 4 || (addr + count) * blksize > device_bytes) return undefined;
  const ino = fs.fs_journal_location === UFS_WAPBL_JOURNALLOC_IN_FILESYSTEM ? getu64(fs.view, at + 24, le) : 0;
  return { le, start: addr * blksize, bytes: count * blksize, blksize, ino };
}

function parse(bytes: Uint8Array, at: number, le: boolean, where: WapblPlace): WapblLog | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  if (view.getUint32(0, le) !== WAPBL_WC_HEADER) return undefined;
  const logshift = view.getUint32(40, le);
  const fsshift = view.getUint32(44, le);
  if (logshift < 9 || logshift > 16 || fsshift < 9 || fsshift > 16) return undefined;
  const log: WapblLog = {
    le,
    place: where,
    start: where.start,
    blksize: 2 ** logshift,
    fsblksize: 2 ** fsshift,
    generation: view.getUint32(12, le),
    head: getu64(view, 48, le),
    tail: getu64(view, 56, le),
    circ_off: getu64(view, 64, le),
    circ_size: getu64(view, 72, le),
  };
  const ring = log.circ_off + log.circ_size;
  if (
    log.circ_off < 2 * where.blksize ||
    log.circ_size < log.blksize ||
    log.circ_size > WAPBL_MAX_BYTES ||
    ring > where.bytes
  ) {
    return undefined;
  }
  if (log.circ_off % log.blksize !== 0 || log.circ_size % log.blksize !== 0 || log.circ_size % log.fsblksize !== 0) {
    return undefined;
  }
  if (log.head === 0 && log.tail === 0) return log;
  const inring = (offset: number): boolean => offset >= log.circ_off && offset < ring && offset % log.blksize === 0;
  return inring(log.head) && inring(log.tail) ? log : undefined;
}

/** The journal that the superblock names, or undefined if there is none with a valid header. @throws EIO */
export async function wapbl_open(dev: BlockDevice, fs: Fs): Promise<WapblLog | undefined> {
  for (const le of [fs.le, !fs.le]) {
    const where = wapbl_place(fs, le, dev.size_bytes);
    if (where === undefined) continue;
    const bytes = new Uint8Array(2 * where.blksize);
    await dev.read(bytes, 0, bytes.length, where.start);
    const first = parse(bytes, 0, le, where);
    const second = parse(bytes, where.blksize, le, where);
    if (first !== undefined && (second === undefined || first.generation >= second.generation)) return first;
    if (second !== undefined) return second;
  }
  return undefined;
}

/** Is there a journal where the superblock says? Then NetBSD wrote the volume. @throws EIO */
export async function wapbl_evidence(dev: BlockDevice, fs: Fs): Promise<boolean> {
  return (await wapbl_open(dev, fs)) !== undefined;
}
