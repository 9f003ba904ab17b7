import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { geti64 } from '../../lib/endian.js';
import type { WapblLog } from './header.js';
import { WAPBL_WC_BLOCKS, WAPBL_WC_INODES, WAPBL_WC_REVOCATIONS } from './header.js';

/** Unit of wc_daddr, and of the map below; bytes. */
export const DEV_BSIZE = 512;
const RECORD_HEADER = 16;
const BLOCK_ENTRY = 16;
const INODE_ENTRY = 8;

export interface WapblReplay {
  /** Sector of the device (512 bytes) to the byte offset on the device where the journal holds its newest content. */
  readonly sectors: Map<number, number>;
  /** Inodes whose last link was gone: a read-write mount frees them. */
  readonly inodes: { readonly ino: number; readonly mode: number }[];
  readonly records: number;
}

/**
 * Reads the ring from tail to head. Every record is bounded by the ring, every block by the device; the walk ends
 * after as many bytes as the ring has.
 * @throws EFTYPE a record that makes no sense; EIO
 */
export async function wapbl_replay(dev: BlockDevice, log: WapblLog): Promise<WapblReplay> {
  const sectors = new Map<number, number>();
  let inodes: { ino: number; mode: number }[] = [];
  const ring = log.circ_off + log.circ_size;
  const record = new Uint8Array(log.blksize);
  const view = new DataView(record.buffer);
  let records = 0;
  let walked = 0;
  const bad = (off: number, what: string): Error =>
    errno(E.EFTYPE, `journal record at byte ${log.start + off}: ${what}`);
  const advance = (off: number, bytes: number): number =>
    off + bytes >= ring ? off + bytes - log.circ_size : off + bytes;

  for (let off = log.tail; off !== log.head; records++) {
    await dev.read(record, 0, log.blksize, log.start + off);
    const type = view.getUint32(0, log.le);
    const length = view.getInt32(4, log.le);
    const count = view.getInt32(8, log.le);
    if (length < log.blksize || length % log.blksize !== 0) throw bad(off, `wc_len ${length}`);
    walked += length;
    if (walked > log.circ_size) throw bad(off, 'the records are longer than the journal');
    const entry = type === WAPBL_WC_INODES ? INODE_ENTRY : BLOCK_ENTRY;
    if (count < 0 || count > (log.blksize - RECORD_HEADER) / entry) throw bad(off, `${count} entries`);

    let used = log.blksize;
    switch (type) {
      case WAPBL_WC_BLOCKS:
      case WAPBL_WC_REVOCATIONS:
        for (let i = 0; i < count; i++) {
          const at = RECORD_HEADER + BLOCK_ENTRY * i;
          const daddr = geti64(view, at, log.le);
          const dlen = view.getInt32(at + 12, log.le);
          if (dlen <= 0 || dlen % log.fsblksize !== 0 || daddr < 0 || daddr * DEV_BSIZE + dlen > dev.size_bytes) {
            throw bad(off, `block ${daddr} of ${dlen} bytes`);
          }
          if (type === WAPBL_WC_BLOCKS && used + dlen > length) {
            throw bad(off, `wc_len ${length} is too short for its blocks`);
          }
          for (let k = 0; k < dlen; k += DEV_BSIZE) {
            if (type === WAPBL_WC_BLOCKS) sectors.set(daddr + k / DEV_BSIZE, log.start + advance(off, used + k));
            else sectors.delete(daddr + k / DEV_BSIZE);
          }
          if (type === WAPBL_WC_BLOCKS) used += dlen;
        }
        break;
      case WAPBL_WC_INODES:
        if (view.getInt32(12, log.le) !== 0) inodes = [];
        for (let i = 0; i < count; i++) {
          const at = RECORD_HEADER + INODE_ENTRY * i;
          inodes.push({ ino: view.getUint32(at, log.le), mode: view.getUint32(at + 4, log.le) });
        }
        break;
      default:
        throw bad(off, `wc_type 0x${type.toString(16)}`);
    }
    if (used !== length) throw bad(off, `wc_len ${length} is not the ${used} bytes of its content`);
    off = advance(off, length);
  }
  return { sectors, inodes, records };
}
