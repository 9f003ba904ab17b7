import { Errno } from '../../src/kernel/errno.js';

/** What must never happen. */
export type Rule =
  /** Something else than an Errno was thrown. */
  | 'throw'
  /** A rejection that nobody waited for. */
  | 'unhandled'
  /** The process ended. */
  | 'crash'
  /** One operation took more than {@link OP_CPU_MS} of CPU. */
  | 'slow'
  /** No answer at all. */
  | 'hang'
  /** More memory than the cap. */
  | 'memory'
  /** An answer that cannot be: a name with a slash, a size below zero. */
  | 'answer'
  /** The kernel logged a fault of its own. */
  | 'bug'
  /** A read-only use wrote to the device. */
  | 'wrote'
  /** A volume that the checker called clean was not clean after it had been used. */
  | 'spoiled'
  /** The checker called a volume clean and found faults in it at the next look. */
  | 'lied'
  /** Something was still held after everything was closed. */
  | 'leak';

export interface Violation {
  readonly rule: Rule;
  /** The operation. */
  readonly op: string;
  /** Where the fault is, as far as known: what makes two violations the same. */
  readonly where: string;
  readonly detail: string;
}

export const OP_CPU_MS = 1000;
/** Operations that take less time are not looked at. */
const LOOK_MS = 100;

/** Violations are the same if rule, operation and place are. */
export function keyOf(v: Violation): string {
  // Of slow operations and hangs the place is where the clock happened to be looked at.
  return `${v.rule} ${v.op} ${v.where}`;
}

/** The innermost function of the project on a stack: its name and file. */
export function placeOf(stack: string | undefined): string {
  for (const line of (stack ?? '').split('\n')) {
    const match = /at (?:async )?(?:(.+?) \()?(?:file:\/\/)?\S*\/(src\/[^:)]+):\d+/.exec(line);
    if (match !== null) return `${match[2]!.replace(/\.js$/, '.ts')} ${match[1] ?? ''}`.trim();
  }
  return '';
}

/** Carries out operations and judges what comes of them. */
export class Probe {
  readonly violations: Violation[] = [];
  operations = 0;
  failed = 0;
  /** Operations by the errno that they ended in. */
  readonly errors = new Map<string, number>();
  /** Free counters of the format: mounts, files seen, ... */
  readonly counts = new Map<string, number>();
  /** The slowest operation: milliseconds of CPU, and its name. */
  slowest_ms = 0;
  slowest_op = '';
  /** CPU used when it was looked at last: asking costs as much as a dozen small operations. */
  private cpu = process.cpuUsage();
  /** Told of every operation before it begins. */
  trace: ((op: string) => void) | undefined;

  count(what: string, n = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + n);
  }

  violation(rule: Rule, op: string, where: string, detail: string): void {
    this.violations.push({ rule, op, where, detail: detail.slice(0, 2000) });
  }

  /** Runs a call; what it may answer is a value or an Errno (then undefined is returned), and soon. */
  async op<T>(name: string, call: () => T | Promise<T>): Promise<T | undefined> {
    this.operations++;
    this.trace?.(name);
    const began = performance.now();
    let answer: T | undefined;
    try {
      answer = await call();
    } catch (thrown) {
      this.failed++;
      if (thrown instanceof Errno) {
        this.errors.set(thrown.code, (this.errors.get(thrown.code) ?? 0) + 1);
      } else {
        const stack = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : `not an Error: ${String(thrown)}`;
        this.violation('throw', name, placeOf(stack), stack);
      }
    }
    const passed = performance.now() - began;
    if (passed < LOOK_MS) return answer;
    // Other programs may have had the CPU meanwhile. What earlier, short operations used is counted with it.
    const used = process.cpuUsage(this.cpu);
    this.cpu = process.cpuUsage();
    const ms = Math.min(passed, (used.user + used.system) / 1000);
    if (ms > this.slowest_ms) {
      this.slowest_ms = ms;
      this.slowest_op = name;
    }
    if (ms > OP_CPU_MS) this.violation('slow', name, '', `${Math.round(ms)} ms of CPU`);
    return answer;
  }
}
