/** What can be mounted, for those who ask what is on a device. */
import { E, Errno } from '../kernel/errno.js';
import { describe } from '../fs/ffs/tools/describe.js';
import type { Recogniser } from '../fs/recognise/index.js';

const ffs: Recogniser = {
  name: 'ffs', kind: 'filesystem', what: 'an FFS volume', advice: 'mount it with rumpfuse',
  async probe(look) {
    try {
      const { format, facts } = await describe(look.device);
      return { what: `an ${format} volume`, size_bytes: facts.size };
    } catch (error) {
      if (error instanceof Errno && error.errno !== E.EIO) return false;
      throw error;
    }
  },
};

export const MOUNTABLE: readonly Recogniser[] = [ffs];
