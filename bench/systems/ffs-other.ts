import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from '../exec.js';
import type { System } from '../system.js';
import { ffs } from './rumpfuse.js';

/** Another checkout of the product, built: the folder that RUMPFUSE_OTHER names. To compare two builds in one run. */
const other = process.env['RUMPFUSE_OTHER'];
const LIMIT_S = 60;

function command(args: readonly string[], env?: NodeJS.ProcessEnv): void {
  run(path.join(other!, 'bin/rumpfuse'), [...args], LIMIT_S, env);
}

export const ffsOtherSystem: System = {
  name: 'ffs-other',
  title: 'FFSv2, RUMPFUSE_OTHER',
  format: ffs,
  onlyAsked: true,
  missing: () => {
    if (other === undefined) return 'RUMPFUSE_OTHER is not set';
    return existsSync(path.join(other, 'dist/cli/main.js')) ? undefined : `${other}: not built (npm run build)`;
  },
  mount: (_volume, image, directory, _sizes, env) => command(['mount', image, directory], env),
  unmount: (directory) => command(['umount', directory]),
};
