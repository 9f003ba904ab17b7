/** The volumes that are mutated: small, made by newfs, filled through the kernel, the same in every process. */
import { createHash } from 'node:crypto';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { exfat } from '../../src/fs/exfat/index.js';
import type { NewfsOptions } from '../../src/fs/exfat/tools/newfs.js';
import { newfs } from '../../src/fs/exfat/tools/newfs.js';
import { O_APPEND, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { mountVolume } from '../../testing/fuzz/kernel.js';
import { MOUNTPOINT } from '../../testing/fuzz/walk.js';
import type { Atlas } from './atlas.js';
import { makeAtlas } from './atlas.js';

export interface Base {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly atlas: Atlas;
  readonly digest: string;
}

const MIB = 2 ** 20;

const PLANS: Readonly<Record<string, { readonly newfs: NewfsOptions; readonly size_bytes: number }>> = {
  'exfat-512': { newfs: { clusterSize: 512, label: 'SMALL' }, size_bytes: 2 * MIB },
  'exfat-4k': { newfs: { clusterSize: 4096, guid: new Uint8Array(16).fill(7) }, size_bytes: 3 * MIB },
  'exfat-4k-sectors': { newfs: { clusterSize: 4096, sectorSize: 4096, packBitmap: true }, size_bytes: 3 * MIB },
  'exfat-32k': { newfs: { clusterSize: 32768 }, size_bytes: 6 * MIB },
};

export const baseNames: readonly string[] = Object.keys(PLANS);
const bases = new Map<string, Base>();

export function baseOf(name: string): Base {
  const base = bases.get(name);
  if (base === undefined) throw new Error(`no base ${name}`);
  return base;
}

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

/** Makes the base volumes of this process. */
export async function prepareBases(): Promise<void> {
  for (const [name, plan] of Object.entries(PLANS)) {
    if (bases.has(name)) continue;
    const dev = new MemoryDevice({ size_bytes: plan.size_bytes });
    await newfs(dev, { ...plan.newfs, serial: 0x12345678 });
    const { kernel, sys } = await mountVolume(exfat, dev, 0);
    await fill(sys);
    await sys.unmount(MOUNTPOINT);
    await kernel.halt();
    const bytes = new Uint8Array(plan.size_bytes);
    dev.read(bytes, 0, bytes.length, 0);
    bases.set(
      name,
      { name, bytes, atlas: makeAtlas(bytes), digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16) },
    );
  }
}
