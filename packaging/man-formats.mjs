// The manual page's section on file systems, from the registry: `npm run man` after a build. A test holds the page to
// it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('rumpfuse.8', import.meta.url));
const BEGIN = '.\\" formats: from src/fs/registry.ts by npm run man\n';
const END = '.\\" formats end\n';
const TOOLS = { make: 'newfs', check: 'fsck', tune: 'tunefs', dump: 'dumpfs' };

/** Text that mdoc(7) takes as it is: no line begins with a control character. */
function text(words) {
  const safe = words.replaceAll('\\', '\\e').replace(/^([.'])/, '\\&$1');
  return `${safe.charAt(0).toUpperCase()}${safe.slice(1)}.`;
}

/** What the option takes, as mdoc(7) marks it. */
function argument({ kind, choices, optional }, equals) {
  if (kind === 'flag') return '';
  const value = choices === undefined ? `Ar ${kind}` : `Cm ${choices.join(' | ')}`;
  if (optional === true) return ` Ns Op = Ns ${value}`;
  return equals ? `= Ns ${value}` : ` ${value}`;
}

function item(option, mount) {
  const shown = option.default === undefined ? '' : `\nThe default is\n.Cm ${option.default} .`;
  const letters = [option.alias ?? []].flat().map((letter) => `${letter} , `).join('');
  const name = mount ? `Cm ${option.name}` : `Fl ${letters}\\-${option.name}`;
  return `.It ${name}${argument(option, mount)}\n${text(option.describe)}${shown}`;
}

function list(options, mount) {
  return `.Bl -tag -width Ds -compact\n${options.map((option) => item(option, mount)).join('\n')}\n.El`;
}

function section({ aliases }, format) {
  const lines = [`.Ss ${format.name}`, text(format.title)];
  if (aliases.length > 0) lines.push(`Also called\n.Cm ${aliases.join(' , ')} .`);
  if (format.options.length > 0) lines.push('.Pp\nMount options:', list(format.options, true));
  for (const [tool, command] of Object.entries(TOOLS)) {
    const options = format.tools[tool]?.options ?? [];
    if (options.length > 0) lines.push(`.Pp\nOptions of\n.Cm ${command} :`, list(options, false));
  }
  return lines.join('\n');
}

/** The page as it should be. `registry`: the compiled src/fs/registry.ts. */
export async function pageWithFormats(registry) {
  const page = readFileSync(PAGE, 'utf8');
  const from = page.indexOf(BEGIN) + BEGIN.length;
  const to = page.indexOf(END);
  if (from < BEGIN.length || to < from) throw new Error(`${PAGE}: the marks of the generated section are missing`);
  const sections = [];
  for (const registered of registry.FORMATS) sections.push(section(registered, await registered.load()));
  return `${page.slice(0, from)}${sections.join('\n')}\n${page.slice(to)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(PAGE, await pageWithFormats(await import('../dist/fs/registry.js')));
}
