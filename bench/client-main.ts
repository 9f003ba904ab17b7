// The client process: waits for an order, carries it out, answers the seconds. It lives through the whole benchmark, so
// that its start is in no figure, and it is one process of its own, so that a mount that hangs cannot hang the
// benchmark.
import { load } from './load.js';

const work = load as unknown as Record<string, (...args: unknown[]) => number>;

process.on('message', ({ name, args }: { name: string; args: unknown[] }) => {
  let answer: { seconds: number } | { error: string };
  try {
    answer = { seconds: work[name]!(...args) };
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  // The benchmark may have been interrupted meanwhile: then nobody listens.
  process.send!(answer, () => {});
});
process.on('disconnect', () => process.exit(0));
