import { E, errno } from '../../../kernel/errno.js';
import { FL } from '../disk/dinode.js';
import type { Inode } from './inode.js';

/** Content of files that cannot be changed here. @throws EACCES encrypted; EPERM verity */
export function mustbeplain(ip: Inode): void {
  if (ip.encrypted)
    throw errno(E.EACCES, `inode ${ip.i_number} is encrypted, and its key is not here`);
  if (ip.has(FL.VERITY)) throw errno(E.EPERM, `inode ${ip.i_number} is protected by verity: it cannot change`);
}
