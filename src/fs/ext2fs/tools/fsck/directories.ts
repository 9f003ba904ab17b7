/** The second pass: what stands in directories. */
import { DT_UNKNOWN, S_IFMT } from '../../../../kernel/stat.js';
import { bytestrFromBytes } from '../../../../kernel/bytestr.js';
import { FL, extra_isize, inode_seed } from '../../disk/dinode.js';
import {
  DIRENT_HASH, DIRENT_HEADER, TAIL_BYTES, dirent_put, dirent_putlen, dirent_puttail, dirent_reclen,
  dirent_seal, dirent_sealed,
} from '../../disk/dirent.js';
import { INCOMPAT, RO_COMPAT } from '../../disk/features.js';
import { BG_INODE_UNINIT } from '../../disk/groupdesc.js';
import { EXT2_ROOTINO } from '../../disk/superblock.js';
import { XATTR_IBODY_HEADER, XATTR_MAGIC, XI, xattr_entries } from '../../disk/xattr.js';
import { put_group } from './backup.js';
import type { Checker, Dir, Known, Place } from './checker.js';
import { check_tree, is_tree_block } from './htree.js';
import { add_run, remap } from './remap.js';
import { file_map } from './map.js';
import { is_system } from './pass1.js';

const MIN_RECLEN = 12;
const INLINE_PARENT = 4;
const FT_DIR = 2;

/** file_type of a mode. */
export function filetype(mode: number): number {
  return [0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7, 0, 6][(mode & S_IFMT) >>> 12] ?? 0;
}

/** A piece of a directory: a block, or what an inode has of one. */
interface Piece {
  readonly data: Uint8Array;
  readonly view: DataView;
  readonly from: number;
  readonly to: number;
  readonly lbn: number;
  dirty: boolean;
}

export async function check_directories(c: Checker): Promise<void> {
  for (const dir of [...c.dirs.values()].sort((a, b) => a.ino - b.ino))
    if (c.dirs.has(dir.ino)) await new DirCheck(c, dir).go();
}

class DirCheck {
  private place!: Place;
  private seed = 0;
  private hashed = false;

  constructor(
    private readonly c: Checker,
    private readonly dir: Dir,
  ) {}

  private wrong(severity: 'preen' | 'damage', what: string, fixed: string): boolean {
    return this.c.problem(severity, 'directory', `directory inode ${this.dir.ino}: ${what}`, fixed);
  }

  async go(): Promise<void> {
    const { c, dir } = this;
    this.place = await c.inode(dir.ino);
    this.seed = inode_seed(c.fs, dir.ino, this.place.d.i_generation);
    this.hashed = (this.place.d.i_flags & FL.ENCRYPT) !== 0 && (this.place.d.i_flags & FL.CASEFOLD) !== 0;
    if (dir.inline) return this.inline();
    if (await this.holes()) return;
    if ((this.place.d.i_flags & FL.INDEX) !== 0) await check_tree(c, dir, this.place);
    const indexed = (this.place.d.i_flags & FL.INDEX) !== 0;
    for (const { lbn, block } of dir.blocks) {
      const data = await c.bread(block);
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      const node = indexed && is_tree_block(view, lbn, c.fs.bsize);
      const csum = c.fs.metadata_csum;
      let sealed: boolean | undefined = true;
      const piece: Piece = { data, view, from: 0, to: c.fs.bsize, lbn, dirty: false };
      if (csum && !node) {
        sealed = dirent_sealed(this.seed, data, view);
        if (sealed === undefined && this.wrong('damage', `block ${lbn} has no checksum at its end`, 'ADDED'))
          this.maketail(piece);
        if (sealed === false && this.wrong('damage', `block ${lbn}: checksum is wrong`, 'SEALED')) piece.dirty = true;
      }
      const tail = csum && !node && (sealed !== undefined || piece.dirty);
      await this.piece({ ...piece, to: tail ? c.fs.bsize - TAIL_BYTES : c.fs.bsize }, piece, node);
      if (!piece.dirty) continue;
      if (csum && !node) dirent_seal(this.seed, data, view);
      await c.bwrite(block, data);
    }
  }

  /** Room for the checksum: what stands there goes. */
  private maketail(piece: Piece): void {
    const { data, view } = piece;
    const end = data.length - TAIL_BYTES;
    for (let at = 0; at < end;) {
      const length = dirent_reclen(view, at, data.length);
      if (length < MIN_RECLEN || at + length > end) {
        dirent_putlen(view, at, end - at, data.length);
        const need = view.getUint32(at, true) === 0 ? 0 : DIRENT_HEADER + view.getUint8(at + 6);
        if (need > end - at) view.setUint32(at, 0, true);
        break;
      }
      at += length;
    }
    dirent_puttail(data, view);
    piece.dirty = true;
  }

  /** A directory has all its blocks. @returns it got others */
  private async holes(): Promise<boolean> {
    const { c, dir, place } = this;
    const have = new Set(dir.blocks.map(({ lbn }) => lbn));
    const count = Math.max(-1, ...have) + 1;
    if (have.size === count) return false;
    const what = `${count - have.size} of its ${count} blocks are missing`;
    if (!this.wrong('damage', what, 'MOVED TOGETHER')) return false;
    // What is behind a hole moves forward; names have no places that matter.
    const { runs } = await file_map(c, place, false);
    const closed: typeof runs = [];
    let lbn = 0;
    for (const run of runs) {
      add_run(closed, { lbn, start: run.start, length: run.length });
      lbn += run.length;
    }
    place.view.setUint32(place.at + 4, (lbn * c.fs.bsize) % 2 ** 32, true);
    place.view.setUint32(place.at + 0x20, (place.d.i_flags & ~FL.INDEX) >>> 0, true);
    if (!(await remap(c, place, closed))) await c.clearinode(place);
    return true;
  }

  private async inline(): Promise<void> {
    const { c, dir, place } = this;
    const { bytes, view, at, d } = place;
    // It has no entry for itself, which counts all the same.
    this.count(dir.ino);
    dir.dotdot = view.getUint32(at + 0x28, true);
    const size = Math.min(d.i_size, 60);
    const first: Piece = {
      data: bytes.subarray(at + 0x28, at + 0x28 + size), view: new DataView(bytes.buffer, at + 0x28, size),
      from: INLINE_PARENT, to: size, lbn: 0, dirty: false,
    };
    await this.piece(first, first, false);
    const more = inline_rest(c, place);
    if (more !== undefined && d.i_size > 60) {
      const length = Math.min(more.length, d.i_size - 60);
      const second: Piece = {
        data: more.subarray(0, length), view: new DataView(more.buffer, more.byteOffset, length),
        from: 0, to: length, lbn: 1, dirty: false,
      };
      await this.piece(second, second, false);
      first.dirty ||= second.dirty;
    }
    if (first.dirty) await c.putinode(place);
  }

  /** Goes through the entries; `whole` is marked if something was changed. */
  private async piece(piece: Piece, whole: Piece, node: boolean): Promise<void> {
    const { c, dir } = this;
    const { view, from, to, lbn } = piece;
    const bsize = c.fs.bsize;
    const names = new Set<string>();
    let previous = -1;
    let index = 0;
    const change = (): void => {
      whole.dirty = true;
      // A block of a tree that is no tree any more.
      if (node) c.again = true;
    };
    for (let at = from; at < to; index++) {
      if (this.broken(piece, at)) {
        const what = `block ${lbn}, byte ${at}: an entry makes no sense`;
        if (!this.wrong('damage', what, 'SALVAGED')) return;
        this.salvage(piece, at, previous);
        change();
        if (previous >= 0 && previous + dirent_reclen(view, previous, bsize) > at) {
          at = previous + dirent_reclen(view, previous, bsize);
          continue;
        }
        if (this.broken(piece, at)) return;
      }
      const length = dirent_reclen(view, at, bsize);
      const first = lbn === 0 && !dir.inline;
      if (first && index < 2) {
        if (this.dots(piece, at, index)) change();
        previous = at;
        at += dirent_reclen(view, at, bsize);
        continue;
      }
      if (view.getUint32(at, true) !== 0 && (await this.entry(piece, at, names))) change();
      previous = at;
      at += length;
    }
    const short = lbn === 0 && !dir.inline && index < 2;
    if (short && this.wrong('damage', 'its first block has no room for ".."', 'CLEARED'))
      await c.clearinode(this.place);
  }

  private broken({ view, to }: Piece, at: number): boolean {
    const { c } = this;
    if (to - at < DIRENT_HEADER) return true;
    const length = dirent_reclen(view, at, c.fs.bsize);
    if (length < MIN_RECLEN || length % 4 !== 0 || at + length > to) return true;
    const namelen = view.getUint8(at + 6);
    const dot = namelen > 0 && namelen <= 2 && view.getUint8(at + 8) === 0x2e;
    const hash = this.hashed && view.getUint32(at, true) !== 0 && !dot ? ((4 - (namelen & 3)) & 3) + DIRENT_HASH : 0;
    return DIRENT_HEADER + namelen + hash > length;
  }

  /** After e2fsck's salvage_directory: what stands at `at` becomes an entry, or part of the one before. */
  private salvage(piece: Piece, at: number, previous: number): void {
    const { data, view, to } = piece;
    const bsize = this.c.fs.bsize;
    const put = (place: number, length: number): void => dirent_putlen(view, place, length, bsize);
    const left = to - at;
    const length = left >= DIRENT_HEADER ? dirent_reclen(view, at, bsize) : 0;
    const namelen = left >= DIRENT_HEADER ? view.getUint8(at + 6) : 0;
    if (left >= MIN_RECLEN && length > left && DIRENT_HEADER + namelen <= left &&
      view.getUint32(at, true) <= this.c.fs.s_inodes_count && !data.subarray(at + 8, at + 8 + namelen).includes(0)) {
      put(at, left);
      return;
    }
    if (previous >= 0) {
      const size = length > 0 && length % 4 === 0 && length <= left ? length : left;
      put(previous, at + size - previous);
      return;
    }
    // The first one: all of the piece is one entry that names nothing.
    if (left < MIN_RECLEN) {
      data.fill(0, at, to);
      return;
    }
    data.fill(0, at, at + DIRENT_HEADER);
    put(at, left);
  }

  /** "." and ".." at the beginning. @returns whether they were mended */
  private dots(piece: Piece, at: number, index: number): boolean {
    const { c, dir } = this;
    const { data, view } = piece;
    const ino = view.getUint32(at, true);
    const namelen = view.getUint8(at + 6);
    const right =
      namelen === index + 1 && data[at + 8] === 0x2e && (index === 0 || data[at + 9] === 0x2e) &&
      data[at + 9 + index] === 0;
    const name = index === 0 ? '"."' : '".."';
    const type = c.fs.incompat(INCOMPAT.filetype) ? FT_DIR : 0;
    if (index === 1) dir.dotdot = right && ino <= c.fs.s_inodes_count ? ino : 0;
    else if (right) this.count(ino === dir.ino ? ino : dir.ino);
    if (right && (index === 1 || ino === dir.ino)) {
      let changed = false;
      if (data[at + 7] !== type && this.wrong('preen', `type of ${name} is ${data[at + 7]}`, 'SET')) {
        data[at + 7] = type;
        changed = true;
      }
      const length = dirent_reclen(view, at, c.fs.bsize);
      if (index === 0 && length > MIN_RECLEN && length - MIN_RECLEN >= MIN_RECLEN &&
        this.wrong('damage', `"." takes ${length} bytes`, 'SPLIT')) {
        dirent_putlen(view, at, MIN_RECLEN, c.fs.bsize);
        dirent_put(data, view, at + MIN_RECLEN, {
          ino: 0, name: new Uint8Array(0), type: 0, length: length - MIN_RECLEN,
        }, c.fs.bsize);
        changed = true;
      }
      return changed;
    }
    if (!this.wrong('damage', `entry ${index + 1} is not ${name}, or leads to inode ${ino}`, 'SET')) {
      if (!right && index === 0) this.count(dir.ino);
      return false;
    }
    const length = dirent_reclen(view, at, c.fs.bsize);
    const text = new Uint8Array(index + 1).fill(0x2e);
    // What was the first name of a directory that lost these is found again by what it leads to.
    const parent = index === 0 ? dir.ino : dir.parent || EXT2_ROOTINO;
    dirent_put(data, view, at, { ino: parent, name: text, type, length }, c.fs.bsize);
    data[at + 9 + index] = 0;
    if (index === 0) {
      this.count(dir.ino);
      if (length >= 2 * MIN_RECLEN) {
        dirent_putlen(view, at, MIN_RECLEN, c.fs.bsize);
        const rest = { ino: 0, name: new Uint8Array(0), type: 0, length: length - MIN_RECLEN };
        dirent_put(data, view, at + MIN_RECLEN, rest, c.fs.bsize);
      }
    } else dir.dotdot = parent;
    return true;
  }

  private count(ino: number): void {
    const known = this.c.known.get(ino);
    if (known !== undefined) known.counted++;
  }

  /** An ordinary entry. @returns whether it was changed */
  private async entry(piece: Piece, at: number, names: Set<string>): Promise<boolean> {
    const { c, dir } = this;
    const { data, view, lbn } = piece;
    const ino = view.getUint32(at, true);
    const namelen = view.getUint8(at + 6);
    const bytes = data.subarray(at + DIRENT_HEADER, at + DIRENT_HEADER + namelen);
    const shown = JSON.stringify(bytestrFromBytes(data, at + DIRENT_HEADER, at + DIRENT_HEADER + namelen));
    const gone = (what: string, severity: 'preen' | 'damage' = 'damage'): boolean => {
      if (!this.wrong(severity, `block ${lbn}, entry ${shown}: ${what}`, 'REMOVED')) return false;
      view.setUint32(at, 0, true);
      return true;
    };
    if (ino > c.fs.s_inodes_count || (ino < c.fs.s_first_ino && ino !== EXT2_ROOTINO))
      return gone(`inode ${ino} cannot be`);
    if (namelen === 0) return gone('it has no name');
    if ((namelen === 1 && bytes[0] === 0x2e) || (namelen === 2 && bytes[0] === 0x2e && bytes[1] === 0x2e))
      return gone('a second one');
    if (ino === EXT2_ROOTINO) return gone('it leads to the root directory');
    const known = c.known.get(ino);
    if (known === undefined) {
      if (await this.behind(ino)) return false;
      return gone(`inode ${ino} is not in use`, 'preen');
    }
    if ((known.flags & FL.EA_INODE) !== 0) return gone(`inode ${ino} holds a value of an attribute`);
    if (is_system(c, ino)) return gone(`inode ${ino} is the volume's own`);
    const own = c.dirs.get(ino);
    if (own !== undefined && (own.parent !== 0 || ino === dir.ino)) return gone(`a second name of directory ${ino}`);
    if (own !== undefined) own.parent = dir.ino;
    known.counted++;
    return this.named(piece, at, bytes, shown, known, names);
  }

  /** Name and type of an entry that leads somewhere. */
  private named(
    piece: Piece, at: number, bytes: Uint8Array, shown: string, known: Known, names: Set<string>,
  ): boolean {
    const { c } = this;
    const { data, lbn } = piece;
    let changed = false;
    const encrypted = (this.place.d.i_flags & FL.ENCRYPT) !== 0;
    if (!encrypted && (bytes.includes(0x2f) || bytes.includes(0)) &&
      this.wrong('damage', `block ${lbn}, entry ${shown}: no name has such characters`, 'REPLACED')) {
      bytes.forEach((byte, i) => {
        if (byte === 0x2f || byte === 0) bytes[i] = 0x2e;
      });
      if (bytes.every((byte) => byte === 0x2e) && bytes.length <= 2) bytes[0] = 0x5f;
      changed = true;
      this.renamed();
    }
    const type = c.fs.incompat(INCOMPAT.filetype) ? filetype(known.mode) : 0;
    if (data[at + 7] !== type &&
      this.wrong('preen', `block ${lbn}, entry ${shown}: type ${data[at + 7]} should be ${type}`, 'SET')) {
      data[at + 7] = type;
      changed = true;
    }
    let key = bytestrFromBytes(bytes, 0, bytes.length);
    if (names.has(key) && this.wrong('damage', `block ${lbn}, entry ${shown}: a second one of that name`, 'RENAMED')) {
      for (let n = 0; names.has(key) && n < 65536; n++) {
        const text = n.toString(16);
        for (let i = 0; i < text.length && i < bytes.length; i++)
          bytes[bytes.length - 1 - i] = text.charCodeAt(text.length - 1 - i);
        key = bytestrFromBytes(bytes, 0, bytes.length);
      }
      changed = true;
      this.renamed();
    }
    names.add(key);
    return changed;
  }

  /** A name that changes is not where a tree has it. */
  private renamed(): void {
    this.c.again = true;
  }

  /** Is inode `ino` one of those that its group says were never in use? Then that is not so: look again. */
  private async behind(ino: number): Promise<boolean> {
    const { c } = this;
    const { fs } = c;
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    const i = (ino - 1) % fs.s_inodes_per_group;
    const group = c.groups[g]!;
    if (!fs.metadata_csum && !fs.ro_compat(RO_COMPAT.uninit_bg)) return false;
    const uninit = (group.bg_flags & BG_INODE_UNINIT) !== 0;
    if (!uninit && i < fs.s_inodes_per_group - group.bg_itable_unused) return false;
    const place = await c.inode(ino);
    if (place.d.i_nlink === 0) return false;
    const what = `a name leads to inode ${ino}, which group ${g} says was never in use`;
    if (!this.wrong('damage', what, 'LOOKED AT AGAIN')) return true;
    group.bg_flags &= ~BG_INODE_UNINIT;
    const unused = fs.s_inodes_per_group - i - 1;
    group.bg_itable_unused = uninit ? unused : Math.min(group.bg_itable_unused, unused);
    if (uninit) await clear_before(c, g, i);
    await put_group(c, g, group);
    c.again = true;
    return true;
  }
}

/** The inodes of a group before the `i`th that do not make sense are cleared: they were never written. */
async function clear_before(c: Checker, g: number, i: number): Promise<void> {
  for (let k = 0; k < i; k++) {
    const place = await c.inode(g * c.fs.s_inodes_per_group + k + 1);
    if (place.d.i_nlink > 0 && filetype(place.d.i_mode) === DT_UNKNOWN) await c.clearinode(place);
  }
}

/** What an inode has of data behind the first 60 bytes; undefined: nothing. */
function inline_rest(c: Checker, { bytes, view, at }: Place): Uint8Array | undefined {
  const { fs } = c;
  const start = at + 128 + extra_isize(fs, view, at);
  if (start + 8 > at + fs.s_inode_size || view.getUint32(start, true) !== XATTR_MAGIC) return undefined;
  const area = bytes.subarray(start + XATTR_IBODY_HEADER, at + fs.s_inode_size);
  const data = xattr_entries(area, 0).entries.find(({ index, name }) => index === XI.SYSTEM && name === 'data');
  if (data === undefined || data.value_inum !== 0 || data.value_size === 0) return undefined;
  return area.subarray(data.value_offs, data.value_offs + data.value_size);
}
