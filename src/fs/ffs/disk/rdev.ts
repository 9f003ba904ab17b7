import { major, makedev, minor } from '../../../kernel/stat.js';
import type { FfsDialect } from './dialects.js';

/**
 * Device numbers as each system packs them into di_rdev (low 32 bits; FreeBSD uses 64).
 * Sources: NetBSD sys/sys/types.h (12-bit major at bit 8, minor in bits 0-7 and 20-31), OpenBSD sys/sys/types.h (8-bit
 * major at bit 8, minor in bits 0-7 and 16-31), FreeBSD sys/sys/types.h, illumos ufs_inode.c.
 */
export function rdev_decode(raw: number, dialect: FfsDialect): bigint {
  const low = (raw % 0x1_0000_0000) >>> 0;
  switch (dialect) {
    case 'openbsd':
      return makedev((low >>> 8) & 0xff, (low & 0xff) | ((low & 0xffff0000) >>> 8));
    case 'freebsd': {
      // A UFS1 field is signed and has no high half.
      const high = raw < 0 ? 0 : Math.floor(raw / 0x1_0000_0000) >>> 0;
      return makedev((high & 0xffffff00) | ((low >>> 8) & 0xff), ((high & 0xff) << 8) | (low & 0xffff00ff));
    }
    case 'solaris':
      // 14 and 18 bits, or the 7 and 8 of System V where the upper half says nothing.
      if (low >>> 16 === 0 || low >>> 16 === 0xffff) return makedev((low >>> 8) & 0x7f, low & 0xff);
      return makedev(low >>> 18, low & 0x3ffff);
    default:
      return makedev((low >>> 8) & 0xfff, (low & 0xff) | ((low & 0xfff00000) >>> 12));
  }
}

/** The number to store, or undefined if the format cannot hold it. */
export function rdev_encode(dev: bigint, dialect: FfsDialect, ufs2: boolean): number | undefined {
  const ma = major(dev);
  const mi = minor(dev);
  let raw: number;
  switch (dialect) {
    case 'openbsd':
      raw = (((ma & 0xff) << 8) | (mi & 0xff) | ((mi & 0xffff00) << 8)) >>> 0;
      break;
    case 'freebsd':
      raw =
        ((((ma & 0xffffff00) >>> 0) | ((mi >>> 8) & 0xff)) >>> 0) * 0x1_0000_0000 +
        ((((ma & 0xff) << 8) | (mi & 0xffff00ff)) >>> 0);
      if (!ufs2 && raw > 0xffffffff) return undefined;
      break;
    default:
      raw = (((ma & 0xfff) << 8) | (mi & 0xff) | ((mi & 0xfff00) << 12)) >>> 0;
  }
  return rdev_decode(raw, dialect) === dev ? raw : undefined;
}
