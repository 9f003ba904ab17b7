import type { Scenario } from '../row.js';

/** Making 5,000 small files, and removing them again in the same mount. */
export const small: Scenario = {
  rows: [
    { name: 'create', title: 'create small files', unit: 's', rumpkernel: 1.5, rumpkernelLog: 1.7 },
    { name: 'rm', title: 'rm -r of them', unit: 's', rumpkernel: 1.0 },
  ],
  run: (session) => session.on('work', async (root) => {
    const create = await session.run('create', root, session.sizes.small);
    return [create, await session.run('remove', root, session.sizes.small)];
  }),
};
