/** Makes checksums right again, so that damage is met behind them, too. */
import { boot_seal } from '../../src/fs/exfat/disk/boot.js';
import { ENTRY_BYTES, T_FILE, set_checksum, table_checksum } from '../../src/fs/exfat/disk/entry.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';
import type { Atlas } from './atlas.js';

export function amend(dev: MutantDevice, atlas: Atlas): void {
  const { secbytes } = atlas;
  for (const at of [0, 12 * secbytes]) {
    if (at + 12 * secbytes > dev.size_bytes) return;
    const region = new Uint8Array(12 * secbytes);
    dev.read(region, 0, region.length, at);
    boot_seal(region, secbytes);
    dev.write(region, 0, region.length, at);
  }
  const table = new Uint8Array(atlas.upcasebytes);
  if (atlas.upcaseat + table.length <= dev.size_bytes) dev.read(table, 0, table.length, atlas.upcaseat);
  for (const { entries, type } of atlas.groups) {
    if (entries.some((at) => at + ENTRY_BYTES > dev.size_bytes)) continue;
    const set = new Uint8Array(entries.length * ENTRY_BYTES);
    entries.forEach((at, i) => dev.read(set, i * ENTRY_BYTES, ENTRY_BYTES, at));
    const sum = new DataView(set.buffer);
    if (type === T_FILE && set[0] === T_FILE) {
      sum.setUint16(2, set_checksum(set, 0, Math.min(entries.length, set[1]! + 1)), true);
      dev.write(set, 2, 2, entries[0]! + 2);
    } else if (type === 0x82) {
      sum.setUint32(4, table_checksum(table), true);
      dev.write(set, 4, 4, entries[0]! + 4);
    }
  }
}
