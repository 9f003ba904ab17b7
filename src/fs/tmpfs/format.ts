import type { Format } from '../format.js';

export const tmpfsFormat: Format = {
  name: 'tmpfs',
  title: 'files in memory',
  source: 'none',
  options: [
    { name: 'size', kind: 'size', default: '1g', describe: 'most bytes of all files' },
    { name: 'nodes', kind: 'number', describe: 'most files, with an optional k, m or g; one for each KiB of size' },
    { name: 'mode', kind: 'text', default: '1777', describe: 'of the root directory, octal' },
    { name: 'uid', kind: 'number', default: '0', describe: 'owner of the root directory' },
    { name: 'gid', kind: 'number', default: '0', describe: 'group of the root directory' },
  ],
  partitionTypes: [],
  probe: async () => 0,
  load: async () => (await import('./index.js')).tmpfs,
  tools: {},
};
