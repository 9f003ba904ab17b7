import { megabytes, type Scenario } from '../row.js';

/** Sequential reading, with a fresh server and then again in the same mount. */
export const read: Scenario = {
  rows: [
    { name: 'read-cold', title: 'sequential read, fresh server', unit: 'MB/s', ofNull: 0.8, rumpkernel: 277 },
    { name: 'read-warm', title: 'sequential read, warm', unit: 'MB/s', ofNull: 0.8, hostCached: true, rumpkernel: 990 },
  ],
  run: (session) => session.on('data', async (root) => {
    const bytes = session.sizes.large;
    const cold = await session.run('read', `${root}/zero`, bytes);
    return [megabytes(bytes, cold), megabytes(bytes, await session.run('read', `${root}/zero`, bytes))];
  }),
};
