import pino from 'pino';
import { printable } from '../kernel/printable.js';
import type { LogLevel } from '../kernel/rumpuser/rumpuser.js';

export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

const NAMES: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warning', 50: 'error' };

/** One pino record as a line for a person: `rumpfuse: warning: message (key=value)`. */
function forPeople(record: string): string {
  const { level, msg, ...fields } = JSON.parse(record) as { level: number; msg: string; [key: string]: unknown };
  delete fields['time'];
  const extra = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const kind = level === 30 ? '' : `${NAMES[level] ?? level}: `;
  // Of several lines each but the first is set in: none can be taken for another message.
  return `rumpfuse: ` +
    `${kind}${`${msg}${extra.length ? ` (${extra.join(' ')})` : ''}`.split('\n').map(printable).join('\n  ')}\n`;
}

/**
 * The log of one process, quiet by default: warnings and errors on standard error, in words.
 * `json` writes pino's own records instead, for a log collector.
 */
export function openLog(level: LogLevel, json = false): Log {
  // Nobody may be there to hear it.
  const destination = json ? pino.destination({ dest: 2, sync: true }) : undefined;
  destination?.on('error', () => {});
  const stream = destination ?? { write: (record: string) => void process.stderr.write(forPeople(record)) };
  const logger = pino({ level, base: null }, stream);
  return (at, message, fields) => logger[at](fields ?? {}, message);
}
