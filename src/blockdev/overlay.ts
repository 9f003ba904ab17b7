import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';
import type { Rumpuser } from '../kernel/rumpuser/rumpuser.js';
import { imageFromFd } from './image.js';
import type { ImageDevice } from './image.js';
import type { Extent, OverlayHeader, OverlayLayout } from './overlay-format.js';
import {
  BLOCKS_PER_MAP_BYTE, BLOCK_WRITTEN, OVERLAY_BLOCK_BYTES, OVERLAY_HEADER_BYTES, OVERLAY_SECTOR_BYTES, addSamples,
  chooseSamples, decodeHeader, encodeHeader, isIn, overlayLayout, sampleOf,
} from './overlay-format.js';
import { contentAt } from './content.js';
import { checkRange } from './range.js';

const PAGE_BYTES = 4096;
const BLOCKS_PER_PAGE = PAGE_BYTES * BLOCKS_PER_MAP_BYTE;
const SWEEP_BYTES = 1 << 20;
/** Stands for every page of the map without a block in it. Never written to. */
const EMPTY_PAGE = new Uint8Array(PAGE_BYTES);

/** Of a byte of the map: every written block committed. */
function committed(byte: number): number {
  return byte | ((byte & 0x55) << 1);
}

/** Of a byte of the map: marks that nobody makes (for good, but not written) taken away. */
function sound(byte: number): number {
  return byte & (0x55 | ((byte & 0x55) << 1));
}

/** Of a byte of the map: every block that was not committed forgotten. */
function forgotten(byte: number): number {
  const both = byte & (byte >> 1) & 0x55;
  return both | (both << 1);
}

/**
 * Copy-on-write: reads come from the disk, writes go to an overlay (a file, or memory), and what was written is read
 * from there. The disk is never written. The overlay keeps its promises like a disk does: after a flush its content
 * survives a power cut; without one a block is old or new, never a mixture with nothing.
 *
 * A block's life: below (read from the disk) -> written (data, then its mark, are in the file; survives the death of
 * this process) -> committed (by flush: data made stable, then the mark, then the mark made stable).
 */
export class OverlayDevice implements BlockDevice {
  readonly name: string;
  readonly size_bytes: number;
  readonly sector_bytes: number;
  readonly readonly = false;
  private readonly disk: BlockDevice;
  private readonly store: BlockDevice;
  private readonly layout: OverlayLayout;
  private readonly header: OverlayHeader;
  private readonly pages = new Map<number, Uint8Array>();
  /** Pages with blocks that are written but not committed. */
  private readonly pending = new Set<number>();
  /** Operations run one after the other: a partial write reads, merges and writes. */
  private tail: Promise<unknown> = Promise.resolve();
  private closed = false;

  private constructor(disk: BlockDevice, store: BlockDevice, layout: OverlayLayout, header: OverlayHeader) {
    this.disk = disk;
    this.store = store;
    this.layout = layout;
    this.header = header;
    this.name = `${disk.name} (overlay ${store.name})`;
    this.size_bytes = disk.size_bytes;
    this.sector_bytes = disk.sector_bytes;
  }

  /**
   * Puts `store`, which has the size that overlayLayout says, over `disk`. Zeros are a new overlay. `boot_id` tells
   * this start of the host from others. `volume` is the part of the disk that is to be used, default all: nothing else
   * of it is read. Closing the overlay closes both.
   * @throws EFTYPE the store holds something else; EINVAL it was made over another disk, or the disk was changed since
   */
  static async open(
    disk: BlockDevice,
    store: BlockDevice,
    boot_id: string,
    volume: Extent = { start: 0, end: disk.size_bytes },
  ): Promise<OverlayDevice> {
    const layout = overlayLayout(disk.size_bytes);
    const bytes = new Uint8Array(OVERLAY_HEADER_BYTES);
    await store.read(bytes, 0, bytes.length, 0);
    const old = decodeHeader(bytes, store.name);
    if (old !== undefined && old.disk_bytes !== disk.size_bytes) {
      throw errno(E.EINVAL, otherDisk(store.name, old.disk_bytes, disk));
    }
    const samples = new Map<number, number>();
    for (const block of new Set([...(old?.samples.keys() ?? []), ...chooseSamples(volume)])) {
      if (block < layout.blocks && isIn(block, volume)) samples.set(block, await sampleOf(disk, block));
    }
    // Without samples: made, and the power went before they were written.
    if (old === undefined || old.samples.size === 0) {
      if (!(await isUnused(store, layout))) {
        throw errno(
          E.EFTYPE,
          `the overlay ${store.name} is damaged: its header does not say what it was made over; it is left as it is`,
        );
      }
      if (old === undefined && (await contentAt(store)) !== undefined) {
        throw errno(E.EFTYPE, `${store.name} is no overlay file: it is not empty; it is left as it is`);
      }
    } else {
      if (
        ![...old.samples].every(
          ([block, sum]) => (block < layout.blocks && !isIn(block, volume)) || samples.get(block) === sum,
        )
      ) {
        throw errno(
          E.EINVAL,
          `the overlay ${store.name} was made over another disk than ${disk.name}, or ${disk.name} was written to ` +
            'since; take a new overlay file',
        );
      }
      if (old.in_use) await sweep(store, layout, old.boot_id !== '' && old.boot_id === boot_id);
    }
    const header: OverlayHeader = {
      disk_bytes: disk.size_bytes,
      in_use: true,
      boot_id,
      samples: addSamples(old?.samples ?? new Map(), samples),
    };
    const encoded = encodeHeader(header);
    if (old === undefined) {
      await store.write(encodeHeader({ ...header, samples: new Map() }), 0, OVERLAY_SECTOR_BYTES, 0);
      await store.flush();
    }
    if (header.samples.size !== old?.samples.size) {
      await store.write(
        encoded,
        OVERLAY_SECTOR_BYTES,
        OVERLAY_HEADER_BYTES - OVERLAY_SECTOR_BYTES,
        OVERLAY_SECTOR_BYTES,
      );
      await store.flush();
    }
    await store.write(encoded, 0, OVERLAY_SECTOR_BYTES, 0);
    await store.flush();
    return new OverlayDevice(disk, store, layout, header);
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): Promise<void> {
    checkRange(this, offset_bytes, length);
    return this.queue(async () => {
      const end = offset_bytes + length;
      for (let at = offset_bytes; at < end; ) {
        const { here, run_end } = await this.run(at, end);
        const place = into_offset + (at - offset_bytes);
        if (here) await this.store.read(into, place, run_end - at, this.layout.data_offset + at);
        else await this.disk.read(into, place, run_end - at, at);
        at = run_end;
      }
    });
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): Promise<void> {
    checkRange(this, offset_bytes, length);
    if (length === 0) return Promise.resolve();
    const bytes = from.slice(from_offset, from_offset + length);
    return this.queue(async () => {
      const end = offset_bytes + length;
      const first = offset_bytes - (offset_bytes % OVERLAY_BLOCK_BYTES);
      const last = end - 1 - ((end - 1) % OVERLAY_BLOCK_BYTES);
      const last_end = Math.min(last + OVERLAY_BLOCK_BYTES, this.size_bytes);
      if (offset_bytes > first && !(await this.isHere(first))) await this.copyUp(first, offset_bytes);
      if (end < last_end && !(await this.isHere(last))) await this.copyUp(end, last_end);
      await this.store.write(bytes, 0, length, this.layout.data_offset + offset_bytes);
      await this.mark(first / OVERLAY_BLOCK_BYTES, last / OVERLAY_BLOCK_BYTES);
    });
  }

  room(): number | undefined {
    return this.store.room?.();
  }

  flush(): Promise<void> {
    return this.queue(() => this.commit());
  }

  /** Gives room of the overlay back; the range then reads as zeros or as what is below. */
  discard(offset_bytes: number, length: number): Promise<void> {
    checkRange(this, offset_bytes, length);
    return this.queue(async () => {
      const end = offset_bytes + length;
      for (let at = offset_bytes; at < end; ) {
        const { here, run_end } = await this.run(at, end);
        if (here) await this.store.discard(this.layout.data_offset + at, run_end - at);
        at = run_end;
      }
    });
  }

  close(): Promise<void> {
    if (this.closed) return Promise.resolve();
    this.closed = true;
    return this.queue(async () => {
      try {
        await this.commit();
        await this.store.write(encodeHeader({ ...this.header, in_use: false }), 0, OVERLAY_SECTOR_BYTES, 0);
        await this.store.flush();
      } finally {
        await this.store.close();
        await this.disk.close();
      }
    });
  }

  private queue<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.tail.then(operation);
    this.tail = result.catch(() => undefined);
    return result;
  }

  /** From the disk to the overlay. */
  private async copyUp(start: number, end: number): Promise<void> {
    const bytes = new Uint8Array(end - start);
    await this.disk.read(bytes, 0, bytes.length, start);
    await this.store.write(bytes, 0, bytes.length, this.layout.data_offset + start);
  }

  /** Is the block that begins at `at` in the overlay? */
  private async isHere(at: number): Promise<boolean> {
    const block = at / OVERLAY_BLOCK_BYTES;
    return isWritten(await this.page(Math.floor(block / BLOCKS_PER_PAGE)), block);
  }

  /** How far what begins at byte `at` comes from the same place. */
  private async run(at: number, end: number): Promise<{ here: boolean; run_end: number }> {
    let block = Math.floor(at / OVERLAY_BLOCK_BYTES);
    let page = await this.page(Math.floor(block / BLOCKS_PER_PAGE));
    const here = isWritten(page, block);
    const end_block = Math.ceil(end / OVERLAY_BLOCK_BYTES);
    for (block++; block < end_block; block++) {
      if (block % BLOCKS_PER_PAGE === 0) page = await this.page(block / BLOCKS_PER_PAGE);
      if (isWritten(page, block) !== here) break;
    }
    return { here, run_end: Math.min(block * OVERLAY_BLOCK_BYTES, end) };
  }

  private async page(number: number): Promise<Uint8Array> {
    let page = this.pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BYTES);
      await this.store.read(page, 0, PAGE_BYTES, OVERLAY_HEADER_BYTES + number * PAGE_BYTES);
      if (isZero(page)) {
        page = EMPTY_PAGE;
      } else {
        page = page.map(sound);
        // Marks of a session that ended, in a file that says it was closed: the next flush makes them good.
        if (page.some((byte) => committed(byte) !== byte)) this.pending.add(number);
      }
      this.pages.set(number, page);
    }
    return page;
  }

  /** The blocks first..last have their data in the file: marks them as written, in memory and in the file. */
  private async mark(first: number, last: number): Promise<void> {
    for (let block = first; block <= last; ) {
      const number = Math.floor(block / BLOCKS_PER_PAGE);
      const page_last = Math.min(last, (number + 1) * BLOCKS_PER_PAGE - 1);
      const page = await this.page(number);
      let changed = page;
      for (; block <= page_last; block++) {
        if (isWritten(changed, block)) continue;
        if (changed === page) changed = page.slice();
        changed[byteOf(block)]! |= BLOCK_WRITTEN << shiftOf(block);
      }
      if (changed === page) continue;
      await this.store.write(changed, 0, PAGE_BYTES, OVERLAY_HEADER_BYTES + number * PAGE_BYTES);
      this.pages.set(number, changed);
      this.pending.add(number);
    }
  }

  private async commit(): Promise<void> {
    await this.store.flush();
    if (this.pending.size === 0) return;
    for (const number of this.pending) {
      const page = (await this.page(number)).map(committed);
      await this.store.write(page, 0, PAGE_BYTES, OVERLAY_HEADER_BYTES + number * PAGE_BYTES);
      this.pages.set(number, page);
    }
    await this.store.flush();
    this.pending.clear();
  }
}

function byteOf(block: number): number {
  return Math.floor((block % BLOCKS_PER_PAGE) / BLOCKS_PER_MAP_BYTE);
}

function shiftOf(block: number): number {
  return (block % BLOCKS_PER_MAP_BYTE) * 2;
}

/** Is the block in the overlay, committed or not? */
function isWritten(page: Uint8Array, block: number): boolean {
  return ((page[byteOf(block)]! >> shiftOf(block)) & BLOCK_WRITTEN) !== 0;
}

function isZero(bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/** The pieces of its map that have something in them; each is good until the next. Of a large disk most are zeros. */
async function* mapOf(store: BlockDevice, layout: OverlayLayout): AsyncGenerator<{ at: number; part: Uint8Array }> {
  const buffer = new Uint8Array(Math.min(SWEEP_BYTES, layout.map_bytes));
  for (let at = 0; at < layout.map_bytes; at += SWEEP_BYTES) {
    const part = buffer.subarray(0, Math.min(SWEEP_BYTES, layout.map_bytes - at));
    await store.read(part, 0, part.length, OVERLAY_HEADER_BYTES + at);
    if (!isZero(part)) yield { at: OVERLAY_HEADER_BYTES + at, part };
  }
}

/** No block is marked. */
async function isUnused(store: BlockDevice, layout: OverlayLayout): Promise<boolean> {
  return (await mapOf(store, layout).next()).done === true;
}

/**
 * After the overlay was not closed: written blocks are all there if the host ran on, and worth nothing if it did not.
 */
async function sweep(store: BlockDevice, layout: OverlayLayout, host_ran_on: boolean): Promise<void> {
  await store.flush();
  for await (const { at, part } of mapOf(store, layout)) {
    const swept = part.map(host_ran_on ? committed : forgotten);
    if (swept.some((byte, i) => byte !== part[i])) await store.write(swept, 0, swept.length, at);
  }
  await store.flush();
}

/**
 * Opens the file of an overlay over `disk`, making it if there is none: the store of {@link OverlayDevice.open}. Its
 * content is not looked at, but for a file that has not the right size.
 * @throws EFTYPE `path` is some other file; EINVAL it was made over another disk
 */
export async function openOverlayFile(ru: Rumpuser, disk: BlockDevice, path: string): Promise<ImageDevice> {
  const { file_bytes } = overlayLayout(disk.size_bytes);
  // What is copied into it was perhaps not for everybody to read.
  const fd = await ru.rumpuser_open(path, { write: true, exclusive: true, create: true, mode: 0o600 });
  try {
    const info = await ru.rumpuser_getfileinfo(fd);
    if (info.type !== 'file') throw errno(E.EINVAL, `${path}: an overlay must be a plain file`);
    if (info.size_bytes === 0) await ru.rumpuser_pwrite(fd, new Uint8Array(1), 0, 1, file_bytes - 1);
    else if (info.size_bytes !== file_bytes) throw await otherSize(ru, fd, path, disk);
    return await imageFromFd(ru, fd, path);
  } catch (e) {
    await ru.rumpuser_close(fd);
    throw e;
  }
}

/**
 * Puts an overlay file that is open over `disk`, for the volume that is there.
 * @throws as {@link OverlayDevice.open}
 */
export function overlayOn(
  ru: Rumpuser,
  disk: BlockDevice,
  store: BlockDevice,
  volume?: Extent,
): Promise<OverlayDevice> {
  return OverlayDevice.open(disk, store, ru.rumpuser_getparam('_RUMPUSER_BOOT_ID') ?? '', volume);
}

/**
 * Copy-on-write over `disk` into the file `path`, which is made if there is none and can be kept for another time.
 * @throws EFTYPE `path` is some other file; EINVAL it was made over another disk, or the disk was changed since
 */
export async function openOverlay(ru: Rumpuser, disk: BlockDevice, path: string): Promise<OverlayDevice> {
  const store = await openOverlayFile(ru, disk, path);
  try {
    return await overlayOn(ru, disk, store);
  } catch (e) {
    await store.close();
    throw e;
  }
}

/** Why a file that has not the overlay's size is none for this disk. */
async function otherSize(ru: Rumpuser, fd: number, path: string, disk: BlockDevice): Promise<Error> {
  const bytes = new Uint8Array(OVERLAY_HEADER_BYTES);
  await ru.rumpuser_pread(fd, bytes, 0, bytes.length, 0);
  const header = decodeHeader(bytes, path);
  if (header === undefined) return errno(E.EFTYPE, `${path} is no overlay file; it is left as it is`);
  if (header.disk_bytes === disk.size_bytes) return errno(E.EFTYPE, `the overlay ${path} is damaged: it was cut short`);
  return errno(E.EINVAL, otherDisk(path, header.disk_bytes, disk));
}

function otherDisk(overlay: string, disk_bytes: number, disk: BlockDevice): string {
  return `the overlay ${overlay} was made over a disk of ${disk_bytes} bytes; ${disk.name} has ${disk.size_bytes}`;
}
