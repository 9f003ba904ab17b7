import { copyFileSync, mkdirSync } from 'node:fs';
import t from 'tap';
import { Workplace, noMount, rumpfuse } from './support.js';

const place = new Workplace();
t.teardown(() => place.end());

/** Clears a screen; goes on in another line; the same sequence in one character; turns the direction of writing. */
const EVIL = 'e\u001b[2J\nrumpfuse: all is well\u009b31m\u202eabc';
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

t.test('control characters in names of images, mount points and options reach no terminal', async (t) => {
  const image = place.path(`${EVIL}.img`);
  const safe = async (what: string, ...args: string[]): Promise<string> => {
    const { stdout, stderr } = await rumpfuse(...args);
    const all = stdout + stderr;
    t.ok(all.length > 0, `${what} says something`);
    t.notMatch(all, CONTROL, what);
    t.notMatch(all, /^rumpfuse: all is well/m, `${what}: no line of somebody else's`);
    return all;
  };
  await safe('newfs', 'newfs', '-s', '4m', image);
  await safe('info', 'info', image);
  await safe('info --json', 'info', '--json', image);
  await safe('fsck', 'fsck', image);
  await safe('dumpfs', 'dumpfs', '--partition', EVIL, image);
  await safe('a partition', 'mount', '--partition', EVIL, image, place.folder('mnt'));
  await safe('no such image', 'mount', place.path(`${EVIL}-none`), place.folder('mnt'));
  t.match(
    await safe('no volume', 'mount', place.file(`${EVIL}.text`, 'text'.repeat(5000)), place.folder('mnt')),
    /no file system that rumpfuse knows/,
    'the reason is behind the name',
  );
  await safe('an option', 'mount', '-o', EVIL, image, place.folder('mnt'));
  await safe('a type', 'mount', '-t', EVIL, image, place.folder('mnt'));
  await safe('a directory', 'mount', image, place.path(EVIL));
  await safe('umount', 'umount', place.path(EVIL));
  await safe('a command', EVIL);
});

t.test('mounted', { skip: noMount ?? false }, async (t) => {
  const image = place.path('sound.img');
  await rumpfuse('newfs', '-s', '4m', image);
  copyFileSync(image, place.path(`${EVIL}.mounted`));
  const mnt = place.path(`${EVIL}.mnt`);
  mkdirSync(mnt);
  t.match(await rumpfuse('mount', place.path(`${EVIL}.mounted`), mnt), { status: 0, stderr: '' });
  for (const args of [
    ['list'],
    ['list', '--json'],
    ['info', mnt],
    ['info', '--json', mnt],
    ['fsck', place.path(`${EVIL}.mounted`)],
  ]) {
    const { stdout, stderr } = await rumpfuse(...args);
    t.match(stdout + stderr, /all is well/, args[0]);
    t.notMatch(stdout + stderr, CONTROL, args[0]);
    t.notMatch(stdout + stderr, /^rumpfuse: all is well/m, args[0]);
  }
  const found = JSON.parse((await rumpfuse('list', '--json')).stdout) as { mountpoint: string }[];
  t.ok(found.some(({ mountpoint }) => mountpoint === mnt), 'JSON has the name as it is');
  t.match(await rumpfuse('umount', mnt), { status: 0, stderr: '' });
});
