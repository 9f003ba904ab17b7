import type { Variant } from '../../../testing/variants/variant.js';

/**
 * Volumes are only read: nothing that the harnesses write over. The tests of this folder read what e2fsprogs and Linux
 * have made.
 */
export const variants: readonly Variant[] = [];
