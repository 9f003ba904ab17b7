import { existsSync, rmSync, statSync } from 'node:fs';
import type { BlockDevice } from '../../kernel/blkdev.js';
import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import type { Rumpuser } from '../../kernel/rumpuser/rumpuser.js';
import type { Format, OptionValues } from '../../fs/format.js';
import { createDisk, openDisk, selectVolume, type Where } from '../device.js';
import { Failure, words } from '../failure.js';
import { fill } from '../fill.js';
import { interruptible, type CheckInterrupt } from '../interrupt.js';
import { refuseOccupied } from '../refuse.js';
import { complain, say } from '../say.js';
import { valuesOf } from '../tool-options.js';
import { formatBytes, parseBytes } from '../units.js';

export interface NewfsArguments extends Where {
  readonly size?: string | undefined;
  readonly from?: string | undefined;
  readonly force: boolean;
  /** The format's own options. */
  readonly [option: string]: unknown;
}

/** `rumpfuse newfs IMAGE`: makes a volume, and fills it with --from. */
export async function newfs(argv: NewfsArguments, format: Format): Promise<void> {
  const ru = nodeRumpuser();
  const size = argv.size === undefined ? undefined : parseBytes(argv.size, '--size');
  const tool = format.tools.make;
  if (tool === undefined) throw new Failure(`-t ${format.name}: rumpfuse makes no such volumes`);
  const values = valuesOf(tool.options, argv);
  const fresh = !existsSync(argv.image);
  if (fresh && size === undefined) {
    throw new Failure(`${argv.image} does not exist: give its size with --size (as --size 64m) to make it`);
  }
  if (argv.from !== undefined && !statSync(argv.from, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Failure(`--from ${argv.from}: no such directory`);
  }
  let done = false;
  try {
    await interruptible(async (check) => make(ru, argv, { format, values, size, fresh }, check));
    done = true;
  } finally {
    if (fresh && !done) rmSync(argv.image, { force: true });
  }
}

/** What is to be made. */
interface Wanted {
  readonly format: Format;
  readonly values: OptionValues;
  /** Bytes. */
  readonly size: number | undefined;
  /** In an image file that is made for it. */
  readonly fresh: boolean;
}

async function make(
  ru: Rumpuser,
  argv: NewfsArguments,
  { format, values, size, fresh }: Wanted,
  check: CheckInterrupt,
): Promise<void> {
  const disk = fresh ? await createDisk(ru, argv.image, size!) : await openDisk(ru, argv, { writable: true });
  try {
    const volume = await selectVolume(disk, argv);
    if (!argv.force && !fresh) await refuseOccupied(disk, volume, argv, size);
    await check();
    const run = await format.tools.make!.load();
    // The root directory is its maker's: an ordinary user could not write to the volume otherwise.
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const made = await run(volume, values, {
      ...owner,
      ...(size === undefined || fresh ? {} : { size_bytes: size }),
    }).catch((error: unknown) => {
      if (fresh || (error as { code?: unknown }).code !== 'EIO') throw error;
      throw withAftermath(error, `${argv.image} holds no volume now, and what it held before is overwritten in part`);
    });
    await volume.flush();
    for (const warning of made.warnings) complain(`rumpfuse: warning: ${warning}`);
    if (argv.from !== undefined) {
      try {
        await fillFrom(ru, volume, format, argv, argv.from, check);
      } catch (error) {
        if (fresh) throw error;
        await made.unmake();
        throw withAftermath(
          error,
          `the volume that was begun on ${argv.image} has been taken away again; there is none on it now`,
        );
      }
      await made.filled?.();
    }
    say(`${argv.image}: ${made.summary}`);
  } finally {
    await disk.close();
  }
}

async function fillFrom(
  ru: Rumpuser,
  volume: BlockDevice,
  format: Format,
  { image }: Where,
  from: string,
  check: CheckInterrupt,
): Promise<void> {
  const copied = await fill(ru, volume, format, from, check).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'ENOSPC') throw error;
    throw new Failure(
      `${image} is too small for what ${from} holds: give more with --size, or more inodes where the format counts ` +
        'them',
    );
  });
  for (const line of copied.departures) complain(`rumpfuse: ${line}`);
  say(`copied ${copied.entries} entries, ${formatBytes(copied.bytes)}, from ${from}`);
}

function withAftermath(error: unknown, aftermath: string): Failure {
  return new Failure(`${words(error)}; ${aftermath}`, error instanceof Failure ? error.exitStatus : undefined);
}
