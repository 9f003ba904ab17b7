/** Work that Ctrl-C may end in the middle only where something can still be put right. */
import { Failure } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** As shells say it: 128 and the number of the signal. */
const EXIT_INTERRUPTED = 130;

/** To be asked between two steps. @throws Failure a signal has come */
export type CheckInterrupt = () => Promise<void>;

/** Runs `work`, which a signal ends at its next check instead of in the middle of something. */
export async function interruptible<T>(work: (check: CheckInterrupt) => Promise<T>): Promise<T> {
  let come: string | undefined;
  const note = (signal: string) => {
    come = signal;
  };
  for (const signal of SIGNALS) process.on(signal, note);
  try {
    return await work(async () => {
      // Signals are delivered between two turns of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      if (come !== undefined) throw new Failure(`interrupted (${come})`, EXIT_INTERRUPTED);
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, note);
  }
}
