import type { Check } from '../../format.js';
import { fsck } from './fsck/index.js';

/** fsck by the options of the command line. */
export const ext2_check: Check = (dev, _values, { mode, skipClean }) => fsck(dev, mode, skipClean);
