import type { Scenario } from '../row.js';

/**
 * Full paths of all files of the tree, each asked for by a call of its own: the names, then the attributes (with the
 * birth time, which the answer to a lookup does not carry, so that the server has to be asked), then again what the
 * host may know by now.
 */
export const lookup: Scenario = {
  rows: [
    { name: 'lookup', title: 'lookups', unit: '/s', ofNull: 0.8 },
    { name: 'stat', title: 'stats', unit: '/s', ofNull: 0.8 },
    { name: 'stat-again', title: 'stats of the same files', unit: '/s', hostCached: true },
  ],
  run: (session) =>
    session.on('tree', async (root) => {
      const { tree } = session.sizes;
      const rates: number[] = [];
      for (const order of ['lookup', 'stat', 'stat'] as const) {
        rates.push(tree.files / (await session.run(order, root, tree)));
      }
      return rates;
    }),
};
