import { nodeRumpuser } from '../../kernel/rumpuser/node.js';
import { bytestrFromPath, bytestrToUnicode } from '../../kernel/bytestr.js';
import { tunefs, type TunefsChanges } from '../../fs/ffs/tools/tunefs.js';
import { say } from '../say.js';
import { openDisk, selectExisting, type Where } from '../device.js';
import { refuseAmbiguous } from '../refuse.js';
import { Failure } from '../failure.js';
import { parseBytes } from '../units.js';

export interface TunefsArguments extends Where {
  readonly label?: string | undefined;
  readonly minfree?: number | undefined;
  readonly optimization?: 'space' | 'time' | undefined;
  readonly maxbpg?: number | undefined;
  readonly avgfilesize?: number | undefined;
  readonly avgfpdir?: number | undefined;
  /** '' for the size that suits. */
  readonly log?: string | undefined;
  readonly alternates: boolean;
  readonly dryRun: boolean;
  /** Although something else seems to be there as well. */
  readonly force: boolean;
}

/** `rumpfuse tunefs IMAGE`: changes what a volume is tuned by. */
export async function tunefsCommand(argv: TunefsArguments): Promise<void> {
  const { label, log, minfree, optimization, maxbpg, avgfilesize, avgfpdir } = argv;
  const changes = Object.fromEntries(
    Object.entries({
      label: label === undefined ? undefined : bytestrFromPath(label),
      log: log === undefined ? undefined : log === '' ? true : parseBytes(log, '--log'),
      minfree, optimization, maxbpg, avgfilesize, avgfpdir,
    }).filter(([, value]) => value !== undefined),
  ) as TunefsChanges;
  if (Object.keys(changes).length === 0) throw new Failure('tunefs: what is to change? (rumpfuse tunefs --help says what can)');
  const disk = await openDisk(nodeRumpuser(), argv, argv.dryRun ? { readonly: true } : { writable: true });
  try {
    const volume = await selectExisting(disk, argv);
    if (!argv.dryRun && !argv.force) await refuseAmbiguous(volume, argv, 'a change');
    const result = await tunefs(volume, changes, { alternates: argv.alternates, dryRun: argv.dryRun });
    for (const line of result.lines) say(bytestrToUnicode(line));
  } finally {
    await disk.close();
  }
}
