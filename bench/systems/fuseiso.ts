import { onPath, run, sleep } from '../exec.js';
import { mountOn } from '../mounts.js';
import { serverProcesses } from '../processes.js';
import type { System } from '../system.js';
import { iso, isoMissing } from './iso.js';

/** Debian's fuseiso, a C driver on libfuse 2. */
export const fuseisoSystem: System = {
  name: 'fuseiso',
  title: 'fuseiso',
  format: iso,
  missing: () => isoMissing() ?? (onPath('fuseiso') ? undefined : 'fuseiso is not installed'),

  mount(_volume, image, directory, _sizes, env) {
    run('fuseiso', [image, directory], 60, env);
    for (let waited = 0; mountOn(directory) === undefined; waited++) {
      if (waited === 200) throw new Error('fuseiso: no mount after 10 s');
      sleep(0.05);
    }
  },

  unmount(directory) {
    const servers = serverProcesses(directory);
    run('umount', [directory], 60);
    for (let waited = 0; waited < 200 && serverProcesses(directory).some((pid) => servers.includes(pid)); waited++)
      sleep(0.05);
  },
};
