// The benchmark: `npm run bench -- --help`.
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, cpus, release, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from './client.js';
import { weigh } from './memory.js';
import { forceUnmount, mountOn } from './mounts.js';
import { type Memory, endServers } from './processes.js';
import { type Values, goalLines, goals, median, memoryLine, table } from './report.js';
import type { Row, Scenario } from './row.js';
import { scenarios } from './rows/index.js';
import { Session } from './session.js';
import { FULL, QUICK, type VolumeName } from './system.js';
import { systems } from './systems/index.js';

/** Bytes of free space that the images may need. */
const ROOM = 6 * 2 ** 30;
const VOLUMES: readonly VolumeName[] = ['data', 'tree', 'work'];

const usage = `npm run bench -- [options]
  --rounds N       rounds, the systems taking turns in each (5; with --quick 2)
  --rows A,B       only these: ${scenarios.flatMap((scenario) => scenario.rows.map((row) => row.name)).join(' ')} memory
  --systems A,B    only these: ${systems.map((system) => system.name).join(' ')}
  --quick          small files and few of them: shows that all works, measures nothing
  --dir DIR        where the images go (/dev/shm if there is room: the disk is not what is measured here)
  --json FILE      all values, for machines
  --cpu-prof DIR   every server leaves a CPU profile there when it ends`;

function list(text: string | undefined, known: readonly string[]): string[] {
  const names = text?.split(',') ?? [...known];
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new Error(`${wrong}: not one of ${known.join(', ')}`);
  return names;
}

function options() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      rows: { type: 'string' },
      systems: { type: 'string' },
      quick: { type: 'boolean', default: false },
      dir: { type: 'string' },
      json: { type: 'string' },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: a number from 1 on`);
  return {
    ...values,
    rounds,
    rows: list(values.rows, [...scenarios.flatMap((scenario) => scenario.rows.map((row) => row.name)), 'memory']),
    systems:
      values.systems === undefined
        ? systems.filter((system) => system.onlyAsked !== true).map((system) => system.name)
        : list(
            values.systems,
            systems.map((system) => system.name),
          ),
  };
}

function room(directory: string): number {
  if (!existsSync(directory)) return 0;
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Removes images and mount points, and nothing else: never what is behind a mount that would not go away. */
function clean(base: string): void {
  for (const entry of readdirSync(base, { withFileTypes: true })) {
    const name = path.join(base, entry.name);
    if (entry.isFile()) rmSync(name, { force: true });
    else {
      forceUnmount(name);
      endServers(name);
      if (mountOn(name) === undefined) rmdirSync(name);
      else console.error(`${name}: still mounted, nothing helped`);
    }
  }
  if (readdirSync(base).length === 0) rmdirSync(base);
}

async function main(): Promise<number> {
  const args = options();
  if (args.help) {
    console.log(usage);
    return 0;
  }
  const sizes = args.quick ? QUICK : FULL;
  const wanted = (row: Row) => args.rows.includes(row.name);
  const chosen = scenarios.filter((scenario) => scenario.rows.some(wanted));
  const rows = chosen.flatMap((scenario) => scenario.rows.filter(wanted));
  const env = { ...process.env };
  if (args['cpu-prof'] !== undefined) {
    mkdirSync(args['cpu-prof'], { recursive: true });
    env['RUMPFUSE_BENCH_PROFILES'] = path.resolve(args['cpu-prof']);
    env['NODE_OPTIONS'] = `${env['NODE_OPTIONS'] ?? ''} --import=${new URL('cpu-profile.js', import.meta.url).href}`;
  }
  const base = mkdtempSync(
    path.join(args.dir ?? (room('/dev/shm') >= ROOM ? '/dev/shm' : tmpdir()), 'rumpfuse-bench-'),
  );
  const client = new Client();
  process.once('exit', () => clean(base));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  const say = process.stderr.isTTY ? (text: string) => process.stderr.write(`\r\x1b[K${text}`) : () => true;
  /** What failed and why; it is not tried again. */
  const failed = new Map<string, string>();
  const fail = (what: string, error: unknown) => {
    say('');
    failed.set(what, (error as Error).message);
    console.error(`FAILED ${what}: ${(error as Error).message}`);
  };

  const sessions: Session[] = [];
  for (const system of systems.filter(({ name }) => args.systems.includes(name))) {
    const why = system.missing();
    if (why !== undefined) {
      fail(system.title, new Error(why));
      continue;
    }
    const session = new Session(system, sizes, base, client, env);
    try {
      // Two systems of one format share the images that the first has made.
      if (!sessions.some((other) => other.system.format === system.format && system.format !== undefined)) {
        say(`preparing ${system.title}`);
        if (rows.length > 0) await session.prepare(VOLUMES);
      }
      sessions.push(session);
    } catch (error) {
      fail(`${system.title}, preparing`, error);
    }
  }

  const values: Values = new Map(
    rows.map((row) => [row.name, new Map(sessions.map(({ system }) => [system.name, []]))]),
  );
  const measure = async (scenario: Scenario, session: Session, round: number) => {
    const what = `${scenario.rows[0]!.title}, ${session.system.title}`;
    if (failed.has(what) || (scenario.writes === true && session.system.format?.master !== undefined)) return;
    say(`round ${round}: ${what}`);
    try {
      (await scenario.run(session)).forEach((value, i) =>
        values.get(scenario.rows[i]!.name)?.get(session.system.name)!.push(value),
      );
    } catch (error) {
      fail(what, error);
    }
  };
  for (let round = 1; round <= args.rounds; round++) {
    // Another one begins in each round: what the one before leaves behind (memory to be zeroed, processes that end)
    // hits all alike.
    const first = (round - 1) % Math.max(1, sessions.length);
    const turns = [...sessions.slice(first), ...sessions.slice(0, first)];
    for (const scenario of chosen) for (const session of turns) await measure(scenario, session, round);
  }

  const memory = new Map<string, Memory>();
  if (args.rows.includes('memory')) {
    for (const session of sessions) {
      if (session.system.format?.master !== undefined) continue;
      say(`memory, ${session.system.title}`);
      try {
        const got = await weigh(session);
        if (got !== undefined) memory.set(session.system.name, got);
      } catch (error) {
        fail(`memory, ${session.system.title}`, error);
      }
    }
  }
  client.end();
  say('');

  const shown = sessions.map(({ system }) => system);
  const judged = goals(rows, sizes, values, memory.get('ffs'));
  console.log(
    `${args.rounds} rounds, median (best); large file ${sizes.large / 2 ** 20} MiB, ${sizes.small.files} small ` +
      `files, tree of ${sizes.tree.files} files; images in ${path.dirname(base)}`,
  );
  console.log(
    `${availableParallelism()} x ${cpus()[0]?.model ?? 'CPU'}, Linux ${release()}, Node.js ${process.version}\n`,
  );
  console.log(`${table(rows, shown, values)}\n`);
  for (const system of shown)
    if (memory.has(system.name)) {
      console.log(`memory, 1 TiB volume: ${memoryLine(system, memory.get(system.name)!)}`);
    }
  if (judged.length > 0) console.log(`\n${goalLines(judged)}`);
  if (failed.size > 0) console.log(`\n${failed.size} failed: ${[...failed.keys()].join('; ')}`);

  if (args.json !== undefined) {
    const fd = openSync(args.json, 'w');
    const measured = rows.map((row) => ({
      ...row,
      systems: Object.fromEntries(
        [...values.get(row.name)!]
          .filter(([, got]) => got.length > 0)
          .map(([name, got]) => [name, { median: median(got), values: got }]),
      ),
    }));
    writeFileSync(
      fd,
      `${JSON.stringify({ date: new Date().toISOString(), node: process.version, kernel: release(), cpus: cpus().map((cpu) => cpu.model), directory: path.dirname(base), rounds: args.rounds, sizes, rows: measured, memory: Object.fromEntries(memory), goals: judged, failed: Object.fromEntries(failed) }, null, 2)}\n`,
    );
    closeSync(fd);
  }
  return failed.size > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 2;
}
