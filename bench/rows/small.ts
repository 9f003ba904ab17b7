import type { Scenario } from '../row.js';

/**
 * Making 5,000 small files and removing them, twice in the same mount: the second time the server has its code
 * compiled.
 */
export const small: Scenario = {
  writes: true,
  rows: [
    { name: 'create', title: 'create small files', unit: 's', rumpkernel: 1.5, rumpkernelLog: 1.7 },
    { name: 'rm', title: 'rm -r of them', unit: 's', rumpkernel: 1.0 },
    { name: 'create-again', title: 'create them once more', unit: 's', rumpkernel: 1.5, rumpkernelLog: 1.7 },
    { name: 'rm-again', title: 'rm -r of them once more', unit: 's', rumpkernel: 1.0 },
  ],
  run: (session) =>
    session.on('work', async (root) => {
      const seconds: number[] = [];
      for (let time = 0; time < 2; time++) {
        seconds.push(
          await session.run('create', root, session.sizes.small),
          await session.run('remove', root, session.sizes.small),
        );
      }
      return seconds;
    }),
};
