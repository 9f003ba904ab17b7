import { E, errno } from '../../../kernel/errno.js';
import type { Make } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import { guid_bytes } from './guid.js';
import { newfs, unmake } from './newfs.js';

/** A serial number as people write it: 1234-ABCD or 1234abcd. @throws EINVAL */
export function serial_number(text: string): number {
  const digits = text.replace(/^0x|-/g, '');
  if (!/^[0-9a-f]{1,8}$/i.test(digits)) {
    throw errno(E.EINVAL, `"${text}" is no serial number: up to 8 hexadecimal digits are`);
  }
  return parseInt(digits, 16);
}

/** newfs by the options of the command line. */
export const exfat_make: Make = async (dev, values, { size_bytes }) => {
  const layout = await newfs(dev, {
    sectorSize: values['sector-size'] as number | undefined,
    clusterSize: values['cluster-size'] as number | undefined,
    boundary: values['boundary-align'] as number | undefined,
    sd: values['sd'] === true,
    packBitmap: values['pack-bitmap'] === true,
    partitionOffset: values['partition-offset'] as number | undefined,
    label: values['label'] as string | undefined,
    serial: values['serial'] === undefined ? undefined : serial_number(values['serial'] as string),
    guid: values['guid'] === undefined ? undefined : guid_bytes(values['guid'] as string),
    size: size_bytes,
  });
  const { boot, clusterBytes } = layout;
  const sector = 2 ** boot.BytesPerSectorShift;
  return {
    summary:
      `${sizeInWords(boot.VolumeLength * sector)} of exFAT, ` +
      `${boot.ClusterCount} clusters of ${sizeInWords(clusterBytes)}, sectors of ${sector}`,
    warnings: [],
    unmake: () => unmake(dev, layout),
  };
};
