import type { BlockDevice } from '../../../kernel/blkdev.js';
import { S_IFDIR, S_IFMT } from '../../../kernel/stat.js';
import { UFS_ROOTINO } from '../../ufs/dir.js';
import { Dinode, dinode_load } from '../../ufs/dinode.js';
import type { Fs } from './fs.js';
import { DINODE1_SIZE } from './fs_const.js';
import { readbytes } from './sbsearch.js';

/**
 * Do the entries of a UFS1 volume's root directory fill a chunk of 1024 bytes and not of 512? So they do on NeXTSTEP
 * (and Apple UFS), whose sectors are that long. False also where the root cannot be read.
 */
export async function ffs_rootchunk1k(dev: BlockDevice, fs: Fs): Promise<boolean> {
  const { le } = fs;
  const inode = await readbytes(dev, fs.fsbtob(fs.ino_to_fsba(UFS_ROOTINO)) + fs.ino_to_bo(UFS_ROOTINO), DINODE1_SIZE);
  const ip = new Dinode();
  dinode_load(ip, new DataView(inode.buffer), 0, { le, ufs2: false, oldids: true, maxsymlinklen: 0 });
  const fsb = ip.i_db[0]!;
  if (
    (ip.i_mode & S_IFMT) !== S_IFDIR ||
    ip.i_size < 1024 ||
    ip.i_size % 1024 !== 0 ||
    fs.fs_fsize < 1024 ||
    !(fsb > 0 && fsb < fs.fs_size)
  ) {
    return false;
  }
  const chunk = new DataView((await readbytes(dev, fs.fsbtob(fsb), 1024)).buffer);
  let at = 0;
  while (at < 1024) {
    if (at === 512) return false;
    const reclen = chunk.getUint16(at + 4, le);
    if (reclen < 12 || reclen % 4 !== 0) return false;
    at += reclen;
  }
  return at === 1024;
}
