import { E, errno } from '../../kernel/errno.js';
import { O_DIRECTORY, O_EMPTY_PATH, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR } from '../../kernel/fcntl.js';
import { S_IFDIR, S_IFMT } from '../../kernel/stat.js';
import type { Fid, Stat } from '../../kernel/stat.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Path, RumpSys } from '../../kernel/sys/rumpsys.js';
import { FUSE_ROOT_ID } from '../protocol/fuse_kernel.js';
import type { Held, Message } from '../protocol/message.js';

/**
 * A file that a nodeid stands for, with its descriptors. In the table of nodes from its first use on; leaves it when
 * descriptors run short and nobody uses it (it can be opened again by its number), or when the host forgets it.
 */
export class Node implements Held {
  refs = 0;
  /** Used since the table last looked for something to close. */
  used = true;
  /**
   * Its last name was removed while the host knows it: it cannot be opened again, so its descriptors stay until FORGET.
   */
  pinned = false;
  /** For reading and writing; -1 while not needed. May be the same as `fd`. */
  io = -1;
  writable = false;
  /** Known to have no set-id bits. */
  plain = false;
  /** Of an open directory: the cookie that `io` stands at, -1 unknown. */
  dirpos: number | bigint = -1;
  /** A READDIR is at work on `io`. */
  busy = false;
  /** Nodes of the second kind: how often the host has been told of it, and under which identity. */
  nlookup = 0;
  identity = '';

  constructor(
    readonly lo: number,
    readonly hi: number,
    /** Stands for the file (O_PATH or better). */
    readonly fd: number,
  ) {}
}

/** Looked at, at most, for one that can be closed. */
const SCAN_MAX = 64;

/**
 * What nodeids are made of. compact: file number (32 bits) and generation (32). wide: file number (48 bits, the low 32
 * first) and generation (16). numbered: neither finds a file of this volume, all nodes are of the second kind.
 */
export type NodeIds = 'compact' | 'wide' | 'numbered';

const TWO32 = 2 ** 32;
const WIDE_INO_MAX = 2 ** 48;

/**
 * Nodes by nodeid. Two kinds:
 *
 * - The nodeid is file number (low bits) and generation (high bits), where these name the file for ever and the
 *   volume finds it by them (NetBSD's getfh and fhopen). Nothing is kept for such a node: what the table holds of it is
 *   a cache of descriptors, and FORGET needs no count.
 * - Other files get a number: low 32 bits 0, high 32 bits counted up. They keep a descriptor until FORGET.
 */
export class Nodes {
  readonly root: Node;
  private readonly byIno = new Map<number, Node>();
  private readonly byNumber = new Map<number, Node>();
  private readonly byIdentity = new Map<string, Node>();
  /** Forgotten by the host while a request was at work on them. */
  private readonly doomed = new Set<Node>();
  private lastNumber = 0;

  constructor(
    private readonly sys: RumpSys,
    rootfd: number,
    private readonly rootIno: bigint,
    private readonly rootGen: number,
    readonly fsid: number,
    private readonly ids: NodeIds,
    private readonly readonly: boolean,
    /** Nodes of the first kind whose descriptors are kept open. */
    readonly limit: number,
  ) {
    this.root = new Node(FUSE_ROOT_ID, 0, rootfd);
    this.root.pinned = true;
  }

  /** The volume finds files by number and generation. */
  get compact(): boolean {
    return this.ids !== 'numbered';
  }

  /** Descriptors kept. For tests. */
  get size(): number {
    return this.byIno.size + this.byNumber.size;
  }

  /** The node, held by `m`. @throws ESTALE */
  get(m: Message, lo: number, hi: number): MaybePromise<Node> {
    const node = this.cached(lo, hi);
    if (node === undefined) return this.open(m, lo, hi);
    node.used = true;
    m.hold(node);
    return node;
  }

  /** The node if it is in the table. */
  cached(lo: number, hi: number): Node | undefined {
    if (lo === 0) return this.byNumber.get(hi);
    if (lo === FUSE_ROOT_ID && hi === 0) return this.root;
    const node = this.byIno.get(this.numberOf(lo, hi));
    return node !== undefined && node.hi === hi ? node : undefined;
  }

  private async open(m: Message, lo: number, hi: number): Promise<Node> {
    if (lo === 0 || !this.compact) throw errno(E.ESTALE);
    const fd = await this.fhopen(lo, hi, O_PATH);
    return this.adopt(m, lo, hi, fd, false);
  }

  private fhopen(lo: number, hi: number, flags: number): Promise<number> {
    const fid_ino = this.numberOf(lo, hi);
    const fid_gen = this.ids === 'wide' ? hi >>> 16 : hi;
    return this.sys.fhopen({ fh_fsid: this.fsid, fh_fid: { fid_ino, fid_gen } }, flags);
  }

  /**
   * Puts a descriptor into the table as the node's, or closes it if the node is there already. `io`: it can be read and
   * written. The node is held by `m`.
   */
  private adopt(m: Message, lo: number, hi: number, fd: number, io: boolean): Node {
    const number = this.numberOf(lo, hi);
    let node = this.byIno.get(number);
    if (node !== undefined && node.hi !== hi) {
      // Another generation of the same number. The one that is in use or pinned is alive, hence this one cannot be.
      if (node.refs > 0 || node.pinned) {
        this.closeFd(fd);
        throw errno(E.ESTALE);
      }
      this.quietly(this.drop(node));
      node = undefined;
    }
    if (node === undefined) {
      if (this.byIno.size >= this.limit) this.shrink();
      node = new Node(lo, hi, fd);
      this.byIno.set(number, node);
      if (io) node.io = fd;
    } else if (io && node.io < 0) {
      node.io = fd;
    } else {
      this.closeFd(fd);
    }
    if (io && node.io === fd) node.writable = true;
    node.used = true;
    m.hold(node);
    return node;
  }

  /** Nodeid of the first kind for a file, in `lo` and `hi`; false if it needs the second kind. */
  lo = 0;
  hi = 0;
  identify(st: Pick<Stat, 'st_ino' | 'st_gen'>): boolean {
    if (st.st_ino === this.rootIno && st.st_gen === this.rootGen) {
      this.lo = FUSE_ROOT_ID;
      this.hi = 0;
      return true;
    }
    if (!this.compact || st.st_ino <= 0n) return false;
    if (this.ids === 'wide') return this.identifyWide(Number(st.st_ino), st.st_gen);
    if (st.st_ino > 0xffffffffn) return false;
    this.lo = Number(st.st_ino);
    this.hi = st.st_gen >>> 0;
    return this.lo !== FUSE_ROOT_ID || this.hi !== 0;
  }

  private identifyWide(ino: number, gen: number): boolean {
    this.lo = ino % TWO32;
    this.hi = (Math.floor(ino / TWO32) + gen * 65536) >>> 0;
    return ino < WIDE_INO_MAX && gen <= 0xffff && this.lo !== 0 && (this.lo !== FUSE_ROOT_ID || this.hi !== 0);
  }

  /** The file number in a nodeid of the first kind. */
  private numberOf(lo: number, hi: number): number {
    return this.ids === 'wide' ? (hi & 0xffff) * TWO32 + lo : lo;
  }

  /**
   * The nodeid by which the host may know the file of a handle: in `lo` and `hi`. False: it has none, or none that is
   * known.
   */
  find(fid: Fid): boolean {
    const st_ino = BigInt(fid.fid_ino);
    if (this.identify({ st_ino, st_gen: fid.fid_gen })) return true;
    const node = this.byIdentity.get(`${st_ino}.${fid.fid_gen}`);
    if (node === undefined) return false;
    this.lo = node.lo;
    this.hi = node.hi;
    return true;
  }

  /** Takes over the descriptor of a file that has just been created and is open for reading and writing. */
  created(m: Message, st: Stat, fd: number): Node {
    if (this.identify(st)) return this.adopt(m, this.lo, this.hi, fd, true);
    const node = this.number(m, st, fd);
    if (node.fd === fd || node.io < 0) {
      node.io = fd;
      node.writable = true;
    } else {
      this.closeFd(fd);
    }
    return node;
  }

  /** The node of a directory's entry, held by `m`, opened if need be. */
  async byName(m: Message, sys: RumpSys, dirfd: number, name: Path, st: Stat): Promise<Node> {
    if (this.identify(st)) {
      const { lo, hi } = this;
      const node = this.cached(lo, hi);
      if (node !== undefined) {
        m.hold(node);
        return node;
      }
      return this.adopt(m, lo, hi, await sys.openat(dirfd, name, O_PATH | O_NOFOLLOW), false);
    }
    const fd = await sys.openat(dirfd, name, O_PATH | O_NOFOLLOW);
    const node = this.number(m, st, fd);
    if (node.fd !== fd) this.closeFd(fd);
    return node;
  }

  /** A node of the second kind: the one that the file has, or a new one with this descriptor. */
  private number(m: Message, st: Stat, fd: number): Node {
    const identity = `${st.st_ino}.${st.st_gen}`;
    let node = this.byIdentity.get(identity);
    if (node === undefined) {
      do this.lastNumber = this.lastNumber === 0xffffffff ? 1 : this.lastNumber + 1;
      while (this.byNumber.has(this.lastNumber));
      node = new Node(0, this.lastNumber, fd);
      node.identity = identity;
      this.byNumber.set(node.hi, node);
      this.byIdentity.set(identity, node);
    }
    m.hold(node);
    return node;
  }

  /** A descriptor to read from or to write to. @throws what open(2) fails with */
  io(node: Node, write: boolean): MaybePromise<number> {
    if (node.io >= 0 && (node.writable || !write)) return node.io;
    return this.openIo(node, write);
  }

  private async openIo(node: Node, write: boolean): Promise<number> {
    let fd: number;
    let writable = !this.readonly;
    try {
      fd = await this.reopen(node, writable ? O_RDWR : O_RDONLY);
    } catch (thrown) {
      // An immutable file, say: reading must go on.
      if (write || !writable) throw thrown;
      writable = false;
      fd = await this.reopen(node, O_RDONLY);
    }
    if (write && !writable) {
      this.closeFd(fd);
      throw errno(E.EROFS);
    }
    if (node.io >= 0) {
      // Somebody was faster, or it was open for reading only. The old one may be in use: it goes with the node.
      if (node.writable || !writable) {
        this.closeFd(fd);
        return node.io;
      }
      if (node.io !== node.fd) this.closeLater(node.io);
    }
    node.io = fd;
    node.writable = writable;
    return fd;
  }

  /** Another descriptor of the same file. */
  reopen(node: Node, flags: number): Promise<number> {
    if (node.lo !== 0 && node !== this.root && !node.pinned) return this.fhopen(node.lo, node.hi, flags);
    return this.sys.openat(node.fd, '', flags | O_EMPTY_PATH);
  }

  /** An open directory's descriptor. */
  async dirIo(node: Node): Promise<number> {
    if (node.io >= 0) return node.io;
    const fd = await this.reopen(node, O_RDONLY | O_DIRECTORY);
    if (node.io >= 0) {
      this.closeFd(fd);
      return node.io;
    }
    node.io = fd;
    node.dirpos = 0;
    return fd;
  }

  /** A file without a name that the host knows from a server before this one. @throws ESTALE */
  async inherit(fid: Fid): Promise<void> {
    if (!this.find(fid)) throw errno(E.ESTALE);
    const { lo, hi } = this;
    if (this.cached(lo, hi) !== undefined) return;
    const node = new Node(lo, hi, await this.fhopen(lo, hi, O_PATH));
    node.pinned = true;
    this.byIno.set(this.numberOf(lo, hi), node);
  }

  /** The file lost its last name. */
  pin(node: Node): void {
    node.pinned = true;
  }

  /** The host forgets `count` of its lookups of a node. */
  forget(lo: number, hi: number, count: number): MaybePromise<void> {
    const node = this.cached(lo, hi);
    if (node === undefined || node === this.root) return undefined;
    if (lo === 0) {
      node.nlookup -= count;
      if (node.nlookup > 0) return undefined;
    }
    node.pinned = false;
    if (node.refs === 0) return this.drop(node);
    this.doomed.add(node);
    return undefined;
  }

  /** Closes what was forgotten while it was in use. */
  reap(): void {
    for (const node of this.doomed) {
      if (node.refs > 0) continue;
      this.doomed.delete(node);
      if (!node.pinned && node.nlookup <= 0 && this.cached(node.lo, node.hi) === node) this.quietly(this.drop(node));
    }
  }
  get reapable(): boolean {
    return this.doomed.size > 0;
  }

  /** Makes room for one more node. */
  private shrink(): void {
    let scanned = 0;
    for (const node of this.byIno.values()) {
      if (!node.used && !node.pinned && node.refs === 0) {
        this.quietly(this.drop(node));
        return;
      }
      if (++scanned > SCAN_MAX) return; // all in use: the table grows
      // A second chance, at the end of the line.
      node.used = false;
      const number = this.numberOf(node.lo, node.hi);
      this.byIno.delete(number);
      this.byIno.set(number, node);
    }
  }

  private drop(node: Node): Promise<void> {
    if (node.lo === 0) {
      this.byNumber.delete(node.hi);
      this.byIdentity.delete(node.identity);
    } else {
      this.byIno.delete(this.numberOf(node.lo, node.hi));
    }
    return this.closeAll(node);
  }

  private async closeAll(node: Node): Promise<void> {
    if (node.io >= 0 && node.io !== node.fd) await this.sys.close(node.io);
    await this.sys.close(node.fd);
  }

  private closeFd(fd: number): void {
    this.quietly(this.sys.close(fd));
  }
  /** Nobody waits for it, and whatever it meets the kernel has logged; the descriptor is closed all the same. */
  private quietly(closing: Promise<void>): void {
    closing.catch(() => {});
  }
  private closeLater(fd: number): void {
    this.old.push(fd);
  }
  /** Replaced descriptors; closed with the table. Only files whose flags change while they are in use get here. */
  private readonly old: number[] = [];

  /** Closes everything: the volume is about to be unmounted. */
  async close(): Promise<void> {
    for (const fd of this.old.splice(0)) await this.sys.close(fd);
    for (const node of [...this.byIno.values(), ...this.byNumber.values()]) await this.drop(node);
    this.doomed.clear();
    await this.closeAll(this.root);
  }
}

/** Is this stat a directory's? */
export function isDirectory(st: Stat): boolean {
  return (st.st_mode & S_IFMT) === S_IFDIR;
}
