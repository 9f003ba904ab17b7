/** All that is done with one mutant. */
import { cd9660 } from '../../src/fs/cd9660/index.js';
import { iso_describe } from '../../src/fs/cd9660/tools/describe.js';
import { iso_probe } from '../../src/fs/cd9660/tools/probe.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { CONTROL } from '../../testing/fuzz/values.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { BufCache } from '../../src/kernel/vfs/bio.js';
import { FaultDevice } from '../../testing/devices/fault.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import type { Mutant } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { MOUNTPOINT, walk } from '../../testing/fuzz/walk.js';
import { baseOf } from './bases.js';

const WALK_LIMIT = 60;
/** Of the first mount that are found by handle in another one. */
const HANDLES = 12;
/** Small, so that pieces of metadata are evicted and read again. */
const BUFCACHE_BYTES = 256 * 1024;
const BUG =
  /TypeError|RangeError|ReferenceError|SyntaxError|AssertionError|is not a function|undefined|\bNaN\b|driver bug/;

export function deviceOf(mutant: Mutant): MutantDevice {
  return new MutantDevice(baseOf(mutant.base).bytes, mutant.mutations, { readonly: true });
}

interface Mounted {
  readonly kernel: RumpKernel;
  readonly log: readonly string[];
}

async function mounted(dev: BlockDevice, options: string): Promise<Mounted> {
  const log: string[] = [];
  const rumpuser = new MemoryRumpuser({ now: 1_800_000_000 });
  rumpuser.rumpuser_dprintf = (level, message) => void log.push(`${level}: ${message}`);
  const kernel = await RumpKernel.boot({ rumpuser, components: [tmpfs, cd9660], bufcache_bytes: BUFCACHE_BYTES });
  await kernel.sys.mkdir(MOUNTPOINT, 0o755);
  const given = new Map(
    options === ''
      ? []
      : options.split(',').map((o): [string, string | true] => [o.split('=')[0]!, o.split('=')[1] ?? true]),
  );
  try {
    await kernel.sys.mount('cd9660', MOUNTPOINT, 0, { fspec: dev, options: given });
  } catch (thrown) {
    await kernel.halt();
    throw thrown;
  }
  return { kernel, log };
}

async function end(probe: Probe, { kernel, log }: Mounted): Promise<void> {
  await probe.op('unmount', () => kernel.sys.unmount(MOUNTPOINT));
  await probe.op('halt', () => kernel.halt());
  for (const line of log)
    if (BUG.test(line) || CONTROL.test(line))
      probe.violation('bug', 'log', line.replace(/\d+/g, 'N').slice(0, 100), line);
  const { resident_bytes } = kernel.bufcache as BufCache;
  if (resident_bytes !== 0) probe.violation('leak', 'unmount', 'buffers', `${resident_bytes} bytes of buffers`);
}

export async function tryMutant(mutant: Mutant, probe: Probe): Promise<void> {
  const look = deviceOf(mutant);
  const described = await probe.op('describe', () => iso_describe(look));
  if (described?.lines.some((line) => line.some((text) => text.length > 2000)))
    probe.violation('answer', 'describe', 'length', JSON.stringify(described.lines));
  await probe.op('probe', () => iso_probe(look));
  const dev = deviceOf(mutant);
  const open = (): Promise<Mounted> =>
    mounted(mutant.how.slow === true ? new FaultDevice(dev, { slow: true }) : dev, String(mutant.how.options));
  const first = await probe.op('mount', open);
  if (first === undefined) return;
  probe.count('mounted');
  await probe.op('statvfs', () => first.kernel.sys.statvfs(MOUNTPOINT));
  const found = await walk(probe, first.kernel.sys, WALK_LIMIT);
  const handles = [];
  for (const { path } of found.slice(-HANDLES))
    handles.push(await probe.op('getfh', () => first.kernel.sys.getfh(path)));
  await end(probe, first);

  // Another server knows nothing but the handles.
  const second = await probe.op('mount again', open);
  if (second === undefined) return;
  const root = await probe.op('getfh', () => second.kernel.sys.getfh(MOUNTPOINT));
  for (const fh of handles) {
    if (fh === undefined || root === undefined) continue;
    const fd = await probe.op('fhopen', () =>
      second.kernel.sys.fhopen({ fh_fsid: root.fh_fsid, fh_fid: fh.fh_fid }, 0),
    );
    if (fd === undefined) continue;
    probe.count('found by handle');
    await probe.op('lookup of .. by handle', () => second.kernel.sys.fstatat(fd, '..'));
    await probe.op('getdents by handle', () => second.kernel.sys.getdents(fd));
    await probe.op('close', () => second.kernel.sys.close(fd));
  }
  await end(probe, second);
  if (dev.writes !== 0) probe.violation('wrote', '', '', `${dev.writes} writes`);
}
