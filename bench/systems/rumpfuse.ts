import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run } from '../exec.js';
import type { Format } from '../system.js';

const checkout = new URL('../../../', import.meta.url);
export const rumpfuse = fileURLToPath(new URL('bin/rumpfuse', checkout));

/** Seconds for one command. */
const LIMIT = 60;

/** NetBSD FFS version 2, with newfs's own choice of block and fragment size. */
export const ffs: Format = {
  name: 'ffs',
  make: (image) => void run(rumpfuse, ['newfs', '-O', '2', image], LIMIT),
};

/** As newfs makes it by default. */
export function makeVolume(type: string, image: string): void {
  run(rumpfuse, ['newfs', '-t', type, image], LIMIT);
}

export function rumpfuseMissing(): string | undefined {
  return existsSync(fileURLToPath(new URL('dist/cli/main.js', checkout))) ? undefined : 'not built (npm run build)';
}

export function rumpfuseMount(args: readonly string[], env: NodeJS.ProcessEnv): void {
  // A confined server cannot write its profile.
  run(
    rumpfuse,
    ['mount', ...(env['RUMPFUSE_BENCH_PROFILES'] === undefined ? [] : ['--no-sandbox']), ...args],
    LIMIT,
    env,
  );
}

export function rumpfuseUnmount(directory: string): void {
  run(rumpfuse, ['umount', directory], LIMIT);
}
