import type { BlockDevice } from '../../../kernel/blkdev.js';
import { STATE_DIRTY, STATE_ERRORS } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import { CLEAN_BIT, NOERROR_BIT, getCell, setCell } from '../space/fat.js';

/**
 * What says that a volume was not unmounted. Two places, for systems disagree: a bit of FAT cell 1 (Windows; FAT16 and
 * FAT32) and one of the state byte in the boot sector (Windows NT, Linux). Both are read, and both are written.
 */
export interface VolumeState {
  readonly dirty: boolean;
  /** The disk gave errors the last time. */
  readonly errors: boolean;
}

function activeFat(g: Geometry): number {
  return g.fatOffset + Math.max(0, g.activeFat) * g.fatBytes;
}

async function sector(
  dev: BlockDevice,
  offset: number,
  length: number,
): Promise<{ bytes: Uint8Array; view: DataView }> {
  const bytes = new Uint8Array(length);
  await dev.read(bytes, 0, length, offset);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** @throws EIO */
export async function volumeState(dev: BlockDevice, g: Geometry): Promise<VolumeState> {
  const boot = await sector(dev, 0, 512);
  const fat = await sector(dev, activeFat(g), 512);
  const state = g.stateOffset < 0 ? 0 : boot.bytes[g.stateOffset]!;
  const cell = getCell(fat.view, g.type, 1, 0);
  const unclean = (cell & CLEAN_BIT[g.type]) !== CLEAN_BIT[g.type];
  const failed = (cell & NOERROR_BIT[g.type]) !== NOERROR_BIT[g.type];
  return { dirty: (state & STATE_DIRTY) !== 0 || unclean, errors: (state & STATE_ERRORS) !== 0 || failed };
}

/**
 * Says that the volume is in use, or that it is not any more. Its FAT has no dirty piece with cell 1. No barrier.
 * @throws EIO
 */
export async function markState(dev: BlockDevice, g: Geometry, dirty: boolean): Promise<void> {
  if (g.stateOffset >= 0) {
    const boot = await sector(dev, 0, 512);
    const state = boot.bytes[g.stateOffset]!;
    boot.bytes[g.stateOffset] = dirty ? state | STATE_DIRTY : state & ~(STATE_DIRTY | STATE_ERRORS);
    await dev.write(boot.bytes, 0, boot.bytes.length, 0);
  }
  if (g.type === 12) return;
  const offset = activeFat(g);
  const fat = await sector(dev, offset, 512);
  const cell = getCell(fat.view, g.type, 1, 0);
  const bit = CLEAN_BIT[g.type];
  setCell(fat.view, g.type, 1, 0, dirty ? cell & ~bit : cell | bit | NOERROR_BIT[g.type]);
  const copies = g.activeFat >= 0 ? [offset] : Array.from({ length: g.fats }, (_, i) => g.fatOffset + i * g.fatBytes);
  for (const copy of copies) await dev.write(fat.bytes, 0, fat.bytes.length, copy);
}
