import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import type { Directory } from '../dir/directory.js';
import { DIRBLOCK_BYTES } from '../dir/directory.js';
import type { FileSet } from '../dir/fileset.js';
import type { Found } from '../dir/lookup.js';
import { dir_readset } from '../dir/lookup.js';
import { ENTRY_BYTES } from '../disk/entry.js';
import type { ExfatNode } from './node.js';
import { node_into } from './node.js';

/** Brings what is known of the file into its set of entries. Nothing where the file has none. @throws EIO */
export function node_store(node: ExfatNode): MaybePromise<void> {
  const { en_parent: dir, en_offset: offset } = node;
  if (dir === null) return node.en_removed ? node.en_em.em_order!.orphaned(node) : undefined;
  const found = dir_readset(dir, offset);
  const put = (f: Found | undefined): MaybePromise<void> => {
    if (f === undefined) {
      throw node.en_em.em_damage.error(`directory ${dir.number}, entry at ${offset}: not what it was`);
    }
    node_into(node, f.set);
    f.set.sum();
    return set_write(dir, offset, f.set);
  };
  return found instanceof Promise ? found.then(put) : put(found);
}

/** Writes a set over the entries from byte `offset` of a directory on. @throws EIO */
export function set_write(dir: Directory, offset: number, set: FileSet): MaybePromise<void> {
  const bp = dir.block(offset);
  const bytes = set.count * ENTRY_BYTES;
  const first = Math.min(bytes, DIRBLOCK_BYTES - (offset % DIRBLOCK_BYTES));
  if (!(bp instanceof Promise) && first === bytes) return block_write(dir, bp, offset, set.bytes.subarray(0, bytes));
  return pieces(dir, offset, set.bytes.slice(0, bytes), bp);
}

async function pieces(dir: Directory, offset: number, bytes: Uint8Array, firstblock: MaybePromise<Buf>): Promise<void> {
  let bp = await firstblock;
  for (let done = 0; ; ) {
    const n = Math.min(bytes.length - done, DIRBLOCK_BYTES - ((offset + done) % DIRBLOCK_BYTES));
    block_write(dir, bp, offset + done, bytes.subarray(done, done + n));
    done += n;
    if (done === bytes.length) return;
    bp = await dir.block(offset + done);
  }
}

/** Writes into one block and gives it back. */
function block_write(dir: Directory, bp: Buf, offset: number, bytes: Uint8Array): void {
  bp.b_data.set(bytes, offset % DIRBLOCK_BYTES);
  dir.em.em_order!.entries(bp);
  dir.em.em_bufcache.brelse(bp);
}
