import { S_IFDIR, S_IFLNK, S_IFREG } from '../../src/kernel/stat.js';

/** A file as the model has it. */
export class ModelNode {
  readonly type: number;
  /** S_IFREG: the content. */
  data: Uint8Array = new Uint8Array(0);
  /** S_IFDIR: the entries. */
  readonly entries = new Map<string, ModelNode>();
  parent: ModelNode | null = null;
  /** S_IFLNK: the target. */
  target = '';
  mode: number;
  uid = 0;
  gid = 0;
  links = 0;
  /** As it was set, if nothing has changed it since. */
  mtime: bigint | undefined;

  constructor(type: number, mode: number) {
    this.type = type;
    this.mode = mode;
  }

  get nlink(): number {
    if (this.type !== S_IFDIR) return this.links;
    let subdirs = 0;
    for (const entry of this.entries.values()) if (entry.type === S_IFDIR) subdirs++;
    return 2 + subdirs;
  }
}

/** An operation that the model says must fail. */
export class Refused extends Error {}

/**
 * The simplest file system that is right: a tree of objects. It knows only whether an operation succeeds, not with
 * which error it fails. No symlink leads anywhere.
 */
export class Model {
  readonly root = new ModelNode(S_IFDIR, 0o755);
  private readonly bsdgroups: boolean;

  /** `bsdgroups`: the group of a new file is its directory's; else 0, its maker's. */
  constructor(bsdgroups: boolean) {
    this.bsdgroups = bsdgroups;
  }

  private parentOf(path: string): [ModelNode, string] {
    const parts = path.split('/');
    let dir = this.root;
    for (const part of parts.slice(0, -1)) {
      const next = dir.entries.get(part);
      if (next === undefined || next.type !== S_IFDIR) throw new Refused();
      dir = next;
    }
    return [dir, parts.at(-1)!];
  }

  lookup(path: string): ModelNode | undefined {
    if (path === '') return this.root;
    const [dir, name] = this.parentOf(path);
    return dir.entries.get(name);
  }

  private existing(path: string, type?: number): ModelNode {
    const node = this.lookup(path);
    if (node === undefined || (type !== undefined && node.type !== type)) throw new Refused();
    return node;
  }

  private enter(path: string, node: ModelNode): void {
    const [dir, name] = this.parentOf(path);
    if (dir.entries.has(name)) throw new Refused();
    dir.entries.set(name, node);
    dir.mtime = undefined;
    if (node.links === 0 && this.bsdgroups) node.gid = dir.gid;
    node.links++;
    if (node.type === S_IFDIR) node.parent = dir;
  }

  /** open with O_CREAT. */
  openFile(path: string, mode: number): ModelNode {
    const node = this.lookup(path);
    if (node !== undefined) {
      if (node.type !== S_IFREG) throw new Refused();
      return node;
    }
    const made = new ModelNode(S_IFREG, mode);
    this.enter(path, made);
    return made;
  }
  mkdir(path: string, mode: number): void {
    this.enter(path, new ModelNode(S_IFDIR, mode));
  }
  symlink(target: string, path: string): void {
    const node = new ModelNode(S_IFLNK, 0o777);
    node.target = target;
    this.enter(path, node);
  }
  link(from: string, to: string): void {
    this.enter(to, this.existing(from, S_IFREG));
  }
  unlink(path: string): void {
    const node = this.existing(path);
    if (node.type === S_IFDIR) throw new Refused();
    const [dir, name] = this.parentOf(path);
    dir.entries.delete(name);
    dir.mtime = undefined;
    node.links--;
  }
  rmdir(path: string): void {
    const node = this.existing(path, S_IFDIR);
    if (node.entries.size > 0) throw new Refused();
    const [dir, name] = this.parentOf(path);
    dir.entries.delete(name);
    dir.mtime = undefined;
  }
  rename(from: string, to: string): void {
    const node = this.existing(from);
    const [fdir, fname] = this.parentOf(from);
    const [tdir, tname] = this.parentOf(to);
    const old = tdir.entries.get(tname);
    if (old === node) return;
    for (let up: ModelNode | null = tdir; up !== null; up = up.parent) if (up === node) throw new Refused();
    if (old !== undefined) {
      if ((old.type === S_IFDIR) !== (node.type === S_IFDIR) || old.entries.size > 0) throw new Refused();
      old.links--;
    }
    fdir.entries.delete(fname);
    tdir.entries.set(tname, node);
    fdir.mtime = tdir.mtime = undefined;
    if (node.type === S_IFDIR) {
      node.parent = tdir;
      // ".." is rewritten in the directory itself.
      if (fdir !== tdir) node.mtime = undefined;
    }
  }
  truncate(path: string, size: number): void {
    resize(this.existing(path, S_IFREG), size);
  }
  chmod(path: string, mode: number): void {
    this.notLink(path).mode = mode;
  }
  chown(path: string, uid: number, gid: number): void {
    const node = this.notLink(path);
    node.uid = uid;
    node.gid = gid;
  }
  utimes(path: string, mtime: bigint): void {
    this.notLink(path).mtime = mtime;
  }
  private notLink(path: string): ModelNode {
    const node = this.existing(path);
    if (node.type === S_IFLNK) throw new Refused();
    return node;
  }
}

export function resize(node: ModelNode, size: number): void {
  const data = new Uint8Array(size);
  data.set(node.data.subarray(0, size));
  node.data = data;
  node.mtime = undefined;
}

export function store(node: ModelNode, data: Uint8Array, at: number): void {
  if (at + data.length > node.data.length) resize(node, at + data.length);
  node.data.set(data, at);
  node.mtime = undefined;
}
