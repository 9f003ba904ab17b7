import type { Scenario } from '../row.js';

const BLOCK = 4096;
const SEED = 42;

/** Random 4 KiB reads from a file that nobody has read since the mount. */
export const random: Scenario = {
  rows: [{ name: 'random', title: '4 KiB random reads', unit: '/s' }],
  run: (session) => session.on('data', async (root) => {
    const { large, randoms } = session.sizes;
    return [randoms / (await session.run('random', `${root}/zero`, large, BLOCK, randoms, SEED))];
  }),
};
