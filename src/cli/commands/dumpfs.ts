import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { openDisk, selectKnown, type Where } from '../device.js';
import { Failure } from '../failure.js';
import { say } from '../say.js';
import { valuesOf } from '../tool-options.js';
import type { Chosen } from '../tools.js';

export interface DumpfsArguments extends Where {
  /** The format's own options. */
  readonly [option: string]: unknown;
}

/** `rumpfuse dumpfs IMAGE`: the structures of a volume, readable. */
export async function dumpfsCommand(argv: DumpfsArguments, { format, how }: Chosen): Promise<void> {
  const tool = format.tools.dump;
  if (tool === undefined) throw new Failure(`${argv.image}: rumpfuse has no dumpfs for ${format.name}`);
  const values = valuesOf(tool.options, argv);
  const disk = await openDisk(nodeRumpuser(), argv, { readonly: true });
  try {
    const volume = await selectKnown(disk, argv, how);
    const dump = await tool.load();
    for (const line of (await dump(volume, values)).trimEnd().split('\n')) say(line);
  } finally {
    await disk.close();
  }
}
