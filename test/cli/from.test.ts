import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Workplace, noMount, rumpfuse } from './support.js';

/** `newfs --from` on formats that keep less than the host: what becomes of the rest is said. */
const place = new Workplace();
t.teardown(() => place.end());

for (const format of ['fat', 'exfat']) {
  t.test(`newfs -t ${format} --from`, { skip: noMount ?? false }, async (t) => {
    const tree = place.folder(`${format}-tree`);
    mkdirSync(path.join(tree, 'sub'));
    place.file(`${format}-tree/sub/file`, 'content');
    linkSync(path.join(tree, 'sub/file'), path.join(tree, 'twin'));
    symlinkSync('twin', path.join(tree, 'link'));
    execFileSync('mkfifo', [path.join(tree, 'fifo')]);
    const image = place.path(`${format}.img`);
    const made = await rumpfuse('newfs', '-t', format, '-s', '8m', '--from', tree, image);
    t.match(made, { status: 0, stdout: /copied 3 entries/ });
    t.match(made.stderr, /symbolic links were left out: 1, first .*\/link\n/);
    t.match(made.stderr, /devices, fifos and sockets were left out: 1, first .*\/fifo\n/);
    t.match(made.stderr, /further names of a file became files of their own: 1, first /);
    const mnt = place.folder(`${format}-mnt`);
    t.match(await rumpfuse('mount', image, mnt), { status: 0 });
    t.same(readdirSync(mnt).sort(), ['sub', 'twin']);
    for (const name of ['sub/file', 'twin']) t.equal(readFileSync(path.join(mnt, name), 'utf8'), 'content');
    t.match(await rumpfuse('umount', mnt), { status: 0 });

    place.file(`${format}-tree/File`, '');
    place.file(`${format}-tree/file`, '');
    const second = place.path(`${format}-2.img`);
    t.match(
      await rumpfuse('newfs', '-t', format, '-s', '8m', '--from', tree, second),
      { status: 1, stderr: /\/[Ff]ile: this file system takes that name for another one of the same folder/ },
    );
    t.notOk(existsSync(second), 'nothing half-made is left');
    place.folder(`${format}-other`);
    place.file(`${format}-other/a:b`, '');
    t.match(
      await rumpfuse('newfs', '-t', format, '-s', '8m', '--from', place.path(`${format}-other`), second),
      { status: 1, stderr: /\/a:b: this file system cannot have that name/ },
    );
  });
}
