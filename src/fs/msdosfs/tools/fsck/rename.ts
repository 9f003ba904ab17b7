import { SLOT_DELETED, lfnChecksum } from '../../disk/direntry.js';
import type { FsckContext } from './context.js';
import type { Found } from './files.js';
import { patchEntry } from './directory.js';
import type { Directory } from './directory.js';

/** Mending names. */

/** Takes parts of a long name away. */
export async function dropLong(ctx: FsckContext, dir: Directory, slots: readonly number[]): Promise<void> {
  for (const slot of slots) await patchEntry(ctx, dir, slot, (at) => (dir.bytes[at] = SLOT_DELETED));
}

/** Gives an entry the next short name FSCKnnnn.REN that is free; its long name, if it has one, stays. @returns it */
export async function renameEntry(
  ctx: FsckContext,
  dir: Directory,
  slot: number,
  parts: readonly number[],
  taken: ReadonlyMap<string, Found>,
): Promise<string> {
  const name = (): string => {
    const digits = String(dir.renamed % 10_000).padStart(4, '0');
    // The extension's last letter counts on: REN, REO, REP...
    return `FSCK${digits}RE${String.fromCharCode(78 + Math.floor(dir.renamed / 10_000))}`;
  };
  while (taken.has(name()) && dir.renamed < 99_999) dir.renamed++;
  const short = name();
  await patchEntry(ctx, dir, slot, (at) => {
    for (let i = 0; i < 11; i++) dir.bytes[at + i] = short.charCodeAt(i);
    dir.bytes[at + 12] = 0;
  });
  const sum = lfnChecksum(dir.bytes, slot * 32);
  for (const part of parts) await patchEntry(ctx, dir, part, (at) => (dir.bytes[at + 13] = sum));
  return `${short.slice(0, 8)}.${short.slice(8)}`;
}
