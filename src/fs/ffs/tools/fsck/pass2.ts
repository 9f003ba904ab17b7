import { DT_DIR, DT_WHT } from '../../../../kernel/stat.js';
import { UFS_ROOTINO, UFS_WINO } from '../../disk/fs.js';
import type { FsckContext } from './context.js';
import { scanDirectory } from './dirscan.js';
import type { DirVisitor, EntryView } from './dirscan.js';
import type { DirInfo } from './dirtable.js';
import { DOTDOT_HOPELESS } from './dirtable.js';
import { DCLEAR, DFOUND, DSTATE, FCLEAR, FSTATE, USTATE } from './inodetable.js';
import { NameSet } from './nameset.js';
import { fillHole, truncateDirectory } from './dirfix.js';
import { changeEntry, makeEntry } from './direntry.js';
import { replaceRoot } from './lostfound.js';
import { FSCK_EXIT_CHECK_FAILED, FsckStop } from './report.js';
import { KEEPON, STOP, ginode } from './walk.js';

/** The two first entries of a directory. */
const MINDIRSIZE = 24;
const DOTSIZE = 12;

/** For messages: bytes that no terminal should see become "?". */
function printable(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?');
}

/** Phase 2: the names. Every directory, entry by entry; who is whose parent; which links have been found. */
export async function pass2(ctx: FsckContext): Promise<void> {
  await checkRoot(ctx);
  for (const info of [...ctx.dirs.list]) {
    if (info.size === 0 || ctx.inodes.state(info.ino) !== DSTATE) continue;
    await fixLength(ctx, info);
    const { inode } = await ginode(ctx, info.ino);
    const visitor = new Pass2Visitor(ctx, info);
    await scanDirectory(ctx, inode, info.size, visitor);
    for (const [ino, name] of visitor.moved) {
      if (!(await makeEntry(ctx, info.ino, ino, name))) ctx.unresolved = true;
    }
  }
  for (const info of ctx.dirs.list) await checkDotDot(ctx, info);
  connect(ctx);
}

async function checkRoot(ctx: FsckContext): Promise<void> {
  const where = { inode: UFS_ROOTINO };
  let fix = false;
  switch (ctx.inodes.state(UFS_ROOTINO)) {
    case USTATE: fix = ctx.ask('ROOT_UNALLOCATED', 'ROOT INODE UNALLOCATED', 'ALLOCATE', false, where); break;
    case DCLEAR: fix = ctx.ask('ROOT_DUP_BAD', 'DUPS/BAD IN ROOT INODE', 'REALLOCATE', false, where); break;
    case FSTATE:
    case FCLEAR: fix = ctx.ask('ROOT_NOT_DIRECTORY', 'ROOT INODE NOT DIRECTORY', 'REALLOCATE', false, where); break;
    default: return;
  }
  // Without a root there is nothing that could be connected to it.
  if (!fix || !(await replaceRoot(ctx))) throw new FsckStop(FSCK_EXIT_CHECK_FAILED);
}

async function fixLength(ctx: FsckContext, info: DirInfo): Promise<void> {
  const { dirblksiz } = ctx;
  let fix: boolean;
  if (info.size < MINDIRSIZE) {
    fix = ctx.ask('DIRECTORY_TOO_SHORT', `DIRECTORY TOO SHORT I=${info.ino} SIZE=${info.size}`, 'FIX', false, {
      inode: info.ino,
    });
  } else if (info.size % dirblksiz !== 0) {
    fix = ctx.ask(
      'DIRECTORY_LENGTH',
      `DIRECTORY ${ctx.dirs.path(info.ino)}: LENGTH ${info.size} NOT MULTIPLE OF ${dirblksiz} I=${info.ino}`,
      'ADJUST',
      true,
      { inode: info.ino },
    );
  } else {
    return;
  }
  info.size = Math.ceil(info.size / dirblksiz) * dirblksiz;
  if (!fix) return;
  const { inode, buf } = await ginode(ctx, info.ino);
  inode.size = info.size;
  await ctx.bwrite(buf);
}

class Pass2Visitor implements DirVisitor {
  /** Names that stood in the place of "." or "..", to be entered again elsewhere. */
  readonly moved: [ino: number, name: string][] = [];
  readonly #names = new NameSet();
  /** Entries of the first chunk met so far. */
  #index = 0;
  #sawDot = false;
  #corruptFix: boolean | undefined;

  constructor(private readonly ctx: FsckContext, private readonly info: DirInfo) {}

  corrupt(why: string, buf: { fsb: number }, off: number): boolean {
    const { ctx, info } = this;
    this.#corruptFix ??= ctx.ask(
      'DIRECTORY_CORRUPTED',
      `DIRECTORY CORRUPTED I=${info.ino} DIR=${printable(ctx.dirs.path(info.ino))} (${why})`,
      'SALVAGE',
      true,
      { inode: info.ino, block: buf.fsb + Math.floor(off / ctx.fs.fs_fsize) },
    );
    if (!this.#corruptFix && this.#index === 0 && !this.#sawDot) {
      // "." is lost with its chunk; whoever mends it gets it back.
      this.#lostDot();
    }
    return this.#corruptFix;
  }

  #lostDot(): void {
    this.#sawDot = true;
    this.ctx.report('DOT_MISSING', `MISSING '.' I=${this.info.ino}`, { inode: this.info.ino });
    this.ctx.inodes.addLinks(this.info.ino, -1);
  }

  async hole(lbn: number): Promise<number> {
    const { ctx, info } = this;
    const fix = ctx.ask(
      'DIRECTORY_EMPTY_BLOCKS',
      `DIRECTORY ${printable(ctx.dirs.path(info.ino))}: CONTAINS EMPTY BLOCKS I=${info.ino}`,
      'ADJUST LENGTH',
      false,
      { inode: info.ino },
    );
    if (!fix) return STOP;
    // What was put in is looked at in the next run.
    ctx.rerun = true;
    if (await fillHole(ctx, info.ino, lbn)) return KEEPON;
    await truncateDirectory(ctx, info, lbn);
    return STOP;
  }

  entry(e: EntryView): number | Promise<number> {
    if (e.chunk === 0) {
      const index = this.#index++;
      if (index === 0) return this.#dot(e);
      if (index === 1 && this.info.dotdot === 0) return this.#second(e);
    }
    if (e.ino === 0) return KEEPON;
    return this.#other(e);
  }

  /** The first entry of all. */
  #dot(e: EntryView): number | Promise<number> {
    const { ctx, info } = this;
    const where = { inode: info.ino };
    this.#sawDot = true;
    if (e.ino !== 0 && e.is('.')) {
      if (e.ino !== info.ino && ctx.ask('DOT_INODE', `BAD INODE NUMBER FOR '.' I=${info.ino}`, 'FIX', false, where)) {
        e.ino = info.ino;
      }
      if (
        !ctx.oldformat &&
        e.type !== DT_DIR &&
        ctx.ask('DOT_TYPE', `BAD TYPE VALUE FOR '.' I=${info.ino}`, 'FIX', false, where)
      ) {
        e.type = DT_DIR;
      }
    } else if (e.ino !== 0 && !e.is('..')) {
      ctx.inodes.addLinks(info.ino, -1);
      const text = `MISSING '.' I=${info.ino}: FIRST ENTRY IN DIRECTORY CONTAINS ${printable(e.name())}`;
      const answer = this.#other(e);
      if (ctx.ask('DOT_MISSING', text, 'FIX', false, where)) {
        return answer instanceof Promise
          ? answer.then(() => this.#makeWay(e, '.', info.ino))
          : this.#makeWay(e, '.', info.ino);
      }
      return answer;
    } else if (e.reclen < DOTSIZE) {
      ctx.report('DOT_MISSING', `MISSING '.' I=${info.ino}: CANNOT FIX, INSUFFICIENT SPACE TO ADD '.'`, where);
    } else if (ctx.ask('DOT_MISSING', `MISSING '.' I=${info.ino}`, 'FIX', false, where)) {
      // A ".." that stands first is put in again behind it.
      e.put(info.ino, e.reclen, DT_DIR, '.');
    } else if (e.ino !== 0) {
      // ".." stands first, and stays there.
      info.dotdot = e.ino;
      ctx.inodes.addLinks(e.ino, -1);
    }
    ctx.inodes.addLinks(info.ino, -1);
    // Room behind "." for "..": split, so that it is the next entry.
    if (ctx.mode !== 'check' && e.is('.') && e.reclen >= 2 * DOTSIZE && e.reclen === ctx.dirblksiz) {
      const rest = e.reclen - DOTSIZE;
      e.reclen = DOTSIZE;
      const { buf, off, chunk } = e;
      e.at(buf, off + DOTSIZE, chunk).empty(rest);
      e.at(buf, off, chunk);
    }
    return KEEPON;
  }

  /** The second entry of all. What is missing is asked for with the others, once the parent is known. */
  #second(e: EntryView): number | Promise<number> {
    const { ctx, info } = this;
    if (e.ino !== 0 && e.is('..')) {
      info.dotdot = e.ino;
      if (
        !ctx.oldformat &&
        e.type !== DT_DIR &&
        ctx.ask('DOTDOT_TYPE', `BAD TYPE VALUE FOR '..' I=${info.ino}`, 'FIX', false, { inode: info.ino })
      ) {
        e.type = DT_DIR;
      }
      ctx.inodes.addLinks(e.ino, -1);
    } else if (e.ino !== 0) {
      const answer = this.#other(e);
      if (ctx.mode !== 'repair') return answer;
      // The parent is not known yet: until then ".." leads to the directory itself.
      ctx.ask(
        'DOTDOT_MISSING',
        `MISSING '..' I=${info.ino}: SECOND ENTRY IN DIRECTORY CONTAINS ${printable(e.name())}`,
        'FIX',
        false,
        { inode: info.ino },
      );
      info.dotdot = info.ino;
      info.dotdotPlaced = true;
      ctx.inodes.addLinks(info.ino, -1);
      return answer instanceof Promise
        ? answer.then(() => this.#makeWay(e, '..', info.ino))
        : this.#makeWay(e, '..', info.ino);
    } else if (e.reclen < DOTSIZE) {
      info.dotdot = DOTDOT_HOPELESS;
      ctx.report('DOTDOT_MISSING', `MISSING '..' I=${info.ino}: CANNOT FIX, INSUFFICIENT SPACE TO ADD '..'`, {
        inode: info.ino,
      });
    }
    return KEEPON;
  }

  /** Puts `name` in the place of the entry, which is entered again later. */
  #makeWay(e: EntryView, name: string, ino: number): number {
    if (e.ino !== 0) this.moved.push([e.ino, e.name()]);
    e.put(ino, e.reclen, DT_DIR, name);
    return KEEPON;
  }

  /** Any other name. */
  #other(e: EntryView): number | Promise<number> {
    const { ctx, info } = this;
    const { ino } = e;
    const where = { inode: ino };
    if (e.is('.') || e.is('..')) {
      const dot = e.is('.');
      if (
        ctx.ask(dot ? 'EXTRA_DOT' : 'EXTRA_DOTDOT', `EXTRA '${dot ? '.' : '..'}' ENTRY I=${info.ino}`, 'FIX', false, {
          inode: info.ino,
        })
      ) {
        e.ino = 0;
      }
      return KEEPON;
    }
    if (ino >= ctx.fs.ninodes) return this.#remove(e, 'INODE_OUT_OF_RANGE', 'I OUT OF RANGE');
    if (!ctx.oldformat && (ino === UFS_WINO || e.type === DT_WHT)) {
      if (ino === UFS_WINO && e.type === DT_WHT) return KEEPON;
      if (ctx.ask('BAD_WHITEOUT', `BAD WHITEOUT ENTRY I=${ino} NAME=${this.#path(e)}`, 'FIX', false, where)) {
        e.ino = UFS_WINO;
        e.type = DT_WHT;
      }
      return KEEPON;
    }
    const state = ctx.inodes.state(ino);
    if (state === USTATE) return this.#remove(e, 'ENTRY_UNALLOCATED', 'UNALLOCATED');
    if (state === FCLEAR) return this.#remove(e, 'ENTRY_DUP_BAD', 'DUP/BAD');
    if (state === DCLEAR) {
      const zero = ctx.dirs.get(ino)?.size === 0;
      return zero
        ? this.#remove(e, 'ENTRY_ZERO_LENGTH_DIRECTORY', 'ZERO LENGTH DIRECTORY', true)
        : this.#remove(e, 'ENTRY_DUP_BAD', 'DUP/BAD');
    }
    const added = this.#names.add(e.name(), ctx, info);
    if (added instanceof Promise) return added.then((fresh) => this.#count(e, fresh));
    return this.#count(e, added);
  }

  #count(e: EntryView, fresh: boolean): number {
    const { ctx, info } = this;
    const { ino } = e;
    if (!fresh) {
      if (ctx.ask('DUPLICATE_NAME', `DUPLICATE NAME I=${ino} NAME=${this.#path(e)}`, 'REMOVE', false, { inode: ino })) {
        e.ino = 0;
        return KEEPON;
      }
    }
    const state = ctx.inodes.state(ino);
    if (state === DSTATE || state === DFOUND) {
      const child = ctx.dirs.get(ino)!;
      if (child.parent !== 0) {
        const text = `${this.#path(e)} IS AN EXTRANEOUS HARD LINK TO DIRECTORY ${printable(ctx.dirs.path(ino))} ` +
          `I=${ino}`;
        if (ctx.ask('DIRECTORY_HARD_LINK', text, 'REMOVE', false, { inode: ino })) {
          e.ino = 0;
          return KEEPON;
        }
      } else {
        child.parent = info.ino;
        child.name = e.name();
      }
    }
    if (
      !ctx.oldformat &&
      e.type !== ctx.inodes.type(ino) &&
      ctx.ask(
        'ENTRY_TYPE',
        `BAD TYPE VALUE I=${ino} NAME=${this.#path(e)} (${e.type} should be ${ctx.inodes.type(ino)})`,
        'FIX',
        false,
        { inode: ino },
      )
    ) {
      e.type = ctx.inodes.type(ino);
    }
    ctx.inodes.addLinks(ino, -1);
    return KEEPON;
  }

  #remove(
    e: EntryView,
    code: 'INODE_OUT_OF_RANGE' | 'ENTRY_UNALLOCATED' | 'ENTRY_DUP_BAD' | 'ENTRY_ZERO_LENGTH_DIRECTORY',
    what: string,
    preen = false,
  ): number {
    if (this.ctx.ask(code, `${what} I=${e.ino} NAME=${this.#path(e)}`, 'REMOVE', preen, { inode: e.ino })) e.ino = 0;
    return KEEPON;
  }

  #path(e: EntryView): string {
    return printable(this.ctx.dirs.pathOf(this.info.ino, e.name()));
  }
}

/** All parents are known: is each ".." right? */
async function checkDotDot(ctx: FsckContext, info: DirInfo): Promise<void> {
  if (info.parent === 0 || info.size === 0 || info.dotdot === info.parent || info.dotdot === DOTDOT_HOPELESS) return;
  if (ctx.inodes.state(info.ino) !== DSTATE) return;
  const where = { inode: info.ino };
  const text = `I=${info.ino} DIR=${printable(ctx.dirs.path(info.ino))}`;
  // Asked for or not, what hangs on it is counted as if it were mended: one fault, one complaint.
  ctx.inodes.addLinks(info.parent, -1);
  if (info.dotdot === 0) {
    const fix = ctx.ask('DOTDOT_MISSING', `MISSING '..' ${text}`, 'FIX', false, where);
    if (fix && !(await makeEntry(ctx, info.ino, info.parent, '..'))) ctx.unresolved = true;
  } else {
    ctx.inodes.addLinks(info.dotdot, 1);
    const fix =
      info.dotdotPlaced ||
      ctx.ask(
        'DOTDOT_INODE',
        `BAD INODE NUMBER FOR '..' ${text} (${info.dotdot} should be ${info.parent})`,
        'FIX',
        false,
        where,
      );
    if (fix && !(await changeEntry(ctx, info.ino, '..', info.parent))) ctx.unresolved = true;
  }
  info.dotdot = info.parent;
}

/** Marks every directory that can be reached from the root; by going up, so that nothing is entered twice. */
function connect(ctx: FsckContext): void {
  const { inodes, dirs } = ctx;
  if (inodes.state(UFS_ROOTINO) === DSTATE) inodes.setState(UFS_ROOTINO, DFOUND);
  const seen = new Set<number>([UFS_ROOTINO]);
  for (const start of dirs.list) {
    const chain: number[] = [];
    let at: DirInfo | undefined = start;
    while (at !== undefined && !seen.has(at.ino) && inodes.state(at.ino) === DSTATE) {
      seen.add(at.ino);
      chain.push(at.ino);
      at = at.parent === 0 ? undefined : dirs.get(at.parent);
    }
    if (at === undefined || inodes.state(at.ino) !== DFOUND) continue;
    for (const ino of chain) inodes.setState(ino, DFOUND);
  }
}
