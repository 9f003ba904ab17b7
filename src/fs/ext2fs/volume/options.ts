import { E, errno } from '../../../kernel/errno.js';

/** -o options of a mount. */
export interface Ext2Options {
  /** Checksums of metadata are looked at. */
  readonly check: boolean;
  /** The journal is replayed (into memory). */
  readonly load: boolean;
  /** Which copy of the superblock, in blocks of 1 KiB as for Linux; undefined: the first one. */
  readonly sb: number | undefined;
  /** Fail rather than mount read-only what was to be read-write. */
  readonly forcerw: boolean;
  /** How long changes may stay in memory, seconds; undefined: as long as the system likes. */
  readonly commit: number | undefined;
}

const KNOWN = 'nocheck, noload, norecovery, sb, journal, data, commit, force-rw';

const COMMIT_MAX = 3600;

/** @throws EINVAL */
export function ext2_options(options: ReadonlyMap<string, string | true>): Ext2Options {
  const none = undefined as number | undefined;
  const o = { check: true, load: true, sb: none, forcerw: false, commit: none };
  for (const [name, value] of options) {
    if (name === 'nocheck' && value === true) o.check = false;
    else if ((name === 'noload' || name === 'norecovery') && value === true) o.load = false;
    else if (name === 'force-rw' && value === true) o.forcerw = true;
    else if (name === 'data') {
      if (value !== 'ordered' && value !== 'writeback')
        throw errno(E.EINVAL, 'ext2fs: option data: ordered or writeback');
    } else if (name === 'commit') {
      if (value === true || !/^\d{1,5}$/.test(value) || Number(value) > COMMIT_MAX)
        throw errno(E.EINVAL, `ext2fs: option commit: seconds, 0 (the default) to ${COMMIT_MAX}`);
      o.commit = Number(value) === 0 ? undefined : Number(value);
    } else if (name === 'sb') {
      if (value === true || !/^\d{1,15}$/.test(value))
        throw errno(E.EINVAL, 'ext2fs: option sb: a number of blocks of 1 KiB');
      o.sb = Number(value);
    } else if (name !== 'journal') throw errno(E.EINVAL, `ext2fs: unknown option "${name}" (known: ${KNOWN})`);
  }
  return o;
}
