import type { Scenario } from '../row.js';

/** rm -r of the whole tree, by a server that has seen none of it. */
export const remove: Scenario = {
  writes: true,
  rows: [{ name: 'rm-tree', title: 'rm -r of the tree', unit: 's', rumpkernel: 3.6 }],
  run: (session) => session.on('scratch', async (root) => [await session.run('remove', root, session.sizes.tree)]),
};
