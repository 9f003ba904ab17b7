/** Options of a format's tools: from the command line to their values. */
import type { FormatOption, OptionValues } from '../fs/format.js';
import { parseBytes } from './units.js';

function valueOf(option: FormatOption, given: unknown): string | number | true | undefined {
  switch (option.kind) {
    case 'flag': return given === true ? true : undefined;
    case 'number': return given as number;
    case 'size': return given === '' ? true : parseBytes(String(given), `--${option.name}`);
    default: return given === '' && option.optional === true ? true : String(given);
  }
}

/** What yargs has read of them. @throws Failure */
export function valuesOf(options: readonly FormatOption[], argv: Readonly<Record<string, unknown>>): OptionValues {
  const values: Record<string, string | number | true> = {};
  for (const option of options) {
    const given = argv[option.name];
    const value = given === undefined ? undefined : valueOf(option, given);
    if (value !== undefined) values[option.name] = value;
  }
  return values;
}

/** What they are when nothing is said. */
export function defaultsOf(options: readonly FormatOption[]): OptionValues {
  return valuesOf(options, Object.fromEntries(options.map((option) => [option.name, option.default])));
}
