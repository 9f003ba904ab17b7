import { E, errno } from '../../../kernel/errno.js';
import { SEEK_DATA } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import type { Run } from '../space/chain.js';
import type { ExfatNode } from './node.js';

/** Largest transfer, bytes. */
export const TRANSFER_BYTES = 1 << 20;

/** @throws EIO what the set says of the content cannot be */
export function node_must_be_good(node: ExfatNode): void {
  if (node.en_bad !== undefined) throw errno(E.EIO, `file ${node.en_number}: ${node.en_bad}`);
}

/** File data: run by run from the device into the caller's buffer; zeros behind ValidDataLength. @throws EIO */
export function file_read(node: ExfatNode, uio: Uio): MaybePromise<void> {
  const { en_em: em, en_chain: chain } = node;
  while (uio.uio_resid > 0 && uio.uio_offset < node.en_size) {
    const valid = node.en_valid - uio.uio_offset;
    if (valid <= 0) {
      uio.zero(Math.min(uio.uio_resid, node.en_size - uio.uio_offset));
      return undefined;
    }
    const into = uio.uio_offset % em.em_clbytes;
    const wanted = Math.min(uio.uio_resid, valid, TRANSFER_BYTES);
    const run = chain.run(em, (uio.uio_offset - into) / em.em_clbytes, Math.ceil((into + wanted) / em.em_clbytes));
    if (run instanceof Promise) {
      return run.then((r) => transfer(node, uio, r, into, wanted)).then(() => file_read(node, uio));
    }
    const reading = transfer(node, uio, run, into, wanted);
    if (reading instanceof Promise) return reading.then(() => file_read(node, uio));
  }
  return undefined;
}

function transfer(node: ExfatNode, uio: Uio, run: Run, into: number, wanted: number): MaybePromise<void> {
  const { en_em: em } = node;
  const n = Math.min(wanted, run.count * em.em_clbytes - into);
  const reading = em.em_dev.read(uio.uio_buf, uio.uio_bufoff, n, em.clusterat(run.cluster) + into);
  if (reading instanceof Promise) return reading.then(() => uio.advance(n));
  uio.advance(n);
}

/** VOP_SEEK: what lies behind ValidDataLength is a hole. @throws ENXIO */
export function file_seek(node: ExfatNode, offset: number, whence: number): number {
  if (offset < 0 || offset >= node.en_size) throw errno(E.ENXIO);
  if (whence !== SEEK_DATA) return Math.max(offset, node.en_valid);
  if (offset >= node.en_valid) throw errno(E.ENXIO);
  return offset;
}
