import type { Format } from '../format.js';

export const zerofsFormat: Format = {
  name: 'zerofs',
  title: 'files of zeros, for measurements',
  source: 'none',
  options: [
    { name: 'files', kind: 'size', default: '20000', describe: 'how many files, spread over the directories' },
    { name: 'dirs', kind: 'size', default: '200', describe: 'how many directories' },
    { name: 'size', kind: 'size', default: '512m', describe: 'of the file "zero" in the root directory' },
    { name: 'filesize', kind: 'size', default: '1k', describe: 'of each of the files' },
  ],
  partitionTypes: [],
  probe: async () => 0,
  load: async () => (await import('./index.js')).zerofs,
  tools: {},
};
