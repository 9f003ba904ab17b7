/** Extended attributes: in inodes, in blocks that several inodes may share, in inodes of their own. */
import { FL, I_BLOCK_BYTES, extra_isize } from '../../disk/dinode.js';
import { COMPAT, INCOMPAT } from '../../disk/features.js';
import type { XattrEntry } from '../../disk/xattr.js';
import {
  H_CHECKSUM, XATTR_BLOCK_HEADER, XATTR_IBODY_HEADER, XATTR_MAGIC, XI, xattr_checksum, xattr_entries,
  xattr_entry_hash,
} from '../../disk/xattr.js';
import { cluster_of } from '../volume/copies.js';
import type { Checker, Place } from './checker.js';

const H_REFCOUNT = 4;
const H_BLOCKS = 8;
const VALUE_MAX = 65536;

export interface InodeAttributes {
  /** The inode was changed. */
  readonly changed: boolean;
  /** Clusters that count as the inode's. */
  readonly clusters: number;
  /** Bytes of data that the inode has room for (inline_data); 0: it lacks the attribute for them. */
  readonly inlinebytes: number;
  /** There is one that says how the inode is encrypted. */
  readonly encrypted: boolean;
}

export class Attributes {
  /** Inodes that share a block of attributes. */
  private readonly users = new Map<number, number>();
  private readonly bad = new Set<number>();
  /** The block of the inode that is looked at says how it is encrypted. */
  private keyed = false;
  /** References to inodes that hold values, by inode. */
  readonly values = new Map<number, number>();

  constructor(private readonly c: Checker) {}

  async inode(place: Place): Promise<InodeAttributes> {
    const { c } = this;
    const { d } = place;
    this.keyed = false;
    const inner = this.inside(place);
    let changed = inner.changed;
    let clusters = inner.clusters;
    if (d.i_file_acl !== 0) {
      const block = await this.block(place);
      if (block === undefined) {
        if (c.problem('damage', 'attributes', `inode ${place.ino}: block of attributes ${d.i_file_acl}`, 'REMOVED')) {
          place.view.setUint32(place.at + 0x68, 0, true);
          place.view.setUint16(place.at + 0x76, 0, true);
          changed = true;
        }
      } else clusters += block;
    }
    return { changed, clusters, inlinebytes: inner.inlinebytes, encrypted: inner.encrypted || this.keyed };
  }

  /** Those in the inode. */
  private inside({ ino, bytes, view, at }: Place): InodeAttributes {
    const { c } = this;
    const { fs } = c;
    const extra = extra_isize(fs, view, at);
    const start = at + 128 + extra;
    const end = at + fs.s_inode_size;
    const none = { changed: false, clusters: 0, inlinebytes: 0, encrypted: false };
    if (fs.s_inode_size <= 128 || start + XATTR_IBODY_HEADER > end) return none;
    if (view.getUint32(start, true) !== XATTR_MAGIC || extra === 0) return none;
    const area = bytes.subarray(start + XATTR_IBODY_HEADER, end);
    const { entries, problem } = xattr_entries(area, 0);
    const what = problem ?? this.entries(entries, area, true);
    if (what !== undefined) {
      if (!c.problem('damage', 'attributes', `inode ${ino}: attributes in the inode: ${what}`, 'REMOVED')) return none;
      bytes.fill(0, start, end);
      return { ...none, changed: true };
    }
    const data = entries.find(({ index, name }) => index === XI.SYSTEM && name === 'data');
    const clusters = this.count(entries);
    const encrypted = entries.some(is_context);
    const inlinebytes = data?.value_inum === 0 ? I_BLOCK_BYTES + data.value_size : 0;
    return { changed: false, clusters, encrypted, inlinebytes };
  }

  /** What cannot be of entries whose places are sound. */
  private entries(entries: readonly XattrEntry[], area: Uint8Array, inner: boolean): string | undefined {
    const { c } = this;
    const used: [number, number][] = [];
    const rowend = entries.reduce((end, e) => Math.max(end, e.at + ((16 + e.name.length + 3) & ~3)), 0) + 4;
    for (const entry of entries) {
      const { index, name, value_inum, value_offs, value_size, hash } = entry;
      if (index === 0 && name === '') return 'an entry without a name';
      if (value_inum !== 0) {
        if (!c.fs.incompat(INCOMPAT.ea_inode)) return 'a value in an inode without ea_inode';
        if (value_inum < c.fs.s_first_ino || value_inum > c.fs.s_inodes_count) return `value in inode ${value_inum}`;
        if (value_size > VALUE_MAX) return `value of ${value_size} bytes`;
        continue;
      }
      if (value_size > area.length) return `value of ${value_size} bytes`;
      if (value_size > 0) {
        const end = value_offs + ((value_size + 3) & ~3);
        if (value_offs % 4 !== 0 || value_offs < rowend || end > area.length) return `value at ${value_offs}`;
        if (used.some(([a, b]) => value_offs < b && end > a)) return `values overlap at ${value_offs}`;
        used.push([value_offs, end]);
      }
      const text = Uint8Array.from(name, (ch) => ch.charCodeAt(0));
      const value = area.subarray(value_offs, value_offs + value_size);
      if (inner && hash === 0) continue;
      if (hash !== xattr_entry_hash(text, value) && hash !== xattr_entry_hash(text, value, true))
        return `hash of "${name}" is wrong`;
    }
    return undefined;
  }

  /** Notes the references to values in inodes. @returns clusters that these are counted as the owner's */
  private count(entries: readonly XattrEntry[]): number {
    let clusters = 0;
    const { fs } = this.c;
    for (const { value_inum, value_size } of entries) {
      if (value_inum === 0) continue;
      this.values.set(value_inum, (this.values.get(value_inum) ?? 0) + 1);
      clusters += Math.ceil(value_size / (fs.bsize * fs.clusterblocks));
    }
    return clusters;
  }

  /** The block of attributes. @returns clusters that the inode counts for it; undefined: it is of no use */
  private async block({ d }: Place): Promise<number | undefined> {
    const { c } = this;
    const { fs } = c;
    const block = d.i_file_acl;
    if (!fs.compat(COMPAT.ext_attr) || !c.usable(block) || c.system.has(cluster_of(fs, block))) return undefined;
    if (this.bad.has(block)) return undefined;
    const bytes = await c.bread(block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { entries, problem } = xattr_entries(bytes, XATTR_BLOCK_HEADER);
    const users = this.users.get(block);
    if (users === undefined) {
      const sound = view.getUint32(0, true) === XATTR_MAGIC && view.getUint32(H_BLOCKS, true) === 1;
      const what = !sound ? 'header' : (problem ?? this.entries(entries, bytes, false));
      if (what !== undefined) {
        this.bad.add(block);
        return undefined;
      }
      if (fs.metadata_csum && view.getUint32(H_CHECKSUM, true) !== xattr_checksum(fs, bytes, block)) {
        if (c.problem('damage', 'attributes', `block of attributes ${block}: checksum is wrong`, 'SEALED'))
          await this.put(block, bytes);
      }
      if (!c.claimed.add(cluster_of(fs, block))) c.shared.add(cluster_of(fs, block));
    }
    this.keyed = entries.some(is_context);
    this.users.set(block, (users ?? 0) + 1);
    return 1 + this.count(entries);
  }

  private async put(block: number, bytes: Uint8Array): Promise<void> {
    const { fs } = this.c;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (fs.metadata_csum) view.setUint32(H_CHECKSUM, xattr_checksum(fs, bytes, block), true);
    await this.c.bwrite(block, bytes);
  }

  /** When all inodes are known: how many share each block, and refer to each value. */
  async finish(): Promise<void> {
    const { c } = this;
    for (const [block, users] of this.users) {
      const bytes = await c.bread(block);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const refs = view.getUint32(H_REFCOUNT, true);
      if (refs === users) continue;
      const what = `block of attributes ${block}: ${refs} references should be ${users}`;
      if (!c.problem('preen', 'references', what, 'SET')) continue;
      view.setUint32(H_REFCOUNT, users, true);
      await this.put(block, bytes);
    }
    for (const known of [...c.known.values()])
      if ((known.flags & FL.EA_INODE) !== 0) await this.value(known.ino, this.values.get(known.ino) ?? 0);
  }

  /** An inode that holds a value: it keeps how many refer to it in place of a time and a version. */
  private async value(ino: number, users: number): Promise<void> {
    const { c } = this;
    const place = await c.inode(ino);
    const { view, at } = place;
    if (users === 0) {
      if (c.problem('preen', 'references', `inode ${ino} holds a value that nothing refers to`, 'CLEARED'))
        await c.clearinode(place);
      return;
    }
    const known = c.known.get(ino)!;
    known.counted = known.links;
    const refs = view.getUint32(at + 0xc, true) * 2 ** 32 + view.getUint32(at + 0x24, true);
    if (refs === users) return;
    if (!c.problem('preen', 'references', `inode ${ino}: ${refs} references should be ${users}`, 'SET')) return;
    view.setUint32(at + 0xc, Math.floor(users / 2 ** 32), true);
    view.setUint32(at + 0x24, users % 2 ** 32, true);
    await c.putinode(place);
  }
}

function is_context({ index, name }: XattrEntry): boolean {
  return index === XI.ENCRYPTION && name === 'c';
}
