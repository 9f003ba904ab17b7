import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ROOT, rumpfuse, run } from './support.js';

/** The manual page names every command and every option that --help does, and can be read. */
t.setTimeout(0); // on a busy machine each command may take seconds
const PAGE = path.join(ROOT, 'packaging/rumpfuse.8');
const source = readFileSync(PAGE, 'utf8');

/** The part of a command: its .Ss. */
function part(command: string): string {
  const start = source.indexOf(`\n.Ss ${command}\n`);
  if (start < 0) return '';
  const end = source.slice(start + 5).search(/\n\.S[sh] /);
  return source.slice(start, start + 5 + end);
}
const general = source.slice(source.indexOf('.Sh DESCRIPTION'), source.indexOf('\n.Ss '));
const formats = source.slice(source.indexOf('.Sh FILE SYSTEMS'), source.indexOf('.Sh SPARSE IMAGES'));

/** Words behind .It Fl, without their dashes. */
function flags(text: string): Set<string> {
  const named = new Set<string>();
  for (const [, line] of text.matchAll(/^\.(?:It )?Fl (.*)$/gm)) {
    for (const word of line!.split(/[\s,]+/)) named.add(word.replace(/^\\-/, ''));
  }
  return named;
}

t.test('every command and option', async (t) => {
  const help = (await rumpfuse('--help')).stdout;
  const commands = [...help.matchAll(/^ {2}rumpfuse (\w+)/gm)].map((match) => match[1]!);
  t.ok(commands.length >= 8);
  for (const command of commands) {
    const text = part(command);
    if (!t.ok(text !== '', `a section on ${command}`)) continue;
    const named = new Set([...flags(text), ...flags(general), ...flags(formats)]);
    const { stdout } = await rumpfuse(command, '--help');
    const options = stdout.slice(stdout.search(/\nOptions/));
    for (const [, first] of options.matchAll(/^ {2,}(-[^ ,]+(?:, -[^ ,]+)*)/gm)) {
      for (const option of first!.split(', ')) t.ok(named.has(option.replace(/^--?/, '')), `${command} ${option}`);
    }
  }
});

t.test('every mount option that --help names', async (t) => {
  const { stdout } = await rumpfuse('mount', '--help');
  const list = /comma separated:([\s\S]*?)\[array\]/
    .exec(stdout)![1]!
    .replace(/\([^)]*\)/g, ' ')
    .replace(/,? ?and\s+those of the\s+driver/, '');
  const section = source.slice(source.indexOf('.Sh MOUNT OPTIONS'), source.indexOf('.Sh FILES'));
  const names = list.split(/[\s,]+/).map((word) => word.replace(/=.*$/, '')).filter((word) => /^[a-z_]+$/.test(word));
  t.ok(names.length > 10);
  for (const name of names) t.match(section, new RegExp(`\\b${name}\\b`), name);
});

t.test('what it says of the file systems is what the registry does', async (t) => {
  const { pageWithFormats } = (await import(path.join(ROOT, 'packaging/man-formats.mjs'))) as {
    pageWithFormats(registry: unknown): Promise<string>;
  };
  t.equal(await pageWithFormats(await import('../../src/fs/registry.js')), source, 'npm run man brings it up to date');
});

t.test('man can read it', async (t) => {
  const outcome = await run('man', ['--warnings', '-l', PAGE], { env: { LC_ALL: 'C', MANPAGER: 'cat' } }).catch(
    () => undefined,
  );
  if (outcome === undefined) return void t.fail('man(1) is missing: packaging/setup.sh --tests installs it');
  t.equal(outcome.status, 0);
  t.equal(outcome.stderr, '');
  return void t.match(outcome.stdout, /EXIT STATUS/);
});
