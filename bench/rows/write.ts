import { megabytes, type Scenario } from '../row.js';

/** Sequential writing of a new file and fsync. */
export const write: Scenario = {
  rows: [{ name: 'write', title: 'sequential write + fsync', unit: 'MB/s', ofNull: 0.8, rumpkernel: 290 }],
  run: (session) => session.on('work', async (root) => {
    const bytes = session.sizes.large;
    const speed = megabytes(bytes, await session.run('write', `${root}/new`, bytes));
    await session.run('unlink', `${root}/new`);
    return [speed];
  }),
};
