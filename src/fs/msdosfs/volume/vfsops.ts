import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, Errno, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { UNIX_TRAITS } from '../../../kernel/vfs/traits.js';
import type { MountTraits } from '../../../kernel/vfs/traits.js';
import type { MountArgs, Vfsops } from '../../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { backupGeometry } from '../disk/backup.js';
import { clusterOffset, readGeometry } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import { LFN_MAX } from '../disk/direntry.js';
import { FSINFO_BYTES, decodeFsInfo } from '../disk/fsinfo.js';
import { msdosfs_attributes } from '../file/attributes.js';
import { VTODE } from '../file/denode.js';
import { msdosfs_loadvnode } from '../file/loadvnode.js';
import { mountOptions } from './options.js';
import type { MountOptions } from './options.js';
import { quickcheck } from './quickcheck.js';
import { MsdosMount, ROOT_NUMBER, VFSTOMSDOSFS } from './msdosmount.js';
import { predecessor, startwriting, stopwriting } from './writing.js';
import { volumeState } from './dirty.js';

/** With -o flush, changes stay in memory for no longer; milliseconds. */
const FLUSH_DELAY_MS = 300;

function traits({ names }: MountOptions): MountTraits {
  return {
    ...UNIX_TRAITS,
    foldname: names.fold,
    aliases: true,
    unicode: names.options.iocharset === null,
    namemax: LFN_MAX,
    namelength: names.length,
    hardlinks: false,
    symlinks: false,
    specials: false,
    wideids: true,
  };
}

/** The volume may not be written: one line to the log, or EROFS if the user insists. */
function downgrade(mp: Mount, options: MountOptions, why: string): void {
  if (options.forcerw) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  mp.mnt_flag |= MNT_RDONLY;
  mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: mounted read-only: ${why}`);
}

/** Why the volume is not written; undefined: it can be. */
async function whyreadonly(dev: BlockDevice, g: Geometry): Promise<string | undefined> {
  if (dev.readonly) return 'the device cannot be written';
  if (g.totalBytes > dev.size_bytes || clusterOffset(g, g.clusters + 2) > dev.size_bytes) {
    return `the volume is larger than the device (${g.totalBytes} and ${dev.size_bytes} bytes): a part of it is ` +
      'missing';
  }
  const state = await volumeState(dev, g);
  if (!state.dirty && !state.errors) return undefined;
  const found = await quickcheck(dev, g);
  return found === undefined ? undefined : `it was not unmounted properly and ${found}; run a check (rumpfuse fsck)`;
}

/** The boot sector cannot be read: is there a backup of it? */
async function withBackup(dev: BlockDevice, error: unknown): Promise<never> {
  if (error instanceof Errno && error.errno === E.EFTYPE && (await backupGeometry(dev)) !== undefined) {
    throw errno(E.EFTYPE, `${error.message}; its backup is sound: run a check (rumpfuse fsck -t msdosfs)`);
  }
  throw error;
}

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const dev = args.fspec ?? mp.mnt_dev;
  if (dev === null || dev === undefined) throw errno(E.EINVAL, 'msdosfs: no device given');
  const options = mountOptions(args.options);
  const g = await readGeometry(dev).catch((error: unknown) => withBackup(dev, error));
  const from = predecessor(mp, dev);
  if ((mp.mnt_flag & MNT_RDONLY) === 0 && from === undefined) {
    const why = await whyreadonly(dev, g);
    if (why !== undefined) downgrade(mp, options, why);
  }
  mp.mnt_traits = traits(options);
  const pmp = new MsdosMount(mp, dev, g, options);
  mp.mnt_data = pmp;
  for (const oddity of g.oddities) mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: boot sector: ${oddity}`);
  try {
    const state = await volumeState(dev, g);
    await believeInfo(pmp, from === undefined && (options.usefree || !state.dirty));
    if ((mp.mnt_flag & MNT_RDONLY) === 0) await startwriting(pmp, from, !state.dirty && !state.errors);
  } catch (thrown) {
    mp.mnt_data = null;
    pmp.pm_fat.unpin();
    pmp.pm_bufcache.purge(dev);
    throw thrown;
  }
  if (options.flush) mp.mnt_syncdelay_ms = FLUSH_DELAY_MS;
}

/** Takes over the hints of the FSInfo sector; the count only where nobody can have died while it was wrong. */
async function believeInfo(pmp: MsdosMount, count: boolean): Promise<void> {
  const { fsInfoOffset } = pmp.pm_geometry;
  if (fsInfoOffset === 0 || fsInfoOffset + FSINFO_BYTES > pmp.pm_dev.size_bytes) return;
  const sector = new Uint8Array(FSINFO_BYTES);
  await pmp.pm_dev.read(sector, 0, sector.length, fsInfoOffset);
  const info = decodeFsInfo(new DataView(sector.buffer));
  if (info !== null) pmp.pm_space.believe(count ? info.free : Infinity, info.next + 1);
}

async function update(mp: Mount, flags: number, args: MountArgs): Promise<void> {
  const pmp = VFSTOMSDOSFS(mp);
  const options = mountOptions(args.options);
  const was = (mp.mnt_flag & MNT_RDONLY) === 0;
  const will = (flags & MNT_RDONLY) === 0;
  if (was && !will) {
    await stopwriting(pmp);
  } else if (!was && will) {
    if (pmp.pm_stopped) {
      throw errno(E.EROFS, `${mp.mnt_mntfromname}: it is damaged; unmount it and run a check (rumpfuse fsck)`);
    }
    const why = await whyreadonly(pmp.pm_dev, pmp.pm_geometry);
    if (why !== undefined) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
    const state = await volumeState(pmp.pm_dev, pmp.pm_geometry);
    await startwriting(pmp, undefined, !state.dirty && !state.errors);
  }
  if (options.flush) mp.mnt_syncdelay_ms = FLUSH_DELAY_MS;
}

async function unmount(mp: Mount): Promise<void> {
  const pmp = VFSTOMSDOSFS(mp);
  try {
    await stopwriting(pmp);
  } finally {
    // There is no way back, and who mounts the device again must not see what never reached it.
    pmp.pm_fat.unpin();
    pmp.pm_bufcache.purge(pmp.pm_dev);
    mp.mnt_data = null;
  }
}

function root(mp: Mount): MaybePromise<Vnode> {
  return mp.mnt_kernel.vcache_get(mp, ROOT_NUMBER);
}

function statvfs(mp: Mount, sbp: Statvfs): MaybePromise<void> {
  const pmp = VFSTOMSDOSFS(mp);
  const { clusterBytes, clusters } = pmp.pm_geometry;
  sbp.f_bsize = sbp.f_frsize = sbp.f_iosize = clusterBytes;
  sbp.f_blocks = clusters;
  sbp.f_bresvd = 0;
  // Files are as many as there is room for; most take a cluster at the least.
  sbp.f_files = clusters;
  sbp.f_namemax = LFN_MAX;
  const fill = (free: number): void => {
    sbp.f_bfree = sbp.f_bavail = sbp.f_ffree = sbp.f_favail = Math.min(clusters, free + (pmp.pm_order?.pending ?? 0));
  };
  const free = pmp.pm_space.count();
  return free instanceof Promise ? free.then(fill) : fill(free);
}

async function sync(mp: Mount): Promise<void> {
  const pmp = VFSTOMSDOSFS(mp);
  pmp.pm_posting?.settle();
  await pmp.pm_order?.flush(true);
}

function vptofh(vp: Vnode): Fid {
  const dep = VTODE(vp);
  return { fid_ino: dep.number, fid_gen: dep.pmp.pm_numbers.generation(dep.number) };
}

function fhtovp(mp: Mount, fid: Fid): MaybePromise<Vnode> {
  const { pm_numbers } = VFSTOMSDOSFS(mp);
  if (
    !Number.isSafeInteger(fid.fid_ino) ||
    fid.fid_ino < ROOT_NUMBER ||
    pm_numbers.generation(fid.fid_ino) !== fid.fid_gen
  ) {
    throw errno(E.ESTALE);
  }
  const vp = mp.mnt_kernel.vcache_get(mp, fid.fid_ino);
  return vp instanceof Promise ? vp.then(inuse) : inuse(vp);
}

/** A file without an entry lives on for those who have it open, whose references come on top of ours. */
function inuse(vp: Vnode): MaybePromise<Vnode> {
  const dep = VTODE(vp);
  if (dep.nlink > 0 || vp.v_usecount > 1) return vp;
  const released = dep.pmp.pm_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw errno(E.ESTALE);
  return released.then(() => {
    throw errno(E.ESTALE);
  });
}

function lostwrite(mp: Mount, owner: number): void {
  VFSTOMSDOSFS(mp).pm_order?.lose(owner);
}

export const msdosfs_vfsops: Vfsops = {
  vfs_name: 'msdosfs',
  vfs_survives: 'buffers',
  mount,
  update,
  unmount,
  root,
  statvfs,
  sync,
  loadvnode: msdosfs_loadvnode,
  attributes: msdosfs_attributes,
  lostwrite,
  vptofh,
  fhtovp,
};
