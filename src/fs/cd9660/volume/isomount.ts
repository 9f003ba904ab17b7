import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf, BufferCache } from '../../../kernel/vfs/bio.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { DamageLog } from '../../lib/damage.js';
import type { IsoNode } from '../file/node.js';
import { Hardlinks } from '../file/hardlinks.js';
import { ZisofsCache } from '../file/zcache.js';
import { DirectoryIndex } from '../dir/dirindex.js';
import type { SuspSkip } from '../disk/susp.js';
import type { IsoOptions } from './options.js';

/** Whose names and attributes a mount shows. */
export type Flavour = 'rockridge' | 'joliet' | 'enhanced' | 'plain';

/**
 * Metadata are read in pieces of this size that lie at multiples of it, so that no record is cut: writers put
 * directories
 * one behind the other, so that one piece brings several of them. Bytes.
 */
const WINDOW = 32768;
/** Records of one logical block, at most (2048 bytes, 34 each), and a little more. */
const ORDINALS = 64;
/** Entries of directories that were listed and whose attributes may be asked for next. */
const RECENT_MAX = 2048;

/** What mounting finds out, see vfsops.ts. */
export interface IsoLayout {
  readonly dev: BlockDevice;
  readonly flavour: Flavour;
  readonly high_sierra: boolean;
  /** Where the fields of system use areas begin. */
  readonly skip: SuspSkip;
  /** Bytes of a logical block. */
  readonly block_size: number;
  /** Logical blocks of the volume. */
  readonly space_size: number;
  /** Of the root directory: logical block, bytes. */
  readonly root_block: number;
  readonly root_size: number;
}

/**
 * A mounted disc. A file has no number of its own; it is called by the place of its directory record: logical block
 * times
 * 64, plus which record of the block it is. That is found again without any state, and fits 32 bits up to 128 GiB.
 */
export class IsoMount {
  readonly mount: Mount;
  readonly kernel: Kernel;
  readonly bufcache: BufferCache;
  readonly options: IsoOptions;
  readonly layout: IsoLayout;
  readonly dev: BlockDevice;
  readonly bsize: number;
  /** Logical blocks of the device. */
  readonly blocks: number;
  readonly high_sierra: boolean;
  readonly rock: boolean;
  readonly damage: DamageLog;
  readonly indexes = new DirectoryIndex();
  readonly zcache = new ZisofsCache();
  readonly links = new Hardlinks();
  /** Set once mounting has read it. */
  root!: IsoNode;
  /** The directory that Rock Ridge keeps moved directories in, if nothing else is there: not shown. -1: none. */
  hidden = -1;
  private readonly recent = new Map<number, IsoNode>();

  constructor(mount: Mount, layout: IsoLayout, options: IsoOptions) {
    this.mount = mount;
    this.kernel = mount.mnt_kernel;
    this.bufcache = this.kernel.bufcache;
    this.layout = layout;
    this.options = options;
    this.dev = layout.dev;
    this.bsize = layout.block_size;
    this.blocks = Math.floor(this.dev.size_bytes / this.bsize);
    this.high_sierra = layout.high_sierra;
    this.rock = layout.flavour === 'rockridge';
    this.damage = new DamageLog(
      (level, message) => this.kernel.log(level, message),
      mount.mnt_mntfromname,
      'copy what can be read from it',
    );
  }

  /** File number of a record. */
  number(block: number, ordinal: number): number {
    return block * ORDINALS + ordinal;
  }
  blockOf(fileno: number): number {
    return Math.floor(fileno / ORDINALS);
  }
  ordinalOf(fileno: number): number {
    return fileno % ORDINALS;
  }
  /** File number of a file with several names, by the first byte of its data; no record has it. */
  linkNumber(start: number): number {
    return this.number(Math.floor(start / this.bsize), ORDINALS - 1);
  }
  isLinkNumber(fileno: number): boolean {
    return this.ordinalOf(fileno) === ORDINALS - 1;
  }
  get root_number(): number {
    return this.number(this.layout.root_block, 0);
  }

  /** The piece of metadata that holds byte `at` of the device; to be released. @throws EIO */
  window(at: number): MaybePromise<Buf> {
    const from = at - (at % WINDOW);
    return this.bufcache.bread(this.dev, from, Math.min(WINDOW, this.dev.size_bytes - from));
  }

  remember(node: IsoNode): void {
    // Entries are asked for in the order in which they were listed: what is old has been asked for.
    if (this.recent.size >= RECENT_MAX) this.recent.clear();
    this.recent.set(node.number, node);
  }
  remembered(fileno: number): IsoNode | undefined {
    return this.recent.get(fileno);
  }
}

export function VFSTOISO(mp: Mount): IsoMount {
  return mp.mnt_data as IsoMount;
}
