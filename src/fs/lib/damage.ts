import type { Errno } from '../../kernel/errno.js';
import { E, errno } from '../../kernel/errno.js';
import type { LogLevel } from '../../kernel/rumpuser/rumpuser.js';

/** Distinct messages that are logged; a volume full of damage must not fill the log. */
const MAX_MESSAGES = 32;

/** What a mount has said about damage: each thing once, and not without end. */
export class DamageLog {
  private readonly said = new Set<string>();
  private readonly log: (level: LogLevel, message: string) => void;
  private readonly volume: string;
  private readonly advice: string;

  /** `advice`: what the reader of the log should do. */
  constructor(log: (level: LogLevel, message: string) => void, volume: string, advice = 'run a check (rumpfuse fsck)') {
    this.log = log;
    this.volume = volume;
    this.advice = advice;
  }

  /** Logs `what` unless it has been logged. */
  note(what: string): void {
    if (this.said.size >= MAX_MESSAGES || this.said.has(what)) return;
    this.said.add(what);
    const last = this.said.size === MAX_MESSAGES ? ' (more damage is not reported)' : '';
    this.log('error', `${this.volume}: damaged: ${what}; ${this.advice}${last}`);
  }

  /** Logs `what` and returns the EIO to throw. */
  error(what: string): Errno {
    this.note(what);
    return errno(E.EIO, what);
  }
}
