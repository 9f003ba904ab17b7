import { E, errno } from '../../../kernel/errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../../../kernel/fcntl.js';
import { DT_REG, DT_UNKNOWN } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { Uio } from '../../../kernel/vfs/uio.js';
import { vn_alive } from '../../../kernel/vfs/vnlock.js';
import { VDIR, VREG } from '../../../kernel/vfs/vattr.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { VTOI } from '../volume/inode.js';
import type { Inode } from '../volume/inode.js';
import { ufs_dirlookup } from '../../ufs/lookup.js';
import { ufs_readdir } from '../../ufs/readdir.js';
import { ffs_read } from './read.js';

/**
 * Extended attributes of UFS1: a file for each name, /.attribute/user/NAME or /.attribute/system/NAME. It begins with a
 * header of 12 bytes (uef_magic, uef_version, uef_size: the room for a value) and has a record for every inode number:
 * ueh_flags, ueh_len, ueh_i_gen, then room for the value. All in the byte order of the machine that made the file.
 * A record whose generation is not the inode's belonged to a file that is gone. Changing them: extattr_ufs1_write.ts.
 * Source: NetBSD sys/ufs/ufs/extattr.h, ufs_extattr.c.
 */
const FSROOTSUBDIR = '.attribute';
export const UFS_EXTATTR_MAGIC = 0x00b5d5ec;
export const UFS_EXTATTR_VERSION = 3;
/** Bytes of the header of a file, and of a record's. */
export const UFS_EXTATTR_HEADER = 12;
export const UFS_EXTATTR_ATTR_FLAG_INUSE = 1;
/** Larger room is taken for damage: records would lie further apart than any file reaches. */
const MAXROOM = 1 << 20;

const SUBDIRS = new Map([[EXTATTR_NAMESPACE_USER, 'user'], [EXTATTR_NAMESPACE_SYSTEM, 'system']]);

/** The vnode of an entry, referenced; null if there is none or it is of another type. */
export async function child(dvp: Vnode, name: string, type: number): Promise<Vnode | null> {
  const hit = await ufs_dirlookup(VTOI(dvp), name);
  if (hit === null) return null;
  const { mnt_kernel } = dvp.v_mount;
  const vp = await mnt_kernel.vcache_get(dvp.v_mount, hit.ino);
  if (vp.v_type === type) return vp;
  await mnt_kernel.vrele(vp);
  return null;
}

/** Runs `use` with the directory of a namespace. @throws EOPNOTSUPP the volume has none */
export async function withsubdir<T>(mp: Mount, namespace: number, use: (subdir: Vnode) => Promise<T>): Promise<T> {
  const { mnt_kernel: kernel } = mp;
  const held: Vnode[] = [await kernel.vcache_get(mp, UFS_ROOTINO)];
  try {
    for (const name of [FSROOTSUBDIR, SUBDIRS.get(namespace) ?? '']) {
      const next = name === '' ? null : await child(held[held.length - 1]!, name, VDIR);
      if (next === null) {
        throw errno(
          E.EOPNOTSUPP,
          'this volume keeps no extended attributes (UFS1 has them in files under /.attribute)',
        );
      }
      held.push(next);
    }
    return await use(held[held.length - 1]!);
  } finally {
    for (const vp of held.reverse()) await kernel.vrele(vp);
  }
}

/** A backing file, looked at. */
export interface Backing {
  readonly vp: Vnode;
  readonly le: boolean;
  /** Bytes that a value can have. */
  readonly room: number;
}

/** Reads `length` bytes; what lies behind the end is zero. */
async function readat(ip: Inode, length: number, offset: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  if (offset < ip.i_size) await ffs_read(ip, new Uio(bytes, 0, Math.min(length, ip.i_size - offset), offset));
  return bytes;
}

/** The header of a backing file; undefined (and one line in the log) if it is none. The caller has locked it. */
export async function openbacking(vp: Vnode, name: string): Promise<Backing | undefined> {
  const ip = VTOI(vp);
  // Just made.
  if (ip.i_size === 0) return undefined;
  const view = new DataView((await readat(ip, UFS_EXTATTR_HEADER, 0)).buffer);
  for (const le of [true, false]) {
    if (view.getUint32(0, le) !== UFS_EXTATTR_MAGIC) continue;
    const room = view.getUint32(8, le);
    if (view.getUint32(4, le) === UFS_EXTATTR_VERSION && room <= MAXROOM) return { vp, le, room };
  }
  ip.i_ump.um_damage.note(
    `inode ${ip.i_number}, the backing file of extended attribute ${name}: its header is not valid`,
  );
  return undefined;
}

/** Where the record of inode `ino` begins. */
export function recordplace(backing: Backing, ino: number): number {
  return UFS_EXTATTR_HEADER + ino * (UFS_EXTATTR_HEADER + backing.room);
}

/** The value that the file of `ip` has in a backing file; undefined if none. @throws EIO */
export async function record(backing: Backing, ip: Inode): Promise<Uint8Array | undefined> {
  const at = recordplace(backing, ip.i_number);
  const view = new DataView((await readat(VTOI(backing.vp), UFS_EXTATTR_HEADER, at)).buffer);
  if (
    (view.getUint32(0, backing.le) & UFS_EXTATTR_ATTR_FLAG_INUSE) === 0 ||
    view.getUint32(8, backing.le) !== ip.i_gen
  ) {
    return undefined;
  }
  const length = view.getUint32(4, backing.le);
  if (length > backing.room) {
    throw ip.i_ump.um_damage.error(
      `inode ${ip.i_number}: extended attribute of ${length} bytes where ${backing.room} have room`,
    );
  }
  return readat(VTOI(backing.vp), length, at + UFS_EXTATTR_HEADER);
}

/**
 * Runs `body` with `other` locked too; the caller holds `vp`. It comes in no order of locks: nobody waits for one of
 * the two while he holds the other, but unlocks `vp` for the time. (They may be one and the same.) @throws EBADF
 */
export async function beside<T>(vp: Vnode, other: Vnode, exclusive: boolean, body: () => Promise<T>): Promise<T> {
  if (other === vp) return body();
  const held = !vp.v_lock.shared;
  while (!other.v_lock.tryenter(exclusive)) {
    vp.v_lock.exit(held);
    let wait = other.v_lock.enter(exclusive);
    if (wait) await wait;
    if (vp.v_lock.tryenter(held)) break;
    other.v_lock.exit(exclusive);
    wait = vp.v_lock.enter(held);
    if (wait) await wait;
  }
  try {
    vn_alive(vp);
    vn_alive(other);
    return await body();
  } finally {
    other.v_lock.exit(exclusive);
  }
}

/** Runs `body` with `file` locked beside `vp`, and gives the reference to `file` back. */
export async function withfile<T>(vp: Vnode, file: Vnode, exclusive: boolean, body: () => Promise<T>): Promise<T> {
  try {
    return await beside(vp, file, exclusive, body);
  } finally {
    await file.v_mount.mnt_kernel.vrele(file);
  }
}

/** The value of an attribute; undefined if there is none. */
async function value(vp: Vnode, subdir: Vnode, name: string): Promise<Uint8Array | undefined> {
  const file = await child(subdir, name, VREG);
  if (file === null) return undefined;
  return withfile(vp, file, false, async () => {
    const backing = await openbacking(file, name);
    return backing === undefined ? undefined : await record(backing, VTOI(vp));
  });
}

/** @throws ENOATTR; EOPNOTSUPP the volume has no attributes of that namespace; EIO */
export async function ufs1_getextattr(vp: Vnode, namespace: number, name: string): Promise<Uint8Array> {
  const found = await withsubdir(vp.v_mount, namespace, (subdir) => value(vp, subdir, name));
  if (found === undefined) throw errno(E.ENOATTR);
  return found;
}

/** @throws EOPNOTSUPP EIO */
export async function ufs1_listextattr(vp: Vnode, namespace: number): Promise<string[]> {
  return withsubdir(vp.v_mount, namespace, async (subdir) => {
    const names: string[] = [];
    await ufs_readdir(VTOI(subdir), 0, (_ino, type, name) => {
      if (name !== '.' && name !== '..' && (type === DT_REG || type === DT_UNKNOWN)) names.push(name);
      return true;
    });
    const having: string[] = [];
    for (const name of names) if ((await value(vp, subdir, name)) !== undefined) having.push(name);
    return having;
  });
}
