import { E, Errno } from '../../kernel/errno.js';
import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_PATH } from '../../kernel/fcntl.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import type { Stat } from '../../kernel/stat.js';
import type { MountFacts, Path, RumpSys } from '../../kernel/sys/rumpsys.js';
import { putEntryOut } from '../protocol/encode.js';
import type { Timeouts } from '../protocol/encode.js';
import type { Message, OutBuf } from '../protocol/message.js';
import { cancelSignal } from './cancel.js';
import { Credentials } from './cred.js';
import { Nodes, isDirectory } from './nodes.js';
import { timeoutsOf } from './timeouts.js';
import type { Node } from './nodes.js';

export interface BridgeOptions {
  /** The directory of the kernel that becomes the root of the mount. */
  readonly root: Path;
  readonly readonly: boolean;
  /** The host checks permissions before it asks (its mount option of that name). */
  readonly default_permissions: boolean;
  /** How long the host may keep what it knows; what is not given follows from the traits of the mount (timeouts.ts). */
  readonly timeouts: Partial<Timeouts>;
  /** POSIX and flock locks are kept by the kernel instead of the host: something else uses the volume too. */
  readonly remote_locks: boolean;
  /** OPEN and OPENDIR are answered with descriptors. Without, the host reads and writes by node (see open.ts). */
  readonly handles: boolean;
  /** Nodes whose descriptors are kept open. */
  readonly nodes_max: number;
}

/** What the handlers need of the channel. */
export interface Channel {
  /** A reply buffer with room for so many bytes, from now on `m.out`. */
  large(m: Message, bytes: number): OutBuf;
  /** The host gives up the request with this number (two words). */
  interrupt(uniqueLo: number, uniqueHi: number): void;
  /** Tells the host that the attributes it keeps of a node are no longer right. */
  invalidate(lo: number, hi: number): void;
  /**
   * The host is to look all names up again that it remembers, before the reply to the request at work has any effect.
   * False: it does not know how (before Linux 6.16).
   */
  epoch(): boolean;
  /**
   * Also its content from `offset` on (`length` 0: to the end); and what a name, a byte string, means in a directory.
   * Soon.
   */
  invalidateData(lo: number, hi: number, offset: number, length: number): void;
  invalidateName(lo: number, hi: number, name: string): void;
}

/** Serves requests by system calls: one request, one or two calls. What all handlers share. */
export class Bridge {
  timeouts!: Timeouts;
  /**
   * For a name that is not spelled as its directory has it: what it means may change without the host's knowing of it.
   */
  private spelledOtherwise!: Timeouts;
  readonly handles: boolean;
  private readonly credentials: Credentials;

  private constructor(
    /** Superuser. */
    readonly sys: RumpSys,
    readonly options: BridgeOptions,
    readonly channel: Channel,
    readonly nodes: Nodes,
    readonly traits: MountFacts,
    /** The volume keeps extended attributes. */
    readonly xattr: boolean,
  ) {
    this.settle(false);
    // What is locked by handle is unlocked when the handle is released.
    this.handles = options.handles || options.remote_locks || !options.default_permissions;
    this.credentials = new Credentials(sys, options.default_permissions);
  }

  /**
   * `sys`: a process of the kernel for the bridge alone, superuser. Its umask becomes 0: the host has applied the
   * caller's.
   */
  static async open(sys: RumpSys, options: BridgeOptions, channel: Channel): Promise<Bridge> {
    sys.umask(0);
    const rootfd = await sys.open(options.root, O_PATH | O_DIRECTORY);
    const st = await sys.fstat(rootfd);
    const fh = await sys.getfh(options.root);
    const traits = sys.fmounttraits(rootfd);
    const compact =
      fh.fh_fid.fid_data === undefined && BigInt(fh.fh_fid.fid_ino) === st.st_ino && fh.fh_fid.fid_gen === st.st_gen;
    const ids = compact ? (traits.wideids ? 'wide' : 'compact') : 'numbered';
    const nodes = new Nodes(sys, rootfd, st.st_ino, st.st_gen, fh.fh_fsid, ids, options.readonly, options.nodes_max);
    return new Bridge(sys, options, channel, nodes, traits, await keepsXattrs(sys, rootfd, options.readonly));
  }

  /** The host has been agreed with: it can be told things. */
  agreed(): void {
    if (this.traits.folds && this.channel.epoch()) this.settle(true);
  }

  /** `epochs`: the host can be told to look all names up again. */
  private settle(epochs: boolean): void {
    this.timeouts = timeoutsOf(this.traits, this.options.timeouts, epochs);
    this.spelledOtherwise = { ...this.timeouts, entry: 0 };
  }

  /** Closes every descriptor, so that the volume can be unmounted. */
  close(): Promise<void> {
    return this.nodes.close();
  }

  /** The system calls as whoever asks. */
  as(m: Message): RumpSys {
    const sys = this.credentials.of(m);
    return this.traits.interruptible ? sys.withSignal(cancelSignal(m)) : sys;
  }

  /** The system calls as the superuser, for what a request needs beyond what its caller asked. */
  own(m: Message): RumpSys {
    return this.traits.interruptible ? this.sys.withSignal(cancelSignal(m)) : this.sys;
  }

  /** The node that the request is about, held until its reply. @throws ESTALE */
  node(m: Message): MaybePromise<Node> {
    return this.nodes.get(m, m.nodeLo, m.nodeHi);
  }

  /** The reply that tells the host of a directory's entry. `st` are its attributes. */
  entry(m: Message, dirfd: number, name: Path, st: Stat): MaybePromise<number> {
    const known = this.timeoutsFor(dirfd, name);
    if (known instanceof Promise) return known.then((timeouts) => this.entryKnown(m, dirfd, name, st, timeouts));
    return this.entryKnown(m, dirfd, name, st, known);
  }

  private entryKnown(m: Message, dirfd: number, name: Path, st: Stat, timeouts: Timeouts): MaybePromise<number> {
    const { nodes } = this;
    if (nodes.identify(st)) return putEntryOut(m.out, 0, nodes.lo, nodes.hi, 0, st, timeouts);
    return this.entryNumbered(m, dirfd, name, st, timeouts);
  }

  private async entryNumbered(m: Message, dirfd: number, name: Path, st: Stat, timeouts: Timeouts): Promise<number> {
    return this.entryOf(m, await this.nodes.byName(m, this.sys, dirfd, name, st), st, timeouts);
  }

  /** The same for a node at hand, whose file was just made under `name` or got it. */
  entryNamed(m: Message, node: Node, dirfd: number, name: Path, st: Stat): MaybePromise<number> {
    const known = this.timeoutsFor(dirfd, name);
    if (known instanceof Promise) return known.then((timeouts) => this.entryOf(m, node, st, timeouts));
    return this.entryOf(m, node, st, known);
  }

  /** How long the host may remember what `name` means. */
  private timeoutsFor(dirfd: number, name: Path): MaybePromise<Timeouts> {
    if (!this.traits.folds) return this.timeouts;
    return this.otherwise(dirfd, name).then((otherwise) => (otherwise ? this.spelledOtherwise : this.timeouts));
  }

  /**
   * Does the directory spell what `name` finds in it otherwise? The host may then remember it under that spelling too:
   * when the name has lost what it meant, it must look all names up again (Channel.epoch). False where it is not there.
   */
  async otherwise(dirfd: number, name: Path): Promise<boolean> {
    if (!this.traits.folds) return false;
    try {
      return !(await this.sys.isspelled(dirfd, name));
    } catch (thrown) {
      if (thrown instanceof Errno) return false;
      throw thrown;
    }
  }

  /** The same for a node at hand. */
  entryOf(m: Message, node: Node, st: Stat, timeouts = this.timeouts): number {
    if (node.lo === 0) {
      node.nlookup++;
      m.undo = async () => this.nodes.forget(node.lo, node.hi, 1);
    }
    return putEntryOut(m.out, 0, node.lo, node.hi, 0, st, timeouts);
  }

  /**
   * What `name` names is about to lose that name. If it is its last, the node, held, to be pinned when the name is
   * gone: the host may use it still (open files, current directories). To pin one that has not gone does no harm.
   */
  async victim(m: Message, dirfd: number, name: Path, st: Stat): Promise<Node | null> {
    const { nodes, sys } = this;
    try {
      await sys.fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW);
      if (st.st_nlink > 1 && !isDirectory(st)) return null;
      return await nodes.byName(m, sys, dirfd, name, st);
    } catch (thrown) {
      // Nothing there, or trouble: the call that follows says so, with the caller's permissions.
      if (thrown instanceof Errno) return null;
      throw thrown;
    }
  }
}

/** Of no file, so that it can be asked for in vain. */
const NO_XATTR = 'user.rumpfuse.none';

/**
 * Does the volume keep extended attributes? A driver may well read them where it would not write them (they are not for
 * the systems that the volume belongs to): then there are none, which spares a request at each write.
 */
async function keepsXattrs(sys: RumpSys, rootfd: number, readonly: boolean): Promise<boolean> {
  try {
    await (readonly ? sys.flistxattr(rootfd) : sys.fremovexattr(rootfd, NO_XATTR));
    return true;
  } catch (thrown) {
    // Any other failure says that there is something that failed.
    return (
      !(thrown instanceof Errno) ||
      (thrown.errno !== E.EOPNOTSUPP && thrown.errno !== E.ENOTSUP && thrown.errno !== E.ENOSYS)
    );
  }
}
