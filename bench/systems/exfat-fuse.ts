import { onPath, run, sleep } from '../exec.js';
import { mountOn } from '../mounts.js';
import { serverProcesses } from '../processes.js';
import type { System } from '../system.js';
import { exfat } from './exfat.js';

/** Loop devices by mount point: exfat-fuse takes nothing but block devices. */
const loops = new Map<string, string>();

/** Debian's exfat-fuse, a C driver on libfuse 2. */
export const exfatFuseSystem: System = {
  name: 'exfat-fuse',
  title: 'exfat-fuse',
  format: exfat,
  missing: () =>
    ['mount.exfat-fuse', 'losetup']
      .map((name) => (onPath(name) ? undefined : `${name} is not installed`))
      .find((why) => why !== undefined),

  mount(_volume, image, directory, _sizes, env) {
    const loop = run('losetup', ['-f', '--show', image], 60).trim();
    loops.set(directory, loop);
    run('mount.exfat-fuse', [loop, directory], 60, env);
    for (let waited = 0; mountOn(directory) === undefined; waited++) {
      if (waited === 200) throw new Error('exfat-fuse: no mount after 10 s');
      sleep(0.05);
    }
  },

  unmount(directory) {
    const servers = serverProcesses(directory);
    run('umount', [directory], 60);
    for (let waited = 0; waited < 600 && serverProcesses(directory).some((pid) => servers.includes(pid)); waited++) {
      sleep(0.05);
    }
    const loop = loops.get(directory);
    if (loop !== undefined) run('losetup', ['-d', loop], 60);
    loops.delete(directory);
  },
};
