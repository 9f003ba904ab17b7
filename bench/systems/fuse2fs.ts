import { onPath, run, sleep } from '../exec.js';
import { mountOn } from '../mounts.js';
import { serverProcesses } from '../processes.js';
import type { System } from '../system.js';

/** Debian's fuse2fs, a C driver on libfuse 2, with what makes it fastest: large writes, and no journal in the image. */
export const fuse2fsSystem: System = {
  name: 'fuse2fs',
  title: 'fuse2fs ext4',
  format: {
    name: 'ext4',
    make: (image) =>
      void run(
        'mke2fs',
        ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', image],
        60,
      ),
  },
  missing: () =>
    ['fuse2fs', 'mke2fs']
      .map((name) => (onPath(name) ? undefined : `${name} is not installed`))
      .find((why) => why !== undefined),

  mount(_volume, image, directory, _sizes, env) {
    run('fuse2fs', [image, directory, '-o', 'rw,big_writes'], 60, env);
    for (let waited = 0; mountOn(directory) === undefined; waited++) {
      if (waited === 200) throw new Error('fuse2fs: no mount after 10 s');
      sleep(0.05);
    }
  },

  unmount(directory) {
    const servers = serverProcesses(directory);
    for (let tries = 1; ; tries++) {
      try {
        run('umount', [directory], 60);
        break;
      } catch (error) {
        // Somebody on the host may just be looking at it (a program that lists mounts).
        if (tries === 5) throw error;
        sleep(0.2);
      }
    }
    // umount returns before the server has written everything back.
    for (let waited = 0; waited < 600 && serverProcesses(directory).some((pid) => servers.includes(pid)); waited++) {
      sleep(0.05);
    }
  },
};
