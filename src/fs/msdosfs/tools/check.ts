import type { Check } from '../../format.js';
import { fsck } from './fsck/index.js';

/** fsck by the options of the command line. */
export const msdosfs_check: Check = (dev, _values, { mode, skipClean }) => fsck(dev, { mode, skipClean });
