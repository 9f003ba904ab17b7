import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { MountArgs, Vfsops } from '../../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { EXT2_ROOTINO, SBOFF, STATE_ERROR } from '../disk/superblock.js';
import { RO_COMPAT } from '../disk/features.js';
import { ext2_attributes } from '../file/attributes.js';
import { VTOI } from '../file/inode.js';
import { ext2_loadvnode } from '../file/loadvnode.js';
import { replayed } from '../journal/replayed.js';
import { Ext2Mount, VFSTOEXT2 } from './ext2mount.js';
import { open_superblock } from './opensuper.js';
import type { Ext2Options } from './options.js';
import { ext2_options } from './options.js';
import { ext2_space } from './space.js';

const WHY_READONLY = 'writing ext2, ext3 and ext4 volumes is not there yet';

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const device = args.fspec ?? mp.mnt_dev;
  if (device === null) throw errno(E.EINVAL, 'ext2fs: no device given');
  const options = ext2_options(args.options);
  if ((mp.mnt_flag & MNT_RDONLY) === 0) {
    if (options.forcerw) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${WHY_READONLY}`);
    mp.mnt_flag |= MNT_RDONLY;
    mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: mounted read-only: ${WHY_READONLY}`);
  }
  mp.mnt_data = await open_volume(mp, device, args.disks?.get('journal') ?? null, options);
}

/** Reads the superblock, and with it the journal; then the superblock as the journal has it. */
async function open_volume(
  mp: Mount,
  device: BlockDevice,
  journal: BlockDevice | null,
  options: Ext2Options,
): Promise<Ext2Mount> {
  const at = options.sb === undefined ? SBOFF : options.sb * 1024;
  let fs = await open_superblock(device, at, options.check);
  let em = new Ext2Mount(mp, device, fs, options.check);
  const dev = await replayed(em, journal, options.load);
  if (dev !== device) {
    em.em_bufcache.purge(device);
    fs = await open_superblock(dev, at, options.check);
    em = new Ext2Mount(mp, dev, fs, options.check);
  }
  const say = (what: string): void => mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: ${what}`);
  if (fs.s_blocks_count * fs.bsize > device.size_bytes)
    say(
      `the volume has ${fs.s_blocks_count * fs.bsize} bytes, the device only ${device.size_bytes}`,
    );
  if ((fs.s_state & STATE_ERROR) !== 0) say('it is marked as damaged; run e2fsck');
  if (fs.metadata_csum && fs.ro_compat(RO_COMPAT.uninit_bg))
    say('metadata_csum and uninit_bg are both set; the first is followed');
  return em;
}

function update(mp: Mount, flags: number, args: MountArgs): void {
  ext2_options(args.options);
  if ((flags & MNT_RDONLY) === 0)
    throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${WHY_READONLY}`);
}

function unmount(mp: Mount): void {
  const em = VFSTOEXT2(mp);
  em.em_bufcache.purge(em.em_dev);
  mp.mnt_data = null;
}

function root(mp: Mount): MaybePromise<Vnode> {
  const vp = mp.mnt_kernel.vcache_get(mp, EXT2_ROOTINO);
  return vp instanceof Promise ? vp.then((v) => rootchecked(mp, v)) : rootchecked(mp, vp);
}

function rootchecked(mp: Mount, vp: Vnode): MaybePromise<Vnode> {
  if (vp.v_type === VDIR) return vp;
  const bad = VFSTOEXT2(mp).em_damage.error(`inode ${EXT2_ROOTINO}, the root directory, is no directory`);
  const released = mp.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw bad;
  return released.then(() => {
    throw bad;
  });
}

async function statvfs(mp: Mount, sbp: Statvfs): Promise<void> {
  const em = VFSTOEXT2(mp);
  const { bsize, s_inodes_count } = em.em_fs;
  const space = await ext2_space(em);
  sbp.f_bsize = bsize;
  sbp.f_frsize = bsize;
  sbp.f_iosize = bsize;
  sbp.f_blocks = space.blocks;
  sbp.f_bfree = space.free;
  sbp.f_bresvd = space.free - space.available;
  sbp.f_bavail = space.available;
  sbp.f_files = s_inodes_count;
  sbp.f_ffree = sbp.f_favail = space.inodes;
  sbp.f_namemax = 255;
}

function vptofh(vp: Vnode): Fid {
  const ip = VTOI(vp);
  return { fid_ino: ip.i_number, fid_gen: ip.i_generation };
}

async function fhtovp(mp: Mount, fid: Fid): Promise<Vnode> {
  const { fid_ino: ino, fid_gen } = fid;
  const em = VFSTOEXT2(mp);
  const fs = em.em_fs;
  if (!(ino >= EXT2_ROOTINO && ino <= fs.s_inodes_count) || ino % 1 !== 0) throw errno(E.ESTALE);
  if (fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg)) {
    // The end of an inode table may never have been written.
    const desc = await em.groupdesc(Math.floor((ino - 1) / fs.s_inodes_per_group));
    if ((ino - 1) % fs.s_inodes_per_group >= fs.s_inodes_per_group - desc.bg_itable_unused) throw errno(E.ESTALE);
  }
  const vp = await mp.mnt_kernel.vcache_get(mp, ino);
  if (VTOI(vp).i_generation === fid_gen) return vp;
  await mp.mnt_kernel.vrele(vp);
  throw errno(E.ESTALE);
}

export const ext2fs_vfsops: Vfsops = {
  vfs_name: 'ext2fs',
  mount,
  update,
  unmount,
  root,
  statvfs,
  sync: () => undefined,
  loadvnode: ext2_loadvnode,
  attributes: ext2_attributes,
  vptofh,
  fhtovp,
};
