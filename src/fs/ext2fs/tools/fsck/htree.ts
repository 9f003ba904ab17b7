/** The tree of hashes of a directory: each name is in the block where a look-up looks for it. */
import { FL, inode_seed } from '../../disk/dinode.js';
import {
  DIRENT_HEADER, TAIL_BYTES, dirent_problem, dirent_putlen, dirent_puttail, dirent_reclen, dirent_seal,
} from '../../disk/dirent.js';
import { INCOMPAT } from '../../disk/features.js';
import { dx_countat, dx_problem, dx_seal } from '../../disk/htree.js';
import { FLAGS_UNSIGNED_HASH } from '../../disk/superblock.js';
import { HASH_TEA, dirhash, dirhash_version } from '../../dir/dirhash.js';
import type { Checker, Dir, Place } from './checker.js';

const SIPHASH = 6;
const DX_ENTRY = 8;
const DX_TAIL = 8;

export function is_tree_block(view: DataView, lbn: number, bsize: number): boolean {
  return dx_countat(view, lbn, bsize) !== undefined;
}

/** Thrown within: why the tree is of no use. */
class Useless {
  constructor(readonly what: string) {}
}

interface Child {
  readonly lbn: number;
  /** Hashes `from`..`to` are below it; one that goes on in it from the block before may be `from` - 1. */
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

class TreeCheck {
  private readonly at: Map<number, number>;
  private readonly seen = new Set<number>();
  private readonly seed: number;

  constructor(
    private readonly c: Checker,
    private readonly dir: Dir,
    private readonly place: Place,
  ) {
    this.at = new Map(dir.blocks.map(({ lbn, block }) => [lbn, block]));
    this.seed = inode_seed(c.fs, dir.ino, place.d.i_generation);
  }

  async go(): Promise<void> {
    const { c, place, dir } = this;
    const { fs } = c;
    const root = await this.block(0);
    const view = new DataView(root.buffer, root.byteOffset, root.length);
    if (dx_countat(view, 0, fs.bsize) === undefined) throw new Useless('its root is none');
    const version = view.getUint8(0x1c);
    const folded = (place.d.i_flags & FL.CASEFOLD) !== 0;
    if (version > HASH_TEA && version !== SIPHASH) throw new Useless(`hash version ${version}`);
    if (view.getUint8(0x1f) !== 0) throw new Useless(`flags ${view.getUint8(0x1f)}`);
    const levels = view.getUint8(0x1e);
    if (levels > (fs.incompat(INCOMPAT.large_dir) ? 2 : 1)) throw new Useless(`${levels} levels`);
    const compare = !folded && version !== SIPHASH && (place.d.i_flags & FL.ENCRYPT) === 0;
    const queue: Child[] = [{ lbn: 0, from: 0, to: 0xffffffff, depth: levels }];
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      if (node.depth >= 0) queue.push(...(await this.node(node)));
      else if (compare) await this.leaf(node, version);
    }
    if (this.seen.size !== dir.blocks.length) throw new Useless('not all blocks are in it');
  }

  private async block(lbn: number): Promise<Uint8Array> {
    const block = this.at.get(lbn);
    if (block === undefined || this.seen.has(lbn)) throw new Useless(`block ${lbn} of it`);
    this.seen.add(lbn);
    return this.c.bread(block);
  }

  /** An inner block of the tree. @returns what it leads to */
  private async node({ lbn, from, to, depth }: Child): Promise<Child[]> {
    const { c } = this;
    const { fs } = c;
    const data = lbn === 0 ? await c.bread(this.at.get(0)!) : await this.block(lbn);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const countat = dx_countat(view, lbn, fs.bsize);
    if (countat === undefined) throw new Useless(`block ${lbn} is no part of it`);
    const limit = view.getUint16(countat, true);
    const count = view.getUint16(countat + 2, true);
    const room = Math.floor((fs.bsize - countat - (fs.metadata_csum ? DX_TAIL : 0)) / DX_ENTRY);
    if (limit !== room || count > limit || count === 0) throw new Useless(`block ${lbn}: ${count} of ${limit} entries`);
    if (fs.metadata_csum) {
      const bad = dx_problem(this.seed, data, view, countat);
      const what = `directory inode ${this.dir.ino}: tree, block ${lbn}: ${bad}`;
      if (bad !== undefined && c.problem('damage', 'tree', what, 'SEALED')) {
        dx_seal(this.seed, data, view, countat);
        await c.bwrite(this.at.get(lbn)!, data);
      }
    }
    const children: Child[] = [];
    let last = from;
    for (let i = 0; i < count; i++) {
      const hash = i === 0 ? from : view.getUint32(countat + i * DX_ENTRY, true);
      const next = i + 1 < count ? view.getUint32(countat + (i + 1) * DX_ENTRY, true) : to;
      if (hash < last || hash > to || next < (hash & ~1) >>> 0)
        throw new Useless(`block ${lbn}: entry ${i} is out of order`);
      last = hash;
      const child = view.getUint32(countat + i * DX_ENTRY + 4, true) & 0x0fffffff;
      children.push({ lbn: child, from: hash, to: next, depth: depth - 1 });
    }
    return children;
  }

  private async leaf({ lbn, from, to }: Child, version: number): Promise<void> {
    const { fs } = this.c;
    const data = await this.block(lbn);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const kind = dirhash_version(version, (fs.s_flags & FLAGS_UNSIGNED_HASH) !== 0);
    for (let at = 0; at < data.length;) {
      if (dirent_problem(view, at, data.length, fs.bsize, false, fs.s_inodes_count) !== undefined) return;
      const namelen = data[at + 6]!;
      if (view.getUint32(at, true) !== 0 && namelen > 0) {
        const { hash } = dirhash(kind, fs.s_hash_seed, data, at + DIRENT_HEADER, namelen);
        if (hash < (from & ~1) >>> 0 || hash > to)
          throw new Useless(`block ${lbn}: a name that is not looked for there`);
      }
      at += dirent_reclen(view, at, fs.bsize);
    }
  }
}

/** Checks the tree of a directory; one that is of no use goes: the names are found without it. */
export async function check_tree(c: Checker, dir: Dir, place: Place): Promise<void> {
  try {
    await new TreeCheck(c, dir, place).go();
  } catch (thrown) {
    if (!(thrown instanceof Useless)) throw thrown;
    const what = `directory inode ${dir.ino}: tree: ${thrown.what}`;
    if (!c.problem('damage', 'tree', what, 'TAKEN AWAY')) return;
    await drop_tree(c, dir, place);
  }
}

/** Makes blocks without names of those of the tree. */
async function drop_tree(c: Checker, dir: Dir, place: Place): Promise<void> {
  const { fs } = c;
  const seed = inode_seed(fs, dir.ino, place.d.i_generation);
  const end = fs.metadata_csum ? fs.bsize - TAIL_BYTES : fs.bsize;
  for (const { lbn, block } of dir.blocks) {
    const data = await c.bread(block);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (!is_tree_block(view, lbn, fs.bsize)) continue;
    const at = lbn === 0 ? 12 : 0;
    data.fill(0, lbn === 0 ? 24 : 8);
    dirent_putlen(view, at, end - at, fs.bsize);
    if (fs.metadata_csum) {
      dirent_puttail(data, view);
      dirent_seal(seed, data, view);
    }
    await c.bwrite(block, data);
  }
  place.d.i_flags = (place.d.i_flags & ~FL.INDEX) >>> 0;
  place.view.setUint32(place.at + 0x20, place.d.i_flags, true);
  await c.putinode(place);
}
