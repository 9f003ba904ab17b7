import { VDIR } from '../../kernel/vfs/vattr.js';

/** An entry of a directory: its place in {@link ZeroNode.order} is its readdir cookie. */
export interface ZeroEntry {
  readonly name: string;
  readonly index: number;
  readonly node: ZeroNode;
}

/** A file or directory of a zerofs volume; content is never kept. */
export class ZeroNode {
  readonly id: number;
  /** VREG, VDIR, ... */
  readonly type: number;
  mode: number;
  uid = 0;
  gid = 0;
  nlink: number;
  /** Bytes. */
  size = 0;
  rdev = 0n;
  /** One time serves as all four. Seconds and nanoseconds. */
  time = 0;
  timensec = 0;
  flags = 0;
  link: Uint8Array | null = null;
  parent: ZeroNode | null = null;
  /** Of a directory; else null. */
  readonly entries: Map<string, ZeroEntry> | null;
  /** Entries by cookie; null where one has been removed. */
  order: (ZeroEntry | null)[] = [];

  constructor(id: number, type: number, mode: number) {
    this.id = id;
    this.type = type;
    this.mode = mode;
    this.nlink = type === VDIR ? 2 : 1;
    this.entries = type === VDIR ? new Map() : null;
  }

  add(name: string, node: ZeroNode): void {
    const entry: ZeroEntry = { name, index: this.order.length, node };
    this.order.push(entry);
    this.entries!.set(name, entry);
    if (node.type === VDIR) {
      node.parent = this;
      this.nlink++;
    }
  }

  remove(name: string): void {
    const entry = this.entries!.get(name);
    if (entry === undefined) return;
    this.entries!.delete(name);
    this.order[entry.index] = null;
    if (this.entries!.size === 0) this.order = [];
    if (entry.node.type === VDIR) {
      entry.node.parent = null;
      this.nlink--;
    }
  }
}
