/**
 * The fuzzer of a driver that has none of its own: the volumes are its variants', the mutations know nothing of the
 * format.
 */
import { createHash } from 'node:crypto';
import { formatNamed } from '../../src/fs/registry.js';
import { MNT_RDONLY, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { ST_RDONLY } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { NAMEMAX } from '../matrix/fs.js';
import { variantsFor } from '../variants/index.js';
import type { Variant } from '../variants/index.js';
import { newDisk } from '../variants/volume.js';
import { blindMutation, watched, type Stretch } from './blind.js';
import { MutantDevice } from './device.js';
import type { FuzzFormat } from './format.js';
import { mountVolume } from './kernel.js';
import type { Mutation } from './mutant.js';
import { Probe } from './probe.js';
import { Random } from './random.js';
import { Scenario } from './scenario.js';
import { MOUNTPOINT, walk } from './walk.js';

interface Base {
  readonly bytes: Uint8Array;
  readonly stretches: readonly Stretch[];
  readonly digest: string;
}

/** Something of everything that the format has. */
async function fill(sys: RumpSys, { features, namemax = NAMEMAX }: Variant): Promise<void> {
  const put = async (path: string, length: number): Promise<void> => {
    const fd = await sys.open(`${MOUNTPOINT}/${path}`, O_RDWR | O_CREAT, 0o644);
    await sys.write(fd, new Uint8Array(length).fill(path.length), 0, length);
    await sys.close(fd);
  };
  for (const dir of ['dir', 'dir/sub', 'many']) await sys.mkdir(`${MOUNTPOINT}/${dir}`, 0o755);
  await put('one', 10);
  await put('empty', 0);
  await put('dir/block', 5000);
  await put('dir/long', 90_000);
  await put(`dir/sub/${'n'.repeat(Math.min(100, namemax))}`, 700);
  for (let i = 0; i < 40; i++) await put(`many/file ${i}`, i * 20);
  for (let i = 0; i < 40; i += 4) await sys.unlink(`${MOUNTPOINT}/many/file ${i}`);
  if (features.includes('symlinks')) await sys.symlink('dir/sub', `${MOUNTPOINT}/link`);
  if (features.includes('hardlinks')) await sys.link(`${MOUNTPOINT}/one`, `${MOUNTPOINT}/dir/two`);
  await put('sparse', 1);
  await sys.truncate(`${MOUNTPOINT}/sparse`, 150_000);
}

/**
 * Runs `work` with a clock that stands and random numbers that are always the same: what newfs makes of them is then
 * the same, too.
 */
async function repeatably<T>(work: () => Promise<T>): Promise<T> {
  const { random } = Math;
  const { now } = Date;
  const numbers = new Random(1);
  Math.random = () => numbers.u32() / 2 ** 32;
  Date.now = () => 1_700_000_000_000;
  try {
    return await work();
  } finally {
    Math.random = random;
    Date.now = now;
  }
}

async function baseOf(variant: Variant): Promise<Base> {
  const driver = await (await formatNamed(variant.type)!.load()).load();
  const dev = (await repeatably(() => newDisk(variant)))!;
  const options = { ...variant.mount?.(dev.size_bytes) };
  // A volume that can only be read brings its content along.
  const made = await mountVolume(driver, dev.clone(), 0, options);
  const writable = ((await made.sys.statvfs(MOUNTPOINT)).f_flag & ST_RDONLY) === 0;
  await made.kernel.halt();
  if (writable) {
    const { sys, kernel } = await mountVolume(driver, dev, 0, options);
    try {
      await fill(sys, variant);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(`${variant.name}: the volume cannot be filled: ${why}`, { cause: thrown });
    }
    await kernel.halt();
  }
  const seen = new Map<number, Stretch>();
  const { sys, kernel } = await mountVolume(driver, watched(dev, seen), MNT_RDONLY, options);
  await walk(new Probe(), sys, 60);
  await sys.unmount(MOUNTPOINT);
  await kernel.halt();
  const bytes = new Uint8Array(dev.size_bytes);
  void dev.read(bytes, 0, bytes.length, 0);
  return {
    bytes,
    stretches: [...seen.values()],
    digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
  };
}

/** @param type a format of the registry, some of whose variants take part in `fuzz`: small volumes */
export async function volumeFuzzer(type: string): Promise<FuzzFormat> {
  const variants = await variantsFor('fuzz', type);
  const names = variants.map(({ name }) => name);
  const bases = new Map<string, Base>();
  const base = (name: string): Base => bases.get(name)!;
  const scenario = new Scenario(await formatNamed(type)!.load());
  return {
    name: type,
    bases: names,
    async prepare() {
      await scenario.load();
      for (const variant of variants) if (!bases.has(variant.name)) bases.set(variant.name, await baseOf(variant));
    },
    digest: (name) => base(name).digest,
    mutant(seed, index) {
      const random = new Random(seed, index);
      const name = names[index % names.length]!;
      const { bytes, stretches } = base(name);
      const mutations: Mutation[] = [];
      // Most damage shows best alone; some of it only together.
      for (let n = random.pick([1, 1, 1, 2, 2, 3, 4, 6]); n > 0; n--) {
        mutations.push(blindMutation(bytes, stretches, random));
      }
      return { base: name, mutations, seed: random.u32(), how: { slow: random.once(5) } };
    },
    run: (mutant, probe) => scenario.run(mutant, new MutantDevice(base(mutant.base).bytes, mutant.mutations), probe),
    save: async (mutant, file) => new MutantDevice(base(mutant.base).bytes, mutant.mutations).save(file),
  };
}
