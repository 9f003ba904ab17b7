/**
 * What the commands say: names of files, of volumes and in logs are others' and may hold anything, also what drives a
 * terminal.
 */
import { printable } from '../kernel/printable.js';

/** A line to standard output. */
export function say(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}

/** A line to standard error. */
export function complain(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Characters that JSON lets through, and terminals act upon. */
const UNSAFE = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A value as JSON to standard output. */
export function sayJson(value: unknown): void {
  const text = JSON.stringify(value, null, 2).replace(
    UNSAFE,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  process.stdout.write(`${text}\n`);
}
