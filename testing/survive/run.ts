/** Kills the servers of a mount at random moments while four programs work on it. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClientResult } from './client.js';
import { alive, descendants, familyOf } from './processes.js';
import type { Variant } from '../variants/index.js';
import { Random } from './random.js';
import { formatNamed } from '../../src/fs/registry.js';
import { hashOf } from './workload.js';
import type { Keeps, Picture } from './workload.js';

export interface SurviveOptions {
  /** The command that is tested. */
  readonly rumpfuse: string;
  readonly kills: number;
  /** Ends earlier; default never. */
  readonly seconds?: number | undefined;
  readonly seed: number;
  /** Arguments of newfs besides size and image, and -o options of the mount, and what the format can keep. */
  readonly variant: Variant;
  /** As newfs takes it. */
  readonly size?: string;
  /** More -o options of the mount. */
  readonly options?: string;
  /** Between two kills at most, milliseconds. */
  readonly pause_ms?: number;
  readonly clients?: number;
  /** Keep image and log. */
  readonly keep?: boolean;
  readonly progress?: (kills: number) => void;
}

export interface SurviveFigures {
  /** Of the server at work, of a stand-by, of both at once, and of whoever was taking over. */
  readonly kills: { server: number; standby: number; both: number; recovery: number };
  readonly seconds: number;
  operations: number;
  /** Seen by the clients: calls that failed, content that was not what had been written. */
  errors: number;
  /** In the end, seen by mounting it again: what is not as the clients left it. */
  wrong: number;
  /** Of the checkers, what they found; empty: clean. */
  readonly checks: Record<string, string>;
  readonly told: string[];
  /**
   * As a client sees it, milliseconds: of each kill of the server, for each client, the longest of its next two calls.
   */
  readonly pauses: number[];
  /** Processes left behind. */
  strays: number;
}

const CLIENTS = 4;
const PAUSE_MS = 1500;
/** Only for what hangs. */
const END_MS = 900_000;
const E2FSCK = '/sbin/e2fsck';
const CLIENT = fileURLToPath(new URL('./client.js', import.meta.url));
const now = () => Number(process.hrtime.bigint()) / 1e6;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: END_MS });
  if (status !== 0) {
    throw new Error(`${path.basename(program)} ${args.join(' ')}: status ${status} ${error ?? ''}\n${stdout}${stderr}`);
  }
  return stdout;
}

function kill(pid: number | undefined): boolean {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    return pid !== undefined;
  } catch {
    return false;
  }
}

/** What is on the volume and should not be, or the other way round, or otherwise. */
function differences(root: string, pictures: readonly Picture[], { linkcounts }: Keeps): string[] {
  const wrong: string[] = [];
  const expected = new Map(pictures.flatMap(({ files }) => Object.entries(files)));
  const directories = new Set(['shared', ...pictures.flatMap((picture) => picture.directories)]);
  const walk = (directory: string) => {
    for (const entry of readdirSync(path.join(root, directory), { withFileTypes: true })) {
      const name = path.join(directory, entry.name);
      // Some newfs makes it.
      if (name === 'lost+found' && readdirSync(path.join(root, name)).length === 0) continue;
      if (entry.isDirectory()) {
        if (!directories.delete(name)) wrong.push(`${name}: a directory that nobody made`);
        walk(name);
        continue;
      }
      const file = expected.get(name);
      expected.delete(name);
      const content = readFileSync(path.join(root, name));
      const { nlink } = statSync(path.join(root, name));
      if (file === undefined) {
        wrong.push(`${name}: a file that nobody made`);
      } else if (file.hash !== hashOf(content)) {
        wrong.push(`${name}: other content (${content.length} bytes instead of ${file.size})`);
      } else if (linkcounts && file.names !== nlink) {
        wrong.push(`${name}: ${nlink} names instead of ${file.names}`);
      }
    }
  };
  walk('');
  wrong.push(...[...expected.keys(), ...directories].map((name) => `${name}: lost`));
  return wrong;
}

/** For each kill and client the longest of the two calls that end first after it. */
function pausesOf(kills: readonly number[], results: readonly ClientResult[]): number[] {
  const pauses: number[] = [];
  for (const { times } of results) {
    let at = 0;
    for (const killed of kills) {
      while (at < times.length && times[at + 1]! < killed) at += 2;
      if (at + 3 >= times.length) break;
      pauses.push(Math.max(times[at + 1]! - times[at]!, times[at + 3]! - times[at + 2]!));
    }
  }
  return pauses.sort((a, b) => a - b);
}

async function killing(
  options: SurviveOptions,
  random: Random,
  supervisor: number,
  mountpoint: string,
  figures: SurviveFigures,
  clients: readonly ChildProcess[],
): Promise<number[]> {
  const deaths: number[] = [];
  const end = now() + (options.seconds ?? 1e9) * 1000;
  let done = 0;
  // One kill there is in any case, however slow the machine.
  while (done < options.kills && (now() < end || deaths.length === 0)) {
    await sleep(random.next() * (options.pause_ms ?? PAUSE_MS));
    // it has failed: the result says how
    if (clients.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)) break;
    const { server, others } = familyOf(supervisor, mountpoint);
    if (server === undefined) {
      if (!alive(supervisor)) break;
      continue;
    }
    const how = random.next();
    if (how < 0.08) {
      if (!kill(others[0])) continue;
      figures.kills.standby++;
    } else {
      deaths.push(now());
      if (!kill(server)) continue;
      if (how < 0.16 && kill(others[0])) figures.kills.both++;
      else figures.kills.server++;
      if (how > 0.88) {
        await sleep(random.next() * 60);
        const next = familyOf(supervisor, mountpoint);
        if (kill(next.server ?? next.others[0])) {
          figures.kills.recovery++;
          done++;
        }
      }
    }
    done++;
    options.progress?.(done);
  }
  return deaths;
}

export async function survive(options: SurviveOptions): Promise<SurviveFigures> {
  const { rumpfuse, seed, variant } = options;
  const keeps: Keeps = {
    hardlinks: variant.features.includes('hardlinks'),
    linkcounts: variant.features.includes('linkcounts'),
  };
  const mountOptions = [
    ...(variant.survive!.mount ?? []),
    ...(options.options === undefined ? [] : [options.options]),
  ].join(',');
  const random = new Random(seed);
  const base = mkdtempSync(path.join(tmpdir(), 'rumpfuse-survive-'));
  const image = path.join(base, 'image');
  const mountpoint = path.join(base, 'mnt');
  mkdirSync(mountpoint);
  const began = now();
  const figures: SurviveFigures = {
    kills: { server: 0, standby: 0, both: 0, recovery: 0 },
    seconds: 0,
    operations: 0,
    errors: 0,
    wrong: 0,
    checks: {},
    told: [],
    pauses: [],
    strays: 0,
  };
  const clients: ChildProcess[] = [];
  try {
    must(rumpfuse, 'newfs', '-t', variant.type, '--size', options.size ?? '256m', ...variant.survive!.newfs, image);
    must(rumpfuse, 'mount', ...(mountOptions === '' ? [] : ['-o', mountOptions]), image, mountpoint);
    const mounts = JSON.parse(must(rumpfuse, 'list', '--json')) as {
      mountpoint: string;
      pid: number;
      details?: { log?: string };
    }[];
    const { pid: supervisor, details } = mounts.find((mount) => mount.mountpoint === mountpoint)!;
    mkdirSync(path.join(mountpoint, 'shared'));
    const results = Array.from({ length: options.clients ?? CLIENTS }, (_, i) => path.join(base, `client-${i}`));
    results.forEach((result, i) => {
      mkdirSync(path.join(mountpoint, `own${i}`));
      clients.push(
        spawn(
          process.execPath,
          [CLIENT, String(seed * 100 + i), mountpoint, `own${i}`, 'shared', `c${i}`, result, JSON.stringify(keeps)],
          { stdio: ['ignore', 'inherit', 'inherit'] },
        ),
      );
    });
    const ends = clients.map((client) => new Promise<void>((resolve) => client.once('exit', () => resolve())));
    const deaths = await killing(options, random, supervisor, mountpoint, figures, clients);
    for (const result of results) writeFileSync(`${result}.stop`, '');
    const hung = setTimeout(() => {
      figures.told.push('a client does not come to its end');
      clients.forEach((client) => client.kill('SIGKILL'));
    }, END_MS);
    await Promise.all(ends);
    clearTimeout(hung);
    const seen = results.flatMap((file): ClientResult[] => {
      if (existsSync(file)) return [JSON.parse(readFileSync(file, 'utf8')) as ClientResult];
      figures.errors++;
      figures.told.push(`${path.basename(file)} ended without a result`);
      return [];
    });
    for (const { operations, failures, told } of seen) {
      figures.operations += operations;
      figures.errors += failures;
      figures.told.push(...told);
    }
    figures.pauses.push(...pausesOf(deaths, seen));
    if (options.keep === true && details?.log !== undefined) spawnSync('cp', [details.log, path.join(base, 'log')]);
    must(rumpfuse, 'umount', mountpoint);
    figures.strays = alive(supervisor) ? 1 + descendants(supervisor).length : 0;
    if ((await formatNamed(variant.type)!.load()).tools.check !== undefined) {
      const checker = spawnSync(rumpfuse, ['fsck', '-n', image], { encoding: 'utf8', timeout: END_MS });
      figures.checks['fsck'] =
        checker.status === 0 && /: clean\n$/.test(checker.stdout) ? '' : checker.stdout + checker.stderr;
    }
    if (variant.type === 'ext2fs' && existsSync(E2FSCK)) {
      const run = spawnSync(E2FSCK, ['-fn', image], { encoding: 'utf8', timeout: END_MS });
      figures.checks['e2fsck'] = run.status === 0 ? '' : run.stdout + run.stderr;
    }
    const other = process.env['RUMPFUSE_FSCK_FFS'] ?? '';
    if (variant.type === 'ffs' && other !== '' && existsSync(other)) {
      const run = spawnSync(other, ['-c', image], { encoding: 'utf8', timeout: END_MS });
      figures.checks['NetBSD'] = run.status === 0 ? '' : run.stdout + run.stderr;
    }
    must(rumpfuse, 'mount', '-o', 'ro', image, mountpoint);
    const wrong = differences(mountpoint, seen.map(({ picture }) => picture), keeps);
    figures.wrong = wrong.length;
    figures.told.push(...wrong.slice(0, 20));
    must(rumpfuse, 'umount', mountpoint);
  } finally {
    for (const client of clients) if (client.exitCode === null && client.signalCode === null) client.kill('SIGKILL');
    spawnSync('umount', ['-l', mountpoint], { stdio: 'ignore' });
    if (options.keep !== true) rmSync(base, { recursive: true, force: true });
    else figures.told.push(`kept: ${base}`);
  }
  return { ...figures, seconds: (now() - began) / 1000 };
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}
