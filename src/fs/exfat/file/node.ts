import type { Vnode } from '../../../kernel/vfs/vnode.js';
import type { DosZone } from '../../lib/dostime.js';
import type { Directory } from '../dir/directory.js';
import type { FileSet } from '../dir/fileset.js';
import type { Found } from '../dir/lookup.js';
import { CLUSTERS_MAX } from '../disk/boot.js';
import {
  ATTR_DIRECTORY, F_ACCESS, F_ACCESS_UTC, F_ATTRIBUTES, F_CREATE, F_CREATE_10MS, F_CREATE_UTC, F_MODIFY, F_MODIFY_10MS,
  F_MODIFY_UTC, NO_FAT_CHAIN,
} from '../disk/entry.js';
import { Timestamp } from '../disk/timestamp.js';
import { Chain } from '../space/chain.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import { ROOT_NUMBER } from '../volume/whereabouts.js';

/** A file in memory: v_data of its vnode. What the format keeps of it is in its set of entries, too, always. */
export class ExfatNode {
  readonly en_em: ExfatMount;
  readonly en_number: number;
  /** The directory with its set, the byte offset of that, and how many entries it has; null: the root, or removed. */
  en_parent: Directory | null = null;
  en_offset = 0;
  en_entries = 0;
  /** Its content, if it is a directory. */
  en_dir: Directory | null = null;
  en_attributes = 0;
  en_chain: Chain;
  /** DataLength and ValidDataLength, bytes. */
  en_size = 0;
  en_valid = 0;
  readonly en_created = new Timestamp();
  readonly en_modified = new Timestamp();
  readonly en_accessed = new Timestamp();
  /** The format has no time of change: that of this mount, or else the time of modification. */
  en_ctime = 0;
  en_ctimensec = 0;
  /** Without a name. */
  en_removed = false;
  /** What its set says cannot be: its content is out of reach. */
  en_bad: string | undefined;
  /** In the count of flushes: when it was made, and when its chain was cut, last. */
  en_made = -1;
  en_cut = -1;
  /** When its name got a turn of its own last (dir/fileset.ts). */
  en_turned = -1;

  constructor(em: ExfatMount, number: number) {
    this.en_em = em;
    this.en_number = number;
    this.en_chain = new Chain(0, 0, false);
  }

  get isdir(): boolean {
    return (this.en_attributes & ATTR_DIRECTORY) !== 0;
  }

  get isroot(): boolean {
    return this.en_number === ROOT_NUMBER;
  }
}

export function VTOE(vp: Vnode): ExfatNode {
  return vp.v_data as ExfatNode;
}

function take_time(time: Timestamp, set: FileSet, stamp: number, tens: number, utc: number): void {
  time.stamp = set.view.getUint32(stamp, true);
  time.tens = tens === 0 ? 0 : set.bytes[tens];
  time.utc = set.bytes[utc];
}

function give_time(time: Timestamp, set: FileSet, stamp: number, tens: number, utc: number): void {
  set.view.setUint32(stamp, time.stamp, true);
  if (tens !== 0) set.bytes[tens] = time.tens;
  set.bytes[utc] = time.utc;
}

/** Attributes and times of a file that is made now. */
export function set_new_meta(set: FileSet, attributes: number, sec: number, nsec: number, zone: DosZone): void {
  const now = new Timestamp();
  now.set(sec, nsec, zone);
  set.view.setUint16(F_ATTRIBUTES, attributes, true);
  give_time(now, set, F_CREATE, F_CREATE_10MS, F_CREATE_UTC);
  give_time(now, set, F_MODIFY, F_MODIFY_10MS, F_MODIFY_UTC);
  give_time(now, set, F_ACCESS, 0, F_ACCESS_UTC);
}

/** Takes attributes and times of a set. */
export function node_meta(node: ExfatNode, set: FileSet): void {
  node.en_attributes = set.attributes;
  take_time(node.en_created, set, F_CREATE, F_CREATE_10MS, F_CREATE_UTC);
  take_time(node.en_modified, set, F_MODIFY, F_MODIFY_10MS, F_MODIFY_UTC);
  take_time(node.en_accessed, set, F_ACCESS, 0, F_ACCESS_UTC);
}

/** Brings everything but the name into the set; the checksum is not made right. */
export function node_into(node: ExfatNode, set: FileSet): void {
  set.view.setUint16(F_ATTRIBUTES, node.en_attributes, true);
  give_time(node.en_created, set, F_CREATE, F_CREATE_10MS, F_CREATE_UTC);
  give_time(node.en_modified, set, F_MODIFY, F_MODIFY_10MS, F_MODIFY_UTC);
  give_time(node.en_accessed, set, F_ACCESS, 0, F_ACCESS_UTC);
  const { en_chain: chain } = node;
  // AllocationPossible is set in every stream extension.
  set.setstream(1 | (chain.contiguous ? NO_FAT_CHAIN : 0), chain.first, node.en_valid, node.en_size);
}

/** What is wrong with the content that a set tells of; undefined: nothing. */
export function set_content_problem(em: ExfatMount, set: FileSet): string | undefined {
  const size = set.datalength;
  const first = set.firstcluster;
  if (!(size <= CLUSTERS_MAX * em.em_clbytes && size <= Number.MAX_SAFE_INTEGER)) return `DataLength ${size}`;
  const count = em.clustersof(size);
  if (count > em.em_boot.ClusterCount) return `DataLength ${size} is more than the volume has`;
  if (set.validlength > size) return `ValidDataLength ${set.validlength} above DataLength ${size}`;
  if (count === 0) return undefined;
  if (!em.iscluster(first)) return `FirstCluster ${first}`;
  if ((set.flags & NO_FAT_CHAIN) !== 0 && first + count > em.em_clend) {
    return `clusters ${first} to ${first + count - 1} lie outside the volume`;
  }
  if (em.touches_system(first, (set.flags & NO_FAT_CHAIN) !== 0 ? count : 1)) {
    return `cluster ${first} and those behind it belong to the volume itself`;
  }
  return undefined;
}

/** A node of what a set says. */
export function node_of(em: ExfatMount, number: number, parent: Directory, { offset, set }: Found): ExfatNode {
  const node = new ExfatNode(em, number);
  node.en_parent = parent;
  node.en_offset = offset;
  node.en_entries = set.count;
  node_meta(node, set);
  node.en_ctime = node.en_modified.sec(em.em_options.zone);
  node.en_ctimensec = node.en_modified.nsec;
  node.en_bad = set_content_problem(em, set);
  if (!set.summed) em.em_damage.note(`directory ${parent.number}, entry at ${offset}: wrong SetChecksum`);
  if (node.en_bad === undefined) {
    node.en_size = set.datalength;
    node.en_valid = set.validlength;
    const count = em.clustersof(node.en_size);
    node.en_chain = new Chain(count === 0 ? 0 : set.firstcluster, count, count > 0 && (set.flags & NO_FAT_CHAIN) !== 0);
  }
  if (node.isdir) node_directory(node, parent, set);
  if (node.en_bad !== undefined) em.em_damage.note(`directory ${parent.number}, entry at ${offset}: ${node.en_bad}`);
  return node;
}

/** The content of a directory. */
function node_directory(node: ExfatNode, parent: Directory, set: FileSet): void {
  const { en_em: em } = node;
  if (node.en_bad !== undefined) return;
  const dir = em.em_where.directory(node.en_number, parent.number, set);
  if (dir === undefined) {
    node.en_bad = `FirstCluster ${set.firstcluster} and DataLength ${set.datalength} of a directory`;
    return;
  }
  const { first } = dir.chain;
  if (first === em.em_where.root.chain.first || em.em_where.otherowner(dir, first) !== undefined) {
    node.en_bad = `FirstCluster ${first} belongs to another directory`;
    return;
  }
  node.en_dir = dir;
  node.en_chain = dir.chain;
}
