/**
 * Inode 7 has the blocks that are kept for descriptors of groups to come; what it is like follows from the superblock.
 */
import { S_IFREG } from '../../../../kernel/stat.js';
import { cluster_of, descriptor_blocks, head_shift } from '../volume/copies.js';
import { backup_groups } from '../newfs/content.js';
import type { Checker, Place } from './checker.js';

const DIND = 0x28 + 4 * 13;

/** The block of block numbers that the inode leads to, and what each of those is to hold. */
function expected(c: Checker): { dind: Uint8Array; copies: { block: number; bytes: Uint8Array }[]; blocks: number } {
  const { fs } = c;
  const nindir = fs.bsize / 4;
  const dind = new DataView(new ArrayBuffer(fs.bsize));
  const groups = backup_groups(fs);
  const old = descriptor_blocks(fs);
  const copies: { block: number; bytes: Uint8Array }[] = [];
  for (let i = 0; i < fs.s_reserved_gdt_blocks; i++) {
    const block = fs.s_first_data_block + head_shift(fs, 0) + 1 + old + i;
    dind.setUint32(4 * ((old + i) % nindir), block, true);
    const view = new DataView(new ArrayBuffer(fs.bsize));
    groups.forEach((g, k) => view.setUint32(4 * k, block + g * fs.s_blocks_per_group, true));
    copies.push({ block, bytes: new Uint8Array(view.buffer) });
  }
  return { dind: new Uint8Array(dind.buffer), copies, blocks: 1 + copies.length * (1 + groups.length) };
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Checks it, and claims the one block that is its own. @returns whether the inode was changed */
export async function check_resize_inode(c: Checker, place: Place): Promise<boolean> {
  const { fs } = c;
  const { view, at, d } = place;
  const want = expected(c);
  const block = view.getUint32(at + DIND, true);
  const nindir = fs.bsize / 4;
  const size = (nindir * nindir + nindir + 12) * fs.bsize;
  const there = c.usable(block) && !c.claimed.has(cluster_of(fs, block));
  let right =
    there && d.i_mode === (S_IFREG | 0o600) && d.i_nlink === 1 && d.i_flags === 0 &&
    same(await c.bread(block), want.dind);
  for (let i = 0; i < 15; i++)
    if (i !== 13 && view.getUint32(at + 0x28 + 4 * i, true) !== 0) right = false;
  for (const copy of want.copies) right &&= same(await c.bread(copy.block), copy.bytes);
  if (there) c.claimed.add(cluster_of(fs, block));
  const sectors = (want.blocks * fs.bsize) / 512;
  // With clusters of several blocks nobody agrees on how many these are.
  if (right && (fs.clusterblocks > 1 || d.i_blocks === sectors)) return false;
  if (!c.problem('damage', 'resize inode', 'inode 7 does not have the reserved descriptors as it should', 'REBUILT'))
    return false;
  const rebuild = async (dind: number): Promise<void> => {
    for (const copy of want.copies) await c.bwrite(copy.block, copy.bytes);
    await c.bwrite(dind, want.dind);
    const fresh = await c.inode(place.ino);
    fresh.bytes.fill(0, fresh.at, fresh.at + fs.s_inode_size);
    fresh.view.setUint16(fresh.at, S_IFREG | 0o600, true);
    fresh.view.setUint32(fresh.at + 4, size % 2 ** 32, true);
    fresh.view.setUint32(fresh.at + 0x6c, Math.floor(size / 2 ** 32), true);
    fresh.view.setUint16(fresh.at + 0x1a, 1, true);
    fresh.view.setUint32(fresh.at + 0x1c, sectors, true);
    if (fs.s_inode_size > 128) fresh.view.setUint16(fresh.at + 0x80, Math.min(32, fs.s_inode_size - 128), true);
    fresh.view.setUint32(fresh.at + DIND, dind, true);
    await c.putinode(fresh);
    c.again = true;
  };
  if (there) await rebuild(block);
  else c.later.push(() => rebuild(c.balloc()));
  return false;
}
