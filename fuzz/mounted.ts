/** A mutant mounted for real: `rumpfuse mount`, and ordinary programs on it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Violation } from './probe.js';

/** RUMPFUSE names another program than the one of this checkout. */
const RUMPFUSE = process.env.RUMPFUSE ?? fileURLToPath(new URL('../../bin/rumpfuse', import.meta.url));
const PROGRAM_S = 30;
/** What only a fault of ours prints. */
const BUG = /TypeError|RangeError|ReferenceError|AssertionError|FATAL ERROR|^\s+at .*\.js:\d+/m;

interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly late: boolean;
}

function run(program: string, args: readonly string[], seconds = PROGRAM_S): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < 200_000) output += chunk.toString('latin1');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let late = false;
    const done = (status: number | null): void => {
      clearTimeout(timer);
      clearTimeout(given);
      resolve({ status, output, late });
    };
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    // A process that waits for a file system that does not answer cannot even be killed.
    const given = setTimeout(() => done(null), (seconds + 5) * 1000);
    child.on('error', reject);
    child.on('close', done);
  });
}

/** Number of the FUSE connection behind a mount point, from mountinfo. */
function connectionOf(dir: string): string | undefined {
  const line = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').find((l) => l.split(' ')[4] === dir);
  return line?.split(' ')[2]!.split(':')[1];
}

const WALK = `
cd "$1" || exit 0
find . -maxdepth 7 -ls 2>/dev/null | head -n 400
find . -maxdepth 5 -type f -size -3000k 2>/dev/null | head -n 100 | tr '\\n' '\\0' | xargs -0 -r cat 2>/dev/null | wc -c
find . -maxdepth 3 -type l 2>/dev/null | head -n 20 | tr '\\n' '\\0' | xargs -0 -r readlink 2>/dev/null
timeout 10 head -c 100000 triple double sparse >/dev/null 2>&1
df . ; stat -f . ; getfattr -d -h -R dir 2>/dev/null | head -n 50
true`;

const CHANGE = `
cd "$1" || exit 0
cp -r dir copy 2>/dev/null
mkdir a a/b a/c 2>/dev/null
for i in 1 2 3 4 5 6 7 8; do echo $i > a/f$i; cat dir/block >> a/f$i; done 2>/dev/null
mv a/b dir/ ; mv a/f1 many/ ; ln one a/one ; ln -s x a/x ; rm -rf dir/sub many ; truncate -s 100000 sparse ; truncate -s 3 dir/indirect
sync -f . ; rm -rf a copy
true`;

/** @param image a file with the mutant, which may be changed */
async function use(image: string, dir: string, readonly: boolean): Promise<Violation[]> {
  const found: Violation[] = [];
  const name = readonly ? 'fuse ro' : 'fuse rw';
  const judge = (what: string, outcome: Outcome): void => {
    if (outcome.late) found.push({ rule: 'hang', op: `${name}: ${what}`, where: '', detail: outcome.output.slice(-1500) });
    if (BUG.test(outcome.output)) found.push({ rule: 'bug', op: `${name}: ${what}`, where: '', detail: outcome.output.slice(0, 1500) });
  };
  const mount = await run(RUMPFUSE, ['mount', ...(readonly ? ['-r'] : []), '-t', 'ffs', image, dir]);
  judge('mount', mount);
  const connection = connectionOf(dir);
  if (connection === undefined) {
    if (mount.status === 0) found.push({ rule: 'crash', op: `${name}: mount`, where: '', detail: `nothing is mounted: ${mount.output}` });
    return found;
  }
  const walk = await run('/bin/sh', ['-c', WALK, 'walk', dir]);
  judge('walk', walk);
  // "Transport endpoint is not connected": the server is gone.
  if (walk.output.includes('endpoint')) found.push({ rule: 'crash', op: `${name}: walk`, where: '', detail: walk.output.slice(-1000) });
  if (!readonly) {
    const change = await run('/bin/sh', ['-c', CHANGE, 'change', dir]);
    judge('change', change);
    if (change.output.includes('endpoint')) found.push({ rule: 'crash', op: `${name}: change`, where: '', detail: change.output.slice(-1000) });
  }
  if (found.some((v) => v.rule === 'hang')) {
    try {
      writeFileSync(`/sys/fs/fuse/connections/${connection}/abort`, '1');
    } catch {
      // It is gone already.
    }
  }
  judge('umount', await run(RUMPFUSE, ['umount', dir]));
  if (connectionOf(dir) !== undefined) {
    found.push({ rule: 'hang', op: `${name}: umount`, where: '', detail: 'still mounted' });
    await run('umount', ['-l', dir]);
  }
  return found;
}

/** Mounts a mutant read-only and for writing, and uses it. Root only. */
export async function tryMounted(bytes: Uint8Array): Promise<Violation[]> {
  const place = mkdtempSync(path.join(tmpdir(), 'rumpfuse-fuzz-'));
  const image = path.join(place, 'mutant.img');
  const dir = path.join(place, 'mnt');
  mkdirSync(dir);
  try {
    writeFileSync(image, bytes);
    return [...(await use(image, dir, true)), ...(await use(image, dir, false))];
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
