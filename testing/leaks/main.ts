/**
 * npm run leaks -- [--type FORMAT] [--mounts N]
 *
 * Mounts a volume with the real command, works on it, unmounts it, N times (default 1000), and says what is left on the
 * host: mounts, processes, records, FUSE connections, memory. Exit status 1 if there is anything.
 */
import { parseArgs } from 'node:util';
import { Workplace } from '../../test/cli/support.js';
import { mountAgainAndAgain } from './run.js';

const { values } = parseArgs({
  options: { type: { type: 'string', default: 'ffs' }, mounts: { type: 'string', default: '1000' } },
});
const place = new Workplace();
try {
  const { mounts, seconds, mount_ms, umount_ms, failures, held_elsewhere, left, shows_connections, before, after } =
    await mountAgainAndAgain(place, Number(values.mounts), values.type, (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} mounts `);
    });
  const at = (sorted: readonly number[], part: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN).toFixed(0);
  for (const failure of failures) console.log(failure);
  console.log(
    `${mounts} mounts in ${seconds.toFixed(0)} s, ${failures.length} failures; mounting: median ${at(mount_ms, 0.5)} ` +
      `ms, 99th percentile ${at(mount_ms, 0.99)} ms; unmounting: median ${at(umount_ms, 0.5)} ms, 99th percentile ` +
      `${at(umount_ms, 0.99)} ms`,
  );
  if (held_elsewhere > 0) console.log(`${held_elsewhere} unmounts waited for the mount namespace of another process`);
  for (const [what, found] of Object.entries(left)) {
    console.log(`${what} left: ${found.length}${found.map((one) => `\n  ${one}`).join('')}`);
  }
  if (!shows_connections) {
    console.log('connections: not looked at (mount -t fusectl none /sys/fs/fuse/connections shows them)');
  }
  const grown = (name: keyof typeof before) =>
    `${name} ${after[name] - before[name] >= 0 ? '+' : ''}${((after[name] - before[name]) / 1024).toFixed(1)} MiB`;
  console.log(`memory of the host since: ${grown('available')}, ${grown('shared')}, ${grown('unreclaimable')}`);
  process.exitCode = failures.length === 0 && Object.values(left).every((found) => found.length === 0) ? 0 : 1;
} finally {
  await place.end();
}
