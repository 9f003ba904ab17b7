/**
 * What a check finds and says. Messages follow the habit of NetBSD's fsck_ffs; the code beside each is what programs
 * and tests go by.
 */

/** 0 is what comes before phase 1 (superblock, journal); 1.5 is phase 1b; 6 are the quotas. */
export type FsckPhase = 0 | 1 | 1.5 | 2 | 3 | 4 | 5 | 6;

export type FsckCode =
  // superblock, journal, device
  | 'SB_MISSING'
  | 'SB_BAD'
  | 'SB_ALTERNATE_DIFFERS'
  | 'SB_FIELD'
  | 'SB_FLAGS'
  | 'SB_SIZE'
  | 'NOT_CLEAN'
  | 'ALTERNATE_USED'
  | 'SB_CKHASH'
  | 'JOURNAL_BAD'
  | 'JOURNAL_DIRTY'
  | 'CANNOT_READ'
  | 'CANNOT_WRITE'
  | 'UNSUPPORTED'
  // phase 1
  | 'PARTIALLY_ALLOCATED'
  | 'UNKNOWN_FILE_TYPE'
  | 'BAD_BLOCK'
  | 'DUP_BLOCK'
  | 'EXCESSIVE_BAD_BLOCKS'
  | 'EXCESSIVE_DUP_BLOCKS'
  | 'PARTIALLY_TRUNCATED'
  | 'BLOCK_COUNT'
  | 'EXTATTR_SIZE'
  | 'INODE_CKHASH'
  // phase 2
  | 'ROOT_UNALLOCATED'
  | 'ROOT_DUP_BAD'
  | 'ROOT_NOT_DIRECTORY'
  | 'DIRECTORY_TOO_SHORT'
  | 'DIRECTORY_LENGTH'
  | 'DIRECTORY_EMPTY_BLOCKS'
  | 'DIRECTORY_CORRUPTED'
  | 'DOT_MISSING'
  | 'DOT_INODE'
  | 'DOT_TYPE'
  | 'DOTDOT_MISSING'
  | 'DOTDOT_INODE'
  | 'DOTDOT_TYPE'
  | 'EXTRA_DOT'
  | 'EXTRA_DOTDOT'
  | 'INODE_OUT_OF_RANGE'
  | 'BAD_WHITEOUT'
  | 'ENTRY_UNALLOCATED'
  | 'ENTRY_DUP_BAD'
  | 'ENTRY_ZERO_LENGTH_DIRECTORY'
  | 'DIRECTORY_HARD_LINK'
  | 'ENTRY_TYPE'
  | 'DUPLICATE_NAME'
  // phase 3
  | 'UNREF_DIRECTORY' | 'DIRECTORY_LOOP' | 'LOST_FOUND'
  // phase 4
  | 'LINK_COUNT' | 'UNREF_FILE' | 'ZERO_LENGTH_DIRECTORY' | 'DUP_BAD_FILE'
  // phase 5
  | 'CG_MAGIC'
  | 'CG_CKHASH'
  | 'CG_HEADER'
  | 'CG_SUMMARY'
  | 'CG_FRSUM'
  | 'CG_CLUSTERSUM'
  | 'CG_CLUSTER_MAP'
  | 'CG_INODE_MAP'
  | 'CG_BLOCK_MAP'
  | 'CS_SUMMARY'
  | 'CS_TOTAL'
  | 'ALTERNATE_SUPERBLOCK';

export interface FsckProblem {
  readonly phase: FsckPhase;
  readonly code: FsckCode;
  readonly message: string;
  readonly inode?: number;
  /** Fragment address. */
  readonly block?: number;
  readonly group?: number;
  /** What repair did about it: the word fsck_ffs prints in brackets. Absent: it is still there. */
  fixed?: string;
}

/** fsck_ffs's exit status (sbin/fsck/exitvalues.h). */
export const FSCK_EXIT_OK = 0;
export const FSCK_EXIT_USAGE = 1;
export const FSCK_EXIT_UNRESOLVED = 2;
export const FSCK_EXIT_CHECK_FAILED = 8;

export interface FsckReport {
  /** Nothing is wrong (any more), and the volume says so itself: {@link consistent} and {@link markedClean}. */
  readonly clean: boolean;
  /** Every structure is in order, whatever the clean flag says. */
  readonly consistent: boolean;
  /** fs_clean is set, and there was no journal to replay. */
  readonly markedClean: boolean;
  /** FSCK_EXIT_*. A volume that is consistent and only not marked clean exits with 0, as with fsck_ffs. */
  readonly exitStatus: number;
  /** At most {@link MAX_PROBLEMS}; {@link problemCount} counts the rest too. */
  readonly problems: readonly FsckProblem[];
  readonly problemCount: number;
  /** The device was written to. */
  readonly modified: boolean;
  /** What fsck_ffs prints on its way, without the problems: phases, counts. */
  readonly notes: readonly string[];
  readonly files: number;
  readonly usedFrags: number;
  readonly freeFrags: number;
}

/** A volume of garbage has millions of problems; nobody reads more than this. */
export const MAX_PROBLEMS = 10_000;

/** Thrown inside a check that cannot go on; the report made so far is the answer. */
export class FsckStop {
  constructor(readonly exitStatus: number) {}
}
