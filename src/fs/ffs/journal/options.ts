import { E, errno } from '../../../kernel/errno.js';
import type { JournalWish } from './start.js';

/**
 * The mount options about the journal:
 *
 *   log             log; make a journal if there is none
 *   log=SIZE        the same, with this size for a new one (bytes, or with k, m)
 *   log=remove      take the journal away
 *   nolog           do not log; a journal stays where it is, empty
 *   log-endian=big  or little: byte order of a new journal, that of the machine which is to replay it
 *
 * Without any of them a volume that has a journal logs, and one that has none does not.
 */
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 * 1024 };

/** @param flag MNT_LOG was given */
export function journalwish(options: ReadonlyMap<string, string | true>, flag: boolean): JournalWish {
  const log = options.get('log');
  const off = options.get('nolog');
  const endian = options.get('log-endian');
  if (off !== undefined && (off !== true || log !== undefined || flag)) {
    throw errno(E.EINVAL, 'ffs: nolog takes no value, and does not go with log');
  }
  if (endian !== undefined && endian !== 'little' && endian !== 'big') {
    throw errno(E.EINVAL, 'ffs: log-endian is little or big');
  }
  const le = endian === undefined ? undefined : endian === 'little';
  if (off !== undefined) return { log: 'off', bytes: 0, le };
  if (log === 'remove') return { log: 'remove', bytes: 0, le };
  if (log === true || (log === undefined && flag)) return { log: 'on', bytes: 0, le };
  if (log === undefined) return { log: 'auto', bytes: 0, le };
  const size = /^([0-9]{1,9})([km]?)$/i.exec(log);
  if (size === null) throw errno(E.EINVAL, `ffs: log=${log}: a size in bytes, or with k or m, or "remove"`);
  const bytes = Number(size[1]) * UNITS[size[2]!.toLowerCase()]!;
  return { log: 'on', bytes, le };
}
