/**
 * Partition tables, to know that there is one; what is in them is read by src/blockdev/label. Sources: UEFI
 * specification, "GUID Partition Table"; NetBSD sys/sys/bootblock.h and sys/sys/disklabel.h; Linux block/partitions.
 */
import type { Recogniser } from './recogniser.js';

const ADVICE = 'choose a partition';
const SECTORS = [512, 1024, 2048, 4096];
const DISKMAGIC = 0x82564557;
const DISKMAGIC_SECOND = 132;
const DISKLABEL_SEARCH = 16384;
const RDB_SEARCH_SECTORS = 16;
const MBR_ENTRIES = 446;
const MBR_ENTRY = 16;

const gpt: Recogniser = {
  name: 'gpt', kind: 'table', what: 'a partition table (GPT)', advice: ADVICE,
  async probe(look) {
    for (const sector of SECTORS) {
      if (await look.has(sector, 'EFI PART')) return true;
      if (look.size_bytes % sector === 0 && (await look.has(look.size_bytes - sector, 'EFI PART'))) return true;
    }
    return false;
  },
};

/**
 * Boot sectors of file systems end with the same two bytes: of four entries one at least must be used, and all must
 * look like one.
 */
const mbr: Recogniser = {
  name: 'mbr', kind: 'table', what: 'a partition table (MBR)', advice: ADVICE,
  async probe(look) {
    const view = await look.bytes(0, 512);
    if (view?.getUint16(510, false) !== 0x55aa) return false;
    let used = 0;
    for (let at = MBR_ENTRIES; at < MBR_ENTRIES + 4 * MBR_ENTRY; at += MBR_ENTRY) {
      if ((view.getUint8(at) & 0x7f) !== 0) return false;
      if (view.getUint8(at + 4) !== 0 && view.getUint32(at + 12, true) !== 0) used++;
    }
    return used > 0;
  },
};

const disklabel: Recogniser = {
  name: 'disklabel', kind: 'table', what: 'a BSD disklabel', advice: ADVICE,
  async probe(look) {
    const view = await look.bytes(0, Math.min(DISKLABEL_SEARCH, look.size_bytes));
    if (view === undefined) return false;
    for (let at = 0; at + DISKMAGIC_SECOND + 4 <= view.byteLength; at += 4) {
      for (const little of [true, false]) {
        if (view.getUint32(at, little) === DISKMAGIC && view.getUint32(at + DISKMAGIC_SECOND, little) === DISKMAGIC) {
          return true;
        }
      }
    }
    return false;
  },
};

const sun: Recogniser = {
  name: 'sun', kind: 'table', what: 'a Sun disk label', advice: ADVICE,
  async probe(look) {
    const view = await look.bytes(0, 512);
    if (view?.getUint16(508, false) !== 0xdabe) return false;
    let sum = 0;
    for (let at = 0; at < 512; at += 2) sum ^= view.getUint16(at, false);
    return sum === 0;
  },
};

const apm: Recogniser = {
  name: 'apm', kind: 'table', what: 'an Apple partition map', advice: ADVICE,
  async probe(look) {
    for (const sector of SECTORS) if (await look.has(sector, 'PM\0\0')) return true;
    return false;
  },
};

const sgi: Recogniser = {
  name: 'sgi',
  kind: 'table',
  what: 'an SGI volume header',
  advice: ADVICE,
  probe: (look) => look.has(0, '\x0b\xe5\xa9\x41'),
};

const rdb: Recogniser = {
  name: 'rdb', kind: 'table', what: 'an Amiga rigid disk block', advice: ADVICE,
  async probe(look) {
    for (let sector = 0; sector < RDB_SEARCH_SECTORS; sector++) if (await look.has(sector * 512, 'RDSK')) return true;
    return false;
  },
};

export const TABLES: readonly Recogniser[] = [gpt, mbr, disklabel, sun, apm, sgi, rdb];
