/**
 * What is done with a mutated volume of any format: looked at, mounted, changed, checked, repaired; by the registry
 * alone.
 */
import { defaultsOf } from '../../src/cli/tool-options.js';
import type { Check, CheckMode, CheckReport, Format } from '../../src/fs/format.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import type { Component } from '../../src/kernel/rump.js';
import { ST_RDONLY } from '../../src/kernel/stat.js';
import type { BufCache } from '../../src/kernel/vfs/bio.js';
import { FaultDevice } from '../devices/fault.js';
import type { MutantDevice } from './device.js';
import { mountVolume } from './kernel.js';
import type { Mutant } from './mutant.js';
import type { Probe } from './probe.js';
import { Random } from './random.js';
import { session } from './session.js';
import { MOUNTPOINT, walk } from './walk.js';

const WALK_LIMIT = 30;
const CHANGES = 24;
/** What the kernel logs when it has gone wrong itself. */
const BUG =
  /TypeError|RangeError|ReferenceError|SyntaxError|AssertionError|is not a function|undefined|\bNaN\b|driver bug/;

function problemsOf(report: CheckReport): string {
  return report.problems
    .slice(0, 6)
    .map((p) => `${p.message}${p.fixed === undefined ? '' : ` (${p.fixed})`}`)
    .join('\n');
}

/** What makes two problems the same. */
function whereOf(report: CheckReport): string {
  const [first] = report.problems;
  return (first?.code ?? first?.message ?? 'not marked clean')
    .replace(/^\/[^:]*/, 'FILE')
    .replace(/0x[0-9a-f]+|\d+/g, 'N')
    .slice(0, 80);
}

/** Tries mutants of one format's volumes. */
export class Scenario {
  readonly #format: Format;
  readonly #options: (mutant: Mutant) => Record<string, string | true>;
  #driver!: Component;
  #check: Check | undefined;
  #lastlog: readonly string[] = [];

  /** @param options of the mount */
  constructor(format: Format, options: (mutant: Mutant) => Record<string, string | true> = () => ({})) {
    this.#format = format;
    this.#options = options;
  }

  async load(): Promise<void> {
    this.#driver = await this.#format.load();
    this.#check = await this.#format.tools.check?.load();
  }

  #checked(probe: Probe, what: string, dev: BlockDevice, mode: CheckMode = 'check'): Promise<CheckReport | undefined> {
    const values = defaultsOf(this.#format.tools.check?.options ?? []);
    return this.#check === undefined
      ? Promise.resolve(undefined)
      : probe.op(what, () => this.#check!(dev, values, { mode, skipClean: false }));
  }

  /** Mounts, looks, changes (where that is possible), unmounts. @returns whether it could be written */
  async #use(probe: Probe, what: string, mutant: Mutant, dev: MutantDevice, flags: number): Promise<boolean> {
    const disk: BlockDevice = mutant.how['slow'] === true ? new FaultDevice(dev, { slow: true }) : dev;
    const mounted = await probe.op(`${what}: mount`, () =>
      mountVolume(this.#driver, disk, flags, this.#options(mutant)),
    );
    if (mounted === undefined) return false;
    const { kernel, sys, log } = mounted;
    const st = await probe.op('statvfs', () => sys.statvfs(MOUNTPOINT));
    const writable = st !== undefined && (st.f_flag & ST_RDONLY) === 0;
    probe.count(`mounted ${writable ? what : 'ro'}`);
    const found = await walk(probe, sys, writable ? 14 : WALK_LIMIT);
    if (writable) {
      await session(probe, sys, new Random(mutant.seed, 1), found, CHANGES);
      await probe.op('sync', () => sys.sync());
      await walk(probe, sys, 6);
    }
    await probe.op(`${what}: unmount`, () => sys.unmount(MOUNTPOINT));
    await probe.op(`${what}: halt`, () => kernel.halt());
    this.#lastlog = log;
    for (const line of log)
      if (BUG.test(line)) {
        probe.violation('bug', what, line.replace(/\d+/g, 'N').slice(0, 100), line);
      }
    const { resident_bytes, dirty_bytes } = kernel.bufcache as BufCache;
    if (resident_bytes !== 0 || dirty_bytes !== 0) {
      probe.violation('leak', what, 'buffers', `${resident_bytes} bytes of buffers, ${dirty_bytes} of them dirty`);
    }
    return writable;
  }

  /** Uses a volume that the checker called clean; it must be so afterwards. */
  async #cleanUse(probe: Probe, what: string, mutant: Mutant, dev: MutantDevice): Promise<void> {
    if (!(await this.#use(probe, what, mutant, dev, 0))) return;
    probe.count('clean volumes used');
    const after = await this.#checked(probe, `${what}: check afterwards`, dev);
    if (after === undefined || after.clean) return;
    probe.violation(
      'spoiled',
      what,
      whereOf(after),
      `${problemsOf(after)}\nthe kernel's log: ${this.#lastlog.slice(0, 6).join(' | ')}`,
    );
  }

  async #repaired(probe: Probe, mutant: Mutant, pristine: MutantDevice): Promise<void> {
    if (mutant.seed % 4 === 0) await this.#checked(probe, 'preen', pristine.clone(), 'preen');
    const dev = pristine.clone();
    const repair = await this.#checked(probe, 'repair', dev, 'repair');
    if (repair === undefined) return;
    const again = await this.#checked(probe, 'check after repair', dev);
    if (again === undefined) return;
    if (repair.clean !== again.clean) {
      probe.violation(
        'lied',
        'repair',
        whereOf(again),
        `repair said ${repair.clean ? 'clean' : 'not clean'}:\n${problemsOf(repair)}\nthe check after ` +
          `it:\n${problemsOf(again)}`,
      );
    }
    if (!again.clean) return;
    probe.count('repaired');
    await this.#cleanUse(probe, 'repaired', mutant, dev);
  }

  async run(mutant: Mutant, pristine: MutantDevice, probe: Probe): Promise<void> {
    const { tools } = this.#format;
    const look = pristine.clone({ readonly: true });
    const describe = await tools.describe!.load();
    await probe.op('probe', () => this.#format.probe(look));
    await probe.op('describe', () => describe(look));
    if (tools.dump !== undefined) {
      const dump = await tools.dump.load();
      await probe.op('dump', () => dump(look, defaultsOf(tools.dump!.options)));
    }
    const report = await this.#checked(probe, 'check', look);
    await this.#use(probe, 'ro', mutant, look, MNT_RDONLY);
    if (look.writes !== 0) probe.violation('wrote', 'ro', '', `${look.writes} writes`);
    if (report?.clean === true) {
      probe.count('clean');
      return this.#cleanUse(probe, 'rw', mutant, pristine.clone());
    }
    await this.#use(probe, 'rw', mutant, pristine.clone(), 0);
    if (this.#check !== undefined) await this.#repaired(probe, mutant, pristine);
  }
}
