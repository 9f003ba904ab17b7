/** The kinds of damage done to overlay files. */
import { overlayLayout } from '../../src/blockdev/overlay-format.js';
import { crc32 } from '../../src/blockdev/label/crc32.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';
import type { Mutation, Patch } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';
import { bytesOf } from './files.js';
import type { OverlayFile } from './files.js';

type Kind = (file: OverlayFile, other: OverlayFile, random: Random) => Mutation;

const HEADER = 4096;
const SECTOR = 512;
const SUM_OFFSET = 72;
const SAMPLE = 12;
const FIELDS: readonly (readonly [name: string, offset: number, width: 1 | 2 | 4 | 8])[] = [
  ['magic', 0, 8], ['version', 8, 4], ['block size', 12, 4], ['disk size', 16, 8], ['state', 24, 4], ['state', 24, 4],
  ['number of samples', 28, 4], ['number of samples', 28, 4], ['boot id', 32, 1], ['checksum', SUM_OFFSET, 4],
];

const field: Kind = (file, _other, random) => {
  const view = new DataView(file.bytes.buffer, file.bytes.byteOffset);
  const sample = SECTOR + SAMPLE * random.below(view.getUint32(28, true) + 2);
  const [name, offset, width] = random.pick([
    ...FIELDS,
    ['sample block', sample, 8] as const,
    ['sample checksum', sample + 8, 4] as const,
  ]);
  const was = getField(view, offset, width, true);
  const now = interestingValue(
    random,
    [file.disk_bytes, file.disk_bytes + 4096, Math.ceil(file.disk_bytes / 4096), 298, 299, 96, 0],
    was,
    width,
  );
  return {
    label: `${name} 0x${was.toString(16)} -> 0x${now.toString(16)}`,
    patches: [{ at: offset, bytes: fieldBytes(now, width, true) }],
  };
};

/** Marks of all kinds: none, written, for good, and the one that nobody makes; behind the last block, too. */
const map: Kind = (file, _other, random) => {
  const { map_bytes, blocks } = overlayLayout(file.disk_bytes);
  const patches: Patch[] = [];
  for (let n = 1 + random.below(8); n > 0; n--) {
    const at = HEADER + random.below(random.once(4) ? map_bytes : Math.ceil(blocks / 4));
    patches.push({ at, bytes: Uint8Array.of(random.once(3) ? random.pick([0, 0x55, 0xaa, 0xff]) : random.below(256)) });
  }
  return {
    label: `map bytes ${patches.map((p) => `${p.at - HEADER} = 0x${p.bytes[0]!.toString(16)}`).join(', ')}`,
    patches,
  };
};

const bits: Kind = (file, _other, random) => {
  const { data_offset } = overlayLayout(file.disk_bytes);
  const patches: Patch[] = [];
  for (let n = 1 + random.below(6); n > 0; n--) {
    const at = random.below(data_offset);
    patches.push({ at, bytes: Uint8Array.of(file.bytes[at]! ^ (1 << random.below(8))) });
  }
  return { label: `bits flipped at ${patches.map((p) => p.at).join(', ')}`, patches };
};

/** A sector, or a page, or everything from there on, with something else in it: half a write, a hole, another file. */
const torn: Kind = (file, other, random) => {
  const at = SECTOR * random.below(Math.floor(overlayLayout(file.disk_bytes).data_offset / SECTOR));
  const length = random.pick([SECTOR, 4096, 3 * 4096]);
  const how = random.below(4);
  const bytes = how === 3 ? other.bytes.slice(at, at + length) : new Uint8Array(length).fill([0, 0xff, 0x1b][how]!);
  return {
    label: `${length} bytes at ${at} ${['cleared', 'set', 'escapes', `of ${other.name}`][how]!}`,
    patches: [{ at, bytes }],
  };
};

const data: Kind = (file, _other, random) => {
  const { data_offset, file_bytes } = overlayLayout(file.disk_bytes);
  const at = data_offset + random.below(file_bytes - data_offset);
  return {
    label: `data at ${at}`,
    patches: [{ at, bytes: new Uint8Array(Math.min(1 + random.below(9000), file_bytes - at)).fill(random.below(256)) }],
  };
};

const cut: Kind = (file, _other, random) => {
  const { data_offset, file_bytes } = overlayLayout(file.disk_bytes);
  const size = random.pick([
    0,
    1,
    511,
    512,
    4095,
    4096,
    4097,
    data_offset - 1,
    data_offset,
    file_bytes - 1,
    file_bytes - 4096,
    file_bytes + 1,
    file_bytes + 4096,
    random.below(file_bytes),
  ]);
  return { label: `file of ${size} bytes`, patches: [], size };
};

const KINDS: readonly (readonly [weight: number, kind: Kind])[] = [
  [8, field],
  [8, map],
  [3, bits],
  [4, torn],
  [3, data],
  [1, cut],
];

export function mutate(file: OverlayFile, other: OverlayFile, random: Random): Mutation {
  return random.weighted(KINDS)(file, other, random);
}

/** Makes the checksum of the header right again, as far as its number of samples makes sense. */
export function amend(dev: MutantDevice): void {
  const head = bytesOf(dev, 0, HEADER);
  const samples = new DataView(head.buffer).getUint32(28, true);
  const length = SECTOR + SAMPLE * samples;
  if (length > HEADER) return;
  head.fill(0, SUM_OFFSET, SUM_OFFSET + 4);
  dev.put(fieldBytes(BigInt(crc32(head.subarray(0, length))), 4, true), 0, 4, SUM_OFFSET);
}
