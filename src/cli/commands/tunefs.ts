import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { openDisk, selectKnown, type Where } from '../device.js';
import { Failure } from '../failure.js';
import { refuseAmbiguous } from '../refuse.js';
import { say } from '../say.js';
import { valuesOf } from '../tool-options.js';
import type { Chosen } from '../tools.js';

export interface TunefsArguments extends Where {
  readonly dryRun: boolean;
  /** Although something else seems to be there as well. */
  readonly force: boolean;
  /** The format's own options. */
  readonly [option: string]: unknown;
}

/** `rumpfuse tunefs IMAGE`: changes settings of a volume. */
export async function tunefsCommand(argv: TunefsArguments, { format, how }: Chosen): Promise<void> {
  const tool = format.tools.tune;
  if (tool === undefined) throw new Failure(`${argv.image}: nothing of ${format.name} can be tuned`);
  const values = valuesOf(tool.options, argv);
  if (Object.keys(values).length === 0) {
    throw new Failure('tunefs: what is to change? (rumpfuse tunefs --help says what can)');
  }
  const disk = await openDisk(nodeRumpuser(), argv, argv.dryRun ? { readonly: true } : { writable: true });
  try {
    const volume = await selectKnown(disk, argv, how);
    if (!argv.dryRun && !argv.force) await refuseAmbiguous(volume, format.name, argv, 'a change');
    const tune = await tool.load();
    for (const line of await tune(volume, values, { dryRun: argv.dryRun })) say(line);
  } finally {
    await disk.close();
  }
}
