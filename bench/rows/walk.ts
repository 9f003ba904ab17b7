import type { Scenario } from '../row.js';

/** find(1) with the attributes of everything, over a tree that nobody has looked at since the mount. */
export const walk: Scenario = {
  rows: [{ name: 'find', title: 'find + stat over the tree', unit: 's', ofNull: 0.8, rumpkernel: 1.05 }],
  run: (session) => session.on('tree', async (root) => [await session.run('find', root)]),
};
