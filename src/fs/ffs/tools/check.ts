import type { Check } from '../../format.js';
import { fsck } from './fsck/index.js';

/** What -b counts in. */
const SECTOR_BYTES = 512;

/** fsck by the options of the command line. */
export const ffs_check: Check = (dev, values, { mode, skipClean }) => {
  const sector = values['superblock'] as number | undefined;
  return fsck(dev, { mode, skipClean, ...(sector === undefined ? {} : { superblock: sector * SECTOR_BYTES }) });
};
