/**
 * Another program fills the host's file system under a sparse image that is mounted: what was fsynced is there, what
 * is said is true, fsck repairs, nothing hangs.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Workplace, noMount, rumpfuse, run } from './support.js';

t.setTimeout(0);
const place = new Workplace();
t.teardown(() => place.end());
const real = { skip: noMount ?? false };
const MiB = 1 << 20;

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!;
  }
};

function fsynced(file: string, content: Uint8Array): void {
  const fd = fs.openSync(file, 'w');
  try {
    fs.writeSync(fd, content);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** All that there is of a file system, at one blow, by somebody else. */
function fill(host: string): void {
  const { bavail, bsize } = fs.statfsSync(host);
  const { status, stderr } = spawnSync('fallocate', ['-l', String(bavail * bsize), path.join(host, 'other')], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  if (fs.statfsSync(host).bavail !== 0) throw new Error('the host is not full');
}

const gone = (pid: number): boolean => {
  try {
    return /\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
};

for (const options of [[], ['--log']]) {
  t.test(`a host that another program fills, newfs ${options.join(' ')}`, real, async (t) => {
    const name = `host${options.length}`;
    const host = place.folder(name);
    t.match(await run('mount', ['-t', 'tmpfs', '-o', `size=${48 * MiB}`, 'tmpfs', host]), { status: 0 });
    const image = path.join(host, 'disk.img');
    t.match(await rumpfuse('newfs', '-s', '128m', ...options, image), { status: 0 });
    const mnt = place.folder(`${name}.mnt`);
    t.match(await rumpfuse('mount', image, mnt), { status: 0 });
    const info = JSON.parse((await rumpfuse('info', '--json', mnt)).stdout) as {
      pid: number;
      details: { server_pid: number };
    };
    const [before, after] = [Buffer.alloc(MiB, 'before'), Buffer.alloc(4096, 'after')];
    fsynced(path.join(mnt, 'before'), before);
    const dirs: string[] = [];
    for (let i = 0; i < 400; i++) {
      dirs.push(`d${i}`);
      fs.mkdirSync(path.join(mnt, `d${i}`));
    }
    fill(host);
    // What there is no room for is refused; what is said to be on the disk is looked at below.
    const synced = codeOf(() => fsynced(path.join(mnt, 'after'), after));
    t.match(synced, /^(done|ENOSPC|EIO|EROFS)$/);
    t.match(codeOf(() => fs.writeFileSync(path.join(mnt, 'much'), Buffer.alloc(8 * MiB, 1))), /^(ENOSPC|EIO|EROFS)$/);
    t.ok(fs.readFileSync(path.join(mnt, 'before')).equals(before), 'it can be read meanwhile');
    const { status, stderr } = await rumpfuse('umount', mnt);
    t.ok(gone(info.pid) && gone(info.details.server_pid), 'no process is left');
    t.match(stderr, /no space left/, 'the reason is told');
    fs.rmSync(path.join(host, 'other'));
    if (status === 0) {
      t.match(await rumpfuse('fsck', '-n', image), { status: 0, stdout: /clean/ }, 'all is well, as umount said');
    } else {
      t.match(stderr, /is unmounted, but not all went well \(above\); check the volume/);
      t.match(stderr, /changes .*(are|have been) lost|cannot be written/, 'what happened is told');
      if (options.length === 0) {
        t.match(await rumpfuse('fsck', '-n', image), { stdout: /NOT MARKED CLEAN/ }, 'it is not marked clean');
      }
      t.match(await rumpfuse('fsck', '-y', image), { status: 0 }, 'fsck repairs');
      t.match(await rumpfuse('fsck', '-n', image), { status: 0 }, 'all of it');
    }
    t.match(await rumpfuse('mount', image, mnt), { status: 0 });
    t.ok(fs.readFileSync(path.join(mnt, 'before')).equals(before), 'what was fsynced is there');
    if (synced === 'done') t.ok(fs.readFileSync(path.join(mnt, 'after')).equals(after), 'this, too');
    if (status === 0) t.same(dirs.filter((dir) => !fs.existsSync(path.join(mnt, dir))), [], 'so is what was promised');
    fsynced(path.join(mnt, 'more'), before);
    t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
    t.match(await rumpfuse('fsck', '-n', image), { status: 0, stdout: /clean/ });
  });
}
