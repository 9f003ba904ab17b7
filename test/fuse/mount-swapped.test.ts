/** A mount point whose name leads elsewhere when it is mounted on. */
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { holdMountpoint, mountAsSuperuser, openDevFuse } from '../../src/fuse/mount/mount.js';
import { readMountinfo } from '../../src/fuse/mount/mountinfo.js';
import { folder, whyNoMounts } from './fixtures/mounted.js';

for (const [what, swap] of [
  ['the mount point', 'user/dir'],
  ['a directory above it', 'user'],
] as const) {
  t.test(`${what} is replaced by a symbolic link on the way up`, { skip: whyNoMounts() }, (t) => {
    const base = fs.realpathSync(folder());
    for (const dir of ['user/dir', 'victim/dir']) fs.mkdirSync(path.join(base, dir), { recursive: true });
    const mountpoint = path.join(base, 'user/dir');
    const directory = holdMountpoint(mountpoint);
    const fuse = openDevFuse();
    fs.renameSync(path.join(base, swap), path.join(base, 'moved'));
    fs.symlinkSync(path.join(base, swap.replace('user', 'victim')), path.join(base, swap));
    t.throws(
      () =>
        mountAsSuperuser(
          fuse,
          {
            mountpoint,
            source: 'swapped',
            readonly: false,
            suid: false,
            dev: false,
            exec: true,
            allow_other: true,
            default_permissions: true,
          },
          directory,
        ),
      { message: /cannot mount on .*: it is another directory than before/ },
    );
    t.same(readMountinfo().filter(({ mountpoint: at }) => at.startsWith(base)), [], 'nothing is mounted anywhere');
    for (const fd of [directory, fuse]) fs.closeSync(fd);
    t.end();
  });
}
