import type { BlockDevice } from '../../kernel/blkdev.js';

/** No probe needs more at a time; bytes. */
const LOOK_MAX = 64 * 1024;
/** Pieces that are kept: probes look at the same few places. */
const PIECE_BYTES = 4096;

/**
 * Reads of a device for those who recognise what is on it: bounded, each piece once, and what lies outside is simply
 * not there.
 */
export class Look {
  readonly size_bytes: number;
  readonly sector_bytes: number;
  /** For a driver's own probe, which bounds itself. */
  readonly device: BlockDevice;
  readonly #pieces = new Map<number, Uint8Array>();

  constructor(dev: BlockDevice) {
    this.device = dev;
    this.size_bytes = dev.size_bytes;
    this.sector_bytes = dev.sector_bytes;
  }

  /** `length` bytes (at most 64 KiB) at `offset`; undefined where they do not all lie on the device. @throws EIO */
  async bytes(offset: number, length: number): Promise<DataView | undefined> {
    if (!(offset >= 0 && length > 0 && length <= LOOK_MAX && offset + length <= this.size_bytes)) return undefined;
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const piece = await this.#piece(at - (at % PIECE_BYTES));
      const from = at % PIECE_BYTES;
      const part = piece.subarray(from, Math.min(piece.length, from + length - done));
      out.set(part, done);
      done += part.length;
    }
    return new DataView(out.buffer);
  }

  /** Do these bytes stand at `offset`? `magic` is a byte string. @throws EIO */
  async has(offset: number, magic: string): Promise<boolean> {
    const view = await this.bytes(offset, magic.length);
    if (view === undefined) return false;
    for (let i = 0; i < magic.length; i++) if (view.getUint8(i) !== magic.charCodeAt(i)) return false;
    return true;
  }

  async #piece(start: number): Promise<Uint8Array> {
    let piece = this.#pieces.get(start);
    if (piece === undefined) {
      piece = new Uint8Array(Math.min(PIECE_BYTES, this.size_bytes - start));
      await this.device.read(piece, 0, piece.length, start);
      this.#pieces.set(start, piece);
    }
    return piece;
  }
}
