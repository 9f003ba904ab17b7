/** Which format a device holds: by the evidence of all that may be, not by their order. */
import type { BlockDevice } from '../kernel/blkdev.js';
import type { Format } from './format.js';
import { FORMATS, type Place, type Registered } from './registry.js';

export interface Detected {
  readonly format: Format;
  /** 1..100, see Format.probe. */
  readonly score: number;
}

/** Below it a format has left traces, and is not there as a whole. */
export const SCORE_PRESENT = 30;

/** Bytes of a device for the registry's hints, each place read once. */
class Glance {
  readonly #seen = new Map<number, Uint8Array>();

  /** @param from where the volume begins on `dev`, bytes */
  constructor(private readonly dev: BlockDevice, private readonly from: number) {}

  async has({ at, bytes }: Place): Promise<boolean> {
    const longest = Math.max(...bytes.map(({ length }) => length));
    for (const place of at) {
      const offset = place < 0 ? this.dev.size_bytes + place : this.from + place;
      const seen = await this.#bytes(offset, longest);
      if (
        bytes.some((magic) => magic.length <= seen.length && [...magic].every((c, i) => c.charCodeAt(0) === seen[i]))
      ) {
        return true;
      }
    }
    return false;
  }

  async #bytes(offset: number, length: number): Promise<Uint8Array> {
    const known = this.#seen.get(offset);
    if (known !== undefined && known.length >= length) return known;
    const there = Math.max(0, Math.min(length, this.dev.size_bytes - offset));
    const bytes = new Uint8Array(offset < 0 ? 0 : there);
    if (bytes.length > 0) {
      const read = this.dev.read(bytes, 0, bytes.length, offset);
      if (read instanceof Promise) await read;
    }
    this.#seen.set(offset, bytes);
    return bytes;
  }
}

/**
 * The formats that are worth loading for what begins at `from` on `dev`: compares bytes at fixed places and interprets
 * none. @throws EIO
 */
export async function candidates(dev: BlockDevice, from = 0): Promise<Registered[]> {
  const glance = new Glance(dev, from);
  const found: Registered[] = [];
  for (const format of FORMATS) {
    for (const hint of format.hints) {
      let all = true;
      for (const place of hint) all &&= await glance.has(place);
      if (!all) continue;
      found.push(format);
      break;
    }
  }
  return found;
}

/** Those of the formats that the device shows evidence of, the most likely first. @throws EIO */
export async function rank(dev: BlockDevice, formats: readonly Format[]): Promise<Detected[]> {
  const found: Detected[] = [];
  for (const format of formats) {
    const score = await format.probe(dev);
    if (score > 0) found.push({ format, score });
  }
  return found.sort((a, b) => b.score - a.score);
}

/** What is on the device, the most likely first; loads the formats that may be. @throws EIO */
export async function detect(dev: BlockDevice): Promise<Detected[]> {
  const formats: Format[] = [];
  for (const candidate of await candidates(dev)) formats.push(await candidate.load());
  return rank(dev, formats);
}
