import { onPath, run, sleep } from '../exec.js';
import { mountOn } from '../mounts.js';
import { serverProcesses } from '../processes.js';
import type { System } from '../system.js';
import { msdosfs } from './msdosfs.js';

/** Debian's fusefat, a C driver on libfuse 2. It only writes when told that this is experimental. */
export const fusefatSystem: System = {
  name: 'fusefat',
  title: 'fusefat',
  format: msdosfs,
  missing: () => (onPath('fusefat') ? undefined : 'fusefat is not installed'),

  mount(_volume, image, directory, _sizes, env) {
    run('fusefat', ['-o', 'rw+', image, directory], 60, env);
    for (let waited = 0; mountOn(directory) === undefined; waited++) {
      if (waited === 200) throw new Error('fusefat: no mount after 10 s');
      sleep(0.05);
    }
  },

  unmount(directory) {
    const servers = serverProcesses(directory);
    run('umount', [directory], 60);
    for (let waited = 0; waited < 600 && serverProcesses(directory).some((pid) => servers.includes(pid)); waited++) {
      sleep(0.05);
    }
  },
};
