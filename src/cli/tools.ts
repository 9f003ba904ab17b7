/**
 * The tools that work on volumes of any format: what of the command line is everybody's, and what is the format's.
 * Which format it is must be known before the command line can be read as a whole: it is what -t says, or what is on
 * the image.
 */
import { statSync } from 'node:fs';
import type { Options } from 'yargs';
import { nodeRumpuser } from '../kernel/rumpuser/node.js';
import type { Format, FormatOption, Tool } from '../fs/format.js';
import { openDisk, selectVolume, type Where } from './device.js';
import { DEFAULT_FORMAT, formatOf, formatOn } from './formats.js';
import { TOOLS, type ToolName } from './tool-names.js';

/** A tool with the format that it is to be used for. */
export interface Chosen {
  readonly tool: ToolName;
  readonly format: Format;
  /** undefined: nobody said what it is, and nothing was found: `format` is only the default. */
  readonly how: 'asked' | 'found' | undefined;
}

/** The options of that tool. None: the format does not have it. */
export function optionsOf(format: Format, tool: ToolName): readonly FormatOption[] {
  return (format.tools[TOOLS[tool]] as Tool<unknown> | undefined)?.options ?? [];
}

/** The last value that the arguments give for an option, before they are read as a whole. */
function given(args: readonly string[], names: readonly string[]): string | undefined {
  let value: string | undefined;
  args.forEach((arg, i) => {
    for (const name of names) {
      if (arg === name) {
        value = args[i + 1];
      } else if (name.startsWith('--') && arg.startsWith(`${name}=`)) {
        value = arg.slice(name.length + 1);
      } else if (!name.startsWith('--') && arg.startsWith(name) && !arg.startsWith('--')) {
        value = arg.slice(name.length).replace(/^=/, '');
      }
    }
  });
  return value;
}

/**
 * What is on an image; undefined also where it cannot be looked at: whoever uses it will say why.
 * @throws Failure it may be several things
 */
async function foundOn(where: Where): Promise<Format | undefined> {
  const disk = await openDisk(nodeRumpuser(), where, { readonly: true, exclusive: false }).catch(() => undefined);
  if (disk === undefined) return undefined;
  try {
    const volume = await selectVolume(disk, where).catch(() => undefined);
    return volume === undefined ? undefined : await formatOn(volume);
  } finally {
    await disk.close();
  }
}

/** Arguments that are files: one of them is the image, others may be values of options that are not known yet. */
function filesAmong(args: readonly string[]): string[] {
  return args.filter((arg) => {
    const stat = statSync(arg, { throwIfNoEntry: false });
    return stat !== undefined && !stat.isDirectory();
  });
}

/**
 * What the command line is about, if it is one of the tools.
 * @throws Failure -t names no format; the image may hold several
 */
export async function choose(args: readonly string[]): Promise<Chosen | undefined> {
  const tool = args[0] as ToolName;
  if (!Object.hasOwn(TOOLS, tool)) return undefined;
  const type = given(args, ['-t', '--type']);
  if (type !== undefined) return { tool, format: await formatOf(type), how: 'asked' };
  if (tool !== 'newfs') {
    const partition = given(args, ['--partition']);
    const offset = given(args, ['--offset']);
    // What is not recognised may be none.
    for (const image of filesAmong(args.slice(1))) {
      const format = await foundOn({ image, partition, offset });
      if (format !== undefined) return { tool, format, how: 'found' };
    }
  }
  return { tool, format: await formatOf(DEFAULT_FORMAT), how: undefined };
}

/** An option as yargs is to have it. */
function yargsOption(
  { alias, kind, describe, choices, default: value, optional }: FormatOption,
  group: string,
): Options {
  const type = kind === 'flag' ? 'boolean' : kind === 'number' ? 'number' : 'string';
  return {
    type, describe, group,
    ...(alias !== undefined ? { alias } : {}),
    ...(choices !== undefined ? { choices } : {}),
    ...(value !== undefined ? { default: kind === 'number' ? Number(value) : value } : {}),
    ...(type === 'string' && optional !== true ? { requiresArg: true } : {}),
  };
}

/** The format's own options of a tool. */
export function yargsOptions({ format, tool }: Chosen): Record<string, Options> {
  return Object.fromEntries(
    optionsOf(format, tool).map((option) => [option.name, yargsOption(option, `Options of ${format.name}:`)]),
  );
}

/**
 * Those whose value may be left out, and must not take the argument behind them for one: `-x` and `--xyz`, each with
 * the name that it stands for.
 */
export function optionalFlags({ format, tool }: Chosen): Map<string, string> {
  const optional = optionsOf(format, tool).filter((option) => option.optional === true);
  return new Map(
    optional.flatMap(({ name, alias = [] }) =>
      [name, ...[alias].flat()].map((word) => [word.length === 1 ? `-${word}` : `--${word}`, `--${name}`]),
    ),
  );
}
