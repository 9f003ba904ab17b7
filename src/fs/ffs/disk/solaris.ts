/**
 * What Solaris' UFS has of its own: where the last fields of the superblock lie, and when a volume is in order.
 * Source: illumos sys/fs/ufs_fs.h (struct fs), ufs_vfsops.c. It is UFS1 with 4.2BSD inodes and directories; its log
 * (logging UFS) lies inside the volume in blocks of its own and is not replayed here.
 */

/** UFS_MAXOFFSET_T. */
export const SUN_MAXFILESIZE = 2 ** 40 - 1;

const BSIZE = 48;
const FSIZE = 52;
const TIME = 32;
const ROLLED = 4;
const CLEAN = 209;
const LOGBNO = 1324;
/** fs_qbmask and fs_qfmask, 64 bits each: four bytes behind where 4.4BSD has them. */
const QBMASK = 1340;
const QFMASK = 1348;

/** fs_clean. */
const FSCLEAN = 0x01;
const FSSTABLE = 0x02;
const FSLOG = 0xfd;
/** fs_state + fs_time while fs_clean tells the truth. */
const FSOKAY = 0x7c269d38;
/** fs_rolled: nothing is left in the log. */
const FS_ALL_ROLLED = 1;

/** The masks of block and fragment size stand where Solaris has them. No other system leaves these numbers there. */
export function sun_layout(view: DataView, le: boolean): boolean {
  const mask = (at: number): boolean => {
    const low = view.getUint32(at + (le ? 0 : 4), le);
    return (
      low !== 0 &&
      view.getUint32(at + (le ? 4 : 0), le) === 0 &&
      low === view.getInt32(at === QBMASK ? BSIZE : FSIZE, le) - 1
    );
  };
  return mask(QBMASK) && mask(QFMASK);
}

/** fs_npsect and fs_state, which Solaris on x86 has exchanged. */
export function sun_state(view: DataView, le: boolean): { npsect: number; state: number } {
  const front = view.getInt32(132, le);
  const back = view.getInt32(1336, le);
  return le ? { npsect: back, state: front } : { npsect: front, state: back };
}

/** Why what is read may contradict itself; undefined: Solaris would mount the volume without a check. */
export function sun_caution(view: DataView, le: boolean): string | undefined {
  const clean = view.getUint8(CLEAN);
  const okay = ((sun_state(view, le).state + view.getInt32(TIME, le)) | 0) === (FSOKAY | 0);
  if (!okay || (clean !== FSCLEAN && clean !== FSSTABLE && clean !== FSLOG)) {
    return 'it was not cleanly unmounted by Solaris: what is shown may contradict itself';
  }
  if (clean === FSLOG && view.getInt32(LOGBNO, le) !== 0 && view.getInt32(ROLLED, le) !== FS_ALL_ROLLED) {
    return 'its log may hold changes that are not shown; mount it once under Solaris';
  }
  return undefined;
}
