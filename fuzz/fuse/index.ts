/**
 * What the host says: a server that trusts it less than it has to does not fall over a fault of the host, or of its own
 * reading.
 */
import { ffs } from '../../src/fs/ffs/index.js';
import { FaultDevice } from '../../testing/devices/fault.js';
import { serve } from '../../src/fuse/server.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import { baseOf, prepareBases } from '../ffs/bases.js';
import { mountVolume } from '../../testing/fuzz/kernel.js';
import { MOUNTPOINT } from '../../testing/fuzz/walk.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { Random } from '../../testing/fuzz/random.js';
import { HostileHost } from './host.js';
import { initRequest, makeRequest } from './requests.js';

const VOLUMES = ['ffs2ea-le', 'ffs1-be'];
const REQUESTS = 60;
const BUG = /TypeError|RangeError|ReferenceError|AssertionError|a fault of this program|driver bug/;

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const mutations: Mutation[] = [];
  if (!random.once(10)) mutations.push(initRequest());
  for (let n = 1; n <= REQUESTS; n++) mutations.push(makeRequest(random, n));
  return {
    base: VOLUMES[index % VOLUMES.length]!,
    mutations,
    seed: random.u32(),
    how: {
      slow: random.once(4),
      handles: random.once(2),
      locks: random.once(4),
      permissions: random.once(4),
      cache: random.once(4),
    },
  };
}

/** The bytes of a request; a smaller one made for a finding may lack some. */
function bytesOf(m: Mutation): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, ...m.patches.map((p) => p.at + p.bytes.length)));
  for (const p of m.patches) bytes.set(p.bytes, p.at);
  return bytes;
}

async function run(m: Mutant, probe: Probe): Promise<void> {
  const dev = new MutantDevice(baseOf(m.base).bytes);
  const { kernel, sys, log } = await mountVolume(
    ffs,
    m.how.slow === true ? new FaultDevice(dev, { slow: true }) : dev,
    0,
  );
  const said: string[] = [];
  const host = new HostileHost(probe, m.mutations.map(bytesOf));
  await probe.op('session', () =>
    serve({
      sys: kernel.newproc(),
      root: MOUNTPOINT,
      channel: host,
      handles: m.how.handles === true,
      remote_locks: m.how.locks === true,
      default_permissions: m.how.permissions !== true,
      writeback_cache: m.how.cache === true,
      log: (level, message, fields) => said.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`),
    }),
  );
  host.finish();
  await probe.op('unmount', () => sys.unmount(MOUNTPOINT));
  await probe.op('halt', () => kernel.halt());
  for (const line of [...said, ...log])
    if (BUG.test(line)) {
      probe.violation('bug', 'session', line.replace(/\d+/g, 'N').slice(0, 160), line);
    }
  const report = await probe.op('check', () => fsck(dev.clone({ readonly: true })));
  if (report !== undefined && !report.clean) {
    probe.violation(
      'spoiled',
      'session',
      report.problems
        .map((p) => p.code)
        .sort()
        .slice(0, 3)
        .join(' '),
      report.problems
        .slice(0, 6)
        .map((p) => p.message)
        .join('\n'),
    );
  }
  probe.count('sessions');
}

export const fuzzFormat: FuzzFormat = {
  name: 'fuse',
  bases: VOLUMES,
  prepare: () => prepareBases(VOLUMES),
  digest: (base) => baseOf(base).digest,
  mutant,
  run,
};
