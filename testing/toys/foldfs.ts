import { bytestrDecode, bytestrFromPath } from '../../src/kernel/bytestr.js';
import { E, errno } from '../../src/kernel/errno.js';
import type { Component } from '../../src/kernel/rump.js';
import type { Vnode } from '../../src/kernel/vfs/vnode.js';
import type { Vnops } from '../../src/kernel/vfs/vnops.js';
import { overTmpfs } from './wrap.js';

const fold = (name: string): string => bytestrFromPath((bytestrDecode(name) ?? name).toLowerCase());
const units = (name: string): number => bytestrDecode(name)?.length ?? name.length;

/** Spellings by key, of each directory. */
const spellings = new Map<string, Map<string, string>>();

function entriesOf(dvp: Vnode): Map<string, string> {
  const id = `${dvp.v_mount.mnt_mntonname} ${dvp.v_key}`;
  let entries = spellings.get(id);
  if (entries === undefined) spellings.set(id, (entries = new Map()));
  return entries;
}

/** The spelling of the entry that a name finds: by its key, or, behind an "@", by the key of the rest. */
function spelled(dvp: Vnode, name: string): string | undefined {
  const key = fold(name);
  return entriesOf(dvp).get(key) ?? (key.startsWith('@') ? entriesOf(dvp).get(key.slice(1)) : undefined);
}

function made<T>(dvp: Vnode, name: string, vp: T): T {
  entriesOf(dvp).set(fold(name), name);
  return vp;
}

function replaced(inner: Vnops): Partial<Vnops> {
  /** The spelling of what `name` finds. */
  const found = (dvp: Vnode, name: string): string => {
    const spelling = spelled(dvp, name);
    if (spelling === undefined) throw errno(E.ENOENT);
    return spelling;
  };
  return {
    lookup(dvp, name, ctx) {
      if (name === '..') return inner.lookup(dvp, name, ctx);
      const spelling = spelled(dvp, name);
      return spelling === undefined ? null : inner.lookup(dvp, spelling, ctx);
    },
    spelling: (dvp, name) => found(dvp, name),
    create: async (dvp, name, vap, ctx) => made(dvp, name, await inner.create(dvp, name, vap, ctx)),
    mkdir: async (dvp, name, vap, ctx) => made(dvp, name, await inner.mkdir(dvp, name, vap, ctx)),
    async remove(dvp, vp, name, ctx) {
      const spelling = found(dvp, name);
      await inner.remove(dvp, vp, spelling, ctx);
      entriesOf(dvp).delete(fold(spelling));
    },
    async rmdir(dvp, vp, name, ctx) {
      const spelling = found(dvp, name);
      await inner.rmdir(dvp, vp, spelling, ctx);
      entriesOf(dvp).delete(fold(spelling));
    },
    async rename(fdvp, fvp, fname, tdvp, tvp, tname, ctx) {
      const from = found(fdvp, fname);
      const replacedName = tvp === null ? undefined : found(tdvp, tname);
      if (tvp !== null) {
        if (replacedName !== tname) await inner.rename(tdvp, tvp, replacedName!, tdvp, null, tname, ctx);
        entriesOf(tdvp).delete(fold(replacedName!));
      }
      await inner.rename(fdvp, fvp, from, tdvp, tvp, tname, ctx);
      entriesOf(fdvp).delete(fold(from));
      entriesOf(tdvp).set(fold(tname), tname);
    },
  };
}

export const foldfs: Component = {
  name: 'foldfs',
  vfsops: overTmpfs(
    'foldfs',
    {
      foldname: fold,
      aliases: true,
      unicode: true,
      namemax: 255,
      namelength: units,
      hardlinks: false,
      symlinks: false,
      specials: false,
    },
    replaced,
  ),
};
