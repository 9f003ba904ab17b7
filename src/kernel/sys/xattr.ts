/** The Linux-style calls over extattr: a name's prefix is its namespace, "user." or "system.". */
import { bytestrFromPath } from '../bytestr.js';
import { NOCRED, kauth_issuser } from '../cred.js';
import { E, Errno, errno } from '../errno.js';
import { EXTATTR_NAMESPACE_SYSTEM, EXTATTR_NAMESPACE_USER } from '../fcntl.js';
import { Lwp } from '../proc.js';
import { bytestrToBytes } from '../bytestr.js';
import { copyinattrname, extattr_delete, extattr_get, extattr_list, extattr_writing, with_target } from './extattr.js';
import type { Target } from './extattr.js';
import type { Path } from './rumpsys.js';

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

/**
 * A namespace of Linux: the prefix of its names, where its attributes are kept, and whether there under their whole
 * names.
 */
interface Prefix {
  readonly text: string;
  readonly namespace: number;
  readonly whole: boolean;
}

/**
 * As NetBSD's xattr_native has it: what Linux keeps for itself lies in the system namespace, where NetBSD leaves it
 * alone.
 */
const PREFIXES: readonly Prefix[] = [
  { text: 'user.', namespace: EXTATTR_NAMESPACE_USER, whole: false },
  { text: 'trusted.', namespace: EXTATTR_NAMESPACE_SYSTEM, whole: true },
  { text: 'security.', namespace: EXTATTR_NAMESPACE_SYSTEM, whole: true },
  { text: 'system.', namespace: EXTATTR_NAMESPACE_SYSTEM, whole: false },
];

function prefixOf(name: string): Prefix | undefined {
  return PREFIXES.find(({ text }) => name.startsWith(text));
}

/** Names of the system namespace that are shown as they are. */
function isWhole(attr: string): boolean {
  return prefixOf(attr)?.whole === true;
}

/** @throws EOPNOTSUPP a namespace that we do not have; EINVAL nothing behind the prefix */
function split(name: Path): { prefix: Prefix; namespace: number; attr: Uint8Array } {
  const bytes = bytestrFromPath(name);
  const prefix = prefixOf(bytes);
  const rest = prefix === undefined ? '' : bytes.slice(prefix.text.length);
  if (prefix === undefined || (!prefix.whole && prefix.namespace === EXTATTR_NAMESPACE_SYSTEM && isWhole(rest))) {
    throw errno(E.EOPNOTSUPP);
  }
  if (rest === '') throw errno(E.EINVAL);
  return { prefix, namespace: prefix.namespace, attr: bytestrToBytes(prefix.whole ? bytes : rest) };
}

/** Everybody may read what Linux' security modules and capabilities(7) need when a program is started. */
function readerOf(l: Lwp, prefix: Prefix): Lwp {
  return prefix.text === 'security.' ? new Lwp(l.p, NOCRED, l.signal) : l;
}

export async function xattr_get(l: Lwp, target: Target, name: Path): Promise<Uint8Array> {
  const { prefix, namespace, attr } = split(name);
  return extattr_get(readerOf(l, prefix), target, namespace, attr);
}

/** `flags`: XATTR_CREATE fails with EEXIST if the attribute is there, XATTR_REPLACE with ENOATTR if it is not. */
export async function xattr_set(l: Lwp, target: Target, name: Path, value: Uint8Array, flags = 0): Promise<void> {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0 || flags === (XATTR_CREATE | XATTR_REPLACE)) {
    throw errno(E.EINVAL);
  }
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

/** All names, with prefix; of the system namespace only security.* for others than the superuser. */
export async function xattr_list(l: Lwp, target: Target): Promise<string[]> {
  const names = (await extattr_list(l, target, EXTATTR_NAMESPACE_USER)).map((name) => `user.${name}`);
  const root = kauth_issuser(l.cred);
  for (const name of await extattr_list(root ? l : new Lwp(l.p, NOCRED, l.signal), target, EXTATTR_NAMESPACE_SYSTEM)) {
    if (isWhole(name)) {
      if (root || name.startsWith('security.')) names.push(name);
    } else if (root) {
      names.push(`system.${name}`);
    }
  }
  return names;
}

export async function xattr_remove(l: Lwp, target: Target, name: Path): Promise<void> {
  const { namespace, attr } = split(name);
  return extattr_delete(l, target, namespace, attr);
}
