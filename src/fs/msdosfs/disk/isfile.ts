import type { Buf } from '../../../kernel/vfs/bio.js';
import { ATTR_VOLUME, D, SLOT_DELETED, SLOT_EMPTY } from './direntry.js';

/** Is it the entry of a file or directory? */
export function isfile(bp: Buf, at: number): boolean {
  const first = bp.b_data[at];
  return first !== SLOT_EMPTY && first !== SLOT_DELETED && (bp.b_data[at + D.attr]! & ATTR_VOLUME) === 0;
}
