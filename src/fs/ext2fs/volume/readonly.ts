import { COMPAT, INCOMPAT, RO_COMPAT, feature_names } from '../disk/features.js';
import { STATE_ERROR, STATE_VALID } from '../disk/superblock.js';
import type { Ext2fs } from '../disk/superblock.js';

/** Features that are kept right when a volume is written. */
const RO_COMPAT_WRITTEN =
  RO_COMPAT.sparse_super | RO_COMPAT.large_file | RO_COMPAT.btree_dir | RO_COMPAT.huge_file | RO_COMPAT.uninit_bg |
  RO_COMPAT.dir_nlink | RO_COMPAT.extra_isize | RO_COMPAT.metadata_csum | RO_COMPAT.project | RO_COMPAT.verity;
const INCOMPAT_WRITTEN =
  INCOMPAT.filetype | INCOMPAT.needs_recovery | INCOMPAT.meta_bg | INCOMPAT.extents | INCOMPAT['64bit'] |
  INCOMPAT.flex_bg | INCOMPAT.metadata_csum_seed | INCOMPAT.large_dir | INCOMPAT.encrypt | INCOMPAT.casefold |
  INCOMPAT.inline_data;
const COMPAT_UNWRITTEN = COMPAT.imagic_inodes;
/** s_creator_os: the Hurd keeps other things in inodes. */
const OS_HURD = 1;

/** Why a volume must not be written; undefined: it may be. `adopted`: a predecessor has been writing it. */
export function why_readonly(fs: Ext2fs, adopted: boolean): string | undefined {
  const unwritten = [
    ...feature_names((fs.s_feature_compat & COMPAT_UNWRITTEN) >>> 0, COMPAT, 'C'),
    ...feature_names((fs.s_feature_incompat & ~INCOMPAT_WRITTEN) >>> 0, INCOMPAT, 'I'),
    ...feature_names((fs.s_feature_ro_compat & ~RO_COMPAT_WRITTEN) >>> 0, RO_COMPAT, 'R'),
  ];
  if (unwritten.length > 0) return `features that are only read here: ${unwritten.join(', ')}`;
  if (fs.metadata_csum && fs.ro_compat(RO_COMPAT.uninit_bg))
    return 'metadata_csum and uninit_bg are both set; run e2fsck';
  if (fs.s_creator_os === OS_HURD) return 'it was made for the Hurd';
  if ((fs.s_state & STATE_ERROR) !== 0) return 'it is marked as damaged; run e2fsck';
  if (!fs.compat(COMPAT.has_journal) && (fs.s_state & STATE_VALID) === 0 && !adopted)
    return 'it was not unmounted cleanly, and has no journal; run e2fsck';
  return undefined;
}
