import type { BlockDevice } from '../kernel/blkdev.js';
import { SparseBytes } from '../kernel/sparsebytes.js';
import { checkRange, checkWritable } from './range.js';

export interface MemoryDeviceOptions {
  readonly name?: string;
  /** Bytes; the length of `content` by default. */
  readonly size_bytes?: number;
  /** What the disk holds at first (copied); the rest reads as zeros. */
  readonly content?: Uint8Array;
  /** Default 512. */
  readonly sector_bytes?: number;
  readonly readonly?: boolean;
  /** A write behind the end makes the device larger. */
  readonly growable?: boolean;
}

/** A disk in memory. Sparse: only what was written takes room, so that it can pretend to any size. */
export class MemoryDevice implements BlockDevice {
  readonly name: string;
  readonly sector_bytes: number;
  readonly readonly: boolean;
  private size: number;
  private readonly growable: boolean;
  private readonly bytes: SparseBytes;

  constructor(options: MemoryDeviceOptions, bytes = new SparseBytes()) {
    this.name = options.name ?? 'memory disk';
    this.size = options.size_bytes ?? options.content?.length ?? 0;
    this.sector_bytes = options.sector_bytes ?? 512;
    this.readonly = options.readonly ?? false;
    this.growable = options.growable ?? false;
    this.bytes = bytes;
    if (options.content !== undefined) bytes.write(options.content, 0, Math.min(options.content.length, this.size), 0);
  }

  get size_bytes(): number {
    return this.size;
  }

  /** Bytes of memory that the content takes. */
  get resident_bytes(): number {
    return this.bytes.resident_bytes;
  }

  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): void {
    checkRange(this, offset_bytes, length);
    this.bytes.read(into, into_offset, length, offset_bytes);
  }

  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): void {
    checkWritable(this);
    if (this.growable && offset_bytes + length > this.size) this.size = offset_bytes + length;
    checkRange(this, offset_bytes, length);
    this.bytes.write(from, from_offset, length, offset_bytes);
  }

  flush(): void {
    // Nothing is more stable than the memory itself.
  }

  discard(offset_bytes: number, length: number): void {
    checkWritable(this);
    checkRange(this, offset_bytes, length);
    this.bytes.zero(offset_bytes, length);
  }

  close(): void {
    // The content stays: a test opens its disk again.
  }

  /** An independent copy of the disk as it is now. */
  clone(options: { readonly name?: string; readonly readonly?: boolean } = {}): MemoryDevice {
    return new MemoryDevice(
      {
        name: options.name ?? this.name,
        size_bytes: this.size,
        sector_bytes: this.sector_bytes,
        readonly: options.readonly ?? this.readonly,
        growable: this.growable,
      },
      this.bytes.clone(),
    );
  }

  /** The whole content, for tests. */
  toBytes(): Uint8Array {
    const all = new Uint8Array(this.size);
    this.bytes.read(all, 0, this.size, 0);
    return all;
  }
}
