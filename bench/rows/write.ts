import { megabytes, type Scenario } from '../row.js';

/**
 * Sequential writing of a new file and fsync, twice in the same mount: the second time while V8 compiles what the first
 * has shown to be hot.
 */
export const write: Scenario = {
  writes: true,
  rows: [
    { name: 'write', title: 'sequential write + fsync', unit: 'MB/s', ofNull: 0.8, rumpkernel: 290 },
    { name: 'write-again', title: 'sequential write + fsync once more', unit: 'MB/s', rumpkernel: 290 },
  ],
  run: (session) => session.on('work', async (root) => {
    const bytes = session.sizes.large;
    const speeds: number[] = [];
    for (let time = 0; time < 2; time++) {
      speeds.push(megabytes(bytes, await session.run('write', `${root}/new`, bytes)));
      await session.run('unlink', `${root}/new`);
    }
    return speeds;
  }),
};
