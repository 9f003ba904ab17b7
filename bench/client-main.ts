// The client process: waits for an order, carries it out, answers the seconds. It lives through the whole benchmark, so that its
// start is in no figure, and it is one process of its own, so that a mount that hangs cannot hang the benchmark.
import { load } from './load.js';

const work = load as unknown as Record<string, (...args: unknown[]) => number>;

process.on('message', ({ name, args }: { name: string; args: unknown[] }) => {
  try {
    process.send!({ seconds: work[name]!(...args) });
  } catch (error) {
    process.send!({ error: (error as Error).message });
  }
});
process.on('disconnect', () => process.exit(0));
