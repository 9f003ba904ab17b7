import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { recordDirectory } from '../../src/cli/mounts.js';
import { Workplace, noMount, rumpfuse, run } from './support.js';

/** Mounts leave nothing behind on the host: no process, no mount, no record, no open descriptor. RUMPFUSE_MOUNTS: how many. */
const MOUNTS = Number(process.env['RUMPFUSE_MOUNTS'] ?? 8);

const place = new Workplace();
t.teardown(() => place.end());
t.setTimeout(0); // the runner has a limit; many mounts are asked for by the environment

function read(name: string): string {
  try {
    return readFileSync(name, 'latin1');
  } catch {
    return ''; // the process has ended
  }
}

/** Processes that name `dir` in their arguments or hold a file below it open. The test's own is none of them. */
function users(dir: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
    if (command.includes(`${dir}/`)) found.push(`${pid}: ${command}`);
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
        if (target.startsWith(`${dir}/`)) found.push(`${pid} holds ${target}`);
      }
    } catch {
      // It has ended, or the descriptor is closed.
    }
  }
  return found;
}

function mounts(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(` ${dir}/`));
}

/** Records that name `dir`; other tests mount at the same time. Logs have no name to go by: they are followed through the records. */
function records(dir: string): string[] {
  return readdirSync(recordDirectory()).filter((name) => read(`${recordDirectory()}/${name}`).includes(`${dir}/`));
}

t.test(`${MOUNTS} mounts leave nothing behind`, { skip: noMount ?? false }, async (t) => {
  const image = place.path('img');
  const mnt = place.folder('mnt');
  t.match(await rumpfuse('newfs', '-s', '8m', image), { status: 0 });
  const logs = new Set<string>();
  for (let i = 0; i < MOUNTS; i++) {
    const mounted = await rumpfuse('mount', image, mnt);
    if (mounted.status !== 0) t.fail(`mount ${i}`, mounted);
    for (const name of records(place.dir)) {
      const { log } = JSON.parse(read(`${recordDirectory()}/${name}`)) as { log?: string };
      if (log !== undefined) logs.add(log);
    }
    const used = await run('sh', ['-c', 'mkdir d && echo text > d/f && ls -l d && rm -r d'], { cwd: mnt });
    if (used.status !== 0) t.fail(`use of mount ${i}`, used);
    const unmounted = await rumpfuse('umount', mnt);
    if (unmounted.status !== 0 || unmounted.stderr !== '') t.fail(`umount ${i}`, unmounted);
  }
  t.strictSame(mounts(place.dir), [], 'mounts');
  t.strictSame(records(place.dir), [], 'records');
  t.strictSame([...logs].filter((log) => readdirSync(recordDirectory()).some((name) => log.endsWith(`/${name}`))), [], 'logs');
  t.strictSame(users(place.dir), [], 'processes');
  t.match(await rumpfuse('fsck', image), { status: 0, stdout: /clean\n$/ });
});
