import { bytestrToBytes } from '../../../kernel/bytestr.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { nokey_name } from '../dir/nokey.js';
import { FL, I_BLOCK_BYTES } from '../disk/dinode.js';
import type { Inode } from './inode.js';
import { ext2_readall } from './read.js';

/**
 * Target of a symbolic link, in memory of its own. Whether it lies in the inode is never inferred from i_blocks.
 * @throws EIO
 */
export function ext2_readlink(ip: Inode): MaybePromise<Uint8Array> {
  const short = ip.i_size < I_BLOCK_BYTES && !ip.has(FL.EXTENTS) && !ip.has(FL.INLINE_DATA);
  const target = short ? ip.i_block.slice(0, ip.i_size) : ext2_readall(ip, ip.i_size);
  if (!ip.encrypted) return target;
  return target instanceof Promise ? target.then((t) => undecoded(ip, t)) : undecoded(ip, target);
}

/** An encrypted target begins with its length, 16 bits. It is shown as names are. */
function undecoded(ip: Inode, target: Uint8Array): Uint8Array {
  const length = target.length < 2 ? 0 : target[0] + target[1] * 256;
  if (length === 0 || length + 2 > target.length)
    throw ip.i_em.em_damage.error(`inode ${ip.i_number}: an encrypted target of ${length} bytes in ${target.length}`);
  return bytestrToBytes(nokey_name(target.subarray(2, 2 + length), 0, 0));
}
