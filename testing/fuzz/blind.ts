/**
 * Mutations for a driver that has none of its own: without knowing the format, numbers are changed where the driver
 * looked when it mounted the volume and walked over it, which is where the structures are.
 */
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import type { Mutation } from './mutant.js';
import type { Random } from './random.js';
import { fieldBytes, getField, interestingValue } from './values.js';

/** A stretch of a volume that was read as one piece. */
export interface Stretch {
  readonly at: number;
  readonly length: number;
}

/** More than a piece of metadata has. */
const STRETCH_MAX = 65536;

/** The device, remembering what was read of it. */
export function watched(dev: BlockDevice, seen: Map<number, Stretch>): BlockDevice {
  return {
    name: dev.name, size_bytes: dev.size_bytes, sector_bytes: dev.sector_bytes, readonly: dev.readonly,
    read(into, into_offset, length, offset) {
      if (length <= STRETCH_MAX) {
        seen.set(offset, { at: offset, length: Math.max(length, seen.get(offset)?.length ?? 0) });
      }
      return dev.read(into, into_offset, length, offset);
    },
    write: (from, from_offset, length, offset) => dev.write(from, from_offset, length, offset),
    flush: () => dev.flush(),
    discard: (offset, length) => dev.discard(offset, length),
    close() {},
  };
}

function patch(label: string, at: number, bytes: Uint8Array): Mutation {
  return { label, patches: [{ at, bytes }] };
}

/** A number set to another: mostly where something stands. */
function field(bytes: Uint8Array, { at, length }: Stretch, random: Random): Mutation {
  const width = random.pick([1, 2, 4, 4, 4, 8]);
  let offset = at + random.below(Math.max(1, length - width + 1));
  // Numbers lie at multiples of their size; zeros are mostly room.
  for (let tries = 0; tries < 20 && (bytes[offset] === 0 || offset % width !== 0); tries++) {
    offset = at + random.below(Math.max(1, length - width + 1));
  }
  offset = Math.min(offset, bytes.length - width);
  const le = random.once(4) ? false : true;
  const was = getField(new DataView(bytes.buffer, bytes.byteOffset), offset, width, le);
  const value = interestingValue(
    random,
    [length, at, Math.floor(at / 512), Math.floor(at / 4096), bytes.length],
    was,
    width,
  );
  return patch(
    `${width} bytes at ${offset} (${le ? 'little' : 'big'}-endian): ${was} -> ${value}`,
    offset,
    fieldBytes(value, width, le),
  );
}

/** One mutation of a volume whose structures lie in these stretches. */
export function blindMutation(bytes: Uint8Array, stretches: readonly Stretch[], random: Random): Mutation {
  const here = random.pick(stretches);
  return random.weighted<() => Mutation>([
    [20, () => field(bytes, here, random)],
    [
      4,
      () => {
        const offset = Math.min(here.at + random.below(here.length), bytes.length - 1);
        const bit = random.below(8);
        return patch(`bit ${bit} at ${offset}`, offset, Uint8Array.of(bytes[offset]! ^ (1 << bit)));
      },
    ],
    [
      2,
      () => {
        const from = random.pick(stretches);
        const length = Math.min(from.length, here.length, 512 * (1 + random.below(8)));
        return patch(`${length} bytes of ${from.at} at ${here.at}`, here.at, bytes.slice(from.at, from.at + length));
      },
    ],
    [
      1,
      () => {
        const length = Math.min(here.length, 512 * (1 + random.below(8)));
        return patch(
          `${length} bytes at ${here.at} are ${random.once(2) ? 'zero' : 'one'}s`,
          here.at,
          new Uint8Array(length).fill(random.once(2) ? 0 : 0xff),
        );
      },
    ],
    [
      1,
      () => ({ label: 'the device is cut off', patches: [], size: 512 * random.below(Math.floor(bytes.length / 512)) }),
    ],
  ])();
}
