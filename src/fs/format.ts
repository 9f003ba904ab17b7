/**
 * How a format is registered: data, and functions that load what they need when they are called. `src/fs/X/format.ts`
 * of a driver exports one {@link Format} and imports nothing but this file, its own options and types; registry.ts
 * names it in one line.
 */
import type { BlockDevice } from '../kernel/blkdev.js';
import type { Component } from '../kernel/rump.js';

/**
 * Where a volume comes from.
 *
 * disk      one image or device
 * disks     one or more: further ones are named by options of kind `disk` (an external journal)
 * endpoint  a server on the network
 * none      nothing outside of the kernel's memory
 */
export type Source = 'disk' | 'disks' | 'endpoint' | 'none';

/**
 * flag    there or not; true or false
 * text    as given
 * number  a decimal number
 * size    bytes, given as a number with an optional suffix s, k, m, g or t
 * disk    the name of another image or device
 */
export type OptionKind = 'flag' | 'text' | 'number' | 'size' | 'disk';

/** An option of a mount (`-o name=value`) or of a tool (`--name value`). */
export interface FormatOption {
  readonly name: string;
  /** One letter, or several names, each of which means the same to a tool. */
  readonly alias?: string | readonly string[];
  readonly kind: OptionKind;
  /** For --help and the manual page: in a few words. */
  readonly describe: string;
  /** Of a text: the values that there are. */
  readonly choices?: readonly string[];
  /** As given; shown by --help. */
  readonly default?: string;
  /** The value may be left out, and is `true` then. */
  readonly optional?: boolean;
}

/**
 * Options of a tool by their names, read as their kind says: flag true, text a string, number and size a number, `true`
 * for a value left out.
 */
export type OptionValues = Readonly<Record<string, string | number | true | undefined>>;

/** What every volume says of itself, for programs; formats add what they have. Sizes in bytes. */
export interface VolumeFacts {
  /** "FFSv2", "FAT32". */
  readonly format: string;
  readonly label?: string;
  /** Of the volume, which may be smaller than its device. */
  readonly size: number;
  /** It was unmounted properly; undefined if the format does not tell. */
  readonly clean?: boolean;
  readonly last_mounted_on?: string;
  /** Why the volume is only read; undefined if it can be written. */
  readonly readonly_because?: string | undefined;
}

export interface Description {
  readonly facts: VolumeFacts;
  /**
   * The same for people: name and value. Two of the names mean something: `state` (clean or not) and `read-only` (why).
   */
  readonly lines: readonly (readonly [string, string])[];
}

/**
 * Reads little: superblock and the like.
 * @throws EFTYPE it is no such volume, or damaged: the message says what is wrong; EIO
 */
export type Describe = (dev: BlockDevice) => Promise<Description>;

export interface MakeHow {
  /** How much of the device is to be used; undefined: all. Bytes. */
  readonly size_bytes?: number;
  /** Owner of the root directory, where the format has owners. */
  readonly uid: number;
  readonly gid: number;
}

export interface Made {
  /** What it has become, for people: "64 MiB of UFS2, little-endian, ...". */
  readonly summary: string;
  readonly warnings: readonly string[];
  /** After it was filled through a mount of this program: takes away what tells where that was. */
  filled?(): Promise<void>;
  /**
   * Takes the volume off the device again, so that nothing recognises it; the rest of what was written stays.
   * @throws EIO
   */
  unmake(): Promise<void>;
}

/**
 * Makes a new volume; whatever was there is lost.
 * @throws EINVAL options that do not go together; ENOSPC the device is too small; EIO EROFS
 */
export type Make = (dev: BlockDevice, values: OptionValues, how: MakeHow) => Promise<Made>;

/**
 * check   says what is wrong and writes nothing
 * preen   repairs what is harmless
 * repair  repairs everything
 */
export type CheckMode = 'check' | 'preen' | 'repair';

export interface CheckHow {
  readonly mode: CheckMode;
  /** Leave a volume alone that is marked clean. */
  readonly skipClean: boolean;
}

/**
 * Exit status of a check, as those of fsck of the BSDs: nothing to be done; something is left; it could not be checked.
 */
export const CHECK_OK = 0;
export const CHECK_UNRESOLVED = 2;
export const CHECK_FAILED = 8;

export interface CheckReport {
  /** Nothing is wrong (any more), and the volume says so itself. */
  readonly clean: boolean;
  /**
   * The volume said when it was looked at that it had been unmounted properly; undefined if the format does not tell.
   */
  readonly markedClean?: boolean;
  /** CHECK_*. */
  readonly exitStatus: number;
  /** `code`: what kind it is, for programs; `fixed`: what was done about it, in a word. */
  readonly problems: readonly { readonly message: string; readonly code?: string; readonly fixed?: string }[];
  /** Those that are not listed count, too. */
  readonly problemCount: number;
  /** What else there is to be said: phases, counts. */
  readonly notes: readonly string[];
  /** The device was written to. */
  readonly modified: boolean;
}

/** Checks a volume, and mends it. A device error is a problem like others. */
export type Check = (dev: BlockDevice, values: OptionValues, how: CheckHow) => Promise<CheckReport>;

/** Changes settings of a volume that is not mounted; says what, a line each. @throws EINVAL EOPNOTSUPP EFTYPE EIO */
export type Tune = (
  dev: BlockDevice,
  values: OptionValues,
  how: { readonly dryRun: boolean },
) => Promise<readonly string[]>;

/** The structures of a volume as text for somebody who knows the format. @throws EFTYPE EIO */
export type Dump = (dev: BlockDevice, values: OptionValues) => Promise<string>;

/** A tool: the options that are its own, and its program. */
export interface Tool<Run> {
  readonly options: readonly FormatOption[];
  load(): Promise<Run>;
}

export interface FormatTools {
  /** Needed of every format that lies on a disk. */
  readonly describe?: Omit<Tool<Describe>, 'options'>;
  readonly make?: Tool<Make>;
  readonly check?: Tool<Check>;
  readonly tune?: Tool<Tune>;
  readonly dump?: Tool<Dump>;
}

export interface Format {
  /** As `mount -t` takes it, and as the driver's vfs_name is. */
  readonly name: string;
  /** For people: "FFS, the fast file system of the BSDs". */
  readonly title: string;
  readonly source: Source;
  /**
   * What names of the format (registry.ts) mean to `newfs`, where they say more than the format's own: options and
   * their values.
   */
  readonly implied?: Readonly<Record<string, OptionValues>>;
  /** Those of `mount -o`; the driver is handed what was given as it was given. */
  readonly options: readonly FormatOption[];
  /**
   * Types of partitions that this format is usually in, each as `SCHEME:TYPE` ("mbr:0xa9", "gpt:" and a GUID, "bsd:7").
   */
  readonly partitionTypes: readonly string[];
  /**
   * How likely it is that the device holds this format, 0 to 100: what a mount is chosen by, whatever the order of the
   * registry.
   *   0        it does not
   *   1..29    traces: a superblock that is damaged, a copy that was left; the tools may help, mounting will say what
   *            is wrong
   *   30..69   the signature, and nothing that contradicts it
   *   70..99   the signature, and a structure whose fields agree with each other and with the device
   *   100      besides that a checksum, or a second structure elsewhere that agrees
   * Reads a bounded number of bytes and trusts none of them. @throws EIO
   */
  probe(dev: BlockDevice): Promise<number>;
  load(): Promise<Component>;
  readonly tools: FormatTools;
}
