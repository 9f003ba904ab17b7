import { CgBuilder } from '../cg_build.js';
import type { CgKept } from '../cg_build.js';
import { CG_MAGIC } from '../../disk/cg.js';
import { CK_CYLGRP, cg_ckhash_verifies } from '../../disk/ckhash.js';
import { geti64 } from '../../../lib/endian.js';
import { csum_store } from '../../disk/csum.js';
import { UFS_ROOTINO } from '../../disk/fs.js';
import type { FsckBuf, FsckContext } from './context.js';
import { DCLEAR, DFOUND, DSTATE, USTATE } from './inodetable.js';
import type { FsckCode } from './report.js';
import { superblocksDiffer } from './sbcompare.js';
import { homeOf, superblockAt } from './sbfind.js';

const CG_CS = 24;
const CG_FRSUM = 52;
const CG_FRSUM_END = 84;
/** FreeBSD keeps cg_unrefs and cg_ckhash where NetBSD has spares. */
const CG_SPARE32 = 124;
const CG_TIME = 136;
const OCG_MAGIC = 980;

interface Totals {
  cs_ndir: number;
  cs_nbfree: number;
  cs_nifree: number;
  cs_nffree: number;
}

/** Phase 5: every group's block, rebuilt from what the phases before have seen, against the one on the disk. */
export async function pass5(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  const built = new CgBuilder(fs, ctx.appleufs);
  // All groups in which there is nothing have the same maps.
  const empty = new CgBuilder(fs, ctx.appleufs);
  let emptyBuilt = false;
  const inosused = new Uint8Array(Math.ceil(fs.fs_ipg / 8));
  const total: Totals = { cs_ndir: 0, cs_nbfree: 0, cs_nifree: 0, cs_nffree: 0 };
  let copies: boolean | undefined;
  let csDirty = false;
  for (let c = 0; c < fs.fs_ncg; c++) {
    const buf = await ctx.getblk(fs.cgtod(c), fs.fs_cgsize);
    const magic = buf.view.getUint32(built.offsets.old ? OCG_MAGIC : 4, fs.le) === CG_MAGIC;
    const keep = kept(ctx, c, buf, magic);
    const nothing =
      c > 0 &&
      ctx.inodes.count(c) === 0 &&
      ctx.blocks.pristine(c) &&
      fs.cgfrags(c) === fs.fs_fpg &&
      (fs.ufs2 || fs.fs_old_cgoffset === 0);
    const builder = nothing ? empty : built;
    if (nothing && emptyBuilt) {
      builder.again(c, keep);
    } else {
      const ndir = usedInodes(ctx, c, inosused);
      builder.build(c, ctx.blocks.peek(c), inosused, ndir, keep);
      emptyBuilt ||= nothing;
    }
    await compareGroup(ctx, c, buf, builder, magic);
    if (compareCs(ctx, c, builder)) csDirty = true;
    total.cs_ndir += builder.cs_ndir;
    total.cs_nbfree += builder.cs_nbfree;
    total.cs_nifree += builder.cs_nifree;
    total.cs_nffree += builder.cs_nffree;
    if (copies !== false) copies = await compareCopy(ctx, c, copies);
  }
  if (csDirty) await writeSummary(ctx);
  compareTotals(ctx, total);
  ctx.freeFrags = total.cs_nbfree * fs.fs_frag + total.cs_nffree;
}

function usedInodes(ctx: FsckContext, c: number, into: Uint8Array): number {
  const states = ctx.inodes.states(c);
  into.fill(0);
  let ndir = 0;
  for (let i = 0; i < states.length; i++) {
    const state = states[i]!;
    if (state === USTATE) continue;
    if (state === DSTATE || state === DFOUND || state === DCLEAR) ndir++;
    into[i >>> 3]! |= 1 << (i & 7);
  }
  if (c === 0) for (let i = 0; i < UFS_ROOTINO; i++) into[0]! |= 1 << i;
  return ndir;
}

function kept(ctx: FsckContext, c: number, { view }: FsckBuf, magic: boolean): CgKept {
  const { fs } = ctx;
  const inited = ctx.inodes.inited[c]!;
  if (!magic) {
    return {
      cg_time: ctx.now,
      cg_old_time: fs.ufs2 ? 0 : ctx.now | 0,
      cg_rotor: 0,
      cg_frotor: 0,
      cg_irotor: 0,
      cg_initediblk: inited,
    };
  }
  return {
    cg_time: geti64(view, CG_TIME, fs.le),
    cg_old_time: view.getInt32(8, fs.le),
    cg_rotor: view.getInt32(40, fs.le),
    cg_frotor: view.getInt32(44, fs.le),
    cg_irotor: view.getInt32(48, fs.le),
    cg_old_ncyl: view.getInt16(16, fs.le),
    cg_initediblk: inited,
  };
}

function firstDifference(a: Uint8Array, b: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** All bytes that belong to the group are equal. Both arrays begin at a multiple of four. */
function same(ctx: FsckContext, a: Uint8Array, b: Uint8Array, length: number): boolean {
  if (ctx.freebsd) return false;
  const words = length >>> 2;
  const x = new Int32Array(a.buffer, a.byteOffset, words);
  const y = new Int32Array(b.buffer, b.byteOffset, words);
  for (let i = 0; i < words; i++) if (x[i] !== y[i]) return false;
  return firstDifference(a, b, words * 4, length) < 0;
}

async function compareGroup(
  ctx: FsckContext,
  c: number,
  buf: FsckBuf,
  builder: CgBuilder,
  magic: boolean,
): Promise<void> {
  const { offsets } = builder;
  const where = { group: c, block: buf.fsb };
  const end = Math.min(offsets.nextfreeoff, buf.bytes.length);
  if (!magic) {
    if (!ctx.ask('CG_MAGIC', `CG ${c}: BAD MAGIC NUMBER`, 'REBUILD', false, where)) return;
    buf.bytes.set(builder.bytes.subarray(0, buf.bytes.length));
    await ctx.bwrite(buf);
    return;
  }
  if (same(ctx, buf.bytes, builder.bytes, end)) return;
  let dirty = false;
  const region = (code: FsckCode, text: string, from: number, to: number): void => {
    to = Math.min(to, end);
    const at = firstDifference(buf.bytes, builder.bytes, from, to);
    if (at < 0) return;
    // What our own repairs have changed is not the volume's fault.
    if (ctx.mode !== 'check' && ctx.touched.has(c)) {
      dirty = true;
    } else if (
      ctx.ask(
        code,
        `CG ${c}: ${text} (byte ${at}: ${buf.bytes[at]} should be ${builder.bytes[at]})`,
        'SALVAGE',
        true,
        where,
      )
    ) {
      dirty = true;
    } else {
      return;
    }
    buf.bytes.set(builder.bytes.subarray(from, to), from);
  };
  const bad = 'SUMMARY INFORMATION BAD';
  const missing = 'BLK(S) MISSING IN BIT MAPS';
  region('CG_HEADER', `${bad}: header`, 0, CG_CS);
  region('CG_SUMMARY', `${bad}: counts`, CG_CS, CG_CS + 16);
  region('CG_HEADER', `${bad}: rotors`, CG_CS + 16, CG_FRSUM);
  region('CG_FRSUM', `${bad}: fragment counts`, CG_FRSUM, CG_FRSUM_END);
  if (ctx.freebsd && !offsets.old) {
    region('CG_HEADER', `${bad}: header`, CG_FRSUM_END, CG_SPARE32);
    region('CG_HEADER', `${bad}: header`, CG_TIME, offsets.basesize);
  } else {
    region('CG_HEADER', `${bad}: header`, CG_FRSUM_END, offsets.basesize);
  }
  if (offsets.sumsize > 0) {
    region('CG_SUMMARY', `${bad}: rotational totals`, offsets.btotoff, offsets.btotoff + offsets.sumsize);
  }
  region('CG_INODE_MAP', `${missing}: inodes`, offsets.iusedoff, offsets.iusedoff + offsets.inomapsize);
  if (offsets.old) region('CG_HEADER', `${missing}: padding`, offsets.iusedoff + offsets.inomapsize, OCG_MAGIC);
  region('CG_BLOCK_MAP', `${missing}: blocks`, offsets.freeoff, offsets.freeoff + offsets.blkmapsize);
  if (offsets.clusteroff > 0) {
    region('CG_CLUSTERSUM', `${missing}: cluster counts`, offsets.freeoff + offsets.blkmapsize, offsets.clusteroff);
    region('CG_CLUSTER_MAP', `${missing}: clusters`, offsets.clusteroff, offsets.clusteroff + offsets.clustermapsize);
  }
  if (!dirty && (ctx.fs.ckhashes & CK_CYLGRP) !== 0 && !cg_ckhash_verifies(buf.view, ctx.fs.fs_cgsize, ctx.fs.le)) {
    dirty = ctx.ask('CG_CKHASH', `CG ${c}: CHECK-HASH FAILED`, 'FIX', true, where);
  }
  if (dirty) await ctx.bwrite(buf);
}

/** The group's summary in the summary area. @returns true if the area must be written */
function compareCs(ctx: FsckContext, c: number, b: CgBuilder): boolean {
  const { cs } = ctx;
  const right = [b.cs_ndir, b.cs_nbfree, b.cs_nifree, b.cs_nffree];
  if (right.every((n, i) => cs[4 * c + i] === n)) return false;
  const told = Array.from(cs.subarray(4 * c, 4 * c + 4));
  const ours = ctx.mode !== 'check' && ctx.touched.has(c);
  if (
    !ours &&
    !ctx.ask(
      'CS_SUMMARY',
      `CG ${c}: FREE BLK COUNT(S) WRONG IN SUPERBLK (dirs, blocks, inodes, frags ${told.join(' ')} should be ` +
        `${right.join(' ')})`,
      'SALVAGE',
      true,
      { group: c },
    )
  ) {
    return false;
  }
  cs.set(right, 4 * c);
  return true;
}

async function writeSummary(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  const bytes = new Uint8Array(fs.fs_cssize);
  const view = new DataView(bytes.buffer);
  for (let c = 0; c < fs.fs_ncg; c++) csum_store(fs, ctx.cs, c, view, 16 * c);
  await ctx.writeAt(bytes, bytes.length, fs.fsbtob(fs.fs_csaddr));
}

function compareTotals(ctx: FsckContext, total: Totals): void {
  const told = ctx.fs.fs_cstotal;
  if (
    told.cs_ndir === total.cs_ndir &&
    told.cs_nbfree === total.cs_nbfree &&
    told.cs_nifree === total.cs_nifree &&
    told.cs_nffree === total.cs_nffree
  ) {
    return;
  }
  const show = (t: Totals): string => `${t.cs_ndir} ${t.cs_nbfree} ${t.cs_nifree} ${t.cs_nffree}`;
  // Nobody keeps the totals in the copies up to date.
  const ours = ctx.alternateUsed || (ctx.mode !== 'check' && ctx.touched.size > 0);
  if (
    !ours &&
    !ctx.ask(
      'CS_TOTAL',
      `FREE BLK COUNT(S) WRONG IN SUPERBLK (dirs, blocks, inodes, frags ${show(told)} should be ${show(total)})`,
      'SALVAGE',
      true,
    )
  ) {
    return;
  }
  Object.assign(told, total);
  if (!ctx.fs.ufs2) {
    ctx.fs.fs_old_cs_ndir = total.cs_ndir;
    ctx.fs.fs_old_cs_nbfree = total.cs_nbfree;
    ctx.fs.fs_old_cs_nifree = total.cs_nifree;
    ctx.fs.fs_old_cs_nffree = total.cs_nffree;
  }
  ctx.sbdirty = true;
}

/**
 * The copy of the superblock in group `c`. Asked about once for all.
 * @returns the answer, undefined while there was no question
 */
async function compareCopy(ctx: FsckContext, c: number, answer: boolean | undefined): Promise<boolean | undefined> {
  const { fs } = ctx;
  const offset = fs.fsbtob(fs.cgsblock(c));
  // In volumes whose first group begins with its copy, the standard superblock is that copy.
  if (offset === homeOf(fs)) return answer;
  const copy = await superblockAt(ctx, offset, homeOf(fs));
  const differs = copy === undefined ? 'magic' : superblocksDiffer(fs, copy.fs);
  if (differs === undefined) return answer;
  const fix =
    answer ??
    ctx.ask('ALTERNATE_SUPERBLOCK', `ALTERNATE SUPERBLK(S) ARE INCORRECT (group ${c}: ${differs})`, 'SALVAGE', true, {
      group: c,
    });
  if (fix) await ctx.writeAt(fs.encode(), fs.fs_sbsize, offset);
  return fix;
}
