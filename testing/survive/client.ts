/**
 * One of the programs of the survive run: node client.js SEED ROOT OWN SHARED NAME RESULT KEEPS. Works until a file
 * RESULT.stop is there; writes what it saw to RESULT.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { Random } from './random.js';
import { Workload } from './workload.js';
import type { Keeps, Picture } from './workload.js';

export interface ClientResult {
  readonly operations: number;
  readonly failures: number;
  readonly told: readonly string[];
  readonly picture: Picture;
  readonly times: readonly number[];
}

const [seed, root, own, shared, name, result, keeps] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
];
const load = new Workload(new Random(Number(seed)), root, own, shared, name, JSON.parse(keeps) as Keeps);
while (!existsSync(`${result}.stop`)) for (let i = 0; i < 10; i++) load.step();
const picture = load.finish();
const { operations, failures, told, times } = load;
writeFileSync(result, JSON.stringify({ operations, failures, told, picture, times } satisfies ClientResult));
