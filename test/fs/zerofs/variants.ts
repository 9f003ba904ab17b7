import type { Variant } from '../../../testing/variants/variant.js';

/** It keeps nothing: what it is for is tested in test/vfs/options.test.ts and by the benchmark. */
export const variants: readonly Variant[] = [];
