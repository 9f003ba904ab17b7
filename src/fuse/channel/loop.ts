import { E, errnoOf } from '../../kernel/errno.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { hostErrno } from '../protocol/errno.js';
import { InBuf, Message, OutBuf } from '../protocol/message.js';
import { OPERATIONS } from '../protocol/opcodes.js';
import type { Trace } from '../trace.js';
import { CLOSED, INTERRUPTED } from './transport.js';
import type { Transport } from './transport.js';

/** A handler's answer in place of a payload length: the request wants no reply. */
export const NO_REPLY = -1;

/** What serves a request: returns the bytes of payload in `m.out`, or NO_REPLY; fails by throwing an Errno. */
export type Dispatch = (m: Message) => MaybePromise<number>;

/** Thrown in place of an Errno: an error in the host's own numbers. */
export class HostErrno {
  constructor(readonly value: number) {}
}

export interface LoopOptions {
  readonly transport: Transport;
  readonly dispatch: Dispatch;
  /** Largest WRITE or READ, bytes. */
  readonly max_write: number;
  /** Memory to read the requests into of which most are read: where their data may stay until they are answered. */
  readonly inputs?: Uint8Array | undefined;
  readonly trace?: Trace;
  /**
   * The thread may block in reads (there is somebody who interrupts them when timers or signals matter). Default true.
   */
  readonly blocking?: boolean;
  /** Something that is no Errno was thrown: a bug. */
  readonly onBug: (error: unknown, m: Message) => void;
  /** An operation that modifies the volume has been served; called at every such operation. */
  readonly onModified?: () => void;
  /** An operation waits for more than the processor. */
  readonly onAsleep?: (m: Message) => void;
  /** The host has the answer, or wants none. */
  readonly onAnswered?: (m: Message) => void;
}

/** Requests served in one go before timers and signals get their turn. */
const BATCH = 128;
/** Room for the payload of replies that carry no data. */
const SMALL_REPLY = 8192;
/** Operations that keep a large buffer each while they sleep. No more requests are read while so many do. */
const HOLDERS_MAX = 32;

/**
 * The adaptive serving loop: as cheap as blocking reads while operations need nothing but the processor, and never in
 * the way of one that waits for the event loop.
 *
 * States (there is one outside view of them: what the thread does next):
 *
 *   SERVING   step() runs: read (blocking), dispatch, reply, again. An operation that awaits settles in a microtask,
 *             which calls step() again; so while operations need only microtasks, the event loop never turns.
 *     -> WAITING   quiet(), a setImmediate that is armed whenever an operation awaits, runs: the microtask queue ran
 *                  empty with the operation unsettled. It sleeps. It keeps its message; the loop takes another one
 *     -> TURNING   a signal interrupted the read, or BATCH requests were served: quiet() is armed and the thread goes
 *                  once round the event loop
 *   WAITING   operations sleep: requests are read with the thread free. -> SERVING when the last one has settled and
 *             the read that is under way has brought its request
 *   ENDED     the host has closed the connection. Operations that sleep still settle
 *
 * An operation that waits for another request (a lock) is `parked`, not asleep: it needs no event loop, and the loop
 * stays with blocking reads, but for one turn after each request, in which the woken operation settles.
 */
export class Loop {
  private readonly transport: Transport;
  private readonly dispatch: Dispatch;
  private readonly trace: Trace | undefined;
  private readonly inBytes: number;
  private readonly max_write: number;
  private readonly blocking: boolean;

  /** The message that the next request is read into. */
  private next: Message;
  /** The operation that was started last and has not settled. */
  private current: Task | null = null;
  private readonly idleTasks: Task[] = [];
  private readonly idleInputs: InBuf[] = [];
  private readonly idleLarge: OutBuf[] = [];
  private readonly parkedTasks = new Set<Task>();
  /** Operations that await the event loop. */
  private readonly sleepingTasks = new Set<Task>();
  private readonly waitingTasks = [this.parkedTasks, this.sleepingTasks];
  /** Work of the server itself. */
  private tracked = 0;
  private holders = 0;
  private armed = false;
  private reading = false;
  private ended = false;
  private budget = BATCH;
  private tasks = 0;
  private resolveEnd!: () => void;
  private readonly end: Promise<void>;

  constructor(private readonly options: LoopOptions) {
    this.transport = options.transport;
    this.dispatch = options.dispatch;
    this.trace = options.trace;
    this.max_write = options.max_write;
    this.blocking = options.blocking ?? true;
    // The header and fixed part of a WRITE lie before its payload; 4 KiB are more than any has.
    this.inBytes = options.max_write + 4096;
    const { inputs } = options;
    for (let at = 0; inputs !== undefined && at + this.inBytes <= inputs.length; at += this.inBytes) {
      this.idleInputs.push(new InBuf(this.inBytes, inputs.subarray(at, at + this.inBytes)));
    }
    this.next = this.task();
    this.end = new Promise((resolve) => (this.resolveEnd = resolve));
  }

  /** Serves until the mount is gone and every operation has settled. */
  run(): Promise<void> {
    this.arm();
    return this.end;
  }

  /** Operations that are waiting for something. */
  get waiting(): number {
    return this.sleeping + this.parkedTasks.size;
  }

  private get sleeping(): number {
    return this.sleepingTasks.size + this.tracked;
  }

  /** The host gives up the request `unique` (two words): cancels it if it is waiting and can be cancelled. */
  interrupt(uniqueLo: number, uniqueHi: number): void {
    for (const tasks of this.waitingTasks) {
      for (const task of tasks) if (task.uniqueLo === uniqueLo && task.uniqueHi === uniqueHi) return task.cancel?.();
    }
  }

  /**
   * Work of the server itself that needs the event loop (writing back what is dirty): the loop does not block
   * meanwhile.
   */
  track(work: Promise<void>): void {
    this.tracked++;
    const done = () => {
      this.tracked--;
      if (this.ended) this.finishEnd();
      else this.arm();
    };
    work.then(done, done);
    this.arm();
  }

  /** A reply buffer with room for `bytes` instead of the small one; goes back when the reply is sent. */
  large(m: Message, bytes: number): OutBuf {
    if (bytes <= m.out.room) return m.out;
    const task = m as Task;
    if (bytes > this.max_write) return (task.out = new OutBuf(bytes));
    task.out = task.large = this.idleLarge.pop() ?? new OutBuf(this.max_write);
    return task.out;
  }

  private arm(): void {
    if (this.armed) return;
    this.armed = true;
    setImmediate(this.quiet);
  }

  /** The event loop has turned: every microtask has run. */
  private readonly quiet = (): void => {
    this.armed = false;
    const task = this.current;
    if (task !== null) {
      // It has had its chance: it sleeps.
      this.current = null;
      task.detached = true;
      this.options.onAsleep?.(task);
      (task.parked ? this.parkedTasks : this.sleepingTasks).add(task);
      if (OPERATIONS[task.opcode]!.holds_input || task.large !== null) {
        task.holder = true;
        this.holders++;
      }
      this.next = this.task(OPERATIONS[task.opcode]!.holds_input ? undefined : task);
    }
    this.step();
  };

  /** Takes an idle task for the next request. `from` has no use for its input any more. */
  private task(from?: Task): Task {
    const task = this.idleTasks.pop() ?? new Task(this, this.tasks++);
    if (from !== undefined) {
      task.in = from.in;
      from.in = NO_INPUT;
    } else if (task.in === NO_INPUT) {
      task.in = this.idleInputs.pop() ?? new InBuf(this.inBytes);
    }
    return task;
  }

  /** Reads and serves until an operation awaits, the event loop is due, or the end. */
  private step(): void {
    if (this.reading || this.current !== null) return;
    while (!this.ended) {
      if (this.holders >= HOLDERS_MAX) return;
      if (this.sleeping > 0 || !this.blocking) {
        this.reading = true;
        this.transport.read(this.next.in, this.arrived);
        return;
      }
      if (--this.budget < 0) {
        this.budget = BATCH;
        this.arm();
        return;
      }
      const length = this.transport.readSync(this.next.in);
      if (length === INTERRUPTED) {
        this.arm();
        return;
      }
      if (length === CLOSED) return this.close();
      if (!this.start(length)) return;
      if (this.parkedTasks.size > 0) {
        this.arm();
        return;
      }
    }
    this.finishEnd();
  }

  /** A read with the thread free has brought a request. */
  private readonly arrived = (length: number): void => {
    this.reading = false;
    if (length === CLOSED) return this.close();
    if (length === INTERRUPTED || this.start(length)) this.step();
  };

  /** Serves the request in `next`. False if the operation awaits: it or quiet() will call step(). */
  private start(length: number): boolean {
    const task = this.next as Task;
    if (!task.begin(length)) return true; // no request: nothing that could be answered
    this.trace?.rx(task);
    let answer: MaybePromise<number>;
    try {
      answer = this.dispatch(task);
    } catch (thrown) {
      this.fail(task, thrown);
      this.recycle(task);
      return true;
    }
    if (answer instanceof Promise) {
      this.current = task;
      answer.then(task.settled, task.failed);
      this.arm();
      return false;
    }
    this.reply(task, 0, answer);
    this.recycle(task);
    return true;
  }

  /** An operation that awaited has an answer. */
  settle(task: Task, payload: number): void {
    this.reply(task, 0, payload);
    this.after(task);
  }

  settleFailed(task: Task, thrown: unknown): void {
    this.fail(task, thrown);
    this.after(task);
  }

  private after(task: Task): void {
    if (!task.detached) {
      this.current = null;
      this.recycle(task);
      // A parked operation that this one woke settles in the microtasks to come.
      if (this.parkedTasks.size > 0) return this.arm();
      return this.step();
    }
    task.detached = false;
    if (!this.parkedTasks.delete(task)) this.sleepingTasks.delete(task);
    if (task.holder) {
      task.holder = false;
      this.holders--;
    }
    this.recycle(task);
    if (task.in !== NO_INPUT) {
      this.idleInputs.push(task.in);
      task.in = NO_INPUT;
    }
    this.idleTasks.push(task);
    if (this.ended) return this.finishEnd();
    // Reading may have stopped for the number of holders; quiet() starts it again, and does nothing if it has not.
    this.arm();
  }

  private fail(task: Task, thrown: unknown): void {
    if (thrown instanceof HostErrno) return this.reply(task, thrown.value, 0);
    const errno = errnoOf(thrown);
    if (errno === E.EIO && (thrown as { errno?: number } | null)?.errno === undefined) this.options.onBug(thrown, task);
    this.reply(task, hostErrno(errno), 0);
  }

  private reply(task: Task, error: number, payload: number): void {
    const operation = OPERATIONS[task.opcode];
    if (operation !== undefined && operation.modifies) this.options.onModified?.();
    task.release();
    // A reply to request 0 would be taken for a notification.
    if (payload === NO_REPLY || (task.uniqueLo | task.uniqueHi) === 0) {
      this.trace?.done(task);
      this.options.onAnswered?.(task);
      return;
    }
    this.trace?.tx(task, error, payload);
    let taken = false;
    try {
      taken = this.transport.write(task.out, task.seal(error, payload));
    } catch (thrown) {
      // The host refuses the reply as malformed: whoever asked must not wait for ever.
      this.options.onBug(thrown, task);
      this.transport.write(task.out, task.seal(hostErrno(E.EIO), 0));
    }
    this.options.onAnswered?.(task);
    if (taken) task.sent?.();
    else if (task.undo !== null) task.undo().catch((thrown: unknown) => this.options.onBug(thrown, task));
  }

  private recycle(task: Task): void {
    if (task.out === task.small) return;
    if (task.large !== null) this.idleLarge.push(task.large);
    task.large = null;
    task.out = task.small;
  }

  private close(): void {
    this.ended = true;
    for (const tasks of this.waitingTasks) for (const task of tasks) task.cancel?.();
    this.finishEnd();
  }

  private finishEnd(): void {
    if (this.ended && this.current === null && this.waiting === 0) this.resolveEnd();
  }
}

/** In place of the input of an operation that has none any more. */
const NO_INPUT = new InBuf(64);

/** A message with what the loop must know of it. */
class Task extends Message {
  readonly small: OutBuf;
  /** The large reply buffer, if it has one of the common size. */
  large: OutBuf | null = null;
  /** Sleeping or parked: no longer the loop's current operation. */
  detached = false;
  holder = false;
  readonly settled: (payload: number) => void;
  readonly failed: (thrown: unknown) => void;

  constructor(loop: Loop, place: number) {
    super(NO_INPUT, new OutBuf(SMALL_REPLY));
    this.place = place;
    this.small = this.out;
    this.settled = (payload) => loop.settle(this, payload);
    this.failed = (thrown) => loop.settleFailed(this, thrown);
  }
}
