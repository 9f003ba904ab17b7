import type { Variant } from '../../../testing/variants/variant.js';

/**
 * Discs are only read: nothing that the harnesses write over. The tests of this folder read discs that others have
 * made.
 */
export const variants: readonly Variant[] = [];
