import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { ATTR_DIRECTORY, D, getStart, getTimes, setAtime, setMtime, setStart } from '../disk/direntry.js';
import type { EntryTimes } from '../disk/direntry.js';
import { validCluster } from '../disk/bpb.js';
import type { DirTable } from '../dir/table.js';
import type { MsdosMount } from '../volume/msdosmount.js';
import { Chain } from './chain.js';
import type { Chained } from './chain.js';

/**
 * A file in memory (NetBSD's struct denode): v_data. What it says its directory entry says, too: see {@link
 * entry_store}.
 */
export class Denode implements Chained, EntryTimes {
  readonly chain = new Chain();
  start = 0;
  /** Bytes; 0 of a directory. */
  size = 0;
  attr = 0;
  crtime = 0;
  crtimensec = 0;
  mtime = 0;
  atime = 0;
  /** The extension of the short name. */
  extension = '';
  /** Of a directory: first cluster of the one above it, 0 for the root, -1 where nobody has looked yet. */
  parentStart = -1;
  /** 0: it has no entry any more. */
  nlink = 1;
  /** Of a directory: its entries, while they are remembered. */
  table: DirTable | null = null;
  building: Promise<DirTable> | null = null;
  /**
   * The flush (Order.epoch) before which the file got its first cluster: until that one the disk does not know its
   * chain.
   */
  freshepoch = -1;
  /** Something beside the access time was changed since the last flush. */
  dirty = false;
  vnode: Vnode | null = null;

  constructor(
    readonly pmp: MsdosMount,
    readonly number: number,
    readonly isroot: boolean,
  ) {}

  get isdir(): boolean {
    return (this.attr & ATTR_DIRECTORY) !== 0;
  }

  get what(): string {
    if (this.isroot) return 'the root directory';
    const place = this.pmp.pm_numbers.placeOf(this.number);
    return `${this.isdir ? 'directory' : 'file'} with the entry at ${place === undefined ? 'no place' : place * 32}`;
  }
}

export function VTODE(vp: Vnode): Denode {
  return vp.v_data as Denode;
}

/** Fills a denode from its entry. */
export function entry_load(dep: Denode, bp: Buf, at: number): void {
  const { pmp } = dep;
  const { b_view: view, b_data: bytes } = bp;
  dep.attr = bytes[at + D.attr]!;
  dep.start = getStart(view, at, pmp.fat32);
  dep.size = dep.isdir ? 0 : view.getUint32(at + D.fileSize, true);
  dep.extension = String.fromCharCode(bytes[at + 8]!, bytes[at + 9]!, bytes[at + 10]!);
  getTimes(view, at, pmp.pm_options.zone, dep);
  // Size without clusters is damage that reading finds; clusters without size are everyday damage and stay the file's.
  if (dep.start !== 0 && !validCluster(pmp.pm_geometry, dep.start)) {
    pmp.pm_damage.note(`${dep.what}: its first cluster is ${dep.start}`);
  }
}

/** The block of the buffer cache that holds an entry, referenced. undefined: there can be no entry at that place. */
export function entry_block(pmp: MsdosMount, place: number): MaybePromise<Buf> | undefined {
  const where = pmp.entryPlace(place);
  return where === undefined ? undefined : pmp.pm_bufcache.bread(pmp.pm_dev, where.offset, where.bytes);
}

/** Changes the entry of a file, if it has one. @throws EIO */
export function entry_change(dep: Denode, change: (bp: Buf, at: number) => void): MaybePromise<void> {
  const { pmp } = dep;
  const place = dep.nlink === 0 ? undefined : pmp.pm_numbers.placeOf(dep.number);
  const where = place === undefined ? undefined : pmp.entryPlace(place);
  if (dep.isroot || where === undefined) return undefined;
  const got = pmp.pm_bufcache.bread(pmp.pm_dev, where.offset, where.bytes);
  const changed = (bp: Buf): void => {
    change(bp, where.at);
    pmp.order.dirtyDir(bp);
    pmp.pm_bufcache.brelse(bp);
  };
  return got instanceof Promise ? got.then(changed) : changed(got);
}

/** Brings what the denode says to its entry: the buffer of it, which a flush writes after the FAT. @throws EIO */
export function entry_store(dep: Denode): MaybePromise<void> {
  dep.dirty = true;
  // Without an entry, a successor must be told what it said.
  if (dep.nlink === 0) dep.pmp.order.rows.orphan(dep.number, dep);
  return entry_change(dep, (bp, at) => entry_fill(dep, bp, at));
}

export function entry_fill(dep: Denode, bp: Buf, at: number): void {
  const { pmp } = dep;
  const { zone } = pmp.pm_options;
  bp.b_data[at + D.attr] = dep.attr;
  setStart(bp.b_view, at, pmp.fat32, dep.start);
  bp.b_view.setUint32(at + D.fileSize, dep.size, true);
  setMtime(bp.b_view, at, zone, dep.mtime);
  setAtime(bp.b_view, at, zone, dep.atime);
}

/** Now, as the format keeps times of changes: two seconds. */
export function now_s(pmp: MsdosMount): number {
  const { sec } = pmp.pm_kernel.now();
  return sec - (sec & 1);
}

/** The file was changed now. */
export function denode_update(dep: Denode): void {
  dep.mtime = now_s(dep.pmp);
}
