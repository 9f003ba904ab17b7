import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import { MNT_ASYNC, MNT_LOG, MNT_RDONLY } from '../../../kernel/fcntl.js';
import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Fid, Statvfs } from '../../../kernel/stat.js';
import type { Mount } from '../../../kernel/vfs/mount.js';
import { VDIR } from '../../../kernel/vfs/vattr.js';
import type { MountArgs, Vfsops } from '../../../kernel/vfs/vfsops.js';
import type { Vnode } from '../../../kernel/vfs/vnode.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { VTOI } from './inode.js';
import { Cg } from '../disk/cg.js';
import { ffs_evidence } from '../disk/dialect.js';
import { FFS_DIALECTS } from '../disk/dialects.js';
import type { FfsDialect } from '../disk/dialects.js';
import { FfsMount, VFSTOUFS } from './ffsmount.js';
import type { Fs } from '../disk/fs.js';
import { ffs_attributes } from '../file/attributes.js';
import { ffs_inherit_blocks, ffs_inherit_posted, ffs_inherit_superblock, ffs_inherited } from './inherit.js';
import type { Inherited } from './inherit.js';
import { ffs_loadvnode } from '../file/loadvnode.js';
import { writestate } from './writestate.js';
import { ffs_quotafile } from './quotafile.js';
import { ffs_superblock_search } from '../disk/sbsearch.js';
import { ffs_write_pending, ffs_write_start, ffs_write_stop, ffs_write_sync } from '../file/vnops_write.js';
import { wapbl_open } from '../journal/header.js';
import { journalwish } from '../journal/options.js';
import { WapblOverlay } from '../journal/overlay.js';
import { wapbl_replay } from '../journal/replay.js';
import type { JournalWish } from '../journal/start.js';

interface Options {
  readonly dialect: FfsDialect | undefined;
  /** Fail rather than mount read-only what was to be read-write. */
  readonly forcerw: boolean;
  /** Write although quota files will no longer be right. */
  readonly stalequotas: boolean;
  readonly journal: JournalWish;
}

/** @throws EINVAL */
function options(args: MountArgs, flags: number): Options {
  let dialect: FfsDialect | undefined;
  let forcerw = false;
  let stalequotas = false;
  for (const [name, value] of args.options) {
    if (name === 'dialect') {
      dialect = FFS_DIALECTS.find((one) => one === value);
      if (dialect === undefined) throw errno(E.EINVAL, `ffs: dialect is one of ${FFS_DIALECTS.join(', ')}`);
    } else if (name === 'force-rw' && value === true) {
      forcerw = true;
    } else if (name === 'stale-quotas' && value === true) {
      stalequotas = true;
    } else if (name !== 'log' && name !== 'nolog' && name !== 'log-endian') {
      throw errno(E.EINVAL, `ffs: unknown option ${name}`);
    }
  }
  return { dialect, forcerw, stalequotas, journal: journalwish(args.options, (flags & MNT_LOG) !== 0) };
}

/** The volume may not be written: one line to the log, or EROFS if the user insists. */
function downgrade(mp: Mount, opts: Options, why: string): void {
  if (opts.forcerw) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${why}`);
  mp.mnt_flag |= MNT_RDONLY;
  mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: mounted read-only: ${why}`);
}

/** A volume as its journal, replayed into memory, shows it. */
interface Replayed {
  readonly dev: BlockDevice;
  /** Why the journal cannot be replayed. */
  readonly damaged: string | undefined;
}

/**
 * Replays the journal of `dev` into memory. If it is damaged, the device is shown as it is, with a line that says so:
 * what is read may be inconsistent.
 */
async function replayed(mp: Mount, dev: BlockDevice, fs: Fs): Promise<Replayed> {
  const log = await wapbl_open(dev, fs);
  if (log === undefined) return { dev, damaged: undefined };
  try {
    const replay = await wapbl_replay(dev, log);
    if (replay.records === 0) return { dev, damaged: undefined };
    return { dev: new WapblOverlay(dev, replay), damaged: undefined };
  } catch (thrown) {
    const damaged = thrown instanceof Error ? thrown.message : String(thrown);
    mp.mnt_kernel.log(
      'error',
      `${mp.mnt_mntfromname}: the journal cannot be replayed (${damaged}): the volume is shown as it is on the disk, ` +
        'which may be inconsistent',
    );
    return { dev, damaged };
  }
}

/** What a killed predecessor has left in memory that outlived it; its blocks are on the disk then. */
async function predecessor(mp: Mount, dev: BlockDevice, fs: Fs, journalled: boolean): Promise<Inherited | undefined> {
  const { keep } = mp.mnt_kernel;
  const left = (mp.mnt_flag & MNT_RDONLY) === 0 && !dev.readonly ? keep?.inherit() : undefined;
  if (keep === null || left === undefined) return undefined;
  const from = ffs_inherited(left);
  if (from.broken) {
    mp.mnt_flag |= MNT_RDONLY;
    mp.mnt_kernel.log(
      'warn',
      `${mp.mnt_mntfromname}: mounted read-only: the device failed, or the volume is damaged; run fsck`,
    );
    return undefined;
  }
  const lost = await ffs_inherit_posted(dev, keep);
  if (lost !== undefined) from.lost.add(lost);
  await ffs_inherit_blocks(dev, fs, journalled, from);
  return from;
}

async function mount(mp: Mount, args: MountArgs): Promise<void> {
  const device = args.fspec ?? mp.mnt_dev;
  if (device === null) throw errno(E.EINVAL, 'ffs: no device given');
  const opts = options(args, mp.mnt_flag);
  mp.mnt_flag &= ~MNT_LOG;
  let dev: BlockDevice = device;
  let damaged: string | undefined;
  let fs = await ffs_superblock_search(dev);
  let evidence = await ffs_evidence(dev, fs, opts.dialect);
  const from = await predecessor(mp, device, fs, evidence.wapbl);
  if (from !== undefined) {
    fs = await ffs_superblock_search(dev);
    ffs_inherit_superblock(fs, from);
    evidence = await ffs_evidence(dev, fs, opts.dialect);
  } else if (evidence.wapbl) {
    ({ dev, damaged } = await replayed(mp, device, fs));
    if (dev !== device) {
      fs = await ffs_superblock_search(dev);
      evidence = await ffs_evidence(dev, fs, opts.dialect ?? evidence.dialect);
    }
  }
  if ((mp.mnt_flag & MNT_RDONLY) === 0) {
    if (device.readonly) downgrade(mp, opts, 'the device cannot be written');
    else if (damaged !== undefined) downgrade(mp, opts, 'its journal is damaged; run fsck');
    else if (evidence.readonly_because !== undefined) downgrade(mp, opts, evidence.readonly_because);
  }
  const readonly = (mp.mnt_flag & MNT_RDONLY) !== 0;
  if (readonly && evidence.caution !== undefined) {
    mp.mnt_kernel.log('warn', `${mp.mnt_mntfromname}: ${evidence.caution}`);
  }
  if (dev instanceof WapblOverlay && readonly) {
    mp.mnt_kernel.log('info', `${mp.mnt_mntfromname}: journal replayed into memory: ${dev.describe()}`);
  }
  const ump = new FfsMount(mp, dev, fs, evidence.dialect);
  fs.fs_ronly = (mp.mnt_flag & MNT_RDONLY) !== 0 ? 1 : 0;
  mp.mnt_data = ump;
  if ((mp.mnt_flag & MNT_RDONLY) === 0) {
    try {
      const quotas = await quotasinuse(ump, opts);
      if (quotas !== undefined) {
        downgrade(mp, opts, quotas);
        fs.fs_ronly = 1;
        return;
      }
      await startwriting(ump, opts, from);
    } catch (thrown) {
      mp.mnt_data = null;
      ump.um_bufcache.purge(dev);
      throw thrown;
    }
  }
}

/** Why quota files forbid writing; undefined if there are none or they may go stale. */
async function quotasinuse(ump: FfsMount, opts: Options): Promise<string | undefined> {
  const name = opts.stalequotas ? undefined : await ffs_quotafile(ump);
  return name === undefined
    ? undefined
    : `its quotas (${name}) would go wrong; mount with -o stale-quotas and run quotacheck afterwards, or remove the ` +
      'file';
}

/** Replays the journal to the disk, if there is one, and begins to write. */
async function startwriting(ump: FfsMount, opts: Options, from?: Inherited): Promise<void> {
  const { um_dev: dev, um_mountp: mp } = ump;
  if (from !== undefined) return ffs_write_start(ump, opts.journal, undefined, from);
  if (!(dev instanceof WapblOverlay)) await ffs_write_start(ump, opts.journal);
  else {
    const what = dev.describe();
    const replay = await dev.settle();
    if (replay !== undefined) mp.mnt_kernel.log('info', `${mp.mnt_mntfromname}: journal replayed to the disk: ${what}`);
    await ffs_write_start(ump, opts.journal, replay);
  }
  if ((mp.mnt_flag & MNT_ASYNC) === 0) return;
  const meaning =
    writestate(ump)?.order.journalled === true
      ? 'changes nothing, for the volume has a journal'
      : 'promises nothing: fsync does not wait for the disk, and after a power cut files may be lost that fsck ' +
        'cannot bring back';
  mp.mnt_kernel.log('info', `${mp.mnt_mntfromname}: -o async ${meaning}`);
}

async function update(mp: Mount, flags: number, args: MountArgs): Promise<void> {
  const ump = VFSTOUFS(mp);
  const opts = options(args, flags);
  const was = (mp.mnt_flag & MNT_RDONLY) === 0;
  const will = (flags & MNT_RDONLY) === 0;
  if (was && !will) {
    await ffs_write_stop(ump);
    ump.um_fs.fs_ronly = 1;
  } else if (!was && will) {
    if (mp.mnt_dev?.readonly === true) throw errno(E.EROFS, `${mp.mnt_mntfromname}: the device cannot be written`);
    const evidence = await ffs_evidence(ump.um_dev, ump.um_fs, opts.dialect ?? ump.um_dialect);
    const because = evidence.readonly_because ?? (await quotasinuse(ump, opts));
    if (because !== undefined) throw errno(E.EROFS, `${mp.mnt_mntfromname} cannot be mounted read-write: ${because}`);
    ump.um_fs.fs_ronly = 0;
    // Inodes that the journal lists are freed by transactions.
    mp.mnt_flag &= ~MNT_RDONLY;
    try {
      await startwriting(ump, opts);
    } catch (thrown) {
      mp.mnt_flag |= MNT_RDONLY;
      ump.um_fs.fs_ronly = 1;
      throw thrown;
    }
  } else if (was && opts.journal.log !== 'auto' && (opts.journal.log === 'on') !== writestate(ump)?.order.journalled) {
    await ffs_write_stop(ump);
    await ffs_write_start(ump, opts.journal);
  }
}

async function unmount(mp: Mount): Promise<void> {
  const ump = VFSTOUFS(mp);
  try {
    if ((mp.mnt_flag & MNT_RDONLY) === 0) await ffs_write_stop(ump);
  } finally {
    // There is no way back, and who mounts the device again must not see what never reached it.
    ump.um_bufcache.purge(ump.um_dev);
    mp.mnt_data = null;
  }
}

function root(mp: Mount): MaybePromise<Vnode> {
  const vp = mp.mnt_kernel.vcache_get(mp, UFS_ROOTINO);
  return vp instanceof Promise ? vp.then((v) => rootchecked(mp, v)) : rootchecked(mp, vp);
}

function rootchecked(mp: Mount, vp: Vnode): MaybePromise<Vnode> {
  if (vp.v_type === VDIR) return vp;
  const bad = VFSTOUFS(mp).um_damage.error(`inode ${UFS_ROOTINO}, the root directory, is no directory`);
  const released = mp.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw bad;
  return released.then(() => {
    throw bad;
  });
}

function statvfs(mp: Mount, sbp: Statvfs): void {
  const ump = VFSTOUFS(mp);
  const fs = ump.um_fs;
  const pending = ffs_write_pending(ump);
  const { cs_nbfree, cs_nffree, cs_nifree } = fs.fs_cstotal;
  sbp.f_bsize = fs.fs_bsize;
  sbp.f_frsize = fs.fs_fsize;
  sbp.f_iosize = fs.fs_bsize;
  sbp.f_blocks = fs.fs_dsize;
  // The counters of a damaged volume may be anything.
  sbp.f_bfree = Math.min(Math.max(cs_nbfree * fs.fs_frag + cs_nffree + pending.frags, 0), fs.fs_dsize);
  sbp.f_bresvd = Math.floor((fs.fs_dsize * fs.fs_minfree) / 100);
  sbp.f_bavail = Math.max(sbp.f_bfree - sbp.f_bresvd, 0);
  sbp.f_files = fs.ninodes - UFS_ROOTINO;
  sbp.f_ffree = Math.min(Math.max(cs_nifree + pending.inodes, 0), sbp.f_files);
  sbp.f_favail = sbp.f_ffree;
  sbp.f_namemax = 255;
}

async function sync(mp: Mount): Promise<void> {
  if ((mp.mnt_flag & MNT_RDONLY) === 0) await ffs_write_sync(VFSTOUFS(mp));
}

function vptofh(vp: Vnode): Fid {
  const ip = VTOI(vp);
  return { fid_ino: ip.i_number, fid_gen: ip.i_gen };
}

/** Has inode `ino` of a UFS2 volume ever been written? What lies behind cg_initediblk is garbage. */
function initialised(ump: FfsMount, ino: number): MaybePromise<boolean> {
  const fs = ump.um_fs;
  if (!fs.ufs2) return true;
  const cgx = fs.ino_to_cg(ino);
  const bp = ump.um_bufcache.bread(ump.um_dev, fs.fsbtob(fs.cgtod(cgx)), fs.cgbytes);
  const check = (b: Awaited<typeof bp>): boolean => {
    try {
      const cg = b.b_private instanceof Cg ? b.b_private : Cg.open(fs, b.b_data, b.b_view, cgx);
      return ino - cgx * fs.fs_ipg < cg.cg_initediblk;
    } finally {
      ump.um_bufcache.brelse(b);
    }
  };
  return bp instanceof Promise ? bp.then(check) : check(bp);
}

function fhtovp(mp: Mount, fid: Fid): MaybePromise<Vnode> {
  const cached = mp.mnt_kernel.vcache_lookup(mp, fid.fid_ino);
  if (cached !== undefined) return fresh(mp, fid, cached);
  const ump = VFSTOUFS(mp);
  if (!(fid.fid_ino >= UFS_ROOTINO && fid.fid_ino < ump.um_fs.ninodes) || fid.fid_ino % 1 !== 0) throw errno(E.ESTALE);
  const known = initialised(ump, fid.fid_ino);
  return known instanceof Promise ? known.then((k) => fhload(mp, fid, k)) : fhload(mp, fid, known);
}

function fhload(mp: Mount, fid: Fid, known: boolean): MaybePromise<Vnode> {
  if (!known) throw errno(E.ESTALE);
  const vp = mp.mnt_kernel.vcache_get(mp, fid.fid_ino);
  return vp instanceof Promise ? vp.then((v) => fresh(mp, fid, v)) : fresh(mp, fid, vp);
}

/** The handle is for this file and not for one that had its inode before. */
function fresh(mp: Mount, fid: Fid, vp: Vnode): MaybePromise<Vnode> {
  const ip = VTOI(vp);
  // Without a name it lives on for those who have it open, whose references come on top of ours.
  if (ip.i_gen === fid.fid_gen && ip.i_mode !== 0 && (ip.i_nlink > 0 || vp.v_usecount > 1)) return vp;
  const released = mp.mnt_kernel.vrele(vp);
  if (!(released instanceof Promise)) throw errno(E.ESTALE);
  return released.then(() => {
    throw errno(E.ESTALE);
  });
}

export const ffs_vfsops: Vfsops = {
  vfs_name: 'ffs',
  vfs_survives: 'kept',
  mount,
  update,
  unmount,
  root,
  statvfs,
  sync,
  loadvnode: ffs_loadvnode,
  attributes: ffs_attributes,
  vptofh,
  fhtovp,
};
