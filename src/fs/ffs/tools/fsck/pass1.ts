import { IFTODT, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from '../../../../kernel/stat.js';
import { UFS_MAXDIRSIZE } from '../../../ufs/dir.js';
import { dinode_ckhash_verifies } from '../../../ufs/dinode.js';
import { put64 } from '../../../lib/endian.js';
import { CG_MAGIC } from '../../disk/cg.js';
import { CK_INODE } from '../../disk/ckhash.js';
import { UFS_NDADDR, UFS_NIADDR, UFS_NXADDR, UFS_ROOTINO } from '../../disk/fs.js';
import type { FsckBuf, FsckContext } from './context.js';
import { DCLEAR, DSTATE, FCLEAR, FSTATE, USTATE } from './inodetable.js';
import { InodeView, NPTRS, indirectReach, shortSymlink } from './inodeview.js';
import type { BlockVisitor } from './walk.js';
import { KEEPON, SKIP, STOP, indirectPtr, walkInode } from './walk.js';

/** Bad or duplicate blocks that one inode may have before the rest of it is not looked at. */
const MAXBAD = 10;
const MAXDUP = 10;
const BLK_NOCOPY = 1;
const BLK_SNAP = 2;
/** Bytes of inodes read at once. */
const INOBUFSIZE = 1 << 18;

/** Marks `ino` as one to be cleared for its blocks. */
function blkerror(ctx: FsckContext, ino: number): void {
  const state = ctx.inodes.state(ino);
  if (state === FSTATE) ctx.inodes.setState(ino, FCLEAR);
  else if (state === DSTATE) ctx.inodes.setState(ino, DCLEAR);
}

/** Phase 1: every inode, its type, size and blocks; which fragments are used, and which by more than one. */
export async function pass1(ctx: FsckContext): Promise<void> {
  const { fs } = ctx;
  const inodeSize = fs.fs_bsize / fs.fs_inopb;
  const perRead = Math.max(1, Math.floor(INOBUFSIZE / fs.fs_bsize)) * fs.fs_inopb;
  const bytes = new Uint8Array(perRead * inodeSize);
  const inode = new InodeView(fs, bytes, new DataView(bytes.buffer), 0);
  const counter = new Pass1Visitor(ctx);
  for (let c = 0; c < fs.fs_ncg; c++) {
    const inited = await initialised(ctx, c);
    ctx.inodes.inited[c] = inited;
    let last = 0;
    for (let i = 0; i < inited; i += perRead) {
      const n = Math.min(perRead, inited - i);
      const base = c * fs.fs_ipg + i;
      const offset = fs.fsbtob(fs.cgimin(c)) + i * inodeSize;
      await ctx.readAt(bytes, n * inodeSize, offset);
      for (let k = 0; k < n; k++) {
        const ino = base + k;
        if (ino < UFS_ROOTINO) continue;
        inode.at(k * inodeSize);
        if (inode.mode === 0 && !holdsSomething(inode)) continue;
        if (i + k >= ctx.inodes.count(c)) ctx.inodes.resize(c, Math.min(inited, Math.max(64, 2 * (i + k + 1))));
        await checkinode(ctx, inode, ino, counter, offset);
        if (ctx.inodes.state(ino) !== USTATE) last = i + k + 1;
      }
    }
    ctx.inodes.resize(c, last);
  }
}

/** How many inodes of group `c` hold something: all in UFS1; in UFS2 as many as the group says it has initialised. */
async function initialised(ctx: FsckContext, c: number): Promise<number> {
  const { fs } = ctx;
  if (!fs.ufs2) return fs.fs_ipg;
  const header = new Uint8Array(512);
  const view = new DataView(header.buffer);
  await ctx.readAt(header, header.length, fs.fsbtob(fs.cgtod(c)));
  const n = view.getUint32(120, fs.le);
  return view.getUint32(4, fs.le) !== CG_MAGIC || n > fs.fs_ipg ? fs.fs_ipg : n;
}

/** Counts and claims the blocks of one inode after the other. */
class Pass1Visitor implements BlockVisitor {
  ino = 0;
  snapshot = false;
  frags = 0;
  #bad = 0;
  #dup = 0;
  #truncate: boolean | undefined;

  constructor(private readonly ctx: FsckContext) {}

  start(ino: number, snapshot: boolean): void {
    this.ino = ino;
    this.snapshot = snapshot;
    this.frags = 0;
    this.#bad = 0;
    this.#dup = 0;
    this.#truncate = undefined;
  }

  block(fsb: number, count: number): number {
    const { ctx } = this;
    if (this.snapshot && (fsb === BLK_NOCOPY || fsb === BLK_SNAP)) return KEEPON;
    if (!ctx.blocks.inRange(fsb, count)) {
      if (this.#bad++ >= MAXBAD) {
        this.#tooMany('EXCESSIVE_BAD_BLOCKS', 'BAD');
        return STOP;
      }
      this.#claimError('BAD_BLOCK', 'BAD', fsb);
      this.frags += count;
      return SKIP;
    }
    for (let i = 0; i < count; i++) {
      const frag = fsb + i;
      if (!ctx.blocks.test(frag)) {
        ctx.blocks.set(frag);
        ctx.usedFrags++;
      } else {
        if (this.#dup++ >= MAXDUP) {
          this.#tooMany('EXCESSIVE_DUP_BLOCKS', 'DUP');
          return STOP;
        }
        this.#claimError('DUP_BLOCK', 'DUP', frag);
        ctx.blocks.dups.set(frag, (ctx.blocks.dups.get(frag) ?? 0) + 1);
      }
      this.frags++;
    }
    return KEEPON;
  }

  /** Mended by clearing the inode later, so this only records; but preening stops here. */
  #claimError(code: 'BAD_BLOCK' | 'DUP_BLOCK', word: string, fsb: number): void {
    this.ctx.ask(code, `${fsb} ${word} I=${this.ino}`, 'CLEAR', false, { inode: this.ino, block: fsb });
    blkerror(this.ctx, this.ino);
  }

  #tooMany(code: 'EXCESSIVE_BAD_BLOCKS' | 'EXCESSIVE_DUP_BLOCKS', word: string): void {
    this.ctx.ask(code, `EXCESSIVE ${word} BLKS I=${this.ino}`, 'CLEAR', false, { inode: this.ino });
    blkerror(this.ctx, this.ino);
  }

  /** Pointers behind the end of the file. */
  async indirect(buf: FsckBuf, used: number): Promise<void> {
    const { ctx } = this;
    const { fs } = ctx;
    let changed = false;
    for (let i = used; i < fs.fs_nindir; i++) {
      if (indirectPtr(ctx, buf, i) === 0) continue;
      this.#truncate ??= ctx.ask('PARTIALLY_TRUNCATED', `PARTIALLY TRUNCATED INODE I=${this.ino}`, 'SALVAGE', true, {
        inode: this.ino,
        block: buf.fsb,
      });
      if (!this.#truncate) return;
      if (fs.ufs2) put64(buf.view, 8 * i, 0, fs.le);
      else buf.view.setInt32(4 * i, 0, fs.le);
      changed = true;
    }
    if (changed) await ctx.bwrite(buf);
  }
}

const GOOD_TYPES = new Set([S_IFDIR, S_IFREG, S_IFBLK, S_IFCHR, S_IFLNK, S_IFSOCK, S_IFIFO]);

/** Why the inode cannot be what it says, or undefined. */
function implausible(ctx: FsckContext, inode: InodeView): string | undefined {
  const { fs } = ctx;
  const { fmt, size } = inode;
  if (!GOOD_TYPES.has(fmt)) return `mode ${inode.mode.toString(8)}`;
  const max = fs.ufs2 ? fs.fs_maxfilesize : 0x80000000 * fs.fs_bsize - 1;
  if (size > max || (fmt === S_IFDIR && size > UFS_MAXDIRSIZE)) return `size ${size}`;
  let direct = Math.ceil(size / fs.fs_bsize);
  let indirect = direct - UFS_NDADDR;
  if (fmt === S_IFBLK || fmt === S_IFCHR) direct = Math.max(direct, 1);
  if (fmt === S_IFLNK && shortSymlink(inode, fs, ctx.appleufs)) {
    // Behind the text of the link there must be nothing.
    const words = Math.ceil(size / (fs.ufs2 ? 8 : 4));
    for (let i = words; i < NPTRS; i++) if (inode.ptr(i) !== 0) return `pointer ${i} of a symlink of ${size} bytes`;
    return undefined;
  }
  for (let i = direct; i < UFS_NDADDR; i++) if (inode.ptr(i) !== 0) return `direct pointer ${i} behind the end`;
  for (let level = 1; level <= UFS_NIADDR; level++) {
    if (indirect <= 0 && inode.ptr(UFS_NDADDR + level - 1) !== 0) return `indirect pointer ${level} behind the end`;
    indirect -= indirectReach(fs, level);
  }
  return undefined;
}

async function clear(ctx: FsckContext, inode: InodeView, chunkOffset: number): Promise<void> {
  inode.clear();
  await store(ctx, inode, chunkOffset);
}

/** Writes the inode back to where the chunk that holds it came from. */
async function store(ctx: FsckContext, inode: InodeView, chunkOffset: number): Promise<void> {
  await ctx.writeAt(
    inode.bytes.subarray(inode.off, inode.off + inode.size_bytes),
    inode.size_bytes,
    chunkOffset + inode.off,
  );
}

/** A free inode must have no size and no blocks; times, owner and generation may stay. */
function holdsSomething(inode: InodeView): boolean {
  if (inode.size !== 0) return true;
  for (let i = 0; i < NPTRS; i++) if (inode.ptr(i) !== 0) return true;
  return false;
}

async function checkinode(
  ctx: FsckContext,
  inode: InodeView,
  ino: number,
  counter: Pass1Visitor,
  chunkOffset: number,
): Promise<void> {
  const { inodes } = ctx;
  if (inode.fmt === 0) {
    inodes.setState(ino, USTATE);
    if (ctx.ask('PARTIALLY_ALLOCATED', `PARTIALLY ALLOCATED INODE I=${ino}`, 'CLEAR', false, { inode: ino })) {
      await clear(ctx, inode, chunkOffset);
    }
    return;
  }
  if (
    (ctx.fs.ckhashes & CK_INODE) !== 0 &&
    inode.ufs2 &&
    !dinode_ckhash_verifies(inode.view, inode.off, inode.le) &&
    ctx.ask('INODE_CKHASH', `INODE CHECK-HASH FAILED I=${ino}`, 'FIX', true, { inode: ino })
  ) {
    await store(ctx, inode, chunkOffset);
  }
  const why = implausible(ctx, inode);
  if (why !== undefined) {
    inodes.setState(ino, FCLEAR);
    if (ctx.ask('UNKNOWN_FILE_TYPE', `UNKNOWN FILE TYPE I=${ino} (${why})`, 'CLEAR', false, { inode: ino })) {
      inodes.setState(ino, USTATE);
      await clear(ctx, inode, chunkOffset);
    }
    return;
  }
  ctx.files++;
  inodes.setLinks(ino, inode.nlink);
  inodes.setType(ino, IFTODT(inode.mode));
  if (inode.nlink <= 0) inodes.setUnlinked(ino);
  if (inode.fmt === S_IFDIR) {
    inodes.setState(ino, inode.size === 0 ? DCLEAR : DSTATE);
    ctx.dirs.add(ino, inode.size);
  } else {
    inodes.setState(ino, FSTATE);
  }
  if (
    inode.extsize > UFS_NXADDR * ctx.fs.fs_bsize &&
    ctx.ask('EXTATTR_SIZE', `EXTENDED ATTRIBUTES OF ${inode.extsize} BYTES I=${ino}`, 'CLEAR', false, { inode: ino })
  ) {
    inode.clearext();
    await store(ctx, inode, chunkOffset);
  }
  // Another system's kernel would count it among the file's blocks or forget it, as the case may be.
  for (let i = inode.extbeyond(ctx.fs); i >= 0; i = inode.extbeyond(ctx.fs)) {
    if (
      !ctx.ask(
        'EXTATTR_SIZE',
        `EXTENDED ATTRIBUTES OF ${inode.extsize} BYTES I=${ino} WITH A BLOCK BEHIND THEIR END`,
        'CLEAR',
        false,
        { inode: ino },
      )
    ) {
      break;
    }
    inode.clearextb(i);
    await store(ctx, inode, chunkOffset);
  }
  counter.start(ino, inode.snapshot);
  await walkInode(ctx, inode, counter);
  const { fs } = ctx;
  const blocks = counter.frags * (fs.fs_fsize / 512);
  if (
    inode.blocks !== blocks &&
    ctx.ask('BLOCK_COUNT', `INCORRECT BLOCK COUNT I=${ino} (${inode.blocks} should be ${blocks})`, 'CORRECT', true, {
      inode: ino,
    })
  ) {
    inode.blocks = blocks;
    await store(ctx, inode, chunkOffset);
  }
}

/** Phase 1b: who holds the blocks that others claim too. */
export async function pass1b(ctx: FsckContext): Promise<void> {
  const { fs, inodes, blocks } = ctx;
  let ino = 0;
  const finder: BlockVisitor = {
    block(fsb, count) {
      if (!blocks.inRange(fsb, count)) return SKIP;
      for (let i = 0; i < count; i++) {
        if (!blocks.dups.has(fsb + i)) continue;
        ctx.ask('DUP_BLOCK', `${fsb + i} DUP I=${ino}`, 'CLEAR', false, { inode: ino, block: fsb + i });
        blkerror(ctx, ino);
      }
      return KEEPON;
    },
  };
  for (let c = 0; c < fs.fs_ncg; c++) {
    const n = inodes.count(c);
    for (let i = 0; i < n; i++) {
      ino = c * fs.fs_ipg + i;
      const state = inodes.state(ino);
      if (state !== FSTATE && state !== DSTATE) continue;
      const at = ino;
      const got = ctx.getblk(fs.ino_to_fsba(at), fs.fs_bsize);
      const buf = got instanceof Promise ? await got : got;
      await walkInode(ctx, new InodeView(fs, buf.bytes, buf.view, fs.ino_to_bo(at)), finder);
    }
  }
}
