/** Operations that take longer than a server may be silent. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mortal } from './fixtures/mortal-mount.js';
import { sleep, until, whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

t.test(
  'room for a large file is reserved while others get on, and whoever asked for it can be stopped',
  { skip },
  async (t) => {
    const m = await mortal({ watchdog_s: 20 }, {}, 4 * 2 ** 30);
    const file = path.join(m.dir, 'large');
    fs.writeFileSync(path.join(m.dir, 'small'), 'content');
    const reserve = () => spawn('fallocate', ['-l', `${3 * 2 ** 30}`, file], { stdio: 'ignore' });
    const ending = (child: ChildProcess) => once(child, 'exit') as Promise<[number | null, string | null]>;

  const first = reserve();
  const firstEnd = ending(first);
  let meanwhile = 0;
  for (; first.exitCode === null; meanwhile++) {
    t.equal(fs.readFileSync(path.join(m.dir, 'small'), 'utf8'), 'content');
    fs.writeFileSync(path.join(m.dir, `meanwhile-${meanwhile}`), '');
    await sleep(300);
  }
  t.ok(meanwhile > 1, 'others are served meanwhile');
  t.same(await firstEnd, [0, null]);
  t.ok(fs.statSync(file).blocks >= 3 * 2 ** 21, 'and it is all there');
  fs.rmSync(file);

  const second = reserve();
  const secondEnd = ending(second);
  t.ok(await until(() => fs.existsSync(file)));
  await sleep(100);
  second.kill('SIGINT');
  t.not((await secondEnd)[0], 0, 'it has been stopped');
  t.equal(fs.statSync(file).size, 0, 'nothing is left of it');

  fs.truncateSync(file, 2 ** 44);
  const began = process.hrtime.bigint();
  await once(spawn('fallocate', ['-p', '-o', '0', '-l', `${2 ** 44}`, file], { stdio: 'ignore' }), 'exit');
  t.comment(`a hole of 16 TiB: ${(process.hrtime.bigint() - began) / 1000000n} ms`);
  t.equal(m.standing().restarts, 0, 'nobody took the server for hung');
  fs.rmSync(file);
  t.same(await m.end(), []);
});
