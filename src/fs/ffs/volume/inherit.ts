import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Inheritance, Keep } from '../../../kernel/keep/keep.js';
import { recordbytes } from '../../../kernel/keep/records.js';
import type { KeptRecord } from '../../../kernel/keep/records.js';
import type { Nameless } from '../../../kernel/keep/keep.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { Dinode, dinode_load, dinode_store } from '../../ufs/dinode.js';
import { ffs_cgrehash } from '../space/cgupdate.js';
import { CK_CYLGRP } from '../disk/ckhash.js';
import { BK_CG, BK_INODE } from '../order/ordering.js';
import type { DeadInode } from '../order/pending.js';
import type { Fs } from '../disk/fs.js';
import { FS_DOSOFTDEP, FS_ISCLEAN, FS_NEEDSFSCK, FS_WASCLEAN } from '../disk/fs_const.js';
import * as R from './kept.js';
import type { WriteState } from './writestate.js';
import { wapbl_open } from '../journal/header.js';
import { wapbl_replay } from '../journal/replay.js';
import { wapbl_replay_write } from '../journal/todisk.js';

/**
 * A volume whose server was killed goes on where it stopped: what that server kept (kept.ts) becomes the state of the
 * new mount. First its dirty blocks go to the disk, without an order: a power cut before the next flush leaves a volume
 * that a checker may have to repair as after a crash of a system without ordered writes. The rest waits for flushes as
 * before.
 */

/** What waited for a flush, as the predecessor's memory had it. */
export interface Inherited {
  readonly blocks: Inheritance['blocks'];
  /** fs_clean while it was mounted. */
  readonly clean: number;
  readonly softdep: boolean;
  readonly oldsoftdep: boolean;
  readonly total: readonly number[];
  readonly cs: ReadonlyMap<number, readonly number[]>;
  readonly inodes: ReadonlyMap<number, Uint8Array>;
  readonly frees: readonly (readonly [fsb: number, n: number])[];
  readonly linksdown: ReadonlyMap<number, number>;
  readonly linksready: ReadonlyMap<number, number>;
  readonly dead: ReadonlyMap<number, DeadInode>;
  readonly deadready: ReadonlyMap<number, DeadInode>;
  readonly orphans: ReadonlyMap<number, { readonly gen: number; readonly mode: number }>;
  readonly lost: Set<number>;
  readonly broken: boolean;
}

function deadinode(record: KeptRecord): DeadInode {
  const words = [...record.words];
  const [ino, mode, blocks, size, extsize, ndb, nib, nextb] = words as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const db = words.slice(8, 8 + ndb);
  const ib = words.slice(8 + ndb, 8 + ndb + nib);
  return { ino, mode, blocks, size, extsize, db, ib, extb: words.slice(8 + ndb + nib, 8 + ndb + nib + nextb) };
}

export function ffs_inherited({ blocks, records }: Inheritance): Inherited {
  let mount: readonly number[] = [];
  let total: readonly number[] = [];
  let broken = false;
  const cs = new Map<number, readonly number[]>();
  const inodes = new Map<number, Uint8Array>();
  const frees: [number, number][] = [];
  const linksdown = new Map<number, number>();
  const linksready = new Map<number, number>();
  const dead = new Map<number, DeadInode>();
  const deadready = new Map<number, DeadInode>();
  const orphans = new Map<number, { gen: number; mode: number }>();
  const lost = new Set<number>();
  for (const record of records) {
    const [a = 0, b = 0, c = 0] = record.words;
    if (record.type === R.R_MOUNT) mount = [...record.words];
    else if (record.type === R.R_TOTAL) total = [...record.words];
    else if (record.type === R.R_CS) cs.set(a, [...record.words.subarray(1, 5)]);
    else if (record.type === R.R_INODE) inodes.set(a, recordbytes(record, 1, 256));
    else if (record.type === R.R_COPIED) inodes.delete(a);
    else if (record.type === R.R_FREE) frees.push([a, b]);
    else if (record.type === R.R_LINKSDOWN) linksdown.set(a, b);
    else if (record.type === R.R_LINKSREADY) linksready.set(a, b);
    else if (record.type === R.R_DEAD) dead.set(a, deadinode(record));
    else if (record.type === R.R_DEADREADY) deadready.set(a, deadinode(record));
    else if (record.type === R.R_ORPHAN) orphans.set(a, { gen: b, mode: c });
    else if (record.type === R.R_UNORPHAN) orphans.delete(a);
    else if (record.type === R.R_LOST) lost.add(a);
    else if (record.type === R.R_BROKEN) broken = true;
  }
  const [clean = 0, softdep = 0, oldsoftdep = 0] = mount;
  return {
    blocks,
    clean,
    softdep: softdep !== 0,
    oldsoftdep: oldsoftdep !== 0,
    total,
    cs,
    inodes,
    frees,
    linksdown,
    linksready,
    dead,
    deadready,
    orphans,
    lost,
    broken,
  };
}

/** Does the write that the predecessor had put off. @returns the file that has lost it because it failed */
export async function ffs_inherit_posted(dev: BlockDevice, keep: Keep): Promise<number | undefined> {
  const { left } = keep.posted;
  if (left === undefined) return undefined;
  try {
    await dev.write(left.bytes, 0, left.bytes.length, left.offset_bytes);
    return undefined;
  } catch {
    return left.owner; // the device has been logged
  } finally {
    keep.posted.done();
  }
}

/**
 * Brings the predecessor's dirty blocks to the disk; before them what its journal holds, which is older. No barrier.
 * @throws EIO
 */
export async function ffs_inherit_blocks(
  dev: BlockDevice,
  fs: Fs,
  journalled: boolean,
  { blocks }: Inherited,
): Promise<void> {
  const log = journalled ? await wapbl_open(dev, fs) : undefined;
  if (log !== undefined) {
    const replay = await wapbl_replay(dev, log);
    if (replay.records > 0) await wapbl_replay_write(dev, replay);
  }
  for (const { offset_bytes, bytes } of blocks) await dev.write(bytes, 0, bytes.length, offset_bytes);
}

/** Has the superblock in memory say what it would say if the predecessor had ended as it should. */
export function ffs_inherit_superblock(fs: Fs, { clean, softdep, oldsoftdep, total }: Inherited): void {
  fs.fs_clean = (clean & FS_WASCLEAN) !== 0 ? FS_ISCLEAN : clean;
  fs.fs_flags = (fs.fs_flags & ~FS_NEEDSFSCK) >>> 0;
  if (softdep) fs.fs_flags |= FS_DOSOFTDEP;
  if (oldsoftdep) fs.fs_old_flags |= FS_DOSOFTDEP;
  const [cs_ndir, cs_nbfree, cs_nifree, cs_nffree] = total as [number, number, number, number];
  Object.assign(fs.fs_cstotal, { cs_ndir, cs_nbfree, cs_nifree, cs_nffree });
  fs.fs_fmod = 1;
}

/** Makes what waited for flushes wait for those of this mount. @throws EIO */
export async function ffs_inherit_rest(state: WriteState, from: Inherited): Promise<void> {
  const { order, pending } = state;
  state.unflushed = true;
  await rehash(state, from);
  for (const [ino, bytes] of from.inodes) await storeinode(state, ino, bytes);
  for (const c of from.cs.keys()) state.recount(c);
  for (const [fsb, n] of from.frees) order.freelater(fsb, n);
  for (const [ino, n] of from.linksdown) pending.linksdown.set(ino, n);
  for (const [ino, n] of from.linksready) pending.linksready.set(ino, n);
  for (const one of from.dead.values()) pending.adddead(one);
  for (const one of from.deadready.values()) {
    pending.deadready.set(one.ino, one);
    pending.deadblocks += one.blocks;
  }
  for (const ino of from.lost) state.lose(ino);
  for (const [ino, { gen, mode }] of from.orphans) order.orphan(ino, gen, mode);
  await hold(state, from);
}

/**
 * The copies of groups are from the time of their last change; their check hashes are made right only when they are
 * written.
 */
async function rehash({ ump, order }: WriteState, { blocks }: Inherited): Promise<void> {
  const { um_bufcache, um_dev, um_fs: fs } = ump;
  if ((fs.ckhashes & CK_CYLGRP) === 0) return;
  for (const { offset_bytes } of blocks) {
    const c = fs.dtog(offset_bytes / fs.fs_fsize);
    if (c >= fs.fs_ncg || offset_bytes !== fs.fsbtob(fs.cgtod(c))) continue;
    const bp = await um_bufcache.bread(um_dev, offset_bytes, fs.cgbytes);
    ffs_cgrehash(fs, bp);
    order.bdwrite(bp, BK_CG);
    um_bufcache.brelse(bp);
  }
}

async function storeinode({ ump, order }: WriteState, ino: number, bytes: Uint8Array): Promise<void> {
  const { um_bufcache, um_dev, um_dinofmt, um_fs: fs } = ump;
  const ip = new Dinode();
  dinode_load(ip, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, um_dinofmt);
  const bp = await um_bufcache.bread(um_dev, fs.fsbtob(fs.ino_to_fsba(ino)), fs.fs_bsize);
  dinode_store(ip, bp.b_view, fs.ino_to_bo(ino), um_dinofmt);
  order.bdwrite(bp, BK_INODE);
  um_bufcache.brelse(bp);
}

/** Keeps the files without a name in memory until their users have taken them over. */
async function hold(state: WriteState, { orphans }: Inherited): Promise<void> {
  const { um_kernel: kernel, um_mountp: mp } = state.ump;
  const vnodes: Vnode[] = [];
  const nameless: Nameless[] = [];
  for (const [ino, { gen }] of orphans) {
    state.adopting = ino;
    try {
      vnodes.push(await kernel.vcache_get(mp, ino));
      nameless.push({ fid_ino: ino, fid_gen: gen });
    } finally {
      state.adopting = 0;
    }
  }
  kernel.keep!.holds(nameless, async () => {
    for (const vp of vnodes) await kernel.vrele(vp);
  });
}
