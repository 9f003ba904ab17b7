import { E, errno } from '../../kernel/errno.js';
import { bytestrFromBytes } from '../../kernel/bytestr.js';
import type { MaybePromise } from '../../kernel/rumpuser/rumpuser.js';
import { UFS_NXADDR } from './dinode.js';
import type { UfsInode } from './inode.js';

/**
 * Extended attributes of UFS2: an area of i_extsize bytes in up to two blocks (i_extb), a row of entries. An entry:
 * ea_length u32 (whole, a multiple of 8), ea_namespace u8, ea_contentpadlen u8, ea_namelength u8, the name, zeros up to
 * a multiple of 8, the content, ea_contentpadlen bytes of padding. Sources: FreeBSD sys/ufs/ufs/extattr.h and NetBSD
 * sys/ufs/ffs/ffs_extattr.c.
 */
const EA_HEADER = 7;

/** Bytes before the content of an entry with a name of `namelen` bytes. */
export function extattr_base(namelen: number): number {
  return (EA_HEADER + namelen + 7) & ~7;
}

/** Where an attribute is in the area. */
export interface ExtattrEntry {
  readonly namespace: number;
  readonly name: string;
  /** Offset and whole length of the entry. */
  readonly at: number;
  readonly length: number;
  /** Offset and length of the content. */
  readonly content: number;
  readonly size: number;
}

/**
 * The entries of an area, in order; ends at the first that is not sound.
 * @returns the entries, and what is wrong with the first bad one
 */
export function extattr_entries(
  area: Uint8Array,
  le: boolean,
): { entries: ExtattrEntry[]; problem: string | undefined } {
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  const entries: ExtattrEntry[] = [];
  let at = 0;
  while (at < area.length) {
    if (at + 8 > area.length) return { entries, problem: `entry at ${at}: ${area.length - at} bytes are too few` };
    const length = view.getUint32(at, le);
    const namespace = view.getUint8(at + 4);
    const padding = view.getUint8(at + 5);
    const namelen = view.getUint8(at + 6);
    const base = extattr_base(namelen);
    // The rest of an area that was not cut after a removal is zero.
    if (length === 0) break;
    if (length % 8 !== 0 || length > area.length - at || base + padding > length) {
      return {
        entries,
        problem: `entry at ${at}: ea_length ${length}, ea_namelength ${namelen}, ea_contentpadlen ${padding}`,
      };
    }
    const start = at + EA_HEADER;
    entries.push({
      namespace,
      name: bytestrFromBytes(area, start, start + namelen),
      at,
      length,
      content: at + base,
      size: length - base - padding,
    });
    at += length;
  }
  return { entries, problem: undefined };
}

/** Reads the whole area into memory of its own: at most two blocks. @throws EIO damage */
export function ufs_extread(ip: UfsInode): MaybePromise<Uint8Array> {
  const fs = ip.i_fs;
  if (ip.i_extsize > UFS_NXADDR * fs.fs_bsize) {
    throw ip.i_ump.um_damage.error(
      `inode ${ip.i_number}: di_extsize ${ip.i_extsize} is above ${UFS_NXADDR * fs.fs_bsize}`,
    );
  }
  return extreadfrom(ip, new Uint8Array(ip.i_extsize), 0);
}

function extreadfrom(ip: UfsInode, area: Uint8Array, i: number): MaybePromise<Uint8Array> {
  const fs = ip.i_fs;
  for (; i < UFS_NXADDR && i * fs.fs_bsize < area.length; i++) {
    const fsb = ip.i_extb[i];
    const size = fs.sblksize(area.length, i);
    if (!(fsb > 0 && fsb + size / fs.fs_fsize <= fs.fs_size)) {
      throw ip.i_ump.um_damage.error(`inode ${ip.i_number}: di_extb[${i}] points to frag ${fsb}`);
    }
    const bp = ip.i_ump.um_bufcache.bread(ip.i_ump.um_dev, fs.fsbtob(fsb), size);
    const at = i * fs.fs_bsize;
    if (bp instanceof Promise) {
      return bp.then((b) => {
        area.set(b.b_data.subarray(0, Math.min(size, area.length - at)), at);
        ip.i_ump.um_bufcache.brelse(b);
        return extreadfrom(ip, area, i + 1);
      });
    }
    area.set(bp.b_data.subarray(0, Math.min(size, area.length - at)), at);
    ip.i_ump.um_bufcache.brelse(bp);
  }
  return area;
}

/** What the area of a UFS2 inode holds; damage is logged and what is sound returned. */
function load(ip: UfsInode): MaybePromise<{ area: Uint8Array; entries: ExtattrEntry[] }> {
  const area = ufs_extread(ip);
  return area instanceof Promise ? area.then((a) => parse(ip, a)) : parse(ip, area);
}

function parse(ip: UfsInode, area: Uint8Array): { area: Uint8Array; entries: ExtattrEntry[] } {
  const { entries, problem } = extattr_entries(area, ip.i_ump.um_le);
  if (problem !== undefined) ip.i_ump.um_damage.note(`inode ${ip.i_number}: extended attributes, ${problem}`);
  return { area, entries };
}

/** UFS2: the value of an attribute; memory of its own. @throws ENOATTR EIO */
export function ufs_getextattr(ip: UfsInode, namespace: number, name: string): MaybePromise<Uint8Array> {
  if (ip.i_extsize === 0) throw errno(E.ENOATTR);
  const find = ({ area, entries }: { area: Uint8Array; entries: ExtattrEntry[] }): Uint8Array => {
    for (const e of entries)
      if (e.namespace === namespace && e.name === name) {
        return area.slice(e.content, e.content + e.size);
      }
    throw errno(E.ENOATTR);
  };
  const loaded = load(ip);
  return loaded instanceof Promise ? loaded.then(find) : find(loaded);
}

/** UFS2: the names in a namespace. @throws EIO */
export function ufs_listextattr(ip: UfsInode, namespace: number): MaybePromise<string[]> {
  if (ip.i_extsize === 0) return [];
  const names = ({ entries }: { entries: ExtattrEntry[] }): string[] =>
    entries.filter((e) => e.namespace === namespace).map((e) => e.name);
  const loaded = load(ip);
  return loaded instanceof Promise ? loaded.then(names) : names(loaded);
}
