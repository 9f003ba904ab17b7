/** A second opinion on what is on a device: blkid(8) of util-linux, where the host has it. */
import { spawnSync } from 'node:child_process';
import type { BlockDevice } from '../kernel/blkdev.js';
import { placeOf } from '../blockdev/partition.js';

const TIMEOUT_MS = 10_000;
/** blkid: nothing was found; more than one thing was. */
const EXIT_NOTHING = 2;
const EXIT_AMBIVALENT = 8;
/** Also where a user's PATH does not lead. */
const PLACES = ['/usr/sbin/blkid', '/sbin/blkid', '/usr/bin/blkid'];

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
}

function ask(args: readonly string[]): Answer | undefined {
  for (const program of PLACES) {
    const { status, stdout, error } = spawnSync(program, args, {
      encoding: 'latin1',
      timeout: TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (error === undefined) return { status, stdout };
  }
  return undefined;
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1];
}

/**
 * What blkid finds on `dev`, a part of the image or device `path`, in words; undefined if it finds nothing, cannot be
 * asked, or finds only what `known` (its names of types) holds. With `ignoreTables` partition tables do not count.
 */
export function blkid(
  path: string,
  dev: BlockDevice,
  ignoreTables: boolean,
  known: ReadonlySet<string> = new Set(),
): string | undefined {
  const { start } = placeOf(dev);
  const answer = ask(['-p', '-o', 'export', '-O', String(start), '-S', String(dev.size_bytes), '--', path]);
  if (answer === undefined || answer.status === null || answer.status === EXIT_NOTHING) return undefined;
  if (answer.status === EXIT_AMBIVALENT) return 'more than one thing (wipefs -n lists them)';
  const type = field(answer.stdout, 'TYPE');
  if (type !== undefined) return known.has(type) ? undefined : `something that blkid knows as ${type}`;
  const table = field(answer.stdout, 'PTTYPE');
  return table === undefined || ignoreTables ? undefined : `a partition table that blkid knows as ${table}`;
}
