/**
 * Overlay files as they are found: new, closed, left by a process that died or a host that went down; and the disks
 * below.
 */
import { createHash } from 'node:crypto';
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { overlayLayout } from '../../src/blockdev/overlay-format.js';
import { OverlayDevice } from '../../src/blockdev/overlay.js';
import type { MutantDevice } from '../../testing/fuzz/device.js';

export const BOOT = '11111111-2222-3333-4444-555555555555';
export const OTHER_BOOT = '99999999-2222-3333-4444-555555555555';
const BLOCK = 4096;

export interface OverlayFile {
  readonly name: string;
  /** The overlay file's content; zeros behind it, up to the size that the layout says. */
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly disk_bytes: number;
}

interface Plan {
  readonly disk_bytes: number;
  /** Blocks written and flushed, then blocks written. */
  readonly flushed: readonly number[];
  readonly written: readonly number[];
  readonly closed: boolean;
}

/** With more blocks than a page of the map has room for. */
const LARGE_BYTES = 16384 * BLOCK + 40 * BLOCK + 100;
const SMALL_BYTES = 300_000;

const PLANS: Readonly<Record<string, Plan>> = {
  unused: { disk_bytes: SMALL_BYTES, flushed: [], written: [], closed: true },
  closed: { disk_bytes: SMALL_BYTES, flushed: [0, 1, 5, 40, 73], written: [2, 41], closed: true },
  open: { disk_bytes: SMALL_BYTES, flushed: [0, 1, 5, 40, 73], written: [1, 2, 41, 72], closed: false },
  large: { disk_bytes: LARGE_BYTES, flushed: [3, 70, 16383, 16384], written: [16385, 16424], closed: false },
};

export const fileNames: readonly string[] = Object.keys(PLANS);
const made = new Map<string, OverlayFile>();

/** The disk under all of them: every byte tells where it is. Large ones have content at both ends only. */
export function diskBytes(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const fill = (from: number, to: number): void => {
    for (let i = from; i < to; i++) bytes[i] = (i * 7 + (i >> 9)) & 0xff;
  };
  if (size <= SMALL_BYTES) fill(0, size);
  else for (const [from, to] of [[0, SMALL_BYTES], [16380 * BLOCK, size]] as const) fill(from, to);
  return bytes;
}

const disks = new Map<number, Uint8Array>();

/** Shared: not to be written to. */
export function diskOf(size: number): Uint8Array {
  let bytes = disks.get(size);
  if (bytes === undefined) disks.set(size, (bytes = diskBytes(size)));
  return bytes;
}

async function make(name: string, plan: Plan): Promise<OverlayFile> {
  const store = new MemoryDevice({ name, size_bytes: overlayLayout(plan.disk_bytes).file_bytes });
  const disk = new MemoryDevice({ name: 'disk', content: diskOf(plan.disk_bytes), readonly: true });
  const dev = await OverlayDevice.open(disk, store, BOOT);
  const write = async (block: number, value: number): Promise<void> => {
    const length = Math.min(BLOCK, plan.disk_bytes - block * BLOCK);
    await dev.write(new Uint8Array(length).fill(value), 0, length, block * BLOCK);
  };
  for (const block of plan.flushed) await write(block, 0x40);
  await dev.flush();
  for (const block of plan.written) await write(block, 0x80);
  if (plan.closed) await dev.close();
  const bytes = store.toBytes();
  return {
    name,
    bytes,
    disk_bytes: plan.disk_bytes,
    digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
  };
}

export async function prepareFiles(): Promise<void> {
  for (const [name, plan] of Object.entries(PLANS)) if (!made.has(name)) made.set(name, await make(name, plan));
}

/** A file that has been prepared. */
export function fileOf(name: string): OverlayFile {
  const found = made.get(name);
  if (found === undefined) throw new Error(`no overlay file ${name}`);
  return found;
}

/** What a device holds, without being counted. */
export function bytesOf(dev: MutantDevice, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  dev.get(bytes, 0, length, at);
  return bytes;
}
