import t from 'tap';
import { readFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { familyOf } from '../../testing/survive/processes.js';
import { Workplace, noMount, rumpfuse } from './support.js';

t.test('an overlay outlives the server that wrote it', { skip: noMount ?? false }, async (t) => {
  const place = new Workplace();
  t.teardown(() => place.end());
  const [image, overlay, mnt] = [place.path('image'), place.path('overlay'), place.folder('mnt')];
  t.match(await rumpfuse('newfs', '-s', '32m', image), { status: 0 });
  const before = readFileSync(image);
  t.match(await rumpfuse('mount', '-o', `overlay=${overlay}`, image, mnt), { status: 0 });
  const { pid } = (JSON.parse((await rumpfuse('list', '--json')).stdout) as { mountpoint: string; pid: number }[]).find(
    ({ mountpoint }) => mountpoint === mnt,
  )!;
  for (let i = 0; i < 3; i++) {
    mkdirSync(path.join(mnt, `d${i}`));
    writeFileSync(path.join(mnt, `d${i}/f`), `content ${i}`);
    process.kill(familyOf(pid, mnt).server!, 'SIGKILL');
    t.equal(readFileSync(path.join(mnt, `d${i}/f`), 'utf8'), `content ${i}`);
  }
  t.match(await rumpfuse('umount', mnt), { status: 0 });
  t.ok(readFileSync(image).equals(before), 'the disk is as it was');
  t.match(await rumpfuse('mount', '-o', `overlay=${overlay}`, image, mnt), { status: 0, stderr: '' });
  for (let i = 0; i < 3; i++) t.equal(readFileSync(path.join(mnt, `d${i}/f`), 'utf8'), `content ${i}`);
  t.match(await rumpfuse('umount', mnt), { status: 0 });
});
