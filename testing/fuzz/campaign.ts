import type { FuzzFormat } from './format.js';
import type { FromWorker } from './messages.js';
import type { Violation } from './probe.js';
import { keyOf } from './probe.js';
import type { Ended, Limits } from './workers.js';
import { Worker } from './workers.js';

/** Mutants that a worker is given at a time. */
const BATCH = 20;
/** A worker is replaced after so many, so that a slow leak of the harness does not look like one of a mutant. */
const WORKER_LIFE = 8000;

export interface Finding {
  readonly key: string;
  readonly index: number;
  readonly violation: Violation;
}

type Range = readonly [first: number, end: number];

/** A run over many mutants: what is to be tried, and what came of it. */
export class Campaign {
  mutants = 0;
  /** Mutants that were mounted for real. */
  mounted = 0;
  /** The first of each kind. */
  readonly findings: Finding[] = [];
  onfinding: (finding: Finding) => void = () => undefined;
  private operations = 0;
  private failed = 0;
  private maxrss_bytes = 0;
  private server_bytes = 0;
  private slowest = { ms: 0, op: '', index: 0 };
  private readonly counts = new Map<string, number>();
  /** How often each kind of violation was seen. */
  private readonly seen = new Map<string, number>();
  private readonly began = Date.now();
  private next: number;
  /** What a worker that came to its end had left. */
  private readonly left: Range[] = [];

  constructor(
    readonly format: FuzzFormat,
    readonly seed: number,
    private readonly first: number,
    private readonly limit: number,
    private until: number,
    private readonly limits: Limits,
  ) {
    this.next = first;
  }

  found(index: number, violation: Violation): void {
    const key = keyOf(violation);
    const times = (this.seen.get(key) ?? 0) + 1;
    this.seen.set(key, times);
    if (times > 1) return;
    const finding = { key, index, violation };
    this.findings.push(finding);
    this.onfinding(finding);
  }

  figures(): string {
    const seconds = Math.max((Date.now() - this.began) / 1000, 0.001);
    const by = (...rules: string[]): number =>
      [...this.seen].filter(([key]) => rules.includes(key.split(' ')[0]!)).reduce((sum, [, n]) => sum + n, 0);
    const all = [...this.seen.values()].reduce((a, b) => a + b, 0);
    const { slowest } = this;
    return [
      `${this.mutants} mutants in ${Math.round(seconds)} s (${(this.mutants / seconds).toFixed(1)}/s), ` +
        `${this.operations} operations, of which ${this.failed} ended in an errno`,
      `${by('crash', 'unhandled')} crashes, ${by('hang', 'slow')} hangs, ${all} violations of ${this.seen.size} kinds`,
      `peak memory of a worker ${Math.round(this.maxrss_bytes / 2 ** 20)} ` +
        `MiB${this.mounted === 0 ? '' : `, of a server ${Math.round(this.server_bytes / 2 ** 20)} MiB`}, slowest ` +
        `operation ${Math.round(slowest.ms)} ms of CPU (${slowest.op}, mutant ${slowest.index})`,
      [...this.counts].map(([name, n]) => `${name} ${n}`).join(', '),
    ].join('\n');
  }

  /** Nothing more is begun. */
  get stopped(): boolean {
    return Date.now() >= this.until;
  }

  stop(): void {
    this.until = 0;
  }

  /** The mutant of that number is to be tried. */
  more(index: number): boolean {
    return !this.stopped && index < this.first + this.limit;
  }

  mountedCount(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Bytes that a server of a real mount had resident at most. */
  serverMemory(bytes: number): void {
    this.server_bytes = Math.max(this.server_bytes, bytes);
  }

  private take(count: number): Range | undefined {
    if (this.stopped) return undefined;
    const left = this.left.pop();
    if (left !== undefined) return left;
    const end = Math.min(this.next + count, this.first + this.limit);
    if (end <= this.next) return undefined;
    const range = [this.next, end] as const;
    this.next = end;
    return range;
  }

  private ended(m: Extract<FromWorker, { is: 'end' }>): void {
    this.mutants++;
    this.operations += m.operations;
    this.failed += m.failed;
    this.maxrss_bytes = Math.max(this.maxrss_bytes, m.maxrss_bytes);
    if (m.slowest_ms > this.slowest.ms) this.slowest = { ms: m.slowest_ms, op: m.slowest_op, index: m.index };
    for (const [name, n] of m.counts) this.counts.set(name, (this.counts.get(name) ?? 0) + n);
    for (const v of m.violations) this.found(m.index, v);
  }

  /** One worker after the other, until there is nothing more to try. */
  async job(): Promise<void> {
    for (let range = this.take(BATCH); range !== undefined; range = this.take(BATCH)) await this.oneWorker(range);
  }

  /** The life of one worker: begins with `range` and goes on to more. */
  private oneWorker(range: Range): Promise<void> {
    return new Promise((resolve) => {
      const worker = new Worker(this.format.name, this.limits);
      let [index, end] = range;
      let life = WORKER_LIFE;
      let stopping = false;
      const go = (): void => {
        life -= end - index;
        worker.send({ do: 'mutants', seed: this.seed, first: index, count: end - index });
      };
      worker.onmessage = (m) => {
        if (m.is === 'ready') {
          go();
        } else if (m.is === 'end') {
          index = m.index + 1;
          this.ended(m);
        } else if (m.is === 'idle') {
          const more = life > 0 ? this.take(BATCH) : undefined;
          if (more === undefined) {
            stopping = true;
            worker.stop();
          } else {
            [index, end] = more;
            go();
          }
        }
      };
      worker.onend = (ended: Ended) => {
        if (!stopping) {
          // One that is full of what a mutant left ends by itself between two.
          if (ended.detail !== 'exit status 0') {
            this.mutants++;
            this.found(index, { rule: ended.rule, op: '', where: '', detail: ended.detail });
            index++;
          }
          if (index < end) this.left.push([index, end]);
        }
        resolve();
      };
    });
  }
}
