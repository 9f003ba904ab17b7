/** Worker processes, watched: one that hangs or takes too much is killed and what it did last is known. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import type { FromWorker, ToWorker } from './messages.js';
import type { Recipe } from './mutant.js';
import type { Violation } from './probe.js';

export interface Limits {
  /** Of V8's heap, MiB. */
  readonly heap_mib: number;
  /** Resident at most, MiB. */
  readonly memory_mib: number;
  /** CPU that one mutant may take altogether, seconds; beyond, it is taken for a hang. */
  readonly mutant_cpu_s: number;
  /** Time without CPU being used after which an operation is taken for one that never ends, seconds. */
  readonly idle_s: number;
}

export const LIMITS: Limits = { heap_mib: 256, memory_mib: 640, mutant_cpu_s: 30, idle_s: 20 };

/**
 * User and system time of a process, seconds; 0 if it is gone. (/proc/PID/stat, fields 14 and 15, in ticks of 10 ms.)
 */
function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/** How a worker came to its end while it was at work. */
export interface Ended {
  readonly rule: 'crash' | 'hang';
  readonly detail: string;
}

/**
 * One worker. States: starting (until 'ready') -> idle -> working (from send until 'idle') -> idle ...; ended, from
 * any state. It is restarted by its owner.
 */
export class Worker {
  readonly child: ChildProcess;
  onmessage: (message: FromWorker) => void = () => undefined;
  /** Called once, when the process is gone; `ended` says why if that was not to be. */
  onend: (ended: Ended) => void = () => undefined;
  /** What was on its standard error last, and the operation told last. */
  private stderr = '';
  lastop = '';
  private mark_cpu = 0;
  private mark_time = 0;
  private last_cpu = 0;
  private idle_since = 0;
  private hung: string | undefined;
  private working = false;
  private readonly watch: NodeJS.Timeout;

  constructor(format: string, private readonly limits: Limits) {
    const main = fileURLToPath(new URL('./worker.js', import.meta.url));
    this.child = fork(main, [format, String(limits.memory_mib)], {
      execArgv: [
        `--max-old-space-size=${limits.heap_mib}`,
        '--max-semi-space-size=16',
        '--enable-source-maps',
        '--stack-trace-limit=30',
      ],
      stdio: ['ignore', 'inherit', 'pipe', 'pipe', 'ipc'],
    });
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr = (this.stderr + chunk.toString()).slice(-4000)));
    (this.child.stdio[3] as Readable).on('data', (chunk: Buffer) => {
      const lines = chunk.toString().trimEnd().split('\n');
      this.lastop = lines[lines.length - 1]!;
    });
    this.child.on('message', (message) => {
      const m = message as FromWorker;
      this.reset();
      this.working = m.is !== 'idle' && m.is !== 'ready';
      this.onmessage(m);
    });
    this.child.on('exit', (code, signal) => {
      clearInterval(this.watch);
      const how = this.hung ?? (signal === null ? `exit status ${code}` : `signal ${signal}`);
      this.onend({ rule: this.hung === undefined ? 'crash' : 'hang', detail: `${how}\n${this.stderr}`.trim() });
    });
    this.watch = setInterval(() => this.look(), 500);
    this.reset();
  }

  send(message: ToWorker): void {
    this.working = true;
    this.reset();
    this.child.send(message);
  }

  stop(): void {
    clearInterval(this.watch);
    this.child.disconnect();
  }

  private reset(): void {
    this.mark_cpu = cpuOf(this.child.pid!);
    this.mark_time = Date.now();
    this.idle_since = this.mark_time;
    this.last_cpu = this.mark_cpu;
  }

  private look(): void {
    if (!this.working || this.hung !== undefined) return;
    const cpu = cpuOf(this.child.pid!);
    const now = Date.now();
    // An idle event loop uses next to nothing.
    if (cpu - this.last_cpu > 0.02) this.idle_since = now;
    this.last_cpu = cpu;
    if (cpu - this.mark_cpu > this.limits.mutant_cpu_s) {
      this.hung = `${Math.round(cpu - this.mark_cpu)} s of CPU without an end`;
    } else if (now - this.idle_since > this.limits.idle_s * 1000) {
      this.hung = `no answer for ${this.limits.idle_s} s, and nothing at work`;
    }
    if (this.hung !== undefined) this.child.kill('SIGKILL');
  }
}

/** Tries one mutant in a process of its own. */
export function tryRecipe(format: string, recipe: Recipe, limits: Limits): Promise<readonly Violation[]> {
  return new Promise((resolve) => {
    const worker = new Worker(format, limits);
    let violations: readonly Violation[] | undefined;
    worker.onmessage = (message) => {
      if (message.is === 'ready') worker.send({ do: 'recipe', recipe });
      else if (message.is === 'end') violations = message.violations;
      else if (message.is === 'idle') worker.stop();
    };
    worker.onend = ({ rule, detail }) => resolve(violations ?? [{ rule, op: worker.lastop, where: '', detail }]);
  });
}
