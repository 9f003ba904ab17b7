import { SIGALRM, libc } from '../mount/libc.js';

/** Signals whose handlers must run although the serving loop blocks the thread in a read. */
const SIGNALS = [['SIGTERM', 15], ['SIGINT', 2], ['SIGHUP', 1], ['SIGALRM', SIGALRM]] as const;

/**
 * Wakes a thread that is blocked in a read. Node installs its signal handlers so that blocking calls go on after them;
 * here they are told to interrupt instead, and the loop goes once round the event loop, where the JavaScript handlers
 * and the timers run. The alarm does that every second while there is something that timers must do; a signal that
 * arrives in the instant before the read blocks is made up for by the next one.
 */
export class Wakeup {
  private on = false;

  /** `tick` runs at each alarm. Handlers of the other signals must be set before. */
  constructor(private readonly tick: () => void, private readonly interval_ms = 1000) {
    process.on('SIGALRM', this.tick);
    const lib = libc();
    if (lib !== null) for (const [, number] of SIGNALS) lib.siginterrupt(number);
  }

  /** Without the C library nothing can interrupt a read: the loop must not block then. */
  static get possible(): boolean {
    return libc() !== null;
  }

  get ticking(): boolean {
    return this.on;
  }

  start(): void {
    if (this.on) return;
    this.on = true;
    libc()?.setAlarm(this.interval_ms);
  }

  stop(): void {
    if (!this.on) return;
    this.on = false;
    libc()?.setAlarm(0);
  }

  close(): void {
    this.stop();
    process.off('SIGALRM', this.tick);
  }
}
