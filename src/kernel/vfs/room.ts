import type { BlockDevice } from '../blkdev.js';

/** How much is taken for granted at a time, bytes: the host is not asked before each write. */
const STEP_BYTES = 64 << 20;

/**
 * A share of the room behind a device (`BlockDevice.room`): what may be used without asking the host again. A reserve
 * is left to others.
 */
export class RoomBudget {
  /** What has been found to be there, and has not been used. */
  private bytes = 0;
  private reserve_bytes: number | undefined;

  /**
   * `unknown`: what is there where nobody knows, bytes. `reserve`: what is to be left, given what was there first,
   * bytes.
   */
  constructor(
    private readonly disk: BlockDevice,
    private readonly unknown: number,
    private readonly reserve: (first: number) => number,
  ) {}

  /** Is there room for so many bytes? */
  has(bytes: number): boolean {
    if (this.bytes < bytes) this.ask(bytes);
    return this.bytes >= bytes;
  }

  /** Uses so many bytes, or all that `has` has found if that is less. @returns how many */
  take(bytes: number): number {
    const got = Math.min(bytes, this.bytes);
    this.bytes -= got;
    return got;
  }

  private ask(bytes: number): void {
    const room = this.disk.room?.() ?? this.unknown;
    this.reserve_bytes ??= this.reserve(room);
    this.bytes = Math.max(0, Math.min(room - this.reserve_bytes, Math.max(STEP_BYTES, bytes)));
  }
}
