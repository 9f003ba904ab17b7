/** Which blocks a file has: its extents or block numbers, what of them cannot be, and taking that out. */
import { crc32c } from '../../../lib/crc32c.js';
import { FL, I_BLOCK_BYTES, inode_seed } from '../../disk/dinode.js';
import {
  EXT_ENTRY, EXT_HEADER, EXT_INIT_MAX_LEN, ee_block, ee_len, ee_start, eh_depth, eh_entries, eh_max, eh_problem,
  eh_room, ei_leaf, extent_seal, extent_tail,
} from '../../disk/extent.js';
import { cluster_of } from '../volume/copies.js';
import type { FileRun } from '../volume/filemap.js';
import type { Checker, Place } from './checker.js';

export interface FileMap {
  /** In the order of the file. */
  readonly runs: FileRun[];
  /** Blocks of the map itself. */
  readonly meta: number[];
  /** Something cannot be that a repair takes out. */
  problems: number;
  /** The inode was changed, and is to be written. */
  changed: boolean;
}

const LBN_MAX = 2 ** 32 - 1;
const NDADDR = 12;
const NIADDR = 3;
const I_BLOCK = 0x28;

/** May a file have these blocks? None of them is the volume's own. */
function fine(c: Checker, start: number, length: number): boolean {
  if (!c.usable(start, length)) return false;
  const first = cluster_of(c.fs, start);
  const end = cluster_of(c.fs, start + length - 1) + 1;
  return c.system.nextset(first, end) === end;
}

interface Node {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** -1: the inode. */
  readonly block: number;
  readonly depth: number;
  first: number;
  readonly end: number;
  i: number;
  /** First block of the file that is free still below this node. */
  next: number;
  dirty: boolean;
}

class ExtentWalk {
  private readonly seen = new Set<number>();
  readonly map: FileMap = { runs: [], meta: [], problems: 0, changed: false };
  private readonly seed: number;

  constructor(
    private readonly c: Checker,
    private readonly place: Place,
    private readonly report: boolean,
  ) {
    this.seed = inode_seed(c.fs, place.ino, place.d.i_generation);
  }

  private wrong(what: string, fixed = 'REMOVED'): boolean {
    this.map.problems++;
    return this.report && this.c.problem('damage', 'extents', `inode ${this.place.ino}: extent tree: ${what}`, fixed);
  }

  async go(): Promise<FileMap> {
    const { place } = this;
    const bytes = place.bytes.subarray(place.at + I_BLOCK, place.at + I_BLOCK + I_BLOCK_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const bad = eh_problem(view, 0, I_BLOCK_BYTES) ?? this.rootmax(view);
    if (bad !== undefined) {
      if (this.wrong(`root: ${bad}`, 'EMPTIED')) {
        bytes.fill(0);
        view.setUint16(0, 0xf30a, true);
        view.setUint16(4, 4, true);
        this.map.changed = true;
      }
      return this.map;
    }
    const stack: Node[] = [
      { view, bytes, block: -1, depth: eh_depth(view, 0), first: 0, end: LBN_MAX, i: 0, next: 0, dirty: false },
    ];
    for (;;) {
      const node = stack[stack.length - 1]!;
      if (node.i < eh_entries(node.view, 0)) {
        const below = node.depth === 0 ? this.leaf(node) : await this.inner(node);
        if (below !== undefined) stack.push(below);
        continue;
      }
      stack.pop();
      if (node.dirty) await this.put(node);
      const above = stack[stack.length - 1];
      if (above === undefined) return this.map;
      above.next = Math.max(above.next, node.next);
      if (eh_entries(node.view, 0) === 0 && this.wrong(`block ${node.block} has no entries`)) this.remove(above);
      else above.i++;
    }
  }

  private rootmax(view: DataView): string | undefined {
    return eh_max(view, 0) === eh_room(I_BLOCK_BYTES) ? undefined : `eh_max ${eh_max(view, 0)}`;
  }

  private async put(node: Node): Promise<void> {
    if (node.block < 0) {
      this.map.changed = true;
      return;
    }
    if (this.c.fs.metadata_csum) extent_seal(this.seed, node.bytes, node.view);
    await this.c.bwrite(node.block, node.bytes);
  }

  /** Takes out the entry that the node stands at. */
  private remove(node: Node): void {
    const count = eh_entries(node.view, 0);
    const from = EXT_HEADER + node.i * EXT_ENTRY;
    const end = EXT_HEADER + count * EXT_ENTRY;
    node.bytes.copyWithin(from, from + EXT_ENTRY, end);
    node.bytes.fill(0, end - EXT_ENTRY, end);
    node.view.setUint16(2, count - 1, true);
    node.dirty = true;
  }

  private leaf(node: Node): undefined {
    const { c } = this;
    const { view, i } = node;
    const lbn = ee_block(view, 0, i);
    const raw = ee_len(view, 0, i);
    const unwritten = raw > EXT_INIT_MAX_LEN;
    const length = unwritten ? raw - EXT_INIT_MAX_LEN : raw;
    const start = ee_start(view, 0, i);
    let what: string | undefined;
    if (length === 0) what = `an extent of no blocks at ${lbn}`;
    else if (lbn < Math.max(node.next, node.first) || lbn + length > node.end)
      what = `blocks ${lbn} to ${lbn + length - 1} are out of order`;
    else if (!fine(c, start, length)) what = `blocks ${lbn} on lie at ${start} to ${start + length - 1}`;
    if (what !== undefined) {
      if (this.wrong(what)) this.remove(node);
      else node.i++;
      return undefined;
    }
    this.map.runs.push(unwritten ? { lbn, start, length, unwritten } : { lbn, start, length });
    node.next = lbn + length;
    node.i++;
    return undefined;
  }

  private async inner(node: Node): Promise<Node | undefined> {
    const { c } = this;
    const { view, i } = node;
    const block = ei_leaf(view, 0, i);
    const lbn = ee_block(view, 0, i);
    const end = i + 1 < eh_entries(view, 0) ? Math.min(ee_block(view, 0, i + 1), node.end) : node.end;
    let what: string | undefined;
    let child: Node | undefined;
    if (lbn < Math.max(node.first, node.next) || end < lbn) what = `entry for block ${lbn} is out of order`;
    else if (!fine(c, block, 1) || this.seen.has(block)) what = `entry for block ${lbn} leads to block ${block}`;
    else {
      this.seen.add(block);
      const bytes = await c.bread(block);
      const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const bad = eh_problem(v, 0, c.fs.bsize) ?? this.headermax(v);
      if (bad !== undefined) what = `block ${block}: ${bad}`;
      else if (eh_depth(v, 0) !== node.depth - 1) what = `block ${block}: eh_depth ${eh_depth(v, 0)}`;
      else {
        child = { view: v, bytes, block, depth: node.depth - 1, first: lbn, end, i: 0, next: lbn, dirty: false };
        this.checksum(child);
        this.checkstart(node, child, lbn);
      }
    }
    if (child !== undefined) {
      this.map.meta.push(block);
      return child;
    }
    if (this.wrong(what!)) this.remove(node);
    else node.i++;
    return undefined;
  }

  private headermax(view: DataView): string | undefined {
    const room = eh_room(this.c.fs.bsize);
    return eh_max(view, 0) < room - 2 ? `eh_max ${eh_max(view, 0)}` : undefined;
  }

  private checksum(child: Node): void {
    const { view, bytes, block } = child;
    if (!this.c.fs.metadata_csum) return;
    const tail = extent_tail(view);
    if (crc32c(this.seed, bytes, 0, tail) !== view.getUint32(tail, true))
      child.dirty = this.wrong(`block ${block}: checksum is wrong`, 'SEALED');
  }

  /** The entry of a node says where that begins. */
  private checkstart(node: Node, child: Node, lbn: number): void {
    const first = eh_entries(child.view, 0) === 0 ? lbn : ee_block(child.view, 0, 0);
    if (first === lbn) return;
    if (!this.wrong(`block ${child.block} begins with ${first} instead of ${lbn}`, 'SET')) return;
    if (first < Math.max(node.first, node.next) || first >= child.end) return;
    node.view.setUint32(EXT_HEADER + node.i * EXT_ENTRY, first, true);
    node.dirty = true;
    child.first = child.next = first;
  }
}

/** The map of a file without extents. */
class PointerWalk {
  readonly map: FileMap = { runs: [], meta: [], problems: 0, changed: false };
  private readonly seen = new Set<number>();

  constructor(
    private readonly c: Checker,
    private readonly place: Place,
    private readonly report: boolean,
  ) {}

  async go(): Promise<FileMap> {
    const { c, place } = this;
    const nindir = c.fs.bsize / 4;
    const at = place.at + I_BLOCK;
    for (let i = 0; i < NDADDR; i++) this.pointer(place.view, at + 4 * i, i, true);
    let first = NDADDR;
    for (let level = 1; level <= NIADDR; level++) {
      const root = at + 4 * (NDADDR + level - 1);
      await this.tree(root, level, first);
      first += nindir ** level;
    }
    return this.map;
  }

  /** Walks the blocks below the pointer in the inode at byte `root`; levels are few, whatever the numbers are. */
  private async tree(root: number, level: number, first: number): Promise<void> {
    const { c, place } = this;
    const nindir = c.fs.bsize / 4;
    const block = this.pointer(place.view, root, first, false);
    if (block === 0) return;
    const stack = [{ block, level, first, i: 0, dirty: false, bytes: await c.bread(block) }];
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!;
      if (node.i >= nindir) {
        stack.pop();
        if (node.dirty) await c.bwrite(node.block, node.bytes);
        continue;
      }
      const view = new DataView(node.bytes.buffer, node.bytes.byteOffset, node.bytes.length);
      const i = node.i++;
      if (view.getUint32(4 * i, true) === 0) continue;
      const lbn = node.first + i * nindir ** (node.level - 1);
      const before = this.map.problems;
      const child = this.pointer(view, 4 * i, lbn, node.level === 1);
      if (this.map.problems !== before && view.getUint32(4 * i, true) === 0) node.dirty = true;
      if (child !== 0 && node.level > 1)
        stack.push({
          block: child, level: node.level - 1, first: lbn, i: 0, dirty: false, bytes: await c.bread(child),
        });
    }
  }

  /** @returns the block that is pointed to; 0: none, or it was taken out */
  private pointer(view: DataView, at: number, lbn: number, data: boolean): number {
    const block = view.getUint32(at, true);
    if (block === 0) return 0;
    if (!fine(this.c, block, 1) || (!data && this.seen.has(block))) {
      this.map.problems++;
      const what = `inode ${this.place.ino}: block ${lbn}${data ? '' : ' on'} lies at ${block}`;
      if (this.report && this.c.problem('damage', 'pointers', what, 'REMOVED')) {
        view.setUint32(at, 0, true);
        if (view === this.place.view) this.map.changed = true;
      }
      return 0;
    }
    if (!data) {
      this.seen.add(block);
      this.map.meta.push(block);
      return block;
    }
    const last = this.map.runs[this.map.runs.length - 1];
    if (last !== undefined && last.lbn + last.length === lbn && last.start + last.length === block)
      this.map.runs[this.map.runs.length - 1] = { ...last, length: last.length + 1 };
    else this.map.runs.push({ lbn, start: block, length: 1 });
    return block;
  }
}

/** Reads the map of an inode that has one. @param report problems are said, and mended if that may be */
export function file_map(c: Checker, place: Place, report: boolean): Promise<FileMap> {
  return (place.d.i_flags & FL.EXTENTS) !== 0
    ? new ExtentWalk(c, place, report).go()
    : new PointerWalk(c, place, report).go();
}
