import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { fsck } from '../../fs/ffs/tools/fsck/index.js';
import type { FsckMode } from '../../fs/ffs/tools/fsck/context.js';
import { openDisk, selectExisting, selectVolume, type Where } from '../device.js';
import { refuseAmbiguous } from '../refuse.js';
import { say } from '../say.js';

export interface FsckArguments extends Where {
  readonly n: boolean;
  readonly p: boolean;
  readonly y: boolean;
  /** Check although the volume is marked clean. */
  readonly f: boolean;
  /** Sector number. */
  readonly superblock?: number | undefined;
  /** Repair although something else seems to be there as well. */
  readonly force: boolean;
}

const SECTOR_BYTES = 512;

/** `rumpfuse fsck IMAGE`: checks (and repairs); returns fsck_ffs's exit status. */
export async function fsckCommand(argv: FsckArguments): Promise<number> {
  const mode: FsckMode = argv.n ? 'check' : argv.y ? 'repair' : argv.p ? 'preen' : 'check';
  const disk = await openDisk(nodeRumpuser(), argv, mode === 'check' ? { readonly: true } : { writable: true });
  try {
    const volume = await (argv.superblock === undefined ? selectExisting : selectVolume)(disk, argv);
    if (mode !== 'check' && !argv.force) await refuseAmbiguous(volume, argv, 'a repair');
    const report = await fsck(volume, { mode, skipClean: mode === 'preen' && !argv.f, ...(argv.superblock !== undefined ? { superblock: argv.superblock * SECTOR_BYTES } : {}) });
    for (const problem of report.problems) say(`${problem.message}${problem.fixed !== undefined ? ` (${problem.fixed})` : ''}`);
    if (report.problemCount > report.problems.length) say(`... and ${report.problemCount - report.problems.length} more problems`);
    for (const note of report.notes) say(note);
    say(`${argv.image}: ${report.clean ? 'clean' : 'NOT CLEAN'}`);
    if (report.modified) say('***** FILE SYSTEM WAS MODIFIED *****');
    return report.exitStatus;
  } finally {
    await disk.close();
  }
}
