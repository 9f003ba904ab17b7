/** What takes more than fixed bytes to tell. Sources as in signatures.ts. */
import type { Found, Recogniser } from './recogniser.js';

const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];
const SWAP_MAGICS = ['SWAP-SPACE', 'SWAPSPACE2', 'S1SUSPEND\0', 'S2SUSPEND\0', 'ULSUSPEND\0', 'LINHIB0001'];

const swap: Recogniser = {
  name: 'swap', kind: 'other', what: 'swap space', advice: 'switch it off with swapoff, and take it out of /etc/fstab',
  async probe(look) {
    for (const page of PAGE_SIZES) {
      for (const magic of SWAP_MAGICS) if (await look.has(page - 10, magic)) return true;
    }
    return false;
  },
};

const EXT_SUPERBLOCK = 1024;
const EXT_MAGIC = 0xef53;
const EXT_JOURNAL_DEV = 0x8;

/** Volumes have a driver; their journals, where they are devices of their own, have a superblock of the same kind. */
const extjournal: Recogniser = {
  name: 'extjournal',
  kind: 'other',
  what: 'the journal of an ext file system',
  advice: 'name it with -o journal= when mounting its volume',
  async probe(look) {
    const sb = await look.bytes(EXT_SUPERBLOCK, 1024);
    return sb !== undefined && sb.getUint16(56, true) === EXT_MAGIC && (sb.getUint32(96, true) & EXT_JOURNAL_DEV) !== 0;
  },
};

/** Microsoft's FAT has no magic number: the parameters of the boot sector must make sense together. */
const fat: Recogniser = {
  name: 'fat', kind: 'filesystem', what: 'a FAT file system', advice: 'mount it with the host\'s own driver',
  async probe(look): Promise<Found | boolean> {
    const boot = await look.bytes(0, 512);
    if (boot === undefined) return false;
    const jump = boot.getUint8(0);
    const sector = boot.getUint16(11, true);
    const cluster = boot.getUint8(13);
    const fats = boot.getUint8(16);
    const media = boot.getUint8(21);
    if (jump !== 0xeb && jump !== 0xe9 && jump !== 0x69 && jump !== 0) return false;
    if (
      sector < 128 ||
      sector > 4096 ||
      (sector & (sector - 1)) !== 0 ||
      cluster === 0 ||
      (cluster & (cluster - 1)) !== 0
    ) {
      return false;
    }
    if (boot.getUint16(14, true) === 0 || fats < 1 || fats > 2 || (media < 0xf8 && media !== 0xf0)) return false;
    const sectors = boot.getUint16(19, true) || boot.getUint32(32, true);
    const table = boot.getUint16(22, true) || boot.getUint32(36, true);
    if (sectors === 0 || table === 0) return false;
    return { size_bytes: sectors * sector };
  },
};

const MD_MAGIC = 0xa92b4efc;
const MD0_UNIT = 65536;

/** Linux software RAID keeps its superblock at the beginning (versions 1.1 and 1.2) or near the end (0.90 and 1.0). */
const md: Recogniser = {
  name: 'md',
  kind: 'member',
  what: 'a member of a Linux RAID set',
  advice: 'stop the set with mdadm --stop, then mdadm --zero-superblock',
  async probe(look) {
    const sectors = Math.floor(look.size_bytes / 512);
    const old = look.size_bytes - (look.size_bytes % MD0_UNIT) - MD0_UNIT;
    const last = Math.max(0, sectors - 16);
    for (const offset of [0, 4096, (last - (last % 8)) * 512, old]) {
      const view = await look.bytes(offset, 4);
      if (view?.getUint32(0, true) === MD_MAGIC || (offset === old && view?.getUint32(0, false) === MD_MAGIC)) {
        return true;
      }
    }
    return false;
  },
};

const ZFS_LABEL = 256 * 1024;
const ZFS_UBERBLOCKS = 128 * 1024;
const ZFS_UBERBLOCK = 1024;
const ZFS_MAGIC = 0x00bab10cn;

/** Four labels, two at each end, each with a ring of uberblocks in its second half. */
const zfs: Recogniser = {
  name: 'zfs',
  kind: 'member',
  what: 'a member of a ZFS pool',
  advice: 'take it out of its pool with zpool, then zpool labelclear',
  async probe(look) {
    const end = look.size_bytes - (look.size_bytes % ZFS_LABEL);
    for (const label of [0, ZFS_LABEL, end - 2 * ZFS_LABEL, end - ZFS_LABEL]) {
      for (let at = ZFS_UBERBLOCKS; at < ZFS_LABEL; at += 65536) {
        const view = await look.bytes(label + at, 65536);
        if (view === undefined) continue;
        for (let slot = 0; slot < 65536; slot += ZFS_UBERBLOCK) {
          if (view.getBigUint64(slot, true) === ZFS_MAGIC || view.getBigUint64(slot, false) === ZFS_MAGIC) return true;
        }
      }
    }
    return false;
  },
};

const MINIX_MAGICS = new Set([0x137f, 0x138f, 0x2468, 0x2478]);
const MINIX3_MAGIC = 0x4d5a;

const minix: Recogniser = {
  name: 'minix', kind: 'filesystem', what: 'a Minix file system', advice: 'mount it with the host\'s own driver',
  async probe(look) {
    const sb = await look.bytes(1024, 32);
    if (sb === undefined) return false;
    for (const little of [true, false]) {
      // Two bytes are weak: the counts of inodes, map blocks and zones must be there, too.
      if (
        MINIX_MAGICS.has(sb.getUint16(16, little)) &&
        sb.getUint16(0, little) > 0 &&
        sb.getUint16(4, little) > 0 &&
        sb.getUint16(6, little) > 0
      ) {
        return true;
      }
      if (sb.getUint16(24, little) === MINIX3_MAGIC && sb.getUint32(0, little) > 0 && sb.getUint16(6, little) > 0) {
        return true;
      }
    }
    return false;
  },
};

export const STRUCTURES: readonly Recogniser[] = [swap, md, zfs, extjournal, fat, minix];
