import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { ISO_FIRST_DESCRIPTOR, ISO_SECTOR } from './iso.js';

/** How the sectors of an image of a whole CD are recorded: bytes of each, and where its 2048 bytes of data begin. */
interface RawLayout {
  readonly sector: number;
  readonly data: number;
  readonly name: string;
}

/**
 * Mode 1 has 16 bytes in front, mode 2 form 1 has 24; subchannels add 96 bytes; some programs leave sync and header
 * out.
 */
const LAYOUTS: readonly RawLayout[] = [
  { sector: 2352, data: 16, name: 'mode 1, sectors of 2352 bytes' },
  { sector: 2352, data: 24, name: 'mode 2, sectors of 2352 bytes' },
  { sector: 2448, data: 16, name: 'mode 1, sectors of 2448 bytes' },
  { sector: 2448, data: 24, name: 'mode 2, sectors of 2448 bytes' },
  { sector: 2336, data: 8, name: 'mode 2, sectors of 2336 bytes' },
];
/** Sectors read at a time. */
const BATCH = 64;

async function magicAt(dev: BlockDevice, at: number): Promise<boolean> {
  const bytes = new Uint8Array(16);
  if (at + bytes.length > dev.size_bytes) return false;
  await dev.read(bytes, 0, bytes.length, at);
  const text = String.fromCharCode(...bytes);
  return text.startsWith('CD001', 1) || text.startsWith('CDROM', 9);
}

/**
 * The device, or one that shows the data of an image with raw sectors. `layout` is for people; undefined for plain
 * sectors.
 */
export async function raw_device(dev: BlockDevice): Promise<{ dev: BlockDevice; layout: string | undefined }> {
  if (!(await magicAt(dev, ISO_FIRST_DESCRIPTOR * ISO_SECTOR))) {
    for (const layout of LAYOUTS) {
      if (await magicAt(dev, ISO_FIRST_DESCRIPTOR * layout.sector + layout.data))
        return { dev: new RawSectorDevice(dev, layout), layout: layout.name };
    }
  }
  return { dev, layout: undefined };
}

/** The data of an image with raw sectors, as a device of sectors of 2048 bytes. Read-only. */
class RawSectorDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes = ISO_SECTOR;
  readonly readonly = true;

  constructor(
    private readonly disk: BlockDevice,
    private readonly layout: RawLayout,
  ) {
    this.name = disk.name;
    this.size_bytes = Math.floor(disk.size_bytes / layout.sector) * ISO_SECTOR;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): MaybePromise<void> {
    if (offset_bytes < 0 || offset_bytes + length > this.size_bytes)
      throw errno(E.EINVAL, `${this.name}: ${length} bytes at ${offset_bytes}`);
    const { sector, data } = this.layout;
    while (length > 0) {
      const first = Math.floor(offset_bytes / ISO_SECTOR);
      const within = offset_bytes - first * ISO_SECTOR;
      const sectors = Math.min(BATCH, Math.ceil((within + length) / ISO_SECTOR));
      const raw = new Uint8Array((sectors - 1) * sector + data + ISO_SECTOR);
      const bytes = Math.min(length, sectors * ISO_SECTOR - within);
      const place = into_offset;
      const reading = this.disk.read(raw, 0, raw.length, first * sector);
      if (reading instanceof Promise) {
        return reading.then(() => {
          this.unpack(raw, within, into, place, bytes);
          return this.read(into, place + bytes, length - bytes, offset_bytes + bytes);
        });
      }
      this.unpack(raw, within, into, place, bytes);
      into_offset += bytes;
      offset_bytes += bytes;
      length -= bytes;
    }
    return undefined;
  }

  /** `within`: bytes of the first sector's data that are not wanted. */
  private unpack(raw: Uint8Array, within: number, into: Uint8Array, at: number, bytes: number): void {
    const { sector, data } = this.layout;
    for (let from = data + within, left = bytes, room = ISO_SECTOR - within; left > 0; room = ISO_SECTOR) {
      const part = Math.min(left, room);
      into.set(raw.subarray(from, from + part), at);
      at += part;
      left -= part;
      from += sector - (ISO_SECTOR - room);
    }
  }

  write(): never {
    throw errno(E.EROFS, `${this.name}: an image of raw sectors is only read`);
  }
  flush(): void {}
  discard(): void {}
  close(): MaybePromise<void> {
    return this.disk.close();
  }
}
