/** A mutant mounted for real: `rumpfuse mount`, and ordinary programs on it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Violation } from './probe.js';

/** RUMPFUSE names another program than the one of this checkout. */
const RUMPFUSE = process.env.RUMPFUSE ?? fileURLToPath(new URL('../../../bin/rumpfuse', import.meta.url));
const PROGRAM_S = 30;
/** Supervisor and server have so long to go after the unmount. */
const GONE_MS = 60_000;
/** What only a fault of ours prints. */
const BUG = /TypeError|RangeError|ReferenceError|AssertionError|FATAL ERROR|^\s+at .*\.js:\d+/m;

interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly late: boolean;
}

function run(program: string, args: readonly string[], seconds = PROGRAM_S): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // A group of its own: what a shell has started is ended with it.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
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
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // It has just ended.
      }
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

/** A fifo that its directory calls a file is waited for by whoever opens it: hence the limits. */
const WALK = `
cd "$1" || exit 0
find . -maxdepth 7 -ls 2>/dev/null | head -n 400
find . -maxdepth 5 -type f -size -3000k 2>/dev/null | head -n 100 | tr '\\n' '\\0' | timeout 10 xargs -0 -r cat 2>/dev/null | wc -c
find . -maxdepth 3 -type l 2>/dev/null | head -n 20 | tr '\\n' '\\0' | xargs -0 -r readlink 2>/dev/null
timeout 10 head -c 100000 triple double sparse >/dev/null 2>&1
df . ; stat -f . ; getfattr -d -h -R dir 2>/dev/null | head -n 50
true`;

const CHANGE = `
cd "$1" || exit 0
cp -r dir copy 2>/dev/null
mkdir a a/b a/c 2>/dev/null
for i in 1 2 3 4 5 6 7 8; do echo $i > a/f$i; timeout 2 cat dir/block >> a/f$i; done 2>/dev/null
mv a/b dir/ ; mv a/f1 many/ ; ln one a/one ; ln -s x a/x ; rm -rf dir/sub many ; truncate -s 100000 sparse ; truncate -s 3 dir/indirect
sync -f . ; rm -rf a copy
true`;

/** What came of mounting one mutant. */
export interface MountedOutcome {
  readonly violations: readonly Violation[];
  /** `mounted through FUSE ro` and the like, to be counted. */
  readonly did: readonly string[];
  /** Bytes that the server had resident at most. */
  readonly server_bytes: number;
}

/** What `rumpfuse info --json` says of a mount. */
interface Served {
  readonly pid?: number;
  readonly details?: { readonly server_pid?: number; readonly log?: string };
}

async function servedAt(dir: string): Promise<Served> {
  const { output } = await run(RUMPFUSE, ['info', '--json', dir]);
  try {
    return JSON.parse(output.slice(output.indexOf('{'))) as Served;
  } catch {
    return {};
  }
}

/** Peak of the resident memory of a process; 0 if it is gone. */
function peakOf(pid: number): number {
  try {
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** A process of this name is there and no corpse. */
function alive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return status.startsWith('Name:\trumpfuse') && !/^State:\s*Z/m.test(status);
  } catch {
    return false;
  }
}

async function ended(pids: readonly (number | undefined)[]): Promise<boolean> {
  for (const until = Date.now() + GONE_MS; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 20)))
    if (!pids.some(alive)) {
      return true;
    }
  return false;
}

/** One mount of the mutant, with what is seen there. */
class Use {
  readonly violations: Violation[] = [];
  readonly did: string[] = [];
  server_bytes = 0;
  private readonly name: string;

  /** @param image a file with the mutant, which may be changed */
  constructor(private readonly image: string, private readonly dir: string, private readonly readonly: boolean) {
    this.name = readonly ? 'fuse ro' : 'fuse rw';
  }

  private broke(rule: Violation['rule'], what: string, detail: string): void {
    this.violations.push({ rule, op: `${this.name}: ${what}`, where: '', detail: detail.slice(-1500) });
  }

  private judge(what: string, outcome: Outcome): void {
    if (outcome.late) this.broke('hang', what, outcome.output);
    if (BUG.test(outcome.output)) this.broke('bug', what, outcome.output.slice(0, 1500));
    // "Transport endpoint is not connected": the server is gone.
    if (outcome.output.includes('endpoint')) this.broke('crash', what, outcome.output);
  }

  /** Ends the connection when a program hung on it: those that wait get an error. */
  private abortHung(connection: string): void {
    if (!this.violations.some((v) => v.rule === 'hang')) return;
    try {
      writeFileSync(`/sys/fs/fuse/connections/${connection}/abort`, '1');
    } catch {
      // It is gone already.
    }
  }

  async all(): Promise<void> {
    const mount = await run(RUMPFUSE, ['mount', ...(this.readonly ? ['-r'] : []), '-t', 'ffs', this.image, this.dir]);
    this.judge('mount', mount);
    const connection = connectionOf(this.dir);
    if (connection === undefined) {
      if (mount.status === 0) this.broke('crash', 'mount', `nothing is mounted: ${mount.output}`);
      return;
    }
    this.did.push(`mounted ${this.name}`);
    const served = await servedAt(this.dir);
    this.judge('walk', await run('/bin/sh', ['-c', WALK, 'walk', this.dir]));
    if (!this.readonly) this.judge('change', await run('/bin/sh', ['-c', CHANGE, 'change', this.dir]));
    this.abortHung(connection);
    const server = (await servedAt(this.dir)).details?.server_pid;
    if (server !== served.details?.server_pid) {
      this.broke('crash', 'server', `process ${served.details?.server_pid} was followed by ${server}`);
    }
    if (server !== undefined) this.server_bytes = peakOf(server);
    const log = served.details?.log;
    const logged = log === undefined ? '' : readFileSync(log, 'latin1').slice(0, 200_000);
    if (BUG.test(logged)) this.broke('bug', 'log', logged.slice(0, 1500));
    this.judge('umount', await run(RUMPFUSE, ['umount', this.dir]));
    if (connectionOf(this.dir) !== undefined) {
      this.broke('hang', 'umount', 'still mounted');
      await run('umount', ['-l', this.dir]);
    }
    if (!(await ended([served.pid, server]))) {
      this.broke('leak', 'umount', `processes ${served.pid} and ${server}: still there`);
    }
  }
}

/** Mounts a mutant read-only and for writing, and uses it. Root only. @param save writes it to a file */
export async function tryMounted(save: (file: string) => Promise<void>): Promise<MountedOutcome> {
  const place = mkdtempSync(path.join(tmpdir(), 'rumpfuse-fuzz-'));
  const image = path.join(place, 'mutant.img');
  const dir = path.join(place, 'mnt');
  mkdirSync(dir);
  try {
    await save(image);
    const uses = [new Use(image, dir, true), new Use(image, dir, false)];
    for (const use of uses) await use.all();
    return {
      violations: uses.flatMap((u) => u.violations),
      did: ['tried through FUSE', ...uses.flatMap((u) => u.did)],
      server_bytes: Math.max(...uses.map((u) => u.server_bytes)),
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
