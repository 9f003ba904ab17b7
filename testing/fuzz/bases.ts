/**
 * The volumes that a stick's fuzzer mutates: small, made by newfs, filled through the kernel, the same in every
 * process.
 */
import { createHash } from 'node:crypto';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { O_APPEND, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { Component } from '../../src/kernel/rump.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { mountVolume } from './kernel.js';
import { MOUNTPOINT } from './walk.js';

export interface Base<Atlas> {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Where what is to be mutated lies. */
  readonly atlas: Atlas;
  readonly digest: string;
}

/** What all plans have. */
export interface BasePlan {
  readonly size_bytes: number;
  /** The volume is taken while it is mounted, when all that it has is on the disk. */
  readonly dirty?: boolean;
}

/** How the volumes of one driver are made. */
export interface BasePlans<Plan extends BasePlan, Atlas> {
  readonly driver: Component;
  readonly plans: Readonly<Record<string, Plan>>;
  readonly options?: Record<string, string | true>;
  newfs(dev: BlockDevice, plan: Plan): Promise<unknown>;
  atlas(bytes: Uint8Array): Atlas | Promise<Atlas>;
}

/** Files in chains and in rows, long and foreign names, a directory with holes, a file with a hole. */
async function fill(sys: RumpSys): Promise<void> {
  const put = async (path: string, length: number, flags = 0): Promise<void> => {
    const fd = await sys.open(`${MOUNTPOINT}/${path}`, O_RDWR | O_CREAT | flags, 0o644);
    await sys.write(fd, new Uint8Array(length).fill(path.length + length), 0, length);
    await sys.close(fd);
  };
  await sys.mkdir(`${MOUNTPOINT}/dir`, 0o755);
  await sys.mkdir(`${MOUNTPOINT}/dir/sub`, 0o755);
  await sys.mkdir(`${MOUNTPOINT}/many`, 0o755);
  await put('one', 10);
  await put('empty', 0);
  // In turns, so that both become chains.
  for (let i = 0; i < 6; i++) for (const name of ['dir/chain', 'dir/other']) await put(name, 5000 + i, O_APPEND);
  await put('dir/row', 90_000);
  await put(`dir/sub/${'n'.repeat(200)}`, 700);
  await put('dir/sub/Grüße 漢字', 70_000);
  for (let i = 0; i < 45; i++) await put(`many/file ${i}`, i % 3 === 0 ? 0 : i * 20);
  for (let i = 0; i < 45; i += 4) await sys.unlink(`${MOUNTPOINT}/many/file ${i}`);
  await put('sparse', 1);
  await sys.truncate(`${MOUNTPOINT}/sparse`, 150_000);
}

/** Changes a volume, and takes what is on the disk before it is unmounted. */
async function interrupted(
  { kernel, sys }: Awaited<ReturnType<typeof mountVolume>>, dev: MemoryDevice, bytes: Uint8Array,
): Promise<void> {
  await sys.mkdir(`${MOUNTPOINT}/late`, 0o755);
  await sys.rename(`${MOUNTPOINT}/dir/row`, `${MOUNTPOINT}/late/row`);
  await sys.unlink(`${MOUNTPOINT}/dir/chain`);
  const fd = await sys.open(`${MOUNTPOINT}/late/new`, O_RDWR | O_CREAT, 0o644);
  await sys.write(fd, new Uint8Array(20_000).fill(1), 0, 20_000);
  await sys.fsync(fd);
  dev.read(bytes, 0, bytes.length, 0);
  await sys.close(fd);
  await sys.unmount(MOUNTPOINT);
  await kernel.halt();
}

/** The base volumes of one driver in this process. */
export class Bases<Plan extends BasePlan, Atlas> {
  readonly names: readonly string[];
  readonly #how: BasePlans<Plan, Atlas>;
  readonly #made = new Map<string, Base<Atlas>>();

  constructor(how: BasePlans<Plan, Atlas>) {
    this.#how = how;
    this.names = Object.keys(how.plans);
  }

  /** @throws Error if it has not been made */
  of(name: string): Base<Atlas> {
    const base = this.#made.get(name);
    if (base === undefined) throw new Error(`no base ${name}`);
    return base;
  }

  async prepare(): Promise<void> {
    const { driver, plans, options, newfs, atlas } = this.#how;
    for (const [name, plan] of Object.entries(plans)) {
      if (this.#made.has(name)) continue;
      const dev = new MemoryDevice({ size_bytes: plan.size_bytes });
      await newfs(dev, plan);
      const { kernel, sys } = await mountVolume(driver, dev, 0, options);
      await fill(sys);
      await sys.unmount(MOUNTPOINT);
      await kernel.halt();
      const bytes = new Uint8Array(plan.size_bytes);
      if (plan.dirty === true) await interrupted(await mountVolume(driver, dev, 0, options), dev, bytes);
      else dev.read(bytes, 0, bytes.length, 0);
      const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
      this.#made.set(name, { name, bytes, atlas: await atlas(bytes), digest });
    }
  }
}
