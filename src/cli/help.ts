/** The end of what --help says: the file systems that there are, and the mount options of one. */
import type { Format, FormatOption } from '../fs/format.js';
import { allFormats, formatOf } from './formats.js';
import { TOOLS } from './tool-names.js';
import type { Chosen } from './tools.js';

const NAME_WIDTH = 24;

function line(name: string, text: string): string {
  return `  ${name.padEnd(NAME_WIDTH)} ${text}`;
}

function mountOption({ name, kind, optional, choices, default: value, describe }: FormatOption): string {
  const takes = choices !== undefined ? choices.join('|') : kind.toUpperCase();
  const shown = kind === 'flag' ? name : optional === true ? `${name}[=${takes}]` : `${name}=${takes}`;
  return line(shown, `${describe}${value === undefined ? '' : ` (default ${value})`}`);
}

function list(formats: readonly Format[]): string {
  return formats.map(({ name, title }) => line(name, title)).join('\n');
}

/** Of `mount -t TYPE`. */
function ofMount(format: Format): string {
  const options = format.options.map(mountOption);
  return options.length === 0
    ? `${format.name} has no mount options of its own.`
    : `Mount options of ${format.name}:\n${options.join('\n')}`;
}

/** What follows the options. @throws Failure -t names no format */
export async function epilogue(args: readonly string[], chosen: Chosen | undefined): Promise<string> {
  if (chosen !== undefined) {
    const having = (await allFormats()).filter(({ tools }) => tools[TOOLS[chosen.tool]] !== undefined);
    return `File systems (rumpfuse ${chosen.tool} -t TYPE --help shows the options of one):\n${list(having)}`;
  }
  if (args[0] !== 'mount') return '';
  const at = args.findIndex((arg) => arg === '-t' || arg === '--type');
  const type = at < 0 ? undefined : args[at + 1];
  if (type !== undefined) return ofMount(await formatOf(type));
  return `File systems (rumpfuse mount -t TYPE --help shows the mount options of one):\n${list(await allFormats())}`;
}
