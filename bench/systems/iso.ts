import { onPath, run } from '../exec.js';
import type { Format, System } from '../system.js';
import { rumpfuseMissing, rumpfuseMount, rumpfuseUnmount } from './rumpfuse.js';

/** Seconds to write a disc. */
const LIMIT = 120;

/** ISO 9660 with Rock Ridge. */
export const iso: Format = {
  name: 'iso',
  master: (image, folder) => void run('genisoimage', ['-quiet', '-R', '-o', image, folder], LIMIT),
};

export function isoMissing(): string | undefined {
  return onPath('genisoimage') ? undefined : 'genisoimage is not installed';
}

/** A disc by rumpfuse. */
export const isoSystem: System = {
  name: 'iso',
  title: 'rumpfuse ISO',
  format: iso,
  missing: () => rumpfuseMissing() ?? isoMissing(),
  mount: (_volume, image, directory, _sizes, env) => rumpfuseMount([image, directory], env),
  unmount: rumpfuseUnmount,
};
