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
import { JournalOverlay } from '../journal/overlay.js';
import { replayed } from '../journal/replayed.js';
import { Ext2Mount, VFSTOEXT2 } from './ext2mount.js';
import { open_superblock } from './opensuper.js';
import type { Ext2Options } from './options.js';
import { ext2_options } from './options.js';
import { rewrite_blocks } from './inherit.js';
import { why_readonly } from './readonly.js';
import { ext2_space } from './space.js';
import { start_writing, stop_writing } from './writing.js';

/** The volume may not be written: one line to the log, or EROFS if the user insists. */
function downgrade(mp: Mount, options: Ext2Options, why: string): void {
  if (options.forcerw) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  mp.mnt_flag |= MNT_RDONLY;
  mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: mounted read-only: ${why}`);
}

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const device = args.fspec ?? mp.mnt_dev;
  if (device === null) throw errno(E.EINVAL, 'ext2fs: no device given');
  const options = ext2_options(args.options);
  if (options.commit !== undefined) mp.mnt_syncdelay_ms = options.commit * 1000;
  const journal = args.disks?.get('journal') ?? null;
  const adopted = (mp.mnt_flag & MNT_RDONLY) === 0 && !device.readonly && mp.mnt_kept?.inherited.has(0) === true;
  const opened = await open_volume(mp, device, journal, options);
  let { em } = opened;
  mp.mnt_data = em;
  if ((mp.mnt_flag & MNT_RDONLY) !== 0) return;
  const why = device.readonly ? 'the device cannot be written' : opened.unfit ?? why_readonly(em.em_fs, adopted);
  if (why !== undefined) return downgrade(mp, options, why);
  try {
    if (em.em_dev instanceof JournalOverlay) {
      await em.em_dev.settle();
      em.em_bufcache.purge(em.em_dev);
    }
    if (em.em_dev !== device || adopted) {
      if (adopted) await rewrite_blocks(mp, device);
      em.em_bufcache.purge(device);
      const fs = await open_superblock(device, SBOFF, options.check);
      em = new Ext2Mount(mp, device, fs, options);
      mp.mnt_data = em;
    }
    await start_writing(em, journal);
  } catch (thrown) {
    mp.mnt_data = null;
    mp.mnt_kernel.bufcache.purge(device);
    throw thrown;
  }
}

/** Reads the superblock, and with it the journal; then the superblock as the journal has it. */
async function open_volume(
  mp: Mount,
  device: BlockDevice,
  journal: BlockDevice | null,
  options: Ext2Options,
): Promise<{ em: Ext2Mount; unfit: string | undefined }> {
  const at = options.sb === undefined ? SBOFF : options.sb * 1024;
  let fs = await open_superblock(device, at, options.check);
  let em = new Ext2Mount(mp, device, fs, options);
  const { dev, unfit } = await replayed(em, journal, options.load);
  if (dev !== device) {
    em.em_bufcache.purge(device);
    fs = await open_superblock(dev, at, options.check);
    em = new Ext2Mount(mp, dev, fs, options);
  }
  const say = (what: string): void => mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: ${what}`);
  const short = fs.s_blocks_count * fs.bsize > device.size_bytes
    ? `the volume has ${fs.s_blocks_count * fs.bsize} bytes, the device only ${device.size_bytes}`
    : undefined;
  if (short !== undefined) say(short);
  const readonly = (mp.mnt_flag & MNT_RDONLY) !== 0;
  if (readonly && (fs.s_state & STATE_ERROR) !== 0) say('it is marked as damaged; run e2fsck');
  if (readonly && fs.metadata_csum && fs.ro_compat(RO_COMPAT.uninit_bg))
    say('metadata_csum and uninit_bg are both set; the first is followed');
  const partly = options.sb === undefined ? undefined : 'a copy of the superblock is used';
  const unsure = options.check ? undefined : 'checksums are not looked at (nocheck)';
  return { em, unfit: unfit ?? short ?? partly ?? unsure };
}

async function update(mp: Mount, flags: number, args: MountArgs): Promise<void> {
  const em = VFSTOEXT2(mp);
  const options = args.options.size > 0 ? ext2_options(args.options) : em.em_options;
  const was = (mp.mnt_flag & MNT_RDONLY) === 0;
  const will = (flags & MNT_RDONLY) === 0;
  if (options.commit !== undefined) mp.mnt_syncdelay_ms = options.commit * 1000;
  if (was && !will) await stop_writing(em);
  if (was || !will) return;
  const device = em.em_dev instanceof JournalOverlay ? em.em_dev.dev : em.em_dev;
  const journal = args.disks?.get('journal') ?? mp.mnt_disks.get('journal') ?? null;
  const { em: fresh, unfit } = await open_volume(mp, device, journal, { ...options, check: true });
  const why = device.readonly ? 'the device cannot be written' : unfit ?? why_readonly(fresh.em_fs, false);
  if (why !== undefined) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  if (fresh.em_dev instanceof JournalOverlay) await fresh.em_dev.settle();
  em.em_bufcache.purge(em.em_dev);
  em.em_bufcache.purge(fresh.em_dev);
  em.em_bufcache.purge(device);
  em.em_dev = device;
  em.em_fs = await open_superblock(device, SBOFF, true);
  mp.mnt_flag &= ~MNT_RDONLY;
  try {
    await start_writing(em, journal);
  } catch (thrown) {
    mp.mnt_flag |= MNT_RDONLY;
    throw thrown;
  }
}

async function unmount(mp: Mount): Promise<void> {
  const em = VFSTOEXT2(mp);
  try {
    await stop_writing(em);
  } finally {
    em.em_write = null;
    em.em_bufcache.purge(em.em_dev);
    mp.mnt_data = null;
  }
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
  const cached = mp.mnt_kernel.vcache_lookup(mp, ino);
  if (cached !== undefined) return fresh(mp, cached, fid_gen);
  if (!(ino >= EXT2_ROOTINO && ino <= fs.s_inodes_count) || ino % 1 !== 0) throw errno(E.ESTALE);
  if (fs.metadata_csum || fs.ro_compat(RO_COMPAT.uninit_bg)) {
    // The end of an inode table may never have been written.
    const g = Math.floor((ino - 1) / fs.s_inodes_per_group);
    const unused = em.em_write?.groups.itable_unused[g] ?? (await em.groupdesc(g)).bg_itable_unused;
    if ((ino - 1) % fs.s_inodes_per_group >= fs.s_inodes_per_group - unused) throw errno(E.ESTALE);
  }
  return fresh(mp, await mp.mnt_kernel.vcache_get(mp, ino), fid_gen);
}

/** The handle is for this file and not for one that had its inode before. */
async function fresh(mp: Mount, vp: Vnode, generation: number): Promise<Vnode> {
  const ip = VTOI(vp);
  // Without a name it lives on for those who have it open, whose references come on top of ours.
  if (ip.i_generation === generation && !ip.i_gone && (ip.i_nlink > 0 || vp.v_usecount > 1)) return vp;
  await mp.mnt_kernel.vrele(vp);
  throw errno(E.ESTALE);
}

export const ext2fs_vfsops: Vfsops = {
  vfs_name: 'ext2fs',
  vfs_survives: 'buffers',
  lostwrite: (mp, ino) => void VFSTOEXT2(mp).em_write?.lost.add(ino),
  mount,
  update,
  unmount,
  root,
  statvfs,
  sync: (mp) => VFSTOEXT2(mp).em_write?.order.flush(true),
  loadvnode: ext2_loadvnode,
  attributes: ext2_attributes,
  vptofh,
  fhtovp,
};
