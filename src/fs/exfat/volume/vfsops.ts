import { E, errno } from '../../../kernel/errno.js';
import { MNT_LOG, MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import type { MountArgs, Vfsops } from '../../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { NAME_UNITS_MAX } from '../disk/entry.js';
import { rows_marked } from '../order/rows.js';
import { exfat_attributes } from '../file/attributes.js';
import { exfat_loadvnode } from '../file/loadvnode.js';
import { VTOE } from '../file/node.js';
import { quick_check } from '../tools/fsck/index.js';
import type { ExfatMount } from './exfatmount.js';
import { exfat_traits } from './traits.js';
import { VFSTOEXFAT } from './exfatmount.js';
import { open_volume } from './openvolume.js';
import type { ExfatOptions } from './options.js';
import { exfat_options } from './options.js';
import { ROOT_NUMBER } from './whereabouts.js';
import { start_writing, stop_writing } from './writing.js';

/** What the look at a volume that was not unmounted may cost: some tenths of a second. */
const QUICK_DIRECTORY_BYTES = 64 << 20;
const QUICK_CELLS = 1 << 20;
/** With -o flush, changes stay in memory for no longer; milliseconds. */
const FLUSH_DELAY_MS = 300;

/** The volume may not be written: one line to the log, or EROFS if the user insists. */
function downgrade(mp: Mount, options: ExfatOptions, why: string): void {
  if (options.forcerw) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  mp.mnt_flag |= MNT_RDONLY;
  mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: mounted read-only: ${why}`);
}

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const dev = args.fspec ?? mp.mnt_dev;
  if (dev === null) throw errno(E.EINVAL, 'exfat: no device given');
  const options = exfat_options(args.options);
  mp.mnt_flag &= ~MNT_LOG;
  try {
    const { em, forbidden, dirty } = await open_volume(mp, dev, options);
    mp.mnt_data = em;
    mp.mnt_traits = exfat_traits(em.em_names);
    if (options.flush) mp.mnt_syncdelay_ms = FLUSH_DELAY_MS;
    if ((mp.mnt_flag & MNT_RDONLY) !== 0) {
      if (forbidden !== undefined) mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: ${forbidden}`);
      return;
    }
    if (dev.readonly) downgrade(mp, options, 'the device cannot be written');
    else if (forbidden !== undefined) downgrade(mp, options, `${forbidden}; run rumpfuse fsck`);
    else await begin(mp, em, dirty && !rows_marked(mp.mnt_kept), (why) => downgrade(mp, options, why));
  } catch (thrown) {
    mp.mnt_data = null;
    mp.mnt_kernel.bufcache.purge(dev);
    throw thrown;
  }
}

/** Begins to write, unless a volume that was not unmounted must be checked first. */
async function begin(mp: Mount, em: ExfatMount, dirty: boolean, refuse: (why: string) => void): Promise<void> {
  if (dirty) {
    const { refused, spotless } = await quick_check(
      em.em_dev, { directoryBytes: QUICK_DIRECTORY_BYTES, cells: QUICK_CELLS },
    );
    if (refused !== undefined) {
      return refuse(`it was not unmounted cleanly, and needs a check (${refused}); run rumpfuse fsck`);
    }
    const harmless = 'nothing is wrong that writing could make worse; rumpfuse fsck will mend the rest';
    const found = spotless ? 'nothing is wrong with it' : harmless;
    mp.mnt_kernel.log('info', `${mp.mnt_mntfromname}: it was not unmounted cleanly; ${found}`);
    return start_writing(em, !spotless);
  }
  await start_writing(em, false);
}

async function update(mp: Mount, flags: number, args: MountArgs): Promise<void> {
  const em = VFSTOEXFAT(mp);
  const was = (mp.mnt_flag & MNT_RDONLY) === 0;
  const will = (flags & MNT_RDONLY) === 0;
  if (args.options.size > 0) em.em_options = { ...exfat_options(args.options) };
  if (was && !will) await stop_writing(em);
  if (was || !will) return;
  if (em.em_dev.readonly) throw errno(E.EROFS, `${mp.mnt_mntfromname}: the device cannot be written`);
  const { forbidden, dirty } = await open_volume(mp, em.em_dev, em.em_options);
  const refuse = (why: string): never => {
    throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  };
  if (forbidden !== undefined) refuse(forbidden);
  await begin(mp, em, dirty, refuse);
}

async function unmount(mp: Mount): Promise<void> {
  const em = VFSTOEXFAT(mp);
  try {
    await stop_writing(em);
  } finally {
    em.em_bufcache.purge(em.em_dev);
    mp.mnt_data = null;
  }
}

function statvfs(mp: Mount, sbp: Statvfs): MaybePromise<void> {
  const em = VFSTOEXFAT(mp);
  const bitmap = em.em_bitmap as ExfatMount['em_bitmap'] | undefined;
  sbp.f_bsize = em.em_clbytes;
  sbp.f_frsize = em.em_clbytes;
  sbp.f_iosize = em.em_clbytes;
  sbp.f_blocks = em.em_boot.ClusterCount;
  sbp.f_bresvd = 0;
  sbp.f_namemax = NAME_UNITS_MAX;
  const put = (free: number): void => {
    sbp.f_bfree = Math.min(free + (em.em_order?.freeing ?? 0), sbp.f_blocks);
    sbp.f_bavail = sbp.f_bfree;
    // Files are bounded by room alone.
    sbp.f_files = sbp.f_blocks;
    sbp.f_ffree = sbp.f_favail = sbp.f_bfree;
  };
  if (bitmap === undefined) return put(0);
  const free = bitmap.count();
  return free instanceof Promise ? free.then(put) : put(free);
}

async function sync(mp: Mount): Promise<void> {
  const order = VFSTOEXFAT(mp).em_order;
  if (order === null) return;
  await order.flush(true);
  await order.settle();
}

function vptofh(vp: Vnode): Fid {
  const { en_number, en_em } = VTOE(vp);
  return { fid_ino: en_number, fid_gen: en_em.em_where.numbers.generation(en_number) };
}

function fhtovp(mp: Mount, fid: Fid): MaybePromise<Vnode> {
  const em = VFSTOEXFAT(mp);
  const { fid_ino: number, fid_gen: gen } = fid;
  if (number % 1 !== 0 || !(number >= ROOT_NUMBER) || em.em_where.numbers.generation(number) !== gen) {
    throw errno(E.ESTALE);
  }
  const vp = mp.mnt_kernel.vcache_get(mp, number);
  return vp instanceof Promise ? vp.then((v) => fresh(mp, v)) : fresh(mp, vp);
}

/** A file without a name lives on for those who have it open, whose references come on top of ours. */
function fresh(mp: Mount, vp: Vnode): MaybePromise<Vnode> {
  if (!VTOE(vp).en_removed || vp.v_usecount > 1) return vp;
  const released = mp.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw errno(E.ESTALE);
  return released.then(() => {
    throw errno(E.ESTALE);
  });
}

export const exfat_vfsops: Vfsops = {
  vfs_name: 'exfat',
  vfs_survives: 'buffers',
  lostwrite: (mp, number) => void VFSTOEXFAT(mp).em_order?.lost.add(number),
  mount,
  update,
  unmount,
  root: (mp) => mp.mnt_kernel.vcache_get(mp, ROOT_NUMBER),
  statvfs,
  sync,
  loadvnode: exfat_loadvnode,
  attributes: exfat_attributes,
  vptofh,
  fhtovp,
};
