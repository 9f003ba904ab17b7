import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { O_RDONLY } from '../../../src/kernel/fcntl.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { V, bigname, get, list, mkfs, mount, run, withFolder } from './volumes.js';

const BLOCK = 1024;

/** What debugfs says of the image. */
async function ask(image: Uint8Array, request: string): Promise<string> {
  return withFolder((folder) => {
    const path = join(folder, 'volume');
    writeFileSync(path, image);
    return run('debugfs', ['-R', request, path]);
  });
}

/** Each structure with a checksum, where a byte of it lies, and what fails. */
const CASES: readonly (readonly [
  string,
  (image: Uint8Array) => Promise<number>,
  (sys: RumpSys) => Promise<unknown>,
  RegExp,
])[] = [
  ['group descriptor', async () => 2 * BLOCK + 64 + 12, (sys) => sys.statvfs(V), /descriptor of group 1: checksum/],
  [
    'inode',
    async (image) => {
      const [, block, offset] = /block (\d+), offset 0x([0-9a-f]+)/.exec(await ask(image, 'imap tiny'))!;
      return Number(block) * BLOCK + parseInt(offset!, 16) + 0x1c;
    },
    (sys) => get(sys, `${V}/tiny`),
    /inode \d+: checksum is wrong/,
  ],
  [
    'root of a tree of names',
    async (image) => Number(/\d+/.exec((await ask(image, 'bmap big 0')).split('\n')[0]!)![0]) * BLOCK + 0x24,
    (sys) => sys.lstat(`${V}/big/${bigname(3)}`),
    /directory inode \d+, block 0: checksum is wrong/,
  ],
  [
    'leaf of a directory',
    async (image) => Number(/\d+/.exec((await ask(image, 'bmap dir 0')).split('\n')[0]!)![0]) * BLOCK + 40,
    (sys) => list(sys, `${V}/dir`),
    /directory inode \d+, block 0: checksum is wrong/,
  ],
];

const image = await mkfs(['-t', 'ext4', '-b', `${BLOCK}`, '-O', '^inline_data,dir_index']);
// mke2fs leaves its directories without trees.
const indexed = await withFolder((folder) => {
  const path = join(folder, 'volume');
  writeFileSync(path, image);
  try {
    run('e2fsck', ['-fyD', path]);
  } catch {
    // Status 1: it has changed something.
  }
  return readFileSync(path);
});

for (const [what, place, use, message] of CASES) {
  await t.test(`${what} with a wrong checksum`, async (t) => {
    const damaged = Buffer.from(indexed);
    damaged[await place(indexed)]! ^= 0x01;
    const m = await mount(damaged);
    await t.rejects(use(m.sys), { code: 'EIO', message });
    await m.close();
    const trusting = await mount(damaged, { nocheck: true });
    t.same(trusting.log, []);
    const fd = await trusting.sys.open(V, O_RDONLY);
    await trusting.sys.close(fd);
    await trusting.close();
  });
}
