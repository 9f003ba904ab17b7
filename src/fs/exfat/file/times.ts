import { MNT_NOATIME } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { ATTR_ARCHIVE } from '../disk/entry.js';
import type { ExfatNode } from './node.js';
import { node_store } from './store.js';

const DAY_SECONDS = 86400;

/**
 * A change of the file: now is its time of change, and of modification if its content has changed. @returns whether
 * there is something to be stored
 */
export function node_touch(node: ExfatNode, content: boolean): boolean {
  const { en_em: em } = node;
  const { sec, nsec } = em.em_kernel.now();
  node.en_ctime = sec;
  node.en_ctimensec = nsec - (nsec % 10_000_000);
  if (!content) return false;
  const archive = node.isdir || (node.en_attributes & ATTR_ARCHIVE) !== 0;
  if (!archive) node.en_attributes |= ATTR_ARCHIVE;
  return node.en_modified.set(sec, nsec, em.em_options.zone) || !archive;
}

/** The file was read: its time of access is kept up once a day, and after changes. */
export function node_accessed(node: ExfatNode): MaybePromise<void> {
  const { en_em: em } = node;
  if (em.em_order === null || (em.em_mountp.mnt_flag & MNT_NOATIME) !== 0 || node.isroot || node.en_removed) return;
  const { zone } = em.em_options;
  const { sec } = em.em_kernel.now();
  const accessed = node.en_accessed.sec(zone);
  // Two seconds are all that the format tells apart.
  if (accessed + 2 > Math.max(node.en_modified.sec(zone), node.en_ctime) && sec - accessed < DAY_SECONDS) return;
  if (node.en_accessed.setaccess(sec, zone)) return node_store(node);
}
