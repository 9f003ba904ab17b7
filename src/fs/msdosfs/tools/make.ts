import { bytestrFromPath } from '../../../kernel/bytestr.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Make, OptionValues } from '../../format.js';
import { sizeInWords } from '../../lib/words.js';
import type { FatType } from '../disk/bpb.js';
import { newfs, unmake } from './newfs.js';
import type { NewfsOptions } from './newfs.js';

/** A number in hexadecimal, with or without 0x or a dash in the middle. @throws EINVAL */
export function hexadecimal(given: string, digits: number, what: string): number {
  const text = given.replace(/^0x/i, '').replace('-', '');
  if (!new RegExp(`^[0-9a-f]{1,${digits}}$`, 'i').test(text)) {
    throw errno(E.EINVAL, `${what} is a number of up to ${digits} hexadecimal digits, not ${given}`);
  }
  return parseInt(text, 16);
}

function optionsOf(values: OptionValues): NewfsOptions {
  const options = {
    type: values['fat'] === undefined ? undefined : (Number(values['fat']) as FatType),
    sectorBytes: values['sector-size'],
    clusterBytes: values['cluster-size'],
    fats: values['fats'] === undefined ? undefined : Number(values['fats']),
    rootEntries: values['root-entries'],
    reserved: values['reserved'],
    align: values['align'],
    label: values['label'] === undefined ? undefined : bytestrFromPath(values['label'] as string),
    volumeId:
      values['volume-id'] === undefined ? undefined : hexadecimal(values['volume-id'] as string, 8, 'the volume id'),
    media: values['media'] === undefined ? undefined : hexadecimal(values['media'] as string, 2, 'the media byte'),
    hidden: values['hidden'],
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as NewfsOptions;
}

/** newfs by the options of the command line. */
export const msdosfs_make: Make = async (dev, values, { size_bytes }) => {
  const { layout, warnings } = await newfs(dev, {
    ...optionsOf(values),
    ...(size_bytes === undefined ? {} : { size: size_bytes }),
  });
  const { type, sectors, sectorBytes, secPerClust, clusters, fats } = layout;
  return {
    summary: `${sizeInWords(sectors * sectorBytes)} of FAT${type}, ${clusters} clusters of ` +
      `${secPerClust * sectorBytes} bytes, sectors of ${sectorBytes}, ${fats === 1 ? 'one FAT' : `${fats} FATs`}`,
    warnings,
    unmake: () => unmake(dev, layout),
  };
};
