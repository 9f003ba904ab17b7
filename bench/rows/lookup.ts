import type { Scenario } from '../row.js';

/** Full paths: first every one is a LOOKUP, then whatever the host may still believe without asking. */
export const lookup: Scenario = {
  rows: [
    { name: 'lookup', title: 'lookups, cold', unit: '/s', ofNull: 0.8 },
    { name: 'stat', title: 'stats of known files', unit: '/s', ofNull: 0.8 },
  ],
  run: (session) => session.on('tree', async (root) => {
    const { tree } = session.sizes;
    const cold = await session.run('stat', root, tree);
    return [tree.files / cold, tree.files / (await session.run('stat', root, tree))];
  }),
};
