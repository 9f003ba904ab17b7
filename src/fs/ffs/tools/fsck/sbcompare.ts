import { openbsdsuper } from '../../disk/dialect.js';
import { FS_DYNAMICPOSTBLFMT, FS_FLAGS_UPDATED } from '../../disk/fs.js';
import type { Fs } from '../../disk/fs.js';

/** What must be the same in every copy of a superblock (NetBSD sbin/fsck_ffs/setup.c, cmpsblks). */
const FIELDS = [
  'fs_magic', 'fs_sblkno', 'fs_cblkno', 'fs_iblkno', 'fs_dblkno', 'fs_ncg', 'fs_bsize', 'fs_fsize', 'fs_frag',
  'fs_bmask', 'fs_fmask', 'fs_bshift', 'fs_fshift', 'fs_fragshift', 'fs_fsbtodb', 'fs_sbsize', 'fs_nindir', 'fs_inopb',
  'fs_cssize', 'fs_ipg', 'fs_fpg',
] as const satisfies readonly (keyof Fs)[];

/** From the first byte to before the second, in order. */
type Ranges = readonly (readonly [number, number])[];

/**
 * Bytes that may differ between copies of an old superblock (4.4BSD's rule); all others must not. `late`: from where up
 * to 1316.
 */
const maydiffer = (late: number): Ranges => [
  [0, 8], [32, 36], [60, 68], [88, 96], [100, 104], [128, 140], [192, 712], [724, 856], [late, 1316], [1328, 1356],
  [1360, 1364],
];
const OLD_MAY_DIFFER = maydiffer(1116);
/**
 * From 1000 on OpenBSD keeps what the wide layout has there (the superblock's place, totals, times), in the first copy
 * only; older systems have spares.
 */
const OPENBSD_MAY_DIFFER = maydiffer(1000);
/** The still older layout of 4.2BSD. */
const OLDEST_MAY_DIFFER: Ranges = [[0, 8], [32, 36], [60, 68], [88, 96], [192, 712], [724, 856]];

/** The first field in which two copies disagree, or undefined. */
export function superblocksDiffer(a: Fs, b: Fs): string | undefined {
  const updated = (fs: Fs): boolean => fs.ufs2 || (fs.fs_old_flags & FS_FLAGS_UPDATED) !== 0;
  if (a.le !== b.le || a.ufs2 !== b.ufs2) return 'fs_magic';
  for (const name of FIELDS) if (a[name] !== b[name]) return name;
  if (updated(a)) return undefined;
  const openbsd = !updated(b) && (openbsdsuper(a.view, a) || openbsdsuper(b.view, b));
  const ranges =
    a.fs_old_postblformat < FS_DYNAMICPOSTBLFMT ? OLDEST_MAY_DIFFER : openbsd ? OPENBSD_MAY_DIFFER : OLD_MAY_DIFFER;
  let range = 0;
  for (let i = 0; i < Math.min(a.fs_sbsize, a.raw.length, b.raw.length); i++) {
    while (range < ranges.length && i >= ranges[range]![1]) range++;
    if (range < ranges.length && i >= ranges[range]![0]) continue;
    if (a.raw[i] !== b.raw[i]) return `byte ${i}`;
  }
  return undefined;
}
