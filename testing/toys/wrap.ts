import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { Mount } from '../../src/kernel/vfs/mount.js';
import type { MountTraits } from '../../src/kernel/vfs/traits.js';
import { UNIX_TRAITS } from '../../src/kernel/vfs/traits.js';
import type { MountArgs, Vfsops } from '../../src/kernel/vfs/vfsops.js';
import type { Vnops } from '../../src/kernel/vfs/vnops.js';

export const inner = tmpfs.vfsops!;

/**
 * The memory file system under another name, with other traits, and with some operations of its vnodes replaced.
 * `fileof`: the number of the file whose vnode goes by a key.
 */
export function overTmpfs(
  name: string,
  traits: Partial<MountTraits>,
  replaced: (inner: Vnops, mp: Mount) => Partial<Vnops>,
  more: Partial<Vfsops> = {},
  fileof: (key: number) => number = (key) => key,
): Vfsops {
  const tables = new WeakMap<Vnops, Vnops>();
  return {
    ...inner,
    vfs_name: name,
    async mount(mp: Mount, args: MountArgs) {
      await inner.mount(mp, args);
      mp.mnt_traits = { ...UNIX_TRAITS, ...traits };
    },
    async loadvnode(mp, vp, key) {
      await inner.loadvnode(mp, vp, fileof(key));
      let table = tables.get(vp.v_op);
      if (table === undefined) tables.set(vp.v_op, (table = { ...vp.v_op, ...replaced(vp.v_op, mp) }));
      vp.v_op = table;
    },
    ...more,
  };
}
