/**
 * What is on a device, whether it can be mounted or not: asked before something is written over it. See README.md here
 * for how to add to it.
 */
import type { BlockDevice } from '../../kernel/blkdev.js';
import { Look } from './look.js';
import type { Recognised, Recogniser } from './recogniser.js';
import { SIGNATURES } from './signatures.js';
import { STRUCTURES } from './structures.js';
import { TABLES } from './tables.js';

export { Look } from './look.js';
export type { Found, Recognised, RecognisedKind, Recogniser } from './recogniser.js';

/** What cannot be mounted, and partition tables. Those that are more certain come first. */
export const RECOGNISERS: readonly Recogniser[] = [...SIGNATURES, ...STRUCTURES, ...TABLES];

/**
 * Everything on `dev` that these recognisers know. Some bytes are taken for two things (a FAT boot sector for an MBR):
 * all are named. @throws EIO
 */
export async function recognise(
  dev: BlockDevice,
  recognisers: readonly Recogniser[] = RECOGNISERS,
): Promise<Recognised[]> {
  const look = new Look(dev);
  const found: Recognised[] = [];
  for (const { name, kind, what, advice, probe } of recognisers) {
    const answer = await probe(look);
    if (answer === false) continue;
    const details = answer === true ? {} : answer;
    found.push({
      name,
      kind,
      what: details.what ?? what,
      advice,
      ...(details.size_bytes !== undefined ? { size_bytes: details.size_bytes } : {}),
    });
  }
  return found;
}
