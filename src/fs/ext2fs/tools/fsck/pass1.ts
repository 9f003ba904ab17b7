/** The first pass: all inodes, one by one; what they are, which blocks they have, and what of it cannot be. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../../../kernel/stat.js';
import { FL, I_BLOCK_BYTES, dinode_sealed } from '../../disk/dinode.js';
import { EXT_MAGIC, eh_problem } from '../../disk/extent.js';
import { COMPAT, INCOMPAT, RO_COMPAT } from '../../disk/features.js';
import { BG_INODE_UNINIT } from '../../disk/groupdesc.js';
import { EXT2_ROOTINO } from '../../disk/superblock.js';
import { cluster_of } from '../volume/copies.js';
import type { Checker, Place } from './checker.js';
import type { FileMap } from './map.js';
import { file_map } from './map.js';
import type { Attributes } from './attributes.js';
import { remap } from './remap.js';
import { check_resize_inode } from './resize.js';

const EXTRA_ISIZE_MIN = 4;
const SPECIALS: readonly number[] = [S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK];
/** i_flags: of AFS, which nobody has any more. */
const IMAGIC = 0x2000;
const BAD_INO = 1;
const RESIZE_INO = 7;

/** An inode of the volume's own that may be in use although no name leads to it. */
export function is_system(c: Checker, ino: number): boolean {
  const { fs } = c;
  return (
    ino === BAD_INO ||
    (ino === RESIZE_INO && fs.compat(COMPAT.resize_inode)) ||
    (ino === fs.s_journal_inum && fs.compat(COMPAT.has_journal)) ||
    (fs.ro_compat(RO_COMPAT.quota) &&
      [fs.s_usr_quota_inum, fs.s_grp_quota_inum, fs.s_prj_quota_inum].includes(ino)) ||
    (ino === fs.s_orphan_file_inum && fs.compat(COMPAT.orphan_file))
  );
}

export class InodePass {
  constructor(
    private readonly c: Checker,
    private readonly attributes: Attributes,
  ) {}

  async go(): Promise<void> {
    const { c } = this;
    const { fs } = c;
    for (let g = 0; g < fs.ngroups; g++) {
      const { bg_flags, bg_itable_unused, bg_inode_table } = c.groups[g]!;
      const csums = fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg);
      const unused = csums ? bg_itable_unused : 0;
      const count = csums && (bg_flags & BG_INODE_UNINIT) !== 0 ? 0 : fs.s_inodes_per_group - unused;
      for (let i = 0; i < count; i++) {
        const ino = g * fs.s_inodes_per_group + i + 1;
        const block = bg_inode_table + Math.floor(i / fs.inodes_per_block);
        const bytes = await c.bread(block);
        const at = (i % fs.inodes_per_block) * fs.s_inode_size;
        // Nothing at all: the commonest one.
        if (is_zero(bytes, at, at + fs.s_inode_size)) {
          if (ino < fs.s_first_ino) c.inodes.add(ino - 1);
          continue;
        }
        await this.inode(await c.inode(ino));
      }
    }
    for (let ino = 1; ino < fs.s_first_ino; ino++) c.inodes.add(ino - 1);
  }

  private async inode(place: Place): Promise<void> {
    const { c } = this;
    const { fs } = c;
    const { ino, d } = place;
    const system = is_system(c, ino);
    if (ino < fs.s_first_ino) c.inodes.add(ino - 1);
    if (ino === BAD_INO) {
      if (this.sealing(place)) await c.putinode(place);
      return;
    }
    if (d.i_nlink === 0 && !(ino < fs.s_first_ino && ino !== EXT2_ROOTINO && d.i_mode !== 0 && system)) {
      await this.unused(place);
      return;
    }
    if (ino < fs.s_first_ino && ino !== EXT2_ROOTINO && !system) {
      if (d.i_mode === 0) return;
      if (c.problem('damage', 'reserved', `inode ${ino} is reserved, and has mode 0${d.i_mode.toString(8)}`, 'CLEARED'))
        await c.clearinode(place);
      return;
    }
    let changed = this.sealing(place);
    changed = (await this.really(place)) || changed;
    const type = d.i_mode & S_IFMT;
    const bad = this.impossible(place, type);
    if (bad !== undefined) {
      if (c.problem('damage', 'inode', `inode ${ino}: ${bad}`, 'CLEARED')) await c.clearinode(place);
      return;
    }
    changed = this.fields(place, type) || changed;
    c.inodes.add(ino - 1);
    c.known.set(ino, { ino, mode: d.i_mode, flags: d.i_flags, links: d.i_nlink, counted: 0 });
    const attributes = await this.attributes.inode(place);
    changed = attributes.changed || changed;
    if ((d.i_flags & FL.ENCRYPT) !== 0 && !attributes.encrypted &&
      c.problem('damage', 'inode', `inode ${ino}: encrypted, and no attribute says how`, 'NOT ENCRYPTED')) {
      d.i_flags = (d.i_flags & ~FL.ENCRYPT) >>> 0;
      place.view.setUint32(place.at + 0x20, d.i_flags, true);
      changed = true;
    }
    changed = (await this.content(place, type, attributes.clusters, attributes.inlinebytes)) || changed;
    if (changed && c.inodes.has(ino - 1)) await c.putinode(place);
  }

  /** Of one without names: only that it says when it was deleted. */
  private async unused(place: Place): Promise<void> {
    const { c } = this;
    const { ino, d, view, at } = place;
    if (d.i_mode === 0 || d.i_dtime !== 0 || ino < c.fs.s_first_ino) return;
    if (!c.problem('preen', 'dtime', `inode ${ino} is deleted, and does not say when`, 'SET')) return;
    view.setUint32(at + 0x14, new DataView(c.sb.buffer).getUint32(0x30, true) || 1, true);
    await c.putinode(place);
  }

  /** What is no file of any kind, and has a block that begins as a directory of this number, is one. */
  private async really({ ino, d, view, at }: Place): Promise<boolean> {
    const { c } = this;
    const type = d.i_mode & S_IFMT;
    const block = (d.i_flags & FL.EXTENTS) === 0 ? d.i_blockview.getUint32(0, true)
      : d.i_blockview.getUint32(20, true) + d.i_blockview.getUint16(18, true) * 2 ** 32;
    if ([S_IFREG, S_IFDIR, S_IFLNK].includes(type) || (d.i_flags & FL.INLINE_DATA) !== 0) return false;
    if (!c.usable(block) || c.system.has(cluster_of(c.fs, block))) return false;
    const data = await c.bread(block);
    const v = new DataView(data.buffer, data.byteOffset, data.length);
    if (v.getUint32(0, true) !== ino || v.getUint16(4, true) !== 12 || data[6] !== 1 || data[8] !== 0x2e) return false;
    if (data[18] !== 2 || data[20] !== 0x2e || data[21] !== 0x2e) return false;
    const what = `inode ${ino}: mode 0${d.i_mode.toString(8)}, and it looks like a directory`;
    if (!c.problem('damage', 'inode', what, 'MADE A DIRECTORY')) return false;
    d.i_mode = (d.i_mode & 0xfff) | S_IFDIR;
    view.setUint16(at, d.i_mode, true);
    return true;
  }

  private sealing({ bytes, view, at, ino }: Place): boolean {
    const { c } = this;
    if (!c.fs.metadata_csum || dinode_sealed(c.fs, bytes, view, at, ino)) return false;
    return c.problem('damage', 'inode checksum', `inode ${ino}: checksum is wrong`, 'SEALED');
  }

  /** What an inode is that can only be cleared. */
  private impossible(place: Place, type: number): string | undefined {
    const { c } = this;
    const { ino, d, view, at } = place;
    const { fs } = c;
    if (ino === EXT2_ROOTINO) return undefined;
    if (is_system(c, ino) && type !== S_IFREG) return `mode 0${d.i_mode.toString(8)}`;
    if (![S_IFREG, S_IFDIR, S_IFLNK, ...SPECIALS].includes(type)) return `mode 0${d.i_mode.toString(8)} is of no type`;
    if (SPECIALS.includes(type)) {
      for (let i = 3; i < 15; i++) if (view.getUint32(at + 0x28 + 4 * i, true) !== 0) return 'a device with blocks';
    }
    if ((d.i_flags & FL.EXTENTS) !== 0 && !fs.incompat(INCOMPAT.extents)) return 'extents without that feature';
    if ((d.i_flags & FL.INLINE_DATA) !== 0) {
      if (!fs.incompat(INCOMPAT.inline_data)) return 'data in the inode without that feature';
      if (type !== S_IFREG && type !== S_IFDIR && type !== S_IFLNK) return 'a device with data in the inode';
      if ((d.i_flags & FL.EXTENTS) !== 0) return 'extents, and data in the inode';
    }
    if (type === S_IFLNK && d.i_size === 0) return 'a symbolic link to nowhere';
    return undefined;
  }

  /** Fields that have values which they cannot have. @returns whether they were set */
  private fields({ ino, d, view, at }: Place, type: number): boolean {
    const { c } = this;
    const { fs } = c;
    let changed = false;
    const set = (severity: 'preen' | 'damage', what: string, put: () => void): void => {
      if (!c.problem(severity, 'inode', `inode ${ino}: ${what}`, 'SET')) return;
      put();
      changed = true;
    };
    if (d.i_dtime !== 0)
      set('preen', 'in use, and says when it was deleted', () => view.setUint32(at + 0x14, 0, true));
    if (fs.s_inode_size > 128) {
      const extra = view.getUint16(at + 0x80, true);
      const most = fs.s_inode_size - 128;
      if (extra !== 0 && (extra < EXTRA_ISIZE_MIN || extra > most || extra % 4 !== 0))
        set('damage', `i_extra_isize ${extra}`, () => view.setUint16(at + 0x80, Math.min(32, most), true));
    }
    const flag = (bit: number, what: string): void => {
      if ((d.i_flags & bit) === 0) return;
      set('damage', what, () => {
        d.i_flags = (d.i_flags & ~bit) >>> 0;
        view.setUint32(at + 0x20, d.i_flags, true);
      });
    };
    const mapped = type === S_IFREG || type === S_IFDIR || (type === S_IFLNK && d.i_size >= I_BLOCK_BYTES);
    if (mapped && fs.incompat(INCOMPAT.extents) && (d.i_flags & (FL.EXTENTS | FL.INLINE_DATA)) === 0 &&
      d.i_blockview.getUint16(0, true) === EXT_MAGIC && eh_problem(d.i_blockview, 0, I_BLOCK_BYTES) === undefined)
      set('damage', 'extents, and does not say so', () => {
        d.i_flags = (d.i_flags | FL.EXTENTS) >>> 0;
        view.setUint32(at + 0x20, d.i_flags, true);
      });
    if (type !== S_IFDIR || !fs.compat(COMPAT.dir_index)) flag(FL.INDEX, 'an index of what is no directory with one');
    if (!fs.incompat(INCOMPAT.extents)) flag(FL.EXTENTS, 'extents without that feature');
    if (!fs.compat(COMPAT.imagic_inodes)) flag(IMAGIC, 'flag of AFS');
    if (type !== S_IFREG && type !== S_IFDIR && type !== S_IFLNK) flag(FL.EXTENTS, 'extents of a device');
    if (SPECIALS.includes(type) && view.getUint32(at + 4, true) !== 0)
      set('preen', `a device of ${view.getUint32(at + 4, true)} bytes`, () => {
        view.setUint32(at + 4, 0, true);
        d.i_size = 0;
      });
    if (view.getUint32(at + 0x70, true) !== 0) set('damage', 'i_faddr', () => view.setUint32(at + 0x70, 0, true));
    if (!fs.incompat(INCOMPAT['64bit']) && view.getUint16(at + 0x76, true) !== 0)
      set('damage', 'l_i_file_acl_high', () => view.setUint16(at + 0x76, 0, true));
    if (type === S_IFDIR && !fs.incompat(INCOMPAT.large_dir) && view.getUint32(at + 0x6c, true) !== 0)
      set('damage', 'i_size_high of a directory', () => view.setUint32(at + 0x6c, 0, true));
    if (!fs.ro_compat(RO_COMPAT.huge_file) && view.getUint16(at + 0x74, true) !== 0)
      set('damage', 'l_i_blocks_high', () => view.setUint16(at + 0x74, 0, true));
    return changed;
  }

  /** Blocks, size, and how many there are. */
  private async content(place: Place, type: number, clusters: number, inlinebytes: number): Promise<boolean> {
    const { c } = this;
    const { ino, d } = place;
    const inline = (d.i_flags & FL.INLINE_DATA) !== 0;
    const fast = type === S_IFLNK && !inline && (d.i_flags & FL.EXTENTS) === 0 && d.i_size < I_BLOCK_BYTES;
    if (SPECIALS.includes(type)) return this.counted(place, clusters);
    if (inline || fast) {
      if (inline) {
        const cured = await this.inline(place, type, inlinebytes);
        if (cured !== undefined) return cured;
      }
      if (fast && !textual(d.i_block, d.i_size)) return this.badlink(place);
      if (type === S_IFDIR) c.dirs.set(ino, { ino, blocks: [], inline: true, dotdot: 0, parent: 0 });
      return this.counted(place, clusters);
    }
    if (ino === RESIZE_INO && c.fs.compat(COMPAT.resize_inode)) return check_resize_inode(c, place);
    const map = await file_map(c, place, true);
    const own = this.claim(map);
    let changed = map.changed;
    if (this.cutting(place, type, map)) return changed;
    if (type === S_IFDIR) {
      if (map.runs.length === 0 && ino !== EXT2_ROOTINO) {
        if (c.problem('damage', 'directory', `inode ${ino}: a directory without blocks`, 'CLEARED'))
          await c.clearinode(place);
        return false;
      }
      const blocks = map.runs.flatMap(({ lbn, start, length }) =>
        Array.from({ length }, (_, i) => ({ lbn: lbn + i, block: start + i })));
      c.dirs.set(ino, { ino, blocks, inline: false, dotdot: 0, parent: 0 });
    }
    if (type === S_IFLNK && (map.runs.length !== 1 || map.runs[0]!.length !== 1 || map.runs[0]!.lbn !== 0 ||
      d.i_size >= c.fs.bsize || !textual(await c.bread(map.runs[0]!.start), d.i_size, (d.i_flags & FL.ENCRYPT) !== 0)))
      return this.badlink(place);
    changed = this.sized(place, type, map) || changed;
    return this.counted(place, clusters + own) || changed;
  }

  /** One that was being cut has nothing behind its size. @returns whether it is to get another map */
  private cutting(place: Place, type: number, { runs }: FileMap): boolean {
    const { c } = this;
    const dir = type === S_IFDIR;
    const blocks = Math.ceil(place.d.i_size / c.fs.bsize);
    const behind = c.cut.has(place.ino) && type === S_IFREG && runs.some(({ lbn, length }) => lbn + length > blocks);
    const unwritten = dir && runs.some((run) => run.unwritten === true);
    if (!behind && !unwritten) return false;
    const what = behind ? `${blocks} blocks, and more behind its end` : 'a directory with blocks that were not written';
    const severity = behind ? 'preen' : 'damage';
    if (!c.problem(severity, 'blocks', `inode ${place.ino}: ${what}`, behind ? 'CUT' : 'TAKEN AWAY')) return false;
    const kept = unwritten
      ? runs.filter((run) => run.unwritten !== true)
      : runs.flatMap((run) => (run.lbn >= blocks ? [] : [{ ...run, length: Math.min(run.length, blocks - run.lbn) }]));
    c.later.push(async () => {
      const fresh = await c.inode(place.ino);
      if (!(await remap(c, fresh, kept))) c.unresolved = true;
    });
    return true;
  }

  /** The size of what lies in the inode. @returns whether it was changed, where there is no more to be seen to */
  private async inline(place: Place, type: number, bytes: number): Promise<boolean | undefined> {
    const { c } = this;
    const { ino, d, view, at } = place;
    if (bytes < I_BLOCK_BYTES) {
      // Linux wants the attribute that the rest would be in, even if it is empty.
      const fixed = type === S_IFREG ? 'EMPTIED' : 'CLEARED';
      const what = `inode ${ino}: data in the inode, but no attribute for it`;
      if (!c.problem('damage', 'inline', what, fixed)) return false;
      if (type !== S_IFREG) {
        await c.clearinode(place);
        return false;
      }
      d.i_flags = (d.i_flags & ~FL.INLINE_DATA) >>> 0;
      view.setUint32(at + 0x20, d.i_flags, true);
      place.bytes.fill(0, at + 0x28, at + 0x28 + I_BLOCK_BYTES);
      this.putsize(place, 0);
      c.again = true;
      return true;
    }
    if (type === S_IFDIR ? d.i_size === bytes : d.i_size <= bytes) return undefined;
    const what = `inode ${ino}: ${d.i_size} bytes, of which ${bytes} are in the inode`;
    if (!c.problem('damage', 'inline', what, 'SET')) return undefined;
    this.putsize(place, bytes);
    return true;
  }

  private async badlink(place: Place): Promise<boolean> {
    const { c } = this;
    if (c.problem('damage', 'symlink', `inode ${place.ino}: the symbolic link is none`, 'CLEARED'))
      await c.clearinode(place);
    return false;
  }

  /** Takes the clusters of a file. @returns how many there are */
  private claim({ runs, meta }: FileMap): number {
    const { c } = this;
    const { fs } = c;
    let count = 0;
    const take = (cluster: number): void => {
      count++;
      if (!c.claimed.add(cluster)) c.shared.add(cluster);
    };
    for (const block of meta) take(cluster_of(fs, block));
    let last = -1;
    let lastlbn = -1;
    for (const { lbn, start, length } of runs)
      for (let i = 0; i < length; i++) {
        const cluster = cluster_of(fs, start + i);
        const place = Math.floor((lbn + i) / fs.clusterblocks);
        if (cluster === last && place === lastlbn) continue;
        last = cluster;
        lastlbn = place;
        take(cluster);
      }
    return count;
  }

  /** The size fits the blocks. */
  private sized(place: Place, type: number, { runs }: FileMap): boolean {
    const { c } = this;
    const { ino, d } = place;
    const { bsize } = c.fs;
    const last = runs[runs.length - 1];
    const blocks = last === undefined ? 0 : last.lbn + last.length;
    if (type === S_IFDIR) {
      if (d.i_size === blocks * bsize) return false;
      const what = `inode ${ino}: a directory of ${d.i_size} bytes that has ${blocks} blocks`;
      if (!c.problem('preen', 'size', what, 'SET')) return false;
      this.putsize(place, blocks * bsize);
      return true;
    }
    let written = 0;
    for (const { lbn, length, unwritten } of runs) if (unwritten !== true) written = lbn + length;
    const most = (d.i_flags & FL.EXTENTS) !== 0 ? (2 ** 32 - 1) * bsize : Math.min(
      (12 + bsize / 4 + (bsize / 4) ** 2 + (bsize / 4) ** 3) * bsize, 2 ** 32 * bsize);
    const beyond = written > 0 && d.i_size < (written - 1) * bsize && (d.i_flags & FL.VERITY) === 0;
    if (!beyond && d.i_size <= most) return false;
    const what = `inode ${ino}: ${d.i_size} bytes, and ${written} blocks are written`;
    if (!c.problem('preen', 'size', what, 'SET')) return false;
    this.putsize(place, written * bsize);
    return true;
  }

  private putsize({ d, view, at }: Place, size: number): void {
    d.i_size = size;
    view.setUint32(at + 4, size % 2 ** 32, true);
    if ((d.i_mode & S_IFMT) === S_IFREG || size >= 2 ** 32)
      view.setUint32(at + 0x6c, Math.floor(size / 2 ** 32), true);
  }

  /** i_blocks. */
  private counted({ ino, d, view, at }: Place, clusters: number): boolean {
    const { c } = this;
    const { fs } = c;
    const sectors = (clusters * fs.clusterblocks * fs.bsize) / 512;
    if (d.i_blocks === sectors) return false;
    if (!c.problem('preen', 'blocks', `inode ${ino}: i_blocks ${d.i_blocks} should be ${sectors}`, 'SET')) return false;
    const huge = (d.i_flags & FL.HUGE_FILE) !== 0 && fs.ro_compat(RO_COMPAT.huge_file);
    const units = huge ? sectors / (fs.bsize / 512) : sectors;
    view.setUint32(at + 0x1c, units % 2 ** 32, true);
    if (fs.ro_compat(RO_COMPAT.huge_file)) view.setUint16(at + 0x74, Math.floor(units / 2 ** 32), true);
    return true;
  }
}

/** Is the target of a symbolic link a text of that length, and nothing behind it? */
function textual(bytes: Uint8Array, size: number, encrypted = false): boolean {
  if (encrypted) return true;
  const end = bytes.indexOf(0);
  return (end < 0 ? bytes.length : end) === size;
}

function is_zero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}
