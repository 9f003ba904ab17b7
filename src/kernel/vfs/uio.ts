/**
 * One transfer between a file and memory. A driver moves bytes with {@link Uio.advance}; what is left in uio_resid was
 * not transferred.
 */
export class Uio {
  uio_buf: Uint8Array;
  /** Next byte of uio_buf to fill or to take. */
  uio_bufoff: number;
  /** Bytes still wanted. */
  uio_resid: number;
  /** Position in the file, bytes. */
  uio_offset: number;

  constructor(buf: Uint8Array, bufoff: number, length: number, offset: number) {
    this.uio_buf = buf;
    this.uio_bufoff = bufoff;
    this.uio_resid = length;
    this.uio_offset = offset;
  }

  advance(bytes: number): void {
    this.uio_bufoff += bytes;
    this.uio_resid -= bytes;
    this.uio_offset += bytes;
  }

  /** Fills the next `bytes` with zeros (a hole). */
  zero(bytes: number): void {
    this.uio_buf.fill(0, this.uio_bufoff, this.uio_bufoff + bytes);
    this.advance(bytes);
  }
}

/** ioflag bits of VOP_READ and VOP_WRITE. */
export const IO_APPEND = 0x2;
/** Data (and what is needed to find it) on stable storage before the call returns. */
export const IO_SYNC = 0x4;
export const IO_DSYNC = 0x8;
