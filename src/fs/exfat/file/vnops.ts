import type { Context } from '../../../kernel/context.js';
import { E, errno } from '../../../kernel/errno.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import { DT_DIR, DT_REG } from '../../../kernel/stat.js';
import type { Uio } from '../../../kernel/vfs/uio.js';
import type { Vattr } from '../../../kernel/vfs/vattr.js';
import { VREG } from '../../../kernel/vfs/vattr.js';
import type { Cookie, ReaddirEmit, Vnops } from '../../../kernel/vfs/vnops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { bytestrFromUtf16 } from '../../lib/names/utf16.js';
import type { Found } from '../dir/lookup.js';
import { dir_find, dir_readset } from '../dir/lookup.js';
import { shown } from '../dir/name.js';
import { dir_walk } from '../dir/scan.js';
import { ATTR_DIRECTORY, ENTRY_BYTES, NAME_UNITS_MAX } from '../disk/entry.js';
import { node_getattr, node_setattr } from './attributes.js';
import { directory_of, file_gone, make_file, remove_file } from './names.js';
import { VTOE } from './node.js';
import { file_read, file_seek, node_must_be_good } from './read.js';
import { rename_file } from './rename.js';
import { node_accessed } from './times.js';
import { file_allocate, file_write } from './write.js';
import { exfat_deleteextattr, exfat_getextattr, exfat_listextattr, exfat_setextattr } from './xattr.js';

/** Names of pathconf(2); values of NetBSD sys/sys/unistd.h. */
const PC = {
  LINK_MAX: 1, NAME_MAX: 4, CHOWN_RESTRICTED: 7, NO_TRUNC: 8, SYNC_IO: 10, FILESIZEBITS: 11, MIN_HOLE_SIZE: 15,
} as const;

function lookup(dvp: Vnode, name: string, _ctx: Context): MaybePromise<Vnode | null> {
  const node = VTOE(dvp);
  const { en_em: em } = node;
  const dir = directory_of(node);
  if (name === '..') return em.em_kernel.vcache_get(em.em_mountp, dir.parent);
  const key = em.em_names.lookupkey(name);
  if (key === null) return null;
  const enter = (found: Found | null): MaybePromise<Vnode | null> => {
    if (found === null) return null;
    const number = em.em_where.numberOf(dir, found.offset, found.at);
    if (number === dir.number) {
      throw em.em_damage.error(`directory ${dir.number}, entry at ${found.offset}: the directory itself`);
    }
    return em.em_kernel.vcache_get(em.em_mountp, number);
  };
  const found = dir_find(dir, key);
  return found instanceof Promise ? found.then(enter) : enter(found);
}

/** Cookies: 0 and 1 are "." and ".."; entry i of the directory has i + 2. */
function readdir(vp: Vnode, from: Cookie, _ctx: Context, emit: ReaddirEmit): MaybePromise<boolean> {
  const cookie = Number(from);
  const node = VTOE(vp);
  if (node.en_removed) return true;
  const { en_em: em } = node;
  const dir = directory_of(node);
  if (cookie <= 0 && !emit(dir.number, DT_DIR, '.', 1)) return false;
  if (cookie <= 1 && !emit(dir.parent, DT_DIR, '..', 2)) return false;
  const done = dir_walk(dir, Math.max(0, cookie - 2) * ENTRY_BYTES, {
    file(set, offset, at) {
      const name = set.name();
      // No path could name it.
      if (name.includes('/') || name.includes('\0')) {
        em.em_damage.note(`directory ${dir.number}, entry at ${offset}: a name that no file can have`);
        return true;
      }
      const type = (set.attributes & ATTR_DIRECTORY) !== 0 ? DT_DIR : DT_REG;
      return emit(
        em.em_where.numberOf(dir, offset, at), type, bytestrFromUtf16(shown(name)),
        offset / ENTRY_BYTES + set.count + 2,
      );
    },
    bad: (problem, offset) => em.em_damage.note(`directory ${dir.number}, entry at ${offset}: ${problem}`),
  });
  return done instanceof Promise ? done.then((end) => end >= 0) : done >= 0;
}

function read(vp: Vnode, uio: Uio, _ioflag: number, _ctx: Context): MaybePromise<void> {
  const node = VTOE(vp);
  if (vp.v_type !== VREG) throw errno(E.EISDIR);
  if (!(uio.uio_offset >= 0)) throw errno(E.EINVAL);
  node_must_be_good(node);
  if (uio.uio_resid === 0) return undefined;
  const noted = node_accessed(node);
  return noted instanceof Promise ? noted.then(() => file_read(node, uio)) : file_read(node, uio);
}

/** How a file's name is spelled on the volume. */
function spelling(_dvp: Vnode, name: string, vp: Vnode): MaybePromise<string> {
  const { en_parent: dir, en_offset: offset } = VTOE(vp);
  if (dir === null) return name;
  const spell = (found: Found | undefined): string => {
    return found === undefined ? name : bytestrFromUtf16(shown(found.set.name()));
  };
  const found = dir_readset(dir, offset);
  return found instanceof Promise ? found.then(spell) : spell(found);
}

/** Runs `change` as an operation. */
async function operation(vp: Vnode, change: () => Promise<void>): Promise<void> {
  const order = VTOE(vp).en_em.em_order!;
  const wait = order.begin();
  if (wait) await wait;
  try {
    await change();
  } finally {
    order.end();
  }
}

async function fsync(vp: Vnode): Promise<void> {
  const node = VTOE(vp);
  const order = node.en_em.em_order;
  if (order === null) return;
  await order.flush(false);
  if (order.lost.delete(node.en_number)) throw errno(E.EIO, `file ${node.en_number}: data that was written is lost`);
}

function close(vp: Vnode): MaybePromise<void> {
  const { en_chain, en_em: em } = VTOE(vp);
  em.em_order?.settled(en_chain);
  return em.em_options.flush ? em.em_order?.flush(true) : undefined;
}

function inactive(vp: Vnode): MaybePromise<boolean> {
  const node = VTOE(vp);
  return node.en_removed ? file_gone(node).then(() => true) : false;
}

function reclaim(vp: Vnode): void {
  const node = VTOE(vp);
  node.en_em.em_order?.settled(node.en_chain);
  if (node.en_removed) node.en_em.em_where.numbers.gone(node.en_number);
  vp.v_data = null;
}

function pathconf(vp: Vnode, name: number): number | undefined {
  switch (name) {
    case PC.LINK_MAX: return 1;
    case PC.NAME_MAX: return NAME_UNITS_MAX;
    case PC.CHOWN_RESTRICTED: return 1;
    case PC.NO_TRUNC: return 1;
    case PC.SYNC_IO: return 1;
    case PC.FILESIZEBITS: return 64;
    case PC.MIN_HOLE_SIZE: return VTOE(vp).en_em.em_clbytes;
    default: return undefined;
  }
}

/** The format has no such files. */
function no_such_file(): never {
  throw errno(E.EPERM);
}

export const exfat_vnodeops: Vnops = {
  lookup,
  spelling,
  create: (dvp, name, vap) => (vap.va_type === VREG ? make_file(dvp, name, vap, false) : no_such_file()),
  mkdir: (dvp, name, vap) => make_file(dvp, name, vap, true),
  mknod: no_such_file,
  symlink: no_such_file,
  link: no_such_file,
  remove: (dvp, vp) => remove_file(dvp, vp),
  rmdir: (dvp, vp) => remove_file(dvp, vp),
  rename: (fdvp, fvp, _fname, tdvp, tvp, tname) => rename_file(fdvp, fvp, tdvp, tvp, tname),
  getattr: (vp: Vnode, vap: Vattr) => node_getattr(VTOE(vp), vap),
  setattr: (vp, vap, ctx) => operation(vp, () => node_setattr(vp, vap, ctx)),
  read,
  write: file_write,
  readdir,
  readlink: () => {
    throw errno(E.EINVAL);
  },
  fsync,
  inactive,
  reclaim,
  seek(vp, offset, whence) {
    if (vp.v_type !== VREG) throw errno(E.EINVAL);
    return file_seek(VTOE(vp), offset, whence);
  },
  fallocate: (vp, offset, length) => file_allocate(VTOE(vp), offset, length),
  pathconf,
  getextattr: (vp, namespace, name) => exfat_getextattr(vp, namespace, name),
  setextattr: (vp, namespace, name, value) => operation(vp, () => exfat_setextattr(vp, namespace, name, value)),
  deleteextattr: (_vp, namespace, name) => exfat_deleteextattr(namespace, name),
  listextattr: (vp, namespace) => exfat_listextattr(vp, namespace),
  close,
};
