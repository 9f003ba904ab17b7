/** The Linux-style calls over extattr: a name's prefix is its namespace, "user." or "system.". */
import { bytestrFromPath } from '../bytestr.js';
import { kauth_issuser } from '../cred.js';
import { E, Errno, errno } from '../errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../fcntl.js';
import type { Lwp } from '../proc.js';
import { bytestrToBytes } from '../bytestr.js';
import { copyinattrname, extattr_delete, extattr_get, extattr_list, extattr_writing, with_target } from './extattr.js';
import type { Target } from './extattr.js';
import type { Path } from './rumpsys.js';

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

const PREFIXES: readonly (readonly [string, number])[] = [
  ['user.', EXTATTR_NAMESPACE_USER],
  ['system.', EXTATTR_NAMESPACE_SYSTEM],
];

/** @throws EOPNOTSUPP a namespace that we do not have; EINVAL nothing behind the prefix */
function split(name: Path): { namespace: number; attr: Uint8Array } {
  const bytes = bytestrFromPath(name);
  for (const [prefix, namespace] of PREFIXES) {
    if (bytes.startsWith(prefix)) return { namespace, attr: bytestrToBytes(bytes.slice(prefix.length)) };
  }
  throw errno(E.EOPNOTSUPP);
}

export async function xattr_get(l: Lwp, target: Target, name: Path): Promise<Uint8Array> {
  const { namespace, attr } = split(name);
  return extattr_get(l, target, namespace, attr);
}

/** `flags`: XATTR_CREATE fails with EEXIST if the attribute is there, XATTR_REPLACE with ENOATTR if it is not. */
export async function xattr_set(l: Lwp, target: Target, name: Path, value: Uint8Array, flags = 0): Promise<void> {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0 || flags === (XATTR_CREATE | XATTR_REPLACE)) throw errno(E.EINVAL);
  const { namespace, attr } = split(name);
  const key = copyinattrname(attr);
  await with_target(l, target, (vp) =>
    extattr_writing(l, vp, namespace, async () => {
      if (flags !== 0) {
        let there = true;
        try {
          await vp.v_op.getextattr!(vp, namespace, key, l);
        } catch (thrown) {
          if (!(thrown instanceof Errno) || thrown.errno !== E.ENOATTR) throw thrown;
          there = false;
        }
        if (there && flags === XATTR_CREATE) throw errno(E.EEXIST);
        if (!there && flags === XATTR_REPLACE) throw errno(E.ENOATTR);
      }
      await vp.v_op.setextattr!(vp, namespace, key, value, l);
    }),
  );
}

/** The names of both namespaces, with prefix; those of the system namespace for the superuser only. */
export async function xattr_list(l: Lwp, target: Target): Promise<string[]> {
  const names: string[] = [];
  for (const [prefix, namespace] of PREFIXES) {
    if (namespace === EXTATTR_NAMESPACE_SYSTEM && !kauth_issuser(l.cred)) continue;
    for (const name of await extattr_list(l, target, namespace)) names.push(prefix + name);
  }
  return names;
}

export async function xattr_remove(l: Lwp, target: Target, name: Path): Promise<void> {
  const { namespace, attr } = split(name);
  return extattr_delete(l, target, namespace, attr);
}
