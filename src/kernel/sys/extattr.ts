/** extattr_*: extended attributes by namespace and name. */
import { bytestrFromPath } from '../bytestr.js';
import { E, errno } from '../errno.js';
import { AT_FDCWD, EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER, R_OK, W_OK } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import type { MaybePromise } from '../rumpuser/rumpuser.js';
import { genfs_can_extattr } from '../vfs/genfs.js';
import { vn_alive, vn_change } from '../vfs/vnlock.js';
import type { Vnode } from '../vfs/vnode.js';
import { Uio } from '../vfs/uio.js';
import { at_namei, check_offset, copyinpath } from './at.js';
import { closef } from './close.js';
import type { Path } from './rumpsys.js';

/** Longest name, bytes (NetBSD's EXTATTR_MAXNAMELEN). */
const EXTATTR_MAXNAMELEN = 255;

/** What an attribute hangs on: a descriptor, or a path with its last symlink followed or not. */
export type Target = { readonly fd: number } | { readonly path: Path; readonly follow: boolean };

/** Runs `body` on the vnode of a target, referenced. */
export async function with_target<T>(l: Lwp, target: Target, body: (vp: Vnode) => Promise<T>): Promise<T> {
  if ('fd' in target) {
    const fp = l.p.p_fd.get(target.fd);
    fp.f_count++;
    try {
      return await body(fp.f_vnode);
    } finally {
      await closef(l, fp);
    }
  }
  const vp = await at_namei(l, AT_FDCWD, copyinpath(target.path), target.follow);
  try {
    return await body(vp);
  } finally {
    await l.kernel.vrele(vp);
  }
}

/** @throws EINVAL ENAMETOOLONG */
export function copyinattrname(name: Path): string {
  const bytes = bytestrFromPath(name);
  if (bytes.length === 0 || bytes.indexOf('\0') >= 0) throw errno(E.EINVAL);
  if (bytes.length > EXTATTR_MAXNAMELEN) throw errno(E.ENAMETOOLONG);
  return bytes;
}

function check_namespace(namespace: number): void {
  if (namespace !== EXTATTR_NAMESPACE_USER && namespace !== EXTATTR_NAMESPACE_SYSTEM) throw errno(E.EINVAL);
}

/** Runs `body` with read permission in the namespace, under the shared lock. */
async function reading<T>(l: Lwp, vp: Vnode, namespace: number, body: () => MaybePromise<T>): Promise<T> {
  check_namespace(namespace);
  const wait = vp.v_lock.enter(false);
  if (wait) await wait;
  try {
    vn_alive(vp);
    if (vp.v_op.getextattr === undefined) throw errno(E.EOPNOTSUPP);
    await genfs_can_extattr(vp, R_OK, l, namespace);
    return await body();
  } finally {
    vp.v_lock.exit(false);
  }
}

/** Runs `body` with write permission in the namespace, under the exclusive lock. */
export async function extattr_writing(
  l: Lwp,
  vp: Vnode,
  namespace: number,
  body: () => MaybePromise<void>,
): Promise<void> {
  check_namespace(namespace);
  await vn_change(l.kernel, vp, async () => {
    if (vp.v_op.setextattr === undefined) throw errno(E.EOPNOTSUPP);
    await genfs_can_extattr(vp, W_OK, l, namespace);
    await body();
    return true;
  });
}

export async function extattr_get(l: Lwp, target: Target, namespace: number, name: Path): Promise<Uint8Array> {
  const attr = copyinattrname(name);
  return with_target(l, target, (vp) => reading(l, vp, namespace, () => vp.v_op.getextattr!(vp, namespace, attr, l)));
}

/**
 * A piece of a value: fills `into` from `position` on. Returns how many bytes it got; less than it has room for at the
 * end.
 */
export async function extattr_pread(
  l: Lwp, target: Target, namespace: number, name: Path, into: Uint8Array, position: number,
): Promise<number> {
  const attr = copyinattrname(name);
  check_offset(position);
  return with_target(l, target, (vp) => reading(l, vp, namespace, async () => {
    const uio = new Uio(into, 0, into.length, position);
    if (vp.v_op.readextattr !== undefined) {
      await vp.v_op.readextattr(vp, namespace, attr, uio, l);
      return into.length - uio.uio_resid;
    }
    const value = (await vp.v_op.getextattr!(vp, namespace, attr, l)).subarray(position, position + into.length);
    into.set(value);
    return value.length;
  }));
}

/** Bytes of a value. */
export async function extattr_size(l: Lwp, target: Target, namespace: number, name: Path): Promise<number> {
  const attr = copyinattrname(name);
  return with_target(l, target, (vp) => reading(l, vp, namespace, async () => {
    const uio = new Uio(new Uint8Array(0), 0, 0, 0);
    if (vp.v_op.readextattr !== undefined) return vp.v_op.readextattr(vp, namespace, attr, uio, l);
    return (await vp.v_op.getextattr!(vp, namespace, attr, l)).length;
  }));
}

/** Largest value that is changed piece by piece where the driver only takes whole ones, bytes. */
const WHOLE_MAX = 1 << 24;

/** Writes a piece of a value that is there; it grows if need be. Returns the number of bytes written. @throws EFBIG */
export async function extattr_pwrite(
  l: Lwp, target: Target, namespace: number, name: Path, piece: Uint8Array, position: number,
): Promise<number> {
  const attr = copyinattrname(name);
  check_offset(position);
  await with_target(l, target, (vp) => extattr_writing(l, vp, namespace, async () => {
    if (vp.v_op.writeextattr !== undefined) {
      return vp.v_op.writeextattr(vp, namespace, attr, new Uio(piece, 0, piece.length, position), l);
    }
    const end = position + piece.length;
    if (end > WHOLE_MAX) throw errno(E.EFBIG);
    const old = await vp.v_op.getextattr!(vp, namespace, attr, l);
    const value = new Uint8Array(Math.max(old.length, end));
    value.set(old);
    value.set(piece, position);
    return vp.v_op.setextattr!(vp, namespace, attr, value, l);
  }));
  return piece.length;
}

/** Returns the number of bytes set. */
export async function extattr_set(
  l: Lwp,
  target: Target,
  namespace: number,
  name: Path,
  value: Uint8Array,
): Promise<number> {
  const attr = copyinattrname(name);
  await with_target(l, target, (vp) =>
    extattr_writing(l, vp, namespace, () => vp.v_op.setextattr!(vp, namespace, attr, value, l)),
  );
  return value.length;
}

export async function extattr_delete(l: Lwp, target: Target, namespace: number, name: Path): Promise<void> {
  const attr = copyinattrname(name);
  return with_target(l, target, (vp) =>
    extattr_writing(l, vp, namespace, () => vp.v_op.deleteextattr!(vp, namespace, attr, l)),
  );
}

export async function extattr_list(l: Lwp, target: Target, namespace: number): Promise<string[]> {
  return with_target(l, target, (vp) => reading(l, vp, namespace, () => vp.v_op.listextattr!(vp, namespace, l)));
}
