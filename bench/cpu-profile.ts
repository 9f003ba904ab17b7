// Preloaded into the processes of a mount (--cpu-prof): profiles the process from its start and writes the profile when
// it ends. Node.js does not take its own --cpu-prof from NODE_OPTIONS.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import path from 'node:path';

const MICROSECONDS = 250;
const directory = process.env['RUMPFUSE_BENCH_PROFILES'];
// The supervisor and the commands do nothing worth looking at.
if (directory !== undefined && process.argv[1]?.includes('server')) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: MICROSECONDS });
  session.post('Profiler.start');
  process.on('exit', () => {
    session.post('Profiler.stop', (error, result) => {
      const mount = path.basename(process.env['RUMPFUSE_BENCH_MOUNT'] ?? 'server');
      if (error === null) {
        writeFileSync(
          path.join(directory, `${mount}-${Date.now()}-${process.pid}.cpuprofile`),
          JSON.stringify(result.profile),
        );
      }
    });
  });
}
