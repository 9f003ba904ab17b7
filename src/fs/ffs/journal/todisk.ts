import type { BlockDevice } from '../../../kernel/blkdev.js';
import type { WapblReplay } from './replay.js';
import { DEV_BSIZE } from './replay.js';

/** Bytes of one transfer at most. */
const MAXTRANSFER = 1024 * 1024;

/**
 * Replays a journal to the disk: every block that it holds goes to its place. Ends with a barrier. May be repeated
 * after an interruption; the journal stays as it is.
 * @throws EIO
 */
export async function wapbl_replay_write(dev: BlockDevice, replay: WapblReplay): Promise<void> {
  const order = Float64Array.from(replay.sectors.keys()).sort();
  const staging = new Uint8Array(Math.min(MAXTRANSFER, order.length * DEV_BSIZE));
  for (let i = 0; i < order.length; ) {
    // Sectors that go side by side are gathered, from wherever in the journal they are.
    let n = 1;
    while (i + n < order.length && order[i + n] === order[i]! + n && (n + 1) * DEV_BSIZE <= staging.length) n++;
    for (let k = 0; k < n; ) {
      const from = replay.sectors.get(order[i + k]!)!;
      let m = 1;
      while (k + m < n && replay.sectors.get(order[i + k + m]!) === from + m * DEV_BSIZE) m++;
      await dev.read(staging, k * DEV_BSIZE, m * DEV_BSIZE, from);
      k += m;
    }
    await dev.write(staging, 0, n * DEV_BSIZE, order[i]! * DEV_BSIZE);
    i += n;
  }
  await dev.flush();
}
