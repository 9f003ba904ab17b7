import { geti64, getu64, put64 } from '../../lib/endian.js';
import type { FsFields } from './fs_data.js';
import { SBLOCK_UFS1 } from './fs_const.js';

/**
 * Where the fields of an FFS superblock lie, and what they are. Source of the layout: NetBSD sys/ufs/ffs/fs.h
 * (identical offsets in FreeBSD's and OpenBSD's for all fields named here, but for those under "FreeBSD" in fs.ts).
 */

type FieldType = 'i8' | 'u8' | 'i32' | 'u32' | 'i64' | 'u64';
type NumericField = Exclude<
  { [K in keyof FsFields]: FsFields[K] extends number ? K : never }[keyof FsFields] & `fs_${string}`,
  'fs_magic'
>;
export type Field = readonly [NumericField, number, FieldType];

/** Fields that are at the same place in every volume. */
export const COMMON: readonly Field[] = [
  ['fs_firstfield', 0, 'i32'], ['fs_unused_1', 4, 'i32'], ['fs_sblkno', 8, 'i32'], ['fs_cblkno', 12, 'i32'],
  ['fs_iblkno', 16, 'i32'], ['fs_dblkno', 20, 'i32'], ['fs_old_cgoffset', 24, 'i32'], ['fs_old_cgmask', 28, 'i32'],
  ['fs_old_time', 32, 'i32'], ['fs_old_size', 36, 'i32'], ['fs_old_dsize', 40, 'i32'], ['fs_ncg', 44, 'u32'],
  ['fs_bsize', 48, 'i32'], ['fs_fsize', 52, 'i32'], ['fs_frag', 56, 'i32'], ['fs_minfree', 60, 'i32'],
  ['fs_old_rotdelay', 64, 'i32'], ['fs_old_rps', 68, 'i32'], ['fs_bmask', 72, 'i32'], ['fs_fmask', 76, 'i32'],
  ['fs_bshift', 80, 'i32'], ['fs_fshift', 84, 'i32'], ['fs_maxcontig', 88, 'i32'], ['fs_maxbpg', 92, 'i32'],
  ['fs_fragshift', 96, 'i32'], ['fs_fsbtodb', 100, 'i32'], ['fs_sbsize', 104, 'i32'], ['fs_old_csmask', 108, 'i32'],
  ['fs_old_csshift', 112, 'i32'], ['fs_nindir', 116, 'i32'], ['fs_inopb', 120, 'u32'], ['fs_old_nspf', 124, 'i32'],
  ['fs_optim', 128, 'i32'], ['fs_old_npsect', 132, 'i32'], ['fs_old_interleave', 136, 'i32'],
  ['fs_old_trackskew', 140, 'i32'], ['fs_id0', 144, 'u32'], ['fs_id1', 148, 'u32'], ['fs_old_csaddr', 152, 'i32'],
  ['fs_cssize', 156, 'i32'], ['fs_cgsize', 160, 'i32'], ['fs_old_ntrak', 164, 'i32'], ['fs_old_nsect', 168, 'i32'],
  ['fs_old_spc', 172, 'i32'], ['fs_old_ncyl', 176, 'i32'], ['fs_old_cpg', 180, 'i32'], ['fs_ipg', 184, 'u32'],
  ['fs_fpg', 188, 'i32'], ['fs_old_cs_ndir', 192, 'i32'], ['fs_old_cs_nbfree', 196, 'i32'],
  ['fs_old_cs_nifree', 200, 'i32'], ['fs_old_cs_nffree', 204, 'i32'], ['fs_fmod', 208, 'i8'], ['fs_clean', 209, 'u8'],
  ['fs_ronly', 210, 'i8'], ['fs_old_flags', 211, 'u8'], ['fs_cgrotor', 724, 'i32'], ['fs_old_cpc', 856, 'i32'],
  ['fs_contigsumsize', 1316, 'i32'], ['fs_maxsymlinklen', 1320, 'i32'], ['fs_old_inodefmt', 1324, 'i32'],
  ['fs_maxfilesize', 1328, 'u64'], ['fs_qbmask', 1336, 'i64'], ['fs_qfmask', 1344, 'i64'], ['fs_state', 1352, 'i32'],
  ['fs_old_postblformat', 1356, 'i32'], ['fs_old_nrpos', 1360, 'i32'], ['fs_old_postbloff', 1364, 'i32'],
  ['fs_old_rotbloff', 1368, 'i32'],
];

/** Fields that an old UFS1 volume does not have: their place holds its rotational tables. */
export const WIDE: readonly Field[] = [
  ['fs_maxbsize', 860, 'i32'], ['fs_journal_version', 864, 'u8'], ['fs_journal_location', 865, 'u8'],
  ['fs_journal_flags', 868, 'u32'], ['fs_quota_magic', 904, 'u32'], ['fs_quota_flags', 908, 'u8'],
  ['fs_sblockloc', 1000, 'i64'], ['fs_time', 1072, 'i64'], ['fs_size', 1080, 'i64'], ['fs_dsize', 1088, 'i64'],
  ['fs_csaddr', 1096, 'i64'], ['fs_pendingblocks', 1104, 'i64'], ['fs_pendinginodes', 1112, 'i32'],
  ['fs_avgfilesize', 1196, 'i32'], ['fs_avgfpdir', 1200, 'i32'], ['fs_save_cgsize', 1204, 'i32'],
  ['fs_mtime', 1208, 'i64'], ['fs_sujfree', 1216, 'i32'], ['fs_ckhash', 1304, 'u32'], ['fs_metackhash', 1308, 'u32'],
  ['fs_flags', 1312, 'u32'],
];

/** Where an old UFS1 volume keeps what newer ones keep in wide fields. */
export const NARROW: readonly Field[] = [
  ['fs_time', 32, 'i32'], ['fs_size', 36, 'i32'], ['fs_dsize', 40, 'i32'], ['fs_csaddr', 152, 'i32'],
  ['fs_flags', 211, 'u8'],
];

// Arrays, texts and wide words.
export const CSTOTAL_OFFSET = 1008;
export const OLD_CSTOTAL_OFFSET = 192;
export const SNAPINUM_OFFSET = 1116;
export const JOURNALLOCS_OFFSET = 872;
export const QUOTAFILE_OFFSET = 912;
export const FSMNT_OFFSET = 212;
export const VOLNAME_OFFSET = 680;
export const SWUID_OFFSET = 712;
export const CSTOTAL_NAMES = ['cs_ndir', 'cs_nbfree', 'cs_nifree', 'cs_nffree'] as const;

export function load(view: DataView, offset: number, type: FieldType, le: boolean): number {
  switch (type) {
    case 'i8': return view.getInt8(offset);
    case 'u8': return view.getUint8(offset);
    case 'i32': return view.getInt32(offset, le);
    case 'u32': return view.getUint32(offset, le);
    case 'i64': return geti64(view, offset, le);
    case 'u64': return getu64(view, offset, le);
  }
}

export function store(view: DataView, offset: number, type: FieldType, value: number, le: boolean): void {
  switch (type) {
    case 'i8': view.setInt8(offset, value); break;
    case 'u8': view.setUint8(offset, value); break;
    case 'i32': view.setInt32(offset, value, le); break;
    case 'u32': view.setUint32(offset, value, le); break;
    case 'i64':
    case 'u64': put64(view, offset, value, le); break;
  }
}

/**
 * The wide fields of a UFS1 superblock, whatever its flags say of them, name its place (fs_sblockloc) and this fs_size
 * and fs_csaddr.
 */
export function widefilled(view: DataView, le: boolean, fs_size: number, fs_csaddr: number): boolean {
  return (
    geti64(view, 1000, le) === SBLOCK_UFS1 && geti64(view, 1080, le) === fs_size && geti64(view, 1096, le) === fs_csaddr
  );
}
