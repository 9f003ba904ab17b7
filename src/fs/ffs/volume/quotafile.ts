import { S_IFMT, S_IFREG } from '../../../kernel/stat.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { ufs_dirindex_drop, ufs_dirlookup } from '../../ufs/lookup.js';
import type { FfsMount } from './ffsmount.js';
import { loadnameless } from '../journal/create.js';

/**
 * Quotas of the first kind (NetBSD quota1, also FreeBSD's and OpenBSD's) live in files of the root directory, which
 * nothing in the superblock tells of. What we write is not counted in them.
 */
const NAMES = ['quota.user', 'quota.group'] as const;

/** The name of a quota file of the volume that is in use (not empty), or undefined. @throws EIO */
export async function ffs_quotafile(ump: FfsMount): Promise<string | undefined> {
  const root = await loadnameless(ump, UFS_ROOTINO);
  try {
    for (const name of NAMES) {
      const hit = await ufs_dirlookup(root, name);
      if (hit === null) continue;
      const file = await loadnameless(ump, hit.ino);
      if ((file.i_mode & S_IFMT) === S_IFREG && file.i_size > 0) return name;
    }
    return undefined;
  } finally {
    ufs_dirindex_drop(root);
  }
}
