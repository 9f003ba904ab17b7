/**
 * What the harnesses run on: `test/fs/X/variants.ts` of a driver lists its kinds of volumes, and which harnesses each
 * goes through.
 */
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import type { OptionValues } from '../../src/fs/format.js';
import type { Feature } from '../matrix/fs.js';

/**
 * matrix    every case of the conformance matrix, in a kernel of its own
 * mount     the same through a real mount, and a share of model and fsx
 * model     random operations beside a model
 * fsx       random reads, writes and truncations of one file
 * faults    errors of the device at any place of a workload
 * powercut  the power goes at any moment of a random workload; needs {@link Variant.powercut}
 * survive   the servers of a real mount are killed under load; needs {@link Variant.survive}
 * fuzz      mutations that know nothing of the format (testing/fuzz/volume.ts): of a small volume (size_bytes of
 *           3 MiB); not where the driver has a fuzzer of its own (fuzz/X)
 */
export type Harness = 'matrix' | 'mount' | 'model' | 'fsx' | 'faults' | 'powercut' | 'survive' | 'fuzz';

export type MountOptions = Readonly<Record<string, string | true>>;

/** What the driver promises of a volume whose power goes; see testing/powercut/examine.ts. */
export interface Powercut {
  /**
   *   log      what was made durable is there, and the names are those of one moment; the next mount recovers it
   *   sound    what was made durable is there at the next mount, and once the checker has preened the volume, which
   *            mends all that is not in order
   *   ordered  what was made durable is there once the checker has repaired the volume
   *   async    it can be repaired
   */
  readonly promise: 'log' | 'sound' | 'ordered' | 'async';
  /** Bytes; about 6 MiB. */
  readonly size_bytes: number;
  /** A file fills the disk but for so many bytes; files that stay open without a name must fit, or be left out. */
  readonly spare_bytes?: number;
  /**
   * Codes of problems that a check may find before the volume is recovered (log), or that it must not find (ordered).
   */
  readonly before_recovery?: readonly string[];
  readonly never?: readonly string[];
  /** The workload also has files without a name that stay open, and large ones. Default: true. */
  readonly orphans?: boolean;
}

export interface Variant {
  /** Of all drivers different: "ffs2-le". */
  readonly name: string;
  /** As the registry names its format. */
  readonly type: string;
  /** Options of its newfs, besides the defaults. */
  readonly make?: OptionValues;
  /** Makes the empty volume in another way: with what newfs has no option for, or by somebody else's tool. */
  disk?(size_bytes: number): Promise<MemoryDevice>;
  /**
   * For a format that is only read: makes a volume of what is in a folder of the host. Matrix and mount then run the
   * cases of testing/matrix/reading.ts.
   */
  master?(folder: string): Promise<MemoryDevice>;
  /** -o of every mount; `size_bytes`: of the volume that is asked for. */
  mount?(size_bytes: number): MountOptions;
  /** Bytes of the volume where the harness does not mind; default 16 MiB. */
  readonly size_bytes?: number;
  readonly features: readonly Feature[];
  /** Bytes of the longest name that the format takes (of ASCII characters), 40 or more; default 255. */
  readonly namemax?: number;
  /**
   * Cases of the matrix that it is known to fail, with the reason: a property of the format, never a bug that waits.
   */
  readonly expected?: Readonly<Record<string, string>>;
  /**
   * What somebody else's checker says of a volume that ours calls clean; undefined: nothing, or that checker is not
   * here.
   */
  stranger?(dev: MemoryDevice): Promise<string | undefined>;
  readonly harnesses: readonly Harness[];
  readonly powercut?: Powercut;
  /** For volumes made by `rumpfuse newfs -t TYPE`: its other arguments, and -o options of the mount. */
  readonly survive?: { readonly newfs: readonly string[]; readonly mount?: readonly string[] };
}

/** What a driver can do that keeps files as Unix has them, and whose volumes can be written. */
export const UNIX_FEATURES: readonly Feature[] = [
  'hardlinks', 'symlinks', 'devices', 'fifos', 'owners', 'modes', 'nstimes', 'flags', 'holes', 'seekhole', 'fallocate',
  'fdiscard', 'filehandles', 'flock', 'recordlocks', 'bytenames', 'limited', 'readonly', 'update', 'processes',
  'linkcounts', 'blocks', 'bsdgroups',
];
