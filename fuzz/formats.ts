import { cd9660Fuzz } from './cd9660/index.js';
import { exfatFormat } from './exfat/index.js';
import { ffsFormat } from './ffs/index.js';
import { fuseFormat } from './fuse/index.js';
import { labelFormat } from './label/index.js';
import { overlayFormat } from './overlay/index.js';
import type { FuzzFormat } from '../testing/fuzz/format.js';

const FORMATS: readonly FuzzFormat[] = [ffsFormat, exfatFormat, cd9660Fuzz, labelFormat, fuseFormat, overlayFormat];

export const formatNames: readonly string[] = FORMATS.map((f) => f.name);

export function formatOf(name: string): FuzzFormat {
  const format = FORMATS.find((f) => f.name === name);
  if (format === undefined) throw new Error(`no format ${name}; there are ${formatNames.join(', ')}`);
  return format;
}
