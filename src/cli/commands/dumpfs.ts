import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { dumpfs } from '../../fs/ffs/dumpfs.js';
import { openDisk, selectVolume, type Where } from '../device.js';

/** `rumpfuse dumpfs IMAGE`: superblock and cylinder groups, readable. */
export async function dumpfsCommand(argv: Where): Promise<void> {
  const disk = await openDisk(nodeRumpuser(), argv, { readonly: true });
  try {
    process.stdout.write(await dumpfs(await selectVolume(disk, argv)));
  } finally {
    await disk.close();
  }
}
