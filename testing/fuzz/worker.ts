/** The process in which mutants are tried: `node worker.js FORMAT`, spoken to over IPC. A mutant may kill it. */
import { writeSync } from 'node:fs';
import { formatOf } from '../../fuzz/formats.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { Mutant } from './mutant.js';
import { fromRecipe } from './mutant.js';
import { Probe, placeOf } from './probe.js';

const format = await formatOf(process.argv[2]!);
const MEMORY_CAP_BYTES = Number(process.argv[3]) * 2 ** 20;
/**
 * File descriptor on which the operations of a recipe are told: written at once, so that the last is there when the
 * process is killed.
 */
const TRACE_FD = 3;

let current: Probe | undefined;

function send(message: FromWorker): void {
  process.send!(message);
}

function stray(what: string, thrown: unknown): void {
  const stack = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown);
  if (current === undefined) throw thrown;
  current.violation('unhandled', what, placeOf(stack), stack);
}

process.on('unhandledRejection', (thrown) => stray('rejection', thrown));
process.on('uncaughtException', (thrown) => stray('exception', thrown));

async function attempt(index: number, mutant: Mutant, traced: boolean): Promise<void> {
  const probe = new Probe();
  current = probe;
  if (traced) probe.trace = (op) => void writeSync(TRACE_FD, `${op}\n`);
  const before = process.memoryUsage.rss();
  try {
    await format.run(mutant, probe);
  } catch (thrown) {
    // A fault of the harness itself, or of what it calls outside of an operation.
    const stack = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown);
    probe.violation('throw', 'harness', placeOf(stack), stack);
  }
  // Rejections are reported behind the microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  const maxrss_bytes = process.resourceUsage().maxRSS * 1024;
  if (maxrss_bytes > MEMORY_CAP_BYTES) {
    probe.violation(
      'memory',
      'mutant',
      '',
      `${Math.round(maxrss_bytes / 2 ** 20)} MiB resident at most, ${Math.round(before / 2 ** 20)} before`,
    );
  }
  send({
    is: 'end',
    index,
    operations: probe.operations,
    failed: probe.failed,
    counts: [...probe.counts],
    slowest_ms: probe.slowest_ms,
    slowest_op: probe.slowest_op,
    maxrss_bytes,
    violations: probe.violations,
  });
  current = undefined;
  // It cannot come down again, and would hide the next one.
  if (maxrss_bytes > MEMORY_CAP_BYTES) process.exit(0);
}

async function work(message: ToWorker): Promise<void> {
  if (message.do === 'recipe') {
    const { recipe } = message;
    if (format.digest(recipe.base) !== recipe.digest) {
      process.stderr.write(`the image ${recipe.base} is not the one that this was found on\n`);
    }
    await attempt(0, fromRecipe(recipe), true);
  } else {
    for (let index = message.first; index < message.first + message.count; index++) {
      send({ is: 'begin', index });
      await attempt(index, format.mutant(message.seed, index), false);
    }
  }
  send({ is: 'idle' });
}

process.on('message', (message) => void work(message as ToWorker));
process.on('disconnect', () => process.exit(0));

await format.prepare();
send({ is: 'ready' });
