import { E, errno } from '../../kernel/errno.js';
import type { Mount } from '../../kernel/vfs/mount.js';
import { VDIR } from '../../kernel/vfs/vattr.js';
import { ATIME, BIRTHTIME, CTIME, MTIME, TmpfsNode, touch } from './node.js';
import type { Room } from './pages.js';

export interface TmpfsOptions {
  /** Limit of file content and extended attributes, bytes. */
  size_bytes: number;
  /** Limit of files, directories included. */
  nodes: number;
  /** Of the root directory. */
  mode: number;
  uid: number;
  gid: number;
}

/** A mounted tmpfs: its nodes and what is left of its limits. */
export class TmpfsMount implements Room {
  readonly mount: Mount;
  size_bytes: number;
  nodes_max: number;
  used_bytes = 0;
  readonly nodes = new Map<number, TmpfsNode>();
  readonly root: TmpfsNode;
  /** File numbers are not used twice; 2 is the root's, as in other file systems. */
  private nextId = 2;
  private nextGen: number;

  constructor(mount: Mount, options: TmpfsOptions) {
    this.mount = mount;
    this.size_bytes = options.size_bytes;
    this.nodes_max = options.nodes;
    // Generations differ between two mounts, so that a file handle of an earlier one is stale.
    const seed = new Uint8Array(4);
    mount.mnt_kernel.rumpuser.rumpuser_getrandom(seed);
    this.nextGen = new DataView(seed.buffer).getUint32(0, true);
    this.root = this.newNode(VDIR, options.mode, options.uid, options.gid);
    this.root.tn_nlink = 2;
    this.root.tn_parent = this.root;
  }

  /** A node without links. @throws ENOSPC */
  newNode(type: number, mode: number, uid: number, gid: number): TmpfsNode {
    if (this.nodes.size >= this.nodes_max) throw errno(E.ENOSPC);
    const gen = this.nextGen;
    this.nextGen = (this.nextGen + 1) >>> 0;
    const node = new TmpfsNode(this, this.nextId++, gen, type, mode, uid, gid);
    this.nodes.set(node.tn_id, node);
    touch(node, ATIME | MTIME | CTIME | BIRTHTIME);
    return node;
  }

  freeNode(node: TmpfsNode): void {
    if (!this.nodes.delete(node.tn_id)) return;
    node.tn_pages?.truncate(0);
    if (node.tn_xattr !== null) for (const [name, value] of node.tn_xattr) this.give(name.length + value.length);
    node.tn_xattr = null;
  }

  get available_bytes(): number {
    return Math.max(0, this.size_bytes - this.used_bytes);
  }

  take(bytes: number): void {
    if (bytes > this.size_bytes - this.used_bytes) throw errno(E.ENOSPC);
    this.used_bytes += bytes;
  }

  give(bytes: number): void {
    this.used_bytes -= bytes;
  }
}
