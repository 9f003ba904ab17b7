/**
 * Which buffers have been found sound: b_private of a buffer is a number, the owner (an inode) times 8 plus what the
 * block is taken for. A block that two owners claim is looked at again for each.
 */
import type { Buf } from '../../../kernel/vfs/bio.js';

export const BLOCK_EXTENT = 1;
export const BLOCK_DIR = 2;
export const BLOCK_XATTR = 3;

export function verified(bp: Buf, kind: number, owner: number): boolean {
  return bp.b_private === owner * 8 + kind;
}
