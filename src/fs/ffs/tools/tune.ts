import { bytestrFromPath, bytestrToUnicode } from '../../../kernel/bytestr.js';
import { E, errno } from '../../../kernel/errno.js';
import type { Tune } from '../../format.js';
import { tunefs, type TunefsChanges } from './tunefs.js';

/** tunefs by the options of the command line. */
export const ffs_tune: Tune = async (dev, values, { dryRun }) => {
  const { alternates, label, ...rest } = values;
  const wanted = { ...rest, label: label === undefined ? undefined : bytestrFromPath(label as string) };
  const changes = Object.fromEntries(
    Object.entries(wanted).filter(([, value]) => value !== undefined),
  ) as TunefsChanges;
  if (Object.keys(changes).length === 0) {
    throw errno(E.EINVAL, 'tunefs: what is to change? (rumpfuse tunefs --help says what can)');
  }
  const { lines } = await tunefs(dev, changes, { alternates: alternates === true, dryRun });
  return lines.map(bytestrToUnicode);
};
