import { UNIX_FEATURES, type Variant } from '../../../testing/variants/variant.js';

export const variants: readonly Variant[] = [
  {
    name: 'tmpfs',
    type: 'tmpfs',
    size_bytes: 64 * 2 ** 20,
    mount: (size_bytes) => ({ size: `${size_bytes}` }),
    features: [...UNIX_FEATURES, 'times64', 'birthtime', 'xattr'],
    harnesses: ['matrix', 'model', 'fsx'],
  },
];
