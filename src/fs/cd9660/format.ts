import type { Format } from '../format.js';
import { MOUNT_OPTIONS } from './options.js';

export const cd9660Format: Format = {
  name: 'cd9660',
  title: 'ISO 9660: CDs, DVDs, installation images (with Rock Ridge, Joliet)',
  source: 'disk',
  options: MOUNT_OPTIONS,
  partitionTypes: ['bsd:12', 'apm:cd9660', 'apm:apple_iso'],
  probe: async (dev) => (await import('./tools/probe.js')).iso_probe(dev),
  load: async () => (await import('./index.js')).cd9660,
  tools: {
    describe: { load: async () => (await import('./tools/describe.js')).iso_describe },
  },
};
