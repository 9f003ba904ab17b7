import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import type { CheckMode } from '../../fs/format.js';
import { openDisk, selectExisting, selectVolume, type Where } from '../device.js';
import { Failure } from '../failure.js';
import { refuseAmbiguous } from '../refuse.js';
import { say } from '../say.js';
import { valuesOf } from '../tool-options.js';
import type { Chosen } from '../tools.js';

export interface FsckArguments extends Where {
  readonly n: boolean;
  readonly p: boolean;
  readonly y: boolean;
  /** Check although the volume is marked clean. */
  readonly f: boolean;
  /** Repair although something else seems to be there as well. */
  readonly force: boolean;
  /** The format's own options. */
  readonly [option: string]: unknown;
}

/** `rumpfuse fsck IMAGE`: checks (and repairs); returns the exit status that fsck of the BSDs has. */
export async function fsckCommand(argv: FsckArguments, { format, how }: Chosen): Promise<number> {
  const tool = format.tools.check;
  if (tool === undefined) throw new Failure(`${argv.image}: rumpfuse has no check for ${format.name}`);
  const values = valuesOf(tool.options, argv);
  const mode: CheckMode = argv.n ? 'check' : argv.y ? 'repair' : argv.p ? 'preen' : 'check';
  const disk = await openDisk(nodeRumpuser(), argv, mode === 'check' ? { readonly: true } : { writable: true });
  try {
    const volume = await (how === 'asked' ? selectVolume : selectExisting)(disk, argv);
    if (mode !== 'check' && !argv.force) await refuseAmbiguous(volume, format.name, argv, 'a repair');
    const check = await tool.load();
    const report = await check(volume, values, { mode, skipClean: mode === 'preen' && !argv.f });
    for (const problem of report.problems) {
      say(`${problem.message}${problem.fixed !== undefined ? ` (${problem.fixed})` : ''}`);
    }
    if (report.problemCount > report.problems.length) {
      say(`... and ${report.problemCount - report.problems.length} more problems`);
    }
    for (const note of report.notes) say(note);
    say(`${argv.image}: ${report.clean ? 'clean' : 'NOT CLEAN'}`);
    if (report.modified) say('***** FILE SYSTEM WAS MODIFIED *****');
    return report.exitStatus;
  } finally {
    await disk.close();
  }
}
