/**
 * npm run survive -- [--type FORMAT | --variant NAME] [--kills N] [--seconds N] [--seed S] [--size 256m] [--options
 * MOUNTOPTIONS] [--keep]
 *
 * Makes a volume, mounts it with the real command, lets four programs work on it that know what must be there, and
 * kills the server (now and then the stand-by, both, or whoever is taking over) at random moments. Then unmounts,
 * checks the volume, mounts it again and compares everything. Exit status 1 if anybody saw anything of it but a pause.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { variantNamed } from '../variants/index.js';
import { quantile, survive } from './run.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    type: { type: 'string', default: 'ffs' },
    variant: { type: 'string' },
    size: { type: 'string', default: '256m' },
    options: { type: 'string' },
    pause: { type: 'string', default: '1500' },
    clients: { type: 'string', default: '4' },
    keep: { type: 'boolean', default: false },
  },
});
let root = path.dirname(fileURLToPath(import.meta.url));
while (!existsSync(path.join(root, 'package-lock.json'))) root = path.dirname(root);
const figures = await survive({
  rumpfuse: path.join(root, 'bin/rumpfuse'),
  kills: Number(values.kills),
  seed: Number(values.seed),
  variant: await variantNamed('survive', values.variant ?? values.type),
  size: values.size,
  seconds: values.seconds === undefined ? undefined : Number(values.seconds),
  pause_ms: Number(values.pause),
  clients: Number(values.clients),
  keep: values.keep,
  ...(values.options === undefined ? {} : { options: values.options }),
  progress: (kills) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${kills} kills `);
  },
});
const { kills, pauses, checks } = figures;
for (const line of figures.told) console.log(line);
console.log(
  `seed ${values.seed}: ${kills.server + kills.standby + kills.both + kills.recovery} kills (${kills.server} of the ` +
    `server, ${kills.standby} of the stand-by, ${kills.both} of both, ${kills.recovery} while taking over) in ` +
    `${figures.seconds.toFixed(0)} s`,
);
console.log(
  `${figures.operations} operations, ${figures.errors} errors seen by clients, ${figures.wrong} lost or doubled, ` +
    `${figures.strays} processes left`,
);
for (const [name, found] of Object.entries(checks)) console.log(`${name}: ${found === '' ? 'clean' : found}`);
console.log(
  `pause seen by a client: median ${quantile(pauses, 0.5).toFixed(1)} ms, 99th percentile ` +
    `${quantile(pauses, 0.99).toFixed(0)} ms, longest ${(pauses.at(-1) ?? 0).toFixed(0)} ms`,
);
const good =
  figures.errors === 0 &&
  figures.wrong === 0 &&
  figures.strays === 0 &&
  Object.values(checks).every((found) => found === '');
process.exitCode = good ? 0 : 1;
