/** The first part of a check: boot regions, the FAT's first cells, the root's chain, bitmap and up-case table. */
import { Errno } from '../../../../kernel/errno.js';
import { NameRules } from '../../dir/name.js';
import type { Boot } from '../../disk/boot.js';
import {
  BOOT_REGION_SECTORS, PERCENT_IN_USE_AT, VOLUME_FLAGS_AT, boot_decode, boot_region, boot_seal, boot_sealed,
} from '../../disk/boot.js';
import {
  BENIGN, IN_USE, SECONDARY, S_DATA_LENGTH, S_FIRST_CLUSTER, T_BITMAP, T_FILE, T_LABEL, T_UPCASE, U_CHECKSUM,
  get_length, table_checksum,
} from '../../disk/entry.js';
import { UPCASE_BYTES_MAX, upcase_decode, upcase_default, upcase_encode } from '../../disk/upcase.js';
import { CHAIN_END } from '../../space/fat.js';
import { find_boot } from '../../volume/openvolume.js';
import { bitmap_entry, upcase_entry } from '../entries.js';
import { Volume } from '../volume.js';
import { CannotCheck } from './checker.js';
import type { Checker } from './checker.js';

/** Critical primary entries that the specification has. */
const KNOWN: readonly number[] = [T_BITMAP, T_UPCASE, T_LABEL, T_FILE];

/** What the root tells of the volume. */
export interface System {
  readonly rootclusters: readonly number[];
  /** Clusters of the bitmap; null: there is none that could be used. */
  bitmap: number[] | null;
  /** Byte offset of the entries of bitmap and table; -1: there is none. */
  bitmapat: number;
  upcaseat: number;
  /** The table is to be written anew. */
  upcasebad: boolean;
}

/** Finds the volume and checks both boot regions. */
export async function check_boot(c: Checker): Promise<void> {
  let boot: Boot;
  let problem: string | undefined;
  try {
    ({ boot, problem } = await find_boot(c.dev));
  } catch (thrown) {
    if (!(thrown instanceof Errno)) throw thrown;
    throw new CannotCheck(thrown.message);
  }
  c.volume = new Volume(c.dev, boot);
  const { secbytes } = c.volume;
  if (boot.VolumeLength * secbytes > c.dev.size_bytes) {
    throw new CannotCheck(`the volume has ${boot.VolumeLength * secbytes} bytes, the device only ${c.dev.size_bytes}`);
  }
  const bytes = BOOT_REGION_SECTORS * secbytes;
  const main = new Uint8Array(bytes);
  const backup = new Uint8Array(bytes);
  await c.read(main, bytes, 0);
  await c.read(backup, bytes, bytes);
  const backupgood = is_region(backup, secbytes, boot);
  if (problem !== undefined) {
    const fix = c.problem('damage', problem);
    if (fix === null) return;
    let region: Uint8Array = main;
    if (backupgood) region = backup;
    else if (!is_boot(main)) region = boot_region(boot);
    boot_seal(region, secbytes);
    await c.write(region, 0);
    if (!backupgood) await c.write(region, bytes);
    fix.fixed = backupgood ? 'RESTORED FROM BACKUP' : 'SEALED';
    return;
  }
  if (backupgood && same_boot(main, backup)) return;
  const fix = c.problem('preen', 'the backup of the boot region differs from it');
  if (fix === null) return;
  await c.write(main, bytes);
  fix.fixed = 'REWRITTEN';
}

function is_boot(region: Uint8Array): boolean {
  try {
    boot_decode(region);
    return true;
  } catch {
    return false;
  }
}

function is_region(region: Uint8Array, secbytes: number, boot: Boot): boolean {
  return is_boot(region) && boot_sealed(region, secbytes) && boot_decode(region).VolumeLength === boot.VolumeLength;
}

/** The same but for what changes while a volume is in use. */
function same_boot(a: Uint8Array, b: Uint8Array): boolean {
  return a.every(
    (byte, i) => byte === b[i] || i === VOLUME_FLAGS_AT || i === VOLUME_FLAGS_AT + 1 || i === PERCENT_IN_USE_AT,
  );
}

/** Follows the chain of bitmap or table; null: it cannot be. Marks its clusters. */
async function system_chain(c: Checker, first: number, bytes: number): Promise<number[] | null> {
  const { volume, used } = c;
  const count = Math.ceil(bytes / volume.clbytes);
  if (!(count > 0 && count < volume.end)) return null;
  const clusters: number[] = [];
  for (let cluster = first; clusters.length < count; cluster = await c.cell(cluster)) {
    if (!volume.iscluster(cluster) || used.has(cluster) || clusters.includes(cluster)) return null;
    clusters.push(cluster);
    if (clusters.length > 65536) break;
  }
  for (const cluster of clusters) used.add(cluster, 1);
  return clusters.length === count ? clusters : null;
}

async function check_rootchain(c: Checker): Promise<number[]> {
  const { clusters, broken } = await c.volume.rootchain();
  if (broken !== undefined) {
    const fix = c.problem('damage', `chain of the root directory: ${broken}`);
    if (fix !== null) {
      await c.setcell(clusters[clusters.length - 1], CHAIN_END);
      fix.fixed = 'CUT THERE';
    }
  }
  for (const cluster of clusters) c.used.add(cluster, 1);
  return clusters;
}

/** Checks what only the root has. */
export async function check_system(c: Checker): Promise<System> {
  const { volume } = c;
  const rootclusters = await check_rootchain(c);
  const system: System = { rootclusters, bitmap: null, bitmapat: -1, upcaseat: -1, upcasebad: true };
  let table: Uint16Array | undefined;
  for await (const { at, bytes } of volume.rootentries()) {
    if (bytes === null) break;
    const view = new DataView(bytes.buffer);
    const stream = [view.getUint32(S_FIRST_CLUSTER, true), get_length(view, S_DATA_LENGTH)] as const;
    const type = bytes[0];
    if (type === T_BITMAP) {
      // Of a second bitmap only its clusters count.
      const active = (bytes[1] & 1) === volume.active && system.bitmapat < 0;
      if (active) system.bitmapat = at;
      const clusters = await system_chain(c, ...stream);
      if (active && stream[1] >= volume.boot.ClusterCount / 8) system.bitmap = clusters;
    } else if (type === T_UPCASE && system.upcaseat < 0) {
      system.upcaseat = at;
      table = await check_table(c, view.getUint32(U_CHECKSUM, true), ...stream);
    } else if ((type & (IN_USE | SECONDARY | BENIGN)) === IN_USE && !KNOWN.includes(type)) {
      const what = `critical entry of unknown type 0x${type.toString(16)} in the root directory, at byte ${at}`;
      c.hopeless(`${what}: only its maker's tools can check this volume`);
    }
  }
  system.upcasebad = table === undefined;
  c.names = new NameRules(table ?? upcase_default(), true);
  return system;
}

/** The up-case table; undefined: it is of no use. */
async function check_table(
  c: Checker, checksum: number, first: number, bytes: number,
): Promise<Uint16Array | undefined> {
  const { volume } = c;
  if (!(bytes > 0 && bytes <= UPCASE_BYTES_MAX)) return undefined;
  const clusters = await system_chain(c, first, bytes);
  if (clusters === null) return undefined;
  const content = new Uint8Array(clusters.length * volume.clbytes);
  for (let i = 0; i < clusters.length; i++) {
    await c.read(content.subarray(i * volume.clbytes), volume.clbytes, volume.at(clusters[i]));
  }
  if (table_checksum(content.subarray(0, bytes)) !== checksum) return undefined;
  try {
    return upcase_decode(content.subarray(0, bytes));
  } catch {
    return undefined;
  }
}

/** A chain of `count` clusters that nobody has, made; null: there are not so many in a row. */
async function new_chain(c: Checker, count: number): Promise<number | null> {
  const vacant = c.vacant(count);
  if (vacant === null || vacant.count < count) return null;
  c.used.add(vacant.first, count);
  for (let i = 0; i < count; i++) await c.setcell(vacant.first + i, i === count - 1 ? CHAIN_END : vacant.first + i + 1);
  return vacant.first;
}

/** Where an entry of the system goes: over the old one, or where one is not in use. -1: nowhere */
async function entry_place(c: Checker, old: number): Promise<number> {
  if (old >= 0) return old;
  for await (const { at, bytes } of c.volume.rootentries()) if (bytes === null || (bytes[0] & IN_USE) === 0) return at;
  return -1;
}

/** Makes bitmap and table anew where they are of no use, when all clusters that files have are known. */
export async function mend_system(c: Checker, system: System): Promise<void> {
  const { volume } = c;
  if (system.upcasebad) {
    const fix = c.problem('damage', 'the up-case table is missing or damaged');
    if (fix !== null) {
      const table = upcase_encode(upcase_default());
      const place = await entry_place(c, system.upcaseat);
      const first = place < 0 ? null : await new_chain(c, Math.ceil(table.length / volume.clbytes));
      if (first === null) c.unresolved = true;
      else {
        await c.write(table, volume.at(first));
        await c.write(upcase_entry(table_checksum(table), first, table.length), place);
        fix.fixed = 'REBUILT';
        c.again = true;
      }
    }
  }
  if (system.bitmap !== null) return;
  const fix = c.problem('damage', 'the allocation bitmap is missing or out of reach');
  if (fix === null) return;
  const bytes = Math.ceil(volume.boot.ClusterCount / 8);
  const count = Math.ceil(bytes / volume.clbytes);
  const place = await entry_place(c, system.bitmapat);
  const first = place < 0 ? null : await new_chain(c, count);
  if (first === null) {
    c.unresolved = true;
    return;
  }
  await c.write(bitmap_entry(volume.active, first, bytes), place);
  const zeros = new Uint8Array(volume.clbytes);
  for (let i = 0; i < count; i++) await c.write(zeros, volume.at(first + i));
  system.bitmap = Array.from({ length: count }, (_, i) => first + i);
  fix.fixed = 'REBUILT';
  c.again = true;
}

/** The two cells of the FAT that belong to no cluster. */
export async function check_fathead(c: Checker): Promise<void> {
  const good = [0xffff_fff8, CHAIN_END];
  for (let i = 0; i < 2; i++) {
    const cell = await c.volume.cell(i);
    if (cell === good[i]) continue;
    const fix = c.problem('safe', `FAT: cell ${i} holds 0x${cell.toString(16)}`);
    if (fix === null) continue;
    await c.setcell(i, good[i]);
    fix.fixed = 'SET';
  }
}
