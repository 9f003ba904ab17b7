import type { BlockDevice } from '../../src/kernel/blkdev.js';
import type { DiskEvent } from './fault.js';

/**
 * What of the recorded events is on the disk when the power goes. Everything before the last barrier is. Of the writes
 * after it a disk keeps what it likes: those that `keep` chooses, and of one of them only a part.
 */
export interface PowerCut {
  /** So many events had happened, 0..events.length. */
  readonly events: number;
  /**
   * Of the writes after the last flush among those: is the write with this index in `events` on the disk? Default all.
   */
  readonly keep?: (index: number) => boolean;
  /** This write, if it is among the unflushed, is there up to this many bytes only (a multiple of the sector size). */
  readonly torn?: { readonly index: number; readonly bytes: number };
}

/** Index behind the last flush among the first `count` events. */
export function lastBarrier(events: readonly DiskEvent[], count: number): number {
  for (let i = Math.min(count, events.length); i > 0; i--) if (events[i - 1]!.op === 'flush') return i;
  return 0;
}

/** Brings `disk`, which must hold what it held before the first event, to the state after the cut. */
export async function replayUntil(disk: BlockDevice, events: readonly DiskEvent[], cut: PowerCut): Promise<void> {
  const barrier = lastBarrier(events, cut.events);
  for (let i = 0; i < cut.events && i < events.length; i++) {
    const event = events[i]!;
    if (event.op === 'flush') continue;
    const flushed = i < barrier;
    if (!flushed && cut.keep !== undefined && !cut.keep(i)) continue;
    if (event.op === 'discard') {
      await disk.discard(event.offset_bytes, event.length);
    } else {
      await disk.write(
        event.bytes,
        0,
        !flushed && cut.torn?.index === i ? Math.min(cut.torn.bytes, event.bytes.length) : event.bytes.length,
        event.offset_bytes,
      );
    }
  }
}
