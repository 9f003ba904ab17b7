import type { BlockDevice } from '../../../kernel/blkdev.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Tune } from '../../format.js';
import { BOOT_REGION_SECTORS, VOLUME_DIRTY, boot_seal } from '../disk/boot.js';
import { ENTRY_BYTES, IN_USE, T_GUID, T_LABEL } from '../disk/entry.js';
import { find_boot } from '../volume/openvolume.js';
import { guid_entry, label_entry } from './entries.js';
import { label_text } from './describe.js';
import { guid_bytes, guid_text } from './guid.js';
import { serial_number } from './make.js';
import { Volume } from './volume.js';

/**
 * Puts an entry of the root in the place of the one of its type, or where one is not in use. @returns what was there
 */
async function put_entry(
  volume: Volume, type: number, entry: Uint8Array, dryRun: boolean,
): Promise<Uint8Array | undefined> {
  let place = -1;
  let old: Uint8Array | undefined;
  let end = false;
  for await (const { at, bytes } of volume.rootentries()) {
    if (bytes !== null && bytes[0] === type) {
      place = at;
      old = bytes;
      break;
    }
    if (place < 0 && (bytes === null || (bytes[0] & IN_USE) === 0)) {
      place = at;
      end = bytes === null;
    }
  }
  if (place < 0) throw errno(E.ENOSPC, 'the root directory has no room for another entry');
  if (dryRun) return old;
  // What follows the last entry ends the directory.
  const behind = place + ENTRY_BYTES;
  if (end && (behind - volume.heapat) % volume.clbytes !== 0) {
    await volume.dev.write(new Uint8Array(ENTRY_BYTES), 0, ENTRY_BYTES, behind);
  }
  await volume.dev.write(entry, 0, ENTRY_BYTES, place);
  return old;
}

/** Sets the serial number in both boot regions. */
async function put_serial(dev: BlockDevice, sector: number, serial: number): Promise<void> {
  for (const first of [BOOT_REGION_SECTORS, 0]) {
    const region = new Uint8Array(BOOT_REGION_SECTORS * sector);
    await dev.read(region, 0, region.length, first * sector);
    new DataView(region.buffer).setUint32(100, serial, true);
    boot_seal(region, sector);
    await dev.write(region, 0, region.length, first * sector);
    await dev.flush();
  }
}

/** tunefs by the options of the command line. */
export const exfat_tune: Tune = async (dev, values, { dryRun }) => {
  const { label, serial, guid } = values as { label?: string; serial?: string; guid?: string };
  if (label === undefined && serial === undefined && guid === undefined) {
    throw errno(E.EINVAL, 'tunefs: what is to change? (rumpfuse tunefs --help says what can)');
  }
  const { boot, problem } = await find_boot(dev);
  if (problem !== undefined) throw errno(E.EFTYPE, `${problem}; run rumpfuse fsck`);
  if ((boot.VolumeFlags & VOLUME_DIRTY) !== 0) throw errno(E.EFTYPE, 'it was not unmounted cleanly; run rumpfuse fsck');
  // Nothing is changed before everything has been found to be possible.
  const newserial = serial === undefined ? undefined : serial_number(serial);
  const newguid = guid === undefined ? undefined : guid_entry(guid_bytes(guid));
  const newlabel = label === undefined ? undefined : label_entry(label);
  const volume = new Volume(dev, boot);
  const lines: string[] = [];
  if (newlabel !== undefined) {
    const old = await put_entry(volume, T_LABEL, newlabel, dryRun);
    lines.push(`label: "${old === undefined ? '' : label_text(old)}" -> "${label}"`);
  }
  if (newguid !== undefined) {
    const old = await put_entry(volume, T_GUID, newguid, dryRun);
    lines.push(
      `guid: ${old === undefined ? 'none' : guid_text(old.subarray(6, 22))} -> ${guid_text(newguid.subarray(6, 22))}`,
    );
  }
  if (newserial !== undefined) {
    lines.push(`serial: ${boot.VolumeSerialNumber.toString(16)} -> ${newserial.toString(16)}`);
    if (!dryRun) await put_serial(dev, volume.secbytes, newserial);
  }
  if (!dryRun) await dev.flush();
  return lines;
};
