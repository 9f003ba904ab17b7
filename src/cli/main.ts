import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type yargsModule from 'yargs';
import type { Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { Errno } from '../kernel/errno.js';
import { EXIT_BUG, EXIT_USAGE, Failure, words } from './failure.js';
import { complain } from './say.js';
import { TOOLS } from './tool-names.js';

// A directory that has been removed since: names from / are all that can be meant.
try {
  process.cwd();
} catch {
  process.chdir('/');
}

// Its ES module wraps --help in the middle of words; its CommonJS one between them.
const yargs = createRequire(import.meta.url)('yargs') as typeof yargsModule;

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Prints what went wrong in one line and ends the process with its status. */
function fail(error: unknown): never {
  // Node's own errors go on with where they come from.
  const said = words(error);
  complain(`rumpfuse: ${error instanceof Failure || error instanceof Errno ? said : said.split('\n')[0]}`);
  if (process.env['RUMPFUSE_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const known =
    error instanceof Failure || (error instanceof Error && typeof (error as { code?: unknown }).code === 'string');
  process.exit(error instanceof Failure ? error.exitStatus : known ? EXIT_USAGE : EXIT_BUG);
}

/**
 * Runs a command; what it returns is the exit status. Commands are loaded when they are used: `rumpfuse list` needs no
 * driver.
 */
async function run(command: () => Promise<number | void> | number | void): Promise<void> {
  try {
    process.exitCode = (await command()) ?? 0;
  } catch (error) {
    fail(error);
  }
}

/**
 * The command line as yargs is to have it. What follows `--` are arguments even if they begin with a dash, but yargs
 * does not give them to a command: they are all paths, and ./-x is the same as -x. An option whose value may be left
 * out (`optional`) must not take the image behind it for one.
 */
function argumentsOf(args: readonly string[], optional: ReadonlyMap<string, string>): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const options: string[] = [];
  for (let i = 0; i < end; i++) {
    const next = args[i + 1] ?? '';
    const name = optional.get(args[i]!);
    if (name === undefined) options.push(args[i]!);
    else options.push(/^\d[\d.]*[a-z]*$/i.test(next) && ++i < end ? `${name}=${next}` : `${name}=`);
  }
  return [...options, ...args.slice(end + 1).map((arg) => (arg.startsWith('-') ? `./${arg}` : arg))];
}

/** An option that is said twice counts as it was said last; only -o adds up. What is to be a number must be one. */
function tidy(argv: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(argv)) {
    if (Array.isArray(value) && name !== '_' && name !== 'o' && name !== 'options') argv[name] = value.at(-1);
    if (typeof argv[name] === 'number' && Number.isNaN(argv[name])) {
      fail(new Failure(`${name.length > 1 ? '--' : '-'}${name}: a number is needed`));
    }
  }
}

/** What yargs complains about, in one line and in words. */
function complaint(message: string, args: readonly string[]): string {
  if (message.startsWith('Not enough non-option')) {
    return `${args.find((arg) => !arg.startsWith('-')) ?? ''}: an argument is missing`;
  }
  const choice = /Argument: (.*), Given: (.*), Choices: (.*)/.exec(message);
  if (choice !== null) {
    return `${choice[1]!.length > 1 ? '--' : '-'}${choice[1]} ${choice[2]!.replaceAll('"', '')}: choose one of ` +
      `${choice[3]!.replaceAll('"', '')}`;
  }
  return message.split('\n')[0]!;
}

/** Parsed in options.ts. */
const MOUNT_OPTIONS =
  'mount options, comma separated: ro rw noatime nosuid nodev noexec sync async allow_other no_default_permissions ' +
  'partition= offset= type= fsname= channel= nostandby nosurvive watchdog=SECONDS ' +
  'overlay=FILE (takes what is written, the disk stays as it is) and those of the driver';
const image = { describe: 'disk image or block device', type: 'string', demandOption: true } as const;
const json = { type: 'boolean', default: false, describe: 'for programs' } as const;
const partition = {
  partition: {
    type: 'string',
    requiresArg: true,
    describe: 'partition number or BSD letter inside the image (rumpfuse info lists them)',
  },
  offset: {
    type: 'string',
    requiresArg: true,
    describe: 'byte offset of the volume inside the image (suffixes s, k, m, g)',
  },
} as const;

// Whoever reads the output has seen enough (`rumpfuse dumpfs IMAGE | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  fail(error);
});

const args = hideBin(process.argv);
const tools = Object.hasOwn(TOOLS, args[0] ?? '') ? await import('./tools.js') : undefined;
const chosen = await tools?.choose(args).catch(fail);
/** What --help ends with. */
const epilogue = args.includes('--help') ? await (await import('./help.js')).epilogue(args, chosen).catch(fail) : '';

/** `rumpfuse TOOL IMAGE`: what all formats have in common, and what the one has that it is about. */
function toolOptions(y: Argv) {
  const all = y
    .epilogue(epilogue)
    .positional('image', image)
    .options(partition)
    .option('type', {
      alias: 't',
      type: 'string',
      requiresArg: true,
      describe: 'file system (rumpfuse mount --help lists them)',
    });
  return chosen === undefined ? all : (all.options(tools!.yargsOptions(chosen)) as unknown as typeof all);
}

const cli = yargs(argumentsOf(args, chosen === undefined ? new Map() : tools!.optionalFlags(chosen)));
await cli
  .scriptName('rumpfuse')
  .usage('$0 COMMAND ...\n\nFile systems of other systems, mounted without a kernel module.')
  .command(
    'mount <image> <dir>',
    'mount a volume; returns when it can be used',
    (y) =>
      y
        .epilogue(epilogue)
        .positional('image', image)
        .positional('dir', { describe: 'mount point', type: 'string', demandOption: true })
        .option('options', {
          alias: 'o',
          type: 'string',
          array: true,
          nargs: 1,
          requiresArg: true,
          default: [] as string[],
          describe: MOUNT_OPTIONS,
        })
        .option('type', {
          alias: 't',
          type: 'string',
          requiresArg: true,
          describe: 'file system (default: found by looking)',
        })
        .option('read-only', { alias: 'r', type: 'boolean', default: false, describe: 'the same as -o ro' })
        .option('foreground', {
          alias: 'f',
          type: 'boolean',
          default: false,
          describe: 'stay in the foreground until unmounted',
        })
        .option('trace', {
          type: 'boolean',
          default: false,
          describe: 'print every request and reply (implies --foreground)',
        })
        .option('channel', { choices: ['dev-fuse', 'fuse-native'] as const, describe: 'how to talk to the host' })
        .option('sandbox', {
          type: 'boolean',
          default: true,
          describe: 'confine the server as far as this host allows; --no-sandbox: not at all',
        })
        .option('require-sandbox', {
          type: 'boolean',
          default: false,
          describe: 'do not mount if a layer of the confinement is missing (rumpfuse info DIR shows them)',
        })
        .option('untrusted', {
          type: 'boolean',
          default: false,
          describe:
            'a disk from somebody else: read-only unless -o rw or overlay= says otherwise, nosuid, nodev, noexec, ' +
              'every file yours, --require-sandbox',
        })
        .option('log-level', {
          choices: ['error', 'warn', 'info', 'debug', 'trace'] as const,
          default: 'warn' as const,
          describe: 'the least that is worth saying',
        })
        .option('log-json', { type: 'boolean', default: false, describe: 'log records for a program' })
        .option('helper', {
          type: 'boolean',
          default: false,
          hidden: true,
          describe: 'called by mount(8), which always says rw',
        })
        .options(partition),
    (argv) => run(async () => (await import('./commands/mount.js')).mount(argv)),
  )
  .command(
    'umount <target>',
    'unmount; returns when everything is on the disk and the server is gone',
    (y) =>
      y
        .positional('target', { describe: 'mount point or image', type: 'string', demandOption: true })
        .option('lazy', {
          alias: 'z',
          type: 'boolean',
          default: false,
          describe: 'detach now, finish when the last open file is closed',
        })
        .option('timeout', { type: 'number', default: 600, describe: 'seconds to wait for the data to be written' }),
    (argv) =>
      run(async () =>
        (await import('./commands/umount.js')).umount(argv.target, {
          lazy: argv.lazy,
          timeout_ms: argv.timeout * 1000,
        }),
      ),
  )
  .command(
    'list',
    'what is mounted',
    (y) => y.option('json', json),
    (argv) => run(async () => (await import('./commands/list.js')).list(argv.json)),
  )
  .command(
    'info <image>',
    'what is on an image, a device, or a mount point',
    (y) =>
      y
        .positional('image', { ...image, describe: 'disk image, block device or mount point' })
        .options(partition)
        .option('json', json),
    (argv) => run(async () => (await import('./commands/info.js')).info(argv)),
  )
  .command(
    'doctor',
    'what this host lacks for mounting, and what to do about it',
    (y) => y,
    () => run(async () => (await import('./commands/doctor.js')).doctor()),
  )
  .command(
    'newfs <image>',
    'make a new volume (everything on the image or partition is lost)',
    (y) =>
      toolOptions(y)
        .option('size', {
          alias: 's',
          type: 'string',
          requiresArg: true,
          describe: 'size of the volume; an image file that is not there is made (sparse)',
        })
        .option('from', {
          type: 'string',
          requiresArg: true,
          describe: 'fill the volume with a copy of this directory',
        })
        .option('force', {
          alias: 'F',
          type: 'boolean',
          default: false,
          describe: 'even if it is not empty: a file system, a partition table, other partitions, data',
        }),
    (argv) => run(async () => (await import('./commands/newfs.js')).newfs(argv, chosen!.format)),
  )
  .command(
    'fsck <image>',
    'check a volume',
    (y) =>
      toolOptions(y)
        .option('n', {
          type: 'boolean',
          default: false,
          describe: 'answer no to every question: check only (the default)',
        })
        .option('p', { type: 'boolean', default: false, describe: 'preen: repair what is harmless, without questions' })
        .option('y', { type: 'boolean', default: false, describe: 'repair everything' })
        .option('f', { type: 'boolean', default: false, describe: 'with -p: check even a volume that is marked clean' })
        .option('force', {
          type: 'boolean',
          default: false,
          describe: 'repair even if something else seems to be there as well',
        }),
    (argv) => run(async () => (await import('./commands/fsck.js')).fsckCommand(argv, chosen!)),
  )
  .command(
    'dumpfs <image>',
    'the structures of a volume, readable',
    (y) => toolOptions(y),
    (argv) => run(async () => (await import('./commands/dumpfs.js')).dumpfsCommand(argv, chosen!)),
  )
  .command(
    'tunefs <image>',
    'change settings of a volume; it must not be mounted',
    (y) =>
      toolOptions(y)
        .option('dry-run', { alias: 'N', type: 'boolean', default: false, describe: 'say what would change' })
        .option('force', {
          alias: 'F',
          type: 'boolean',
          default: false,
          describe: 'even if something else seems to be there as well',
        }),
    (argv) => run(async () => (await import('./commands/tunefs.js')).tunefsCommand(argv, chosen!)),
  )
  .middleware(tidy, true)
  .demandCommand(1, 'which command?')
  .strict()
  .version(version)
  .help()
  .wrap(Math.min(100, process.stdout.columns ?? 100))
  .fail((message, error) => {
    if (error !== undefined && error !== null) fail(error);
    // An unknown option swallows the argument behind it; the missing argument is then not the trouble.
    const known = new Set(
      Object.keys((cli as unknown as { getOptions(): { key: Record<string, unknown> } }).getOptions().key),
    );
    const unknown = process.argv
      .slice(2)
      .find((arg) => /^--[a-z]/.test(arg) && !known.has(arg.slice(2).replace(/^no-/, '').replace(/=.*/, '')));
    if (unknown !== undefined && message.startsWith('Not enough')) message = `Unknown option: ${unknown}`;
    const first = process.argv[2] ?? '-';
    const command = first.startsWith('-') || message.includes(`argument: ${first}`) ? undefined : first;
    complain(
      `rumpfuse: ${complaint(message, process.argv.slice(2))} (rumpfuse ` +
        `${command === undefined ? '' : `${command} `}--help says how)`,
    );
    process.exit(EXIT_USAGE);
  })
  .parseAsync();
