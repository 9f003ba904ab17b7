import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { dumpfs, type DumpfsOptions } from '../../fs/ffs/tools/dumpfs.js';
import { openDisk, selectExisting, type Where } from '../device.js';
import { say } from '../say.js';

export interface DumpfsArguments extends Where {
  readonly superblock?: boolean | undefined;
  readonly alternates?: boolean | undefined;
  readonly summary?: boolean | undefined;
  readonly groups?: boolean | undefined;
  readonly inodes?: boolean | undefined;
  readonly journal?: boolean | undefined;
  readonly freelist?: boolean | undefined;
  readonly newfs?: boolean | undefined;
  readonly all?: boolean | undefined;
}

/** `rumpfuse dumpfs IMAGE`: superblock, cylinder groups and the like, readable. */
export async function dumpfsCommand(argv: DumpfsArguments): Promise<void> {
  const disk = await openDisk(nodeRumpuser(), argv, { readonly: true });
  try {
    const { superblock, alternates, summary, groups, inodes, journal, freelist, newfs, all } = argv;
    const chosen = all === true ? { superblock: true, alternates: true, summary: true, groups: true, inodes: true, journal: true } : { superblock, alternates, summary, groups, inodes, journal, freelist, newfs };
    const options = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value === true)) as DumpfsOptions;
    for (const line of (await dumpfs(await selectExisting(disk, argv), options)).trimEnd().split('\n')) say(line);
  } finally {
    await disk.close();
  }
}
