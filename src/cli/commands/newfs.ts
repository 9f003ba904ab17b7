import { existsSync, rmSync, statSync } from 'node:fs';
import type { BlockDevice } from '../../kernel/blkdev.js';
import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import type { Rumpuser } from '../../kernel/rumpuser/rumpuser.js';
import { bytestrFromPath } from '../../kernel/bytestr.js';
import { newfs as makeVolume, unmake, type NewfsFormat, type NewfsResult, type NewfsVolumeOptions } from '../../fs/ffs/tools/newfs.js';
import { createDisk, openDisk, selectVolume, type Where } from '../device.js';
import { Failure, words } from '../failure.js';
import { fill } from '../fill.js';
import { interruptible, type CheckInterrupt } from '../interrupt.js';
import { refuseOccupied } from '../refuse.js';
import { complain, say } from '../say.js';
import { formatBytes, parseBytes } from '../units.js';

export interface NewfsArguments extends Where {
  readonly format: '0' | '1' | '2' | '2ea';
  readonly byteOrder: 'le' | 'be';
  readonly size?: string | undefined;
  readonly blockSize?: string | undefined;
  readonly fragSize?: string | undefined;
  readonly inodeDensity?: string | undefined;
  readonly minfree?: number | undefined;
  readonly label?: string | undefined;
  /** '' for the size that suits. */
  readonly log?: string | undefined;
  readonly from?: string | undefined;
  readonly force: boolean;
}

function volumeOptions(argv: NewfsArguments): NewfsVolumeOptions {
  const format: NewfsFormat = argv.format === '2ea' ? '2ea' : (Number(argv.format) as NewfsFormat);
  const bytes = (text: string | undefined, what: string) => (text === undefined ? undefined : parseBytes(text, what));
  const options = {
    blockSize: bytes(argv.blockSize, '--block-size'),
    fragSize: bytes(argv.fragSize, '--frag-size'),
    bytesPerInode: bytes(argv.inodeDensity, '--inode-density'),
    minfree: argv.minfree,
    label: argv.label === undefined ? undefined : bytestrFromPath(argv.label),
    log: argv.log === '' ? (true as const) : bytes(argv.log, '--log'),
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  // The root directory is its maker's: an ordinary user could not write to the volume otherwise.
  return { format, endian: argv.byteOrder === 'be' ? 'big' : 'little', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, ...given };
}

/** `rumpfuse newfs IMAGE`: makes an FFS volume, and fills it with --from. */
export async function newfs(argv: NewfsArguments): Promise<void> {
  const ru = nodeRumpuser();
  const size = argv.size === undefined ? undefined : parseBytes(argv.size, '--size');
  const fresh = !existsSync(argv.image);
  if (fresh && size === undefined) throw new Failure(`${argv.image} does not exist: give its size with --size (as --size 64m) to make it`);
  if (argv.from !== undefined && !statSync(argv.from, { throwIfNoEntry: false })?.isDirectory()) throw new Failure(`--from ${argv.from}: no such directory`);
  let done = false;
  try {
    await interruptible(async (check) => make(ru, argv, fresh, size, check));
    done = true;
  } finally {
    if (fresh && !done) rmSync(argv.image, { force: true });
  }
}

async function make(ru: Rumpuser, argv: NewfsArguments, fresh: boolean, size: number | undefined, check: CheckInterrupt): Promise<void> {
  const disk = fresh ? await createDisk(ru, argv.image, size!) : await openDisk(ru, argv, { writable: true });
  try {
    const volume = await selectVolume(disk, argv);
    if (!argv.force && !fresh) await refuseOccupied(disk, volume, argv, size);
    await check();
    const result = await makeVolume(volume, { ...volumeOptions(argv), ...(size === undefined || fresh ? {} : { size }) }).catch((error: unknown) => {
      if (fresh || (error as { code?: unknown }).code !== 'EIO') throw error;
      throw withAftermath(error, `${argv.image} holds no volume now, and what it held before is overwritten in part`);
    });
    await volume.flush();
    for (const warning of result.warnings) complain(`rumpfuse: warning: ${warning}`);
    if (argv.from !== undefined) {
      try {
        await fillFrom(ru, volume, argv, argv.from, check);
      } catch (error) {
        if (fresh) throw error;
        await unmake(volume, result);
        throw withAftermath(error, `the volume that was begun on ${argv.image} has been taken away again; there is none on it now`);
      }
    }
    sayMade(argv, result);
  } finally {
    await disk.close();
  }
}

function sayMade(argv: NewfsArguments, { layout }: NewfsResult): void {
  say(
    `${argv.image}: ${formatBytes(layout.fs_size * layout.fs_fsize)} of ${layout.ufs2 ? 'UFS2' : 'UFS1'}, ${layout.littleEndian ? 'little' : 'big'}-endian, ` +
      `blocks of ${layout.fs_bsize}, fragments of ${layout.fs_fsize}, ${layout.fs_ncg} groups of ${layout.fs_ipg} inodes`,
  );
}

async function fillFrom(ru: Rumpuser, volume: BlockDevice, argv: NewfsArguments, from: string, check: CheckInterrupt): Promise<void> {
  const copied = await fill(ru, volume, from, check).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'ENOSPC') throw error;
    throw new Failure(`${argv.image} is too small for what ${from} holds: give more with --size, or more inodes with --inode-density`);
  });
  say(`copied ${copied.entries} entries, ${formatBytes(copied.bytes)}, from ${from}`);
}

function withAftermath(error: unknown, aftermath: string): Failure {
  return new Failure(`${words(error)}; ${aftermath}`, error instanceof Failure ? error.exitStatus : undefined);
}
