import type { BlockDevice } from '../kernel/blkdev.js';

/** Devices up to this size are read as a whole, bytes. */
const WHOLE_BYTES = 256 << 20;
/** Of larger ones the beginning and the end, and so many samples between them, evenly spread; bytes. */
const ENDS_BYTES = 1 << 20;
const SAMPLES = 512;
const SAMPLE_BYTES = 64 * 1024;

/** Ranges to look at, in ascending order. */
function* places(from: number, size: number): Generator<readonly [offset: number, length: number]> {
  const length = size - from;
  if (length <= WHOLE_BYTES) {
    for (let at = from; at < size; at += ENDS_BYTES) yield [at, Math.min(ENDS_BYTES, size - at)];
    return;
  }
  yield [from, ENDS_BYTES];
  const between = length - 2 * ENDS_BYTES - SAMPLE_BYTES;
  for (let i = 0; i < SAMPLES; i++) {
    const at = from + ENDS_BYTES + Math.floor((between * i) / (SAMPLES - 1));
    yield [at - (at % 4096), SAMPLE_BYTES];
  }
  yield [size - ENDS_BYTES, ENDS_BYTES];
}

function firstNonZero(bytes: Uint8Array, length: number): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length >>> 2);
  let word = 0;
  while (word < words.length && words[word] === 0) word++;
  for (let at = word * 4; at < length; at++) if (bytes[at] !== 0) return at;
  return -1;
}

/**
 * Where the first byte is that is not zero, from `from` on: of a large device only samples are looked at (the first and
 * the last MiB, and 32 MiB between them). undefined: nothing but zeros was seen. @throws EIO
 */
export async function contentAt(dev: BlockDevice, from = 0): Promise<number | undefined> {
  const bytes = new Uint8Array(ENDS_BYTES);
  for (const [offset, length] of places(Math.min(from, dev.size_bytes), dev.size_bytes)) {
    const read = dev.read(bytes, 0, length, offset);
    if (read instanceof Promise) await read;
    const at = firstNonZero(bytes, length);
    if (at >= 0) return offset + at;
  }
  return undefined;
}
