import type { BlockDevice } from '../../../kernel/blkdev.js';
import { bytestrFromPath } from '../../../kernel/bytestr.js';
import { E, errno } from '../../../kernel/errno.js';
import { HOST_ZONE } from '../../lib/dostime.js';
import type { Tune } from '../../format.js';
import { B, DIRENT_BYTES, readGeometry } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import { ATTR_VOLUME, D, SLOT_DELETED, setMtime } from '../disk/direntry.js';
import { volumeIdText } from './describe.js';
import { NO_LABEL, encodeLabel } from './label.js';
import { hexadecimal } from './make.js';
import { findLabel } from './rootlabel.js';

/** Changes bytes of the boot sector and of its backup. */
async function changeBoot(
  dev: BlockDevice,
  g: Geometry,
  change: (bytes: Uint8Array, view: DataView) => void,
): Promise<void> {
  for (const offset of g.backupOffset > 0 ? [g.backupOffset, 0] : [0]) {
    const bytes = new Uint8Array(512);
    await dev.read(bytes, 0, bytes.length, offset);
    change(bytes, new DataView(bytes.buffer));
    await dev.write(bytes, 0, bytes.length, offset);
  }
}

async function setLabel(dev: BlockDevice, g: Geometry, label: string): Promise<void> {
  const k = g.type === 32 ? 1 : 0;
  const found = await findLabel(dev, g);
  const entry = new Uint8Array(DIRENT_BYTES);
  if (label === NO_LABEL) {
    entry[0] = SLOT_DELETED;
    if (found.offset !== undefined) await dev.write(entry, 0, 1, found.offset);
  } else {
    const at = found.offset ?? found.free;
    if (at === undefined) throw errno(E.ENOSPC, 'the root directory has no room for a label');
    entry.set(Uint8Array.from(label, (c) => c.charCodeAt(0)));
    entry[D.attr] = ATTR_VOLUME;
    setMtime(new DataView(entry.buffer), 0, HOST_ZONE, Math.floor(Date.now() / 1000));
    await dev.write(entry, 0, DIRENT_BYTES, at);
  }
  if (g.bootLabel !== undefined) {
    await changeBoot(dev, g, (bytes) =>
      bytes.set(
        Uint8Array.from(label, (c) => c.charCodeAt(0)),
        B.volumeLabel[k],
      ),
    );
  }
}

/** Label and volume id. */
export const msdosfs_tune: Tune = async (dev, values, { dryRun }) => {
  const g = await readGeometry(dev);
  const lines: string[] = [];
  const label = values['label'];
  if (typeof label === 'string') {
    const encoded = label === '' ? NO_LABEL : encodeLabel(bytestrFromPath(label));
    if (!dryRun) await setLabel(dev, g, encoded);
    lines.push(label === '' ? 'no label' : `label ${encoded.trimEnd()}`);
  }
  const id = values['volume-id'];
  if (typeof id === 'string') {
    const number = hexadecimal(id, 8, 'the volume id');
    if (g.volumeId === undefined) {
      throw errno(E.EOPNOTSUPP, 'the boot sector of this volume has no place for a volume id');
    }
    if (!dryRun) {
      await changeBoot(dev, g, (_bytes, view) => view.setUint32(B.volumeId[g.type === 32 ? 1 : 0], number, true));
    }
    lines.push(`volume id ${volumeIdText(number)}`);
  }
  if (lines.length === 0) throw errno(E.EINVAL, 'what is to change: the label, or the volume id?');
  if (!dryRun) await dev.flush();
  return lines;
};
