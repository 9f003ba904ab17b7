import type { BlockDevice } from '../kernel/blkdev.js';
import { E, errno } from '../kernel/errno.js';

/** @throws EINVAL for a transfer that does not lie inside the device */
export function checkRange(dev: BlockDevice, offset_bytes: number, length: number): void {
  // Written so that NaN fails as well.
  if (offset_bytes >= 0 && length >= 0 && offset_bytes + length <= dev.size_bytes) return;
  throw errno(
    E.EINVAL,
    `${dev.name}: ${length} bytes at ${offset_bytes} lie outside the device's ${dev.size_bytes} bytes`,
  );
}

/** @throws EROFS */
export function checkWritable(dev: BlockDevice): void {
  if (dev.readonly) throw errno(E.EROFS, `${dev.name} is read-only`);
}
