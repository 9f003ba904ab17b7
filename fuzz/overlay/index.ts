/** The file of an overlay: somebody may hand it on together with the image it belongs to. */
import { MemoryDevice } from '../../src/blockdev/memory.js';
import { overlayLayout } from '../../src/blockdev/overlay-format.js';
import { OverlayDevice, openOverlay } from '../../src/blockdev/overlay.js';
import { Errno } from '../../src/kernel/errno.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { MutantDevice } from '../../testing/fuzz/device.js';
import type { FuzzFormat } from '../../testing/fuzz/format.js';
import type { Mutant, Mutation } from '../../testing/fuzz/mutant.js';
import type { Probe } from '../../testing/fuzz/probe.js';
import { Random } from '../../testing/fuzz/random.js';
import { CONTROL } from '../../testing/fuzz/values.js';
import { BOOT, OTHER_BOOT, bytesOf, diskOf, fileNames, fileOf, prepareFiles } from './files.js';
import { amend, mutate } from './mutations.js';

const BLOCK = 4096;
/** What is looked at of a disk: all of a small one, both ends of a large one. */
const WINDOW_BYTES = 304 * 1024;
const CHANGES = 12;

function mutant(seed: number, index: number): Mutant {
  const random = new Random(seed, index);
  const name = fileNames[index % fileNames.length]!;
  const mutations: Mutation[] = [];
  for (let n = random.pick([1, 1, 2, 2, 3, 5]); n > 0; n--) {
    mutations.push(mutate(fileOf(name), fileOf(random.pick(fileNames)), random));
  }
  return {
    base: name,
    mutations,
    seed: random.u32(),
    how: {
      sum: !random.once(4),
      boot: random.pick([BOOT, BOOT, OTHER_BOOT, '']),
      disk: random.pick(['same', 'same', 'same', 'same', 'changed', 'longer']),
    },
  };
}

const disks = new Map<string, MemoryDevice>();

/** The disk below, now and then another one than the overlay was made over. Shared, and never written. */
function diskBelow(m: Mutant, size: number): MemoryDevice {
  const key = `${String(m.how.disk)} ${size}`;
  let disk = disks.get(key);
  if (disk === undefined) disks.set(key, (disk = makeDisk(m, size)));
  return disk;
}

function makeDisk(m: Mutant, size: number): MemoryDevice {
  if (m.how.disk === 'longer') return new MemoryDevice({ name: 'disk', size_bytes: size + BLOCK, readonly: true });
  const bytes = diskOf(size);
  if (m.how.disk !== 'changed') return new MemoryDevice({ name: 'disk', content: bytes, readonly: true });
  const changed = bytes.slice();
  changed[BLOCK + 8]! ^= 1;
  return new MemoryDevice({ name: 'disk', content: changed, readonly: true });
}

function windows(size: number): [at: number, length: number][] {
  if (size <= WINDOW_BYTES) return [[0, size]];
  return [[0, WINDOW_BYTES], [size - WINDOW_BYTES, WINDOW_BYTES]];
}

/** An overlay that is open, and what it must hold. */
class Tried {
  readonly parts: { readonly at: number; readonly model: Uint8Array }[] = [];
  /** Blocks written since the last flush: after the host went down they hold one thing or another. */
  readonly unflushed = new Set<number>();
  constructor(readonly dev: OverlayDevice, readonly probe: Probe) {}

  async fill(): Promise<void> {
    for (const [at, length] of windows(this.dev.size_bytes)) {
      const model = new Uint8Array(length);
      await this.probe.op('read', () => this.dev.read(model, 0, length, at));
      this.parts.push({ at, model });
    }
  }

  /** Blocks of `dev` that differ from what they must hold. */
  async compare(op: string, dev: OverlayDevice, excused: (block: number) => boolean = () => false): Promise<void> {
    for (const { at, model } of this.parts) {
      const got = new Uint8Array(model.length);
      if ((await this.probe.op(op, async () => (await dev.read(got, 0, got.length, at), true))) !== true) {
        return this.probe.violation('answer', op, 'read', 'an overlay that was sound cannot be read');
      }
      for (let i = 0; i < got.length; i++) {
        if (got[i] === model[i] || excused(Math.floor((at + i) / BLOCK))) continue;
        return this.probe.violation('answer', op, 'content', `byte ${at + i}: ${got[i]} instead of ${model[i]}`);
      }
    }
  }

  async change(random: Random): Promise<void> {
    const { at, model } = random.pick(this.parts);
    const from = random.below(model.length);
    const length = Math.min(model.length - from, 1 + random.below(random.pick([100, 5000, 20_000])));
    const value = random.below(256);
    if (random.once(5)) {
      if ((await this.probe.op('flush', async () => (await this.dev.flush(), true))) === true) this.unflushed.clear();
      return;
    }
    await this.probe.op('write', () => this.dev.write(new Uint8Array(length).fill(value), 0, length, at + from));
    model.fill(value, from, from + length);
    for (let block = Math.floor((at + from) / BLOCK); block * BLOCK < at + from + length; block++) {
      this.unflushed.add(block);
    }
  }
}

/** Nothing but what is on the disk, or in the file at the block's place. */
function judge(tried: Tried, file: MutantDevice, disk: Uint8Array): void {
  const { data_offset } = overlayLayout(disk.length);
  for (const { at, model } of tried.parts) {
    for (let block = at; block < at + model.length; block += BLOCK - (block % BLOCK)) {
      const shown = Buffer.from(
        model.subarray(block - at, Math.min(block - at + BLOCK - (block % BLOCK), model.length)),
      );
      if (
        shown.equals(disk.subarray(block, block + shown.length)) ||
        shown.equals(bytesOf(file, data_offset + block, shown.length))
      ) {
        continue;
      }
      tried.probe.violation(
        'answer',
        'open',
        'content',
        `at ${block} there is what is neither on the disk nor in the file`,
      );
    }
  }
}

/** A file that has another size than it must have. */
async function resized(m: Mutant, probe: Probe, file: MutantDevice): Promise<void> {
  const bytes = bytesOf(file, 0, file.size_bytes);
  const ru = memoryRumpuser({
    params: new Map([['_RUMPUSER_BOOT_ID', String(m.how.boot)]]),
    files: { '/over': bytes.slice() },
  });
  const disk = diskBelow(m, fileOf(m.base).disk_bytes);
  const dev = await probe.op('open', () => openOverlay(ru, disk, '/over'));
  if (dev !== undefined && bytes.length > 0 && overlayLayout(disk.size_bytes).file_bytes !== bytes.length) {
    probe.violation('answer', 'open', 'size', `taken with ${bytes.length} bytes`);
  }
  if (dev === undefined && !Buffer.from(ru.fileBytes('/over')).equals(bytes)) {
    probe.violation('wrote', 'open', '', 'a file that was refused was changed');
  }
  probe.count(dev === undefined ? 'refused' : 'opened');
  if (dev !== undefined) await probe.op('close', () => dev.close());
}

async function run(m: Mutant, probe: Probe): Promise<void> {
  const base = fileOf(m.base);
  const last = m.mutations.findLast((mutation) => mutation.size !== undefined);
  const small = base.bytes.length < 1 << 20;
  const { file_bytes } = overlayLayout(base.disk_bytes);
  const store = new MutantDevice(base.bytes, [
    ...m.mutations,
    ...(small && last !== undefined ? [] : [{ label: '', patches: [], size: file_bytes }]),
  ]);
  if (m.how.sum === true) amend(store);
  if (small && last !== undefined) return resized(m, probe, store);
  const before = store.clone();
  const disk = diskBelow(m, base.disk_bytes);
  const open = (on: MutantDevice, boot: string): Promise<OverlayDevice> => OverlayDevice.open(disk, on, boot);
  let said = '';
  const dev = await probe.op('open', () => open(store, String(m.how.boot)).catch((e: unknown) => {
    said = e instanceof Errno ? e.message : '';
    throw e;
  }));
  if (CONTROL.test(said)) probe.violation('answer', 'open', 'control characters', JSON.stringify(said));
  if (dev === undefined) {
    probe.count('refused');
    if (store.writes !== 0) probe.violation('wrote', 'open', '', `${store.writes} writes to a file that was refused`);
    return;
  }
  probe.count('opened');
  const fresh = bytesOf(before, 0, BLOCK).every((byte) => byte === 0);
  if (m.how.disk === 'longer' && !fresh) probe.violation('answer', 'open', 'size', 'taken for a disk of another size');
  // Who makes the checksum right can leave the samples out.
  if (m.how.disk === 'changed' && m.how.sum !== true && !fresh) {
    probe.violation('answer', 'open', 'samples', 'taken for a disk that was written to');
  }
  const tried = new Tried(dev, probe);
  await tried.fill();
  if (m.how.disk === 'same') judge(tried, before, diskOf(base.disk_bytes));
  const random = new Random(m.seed);
  await probe.op('flush', () => dev.flush());
  for (let i = 0; i < CHANGES; i++) await tried.change(random);
  await tried.compare('read again', dev);
  // The process died; the host went down; neither.
  const boot = String(m.how.boot) === '' ? BOOT : String(m.how.boot);
  if (m.how.boot !== '') {
    const died = await probe.op('open after a death', () => open(store.clone(), boot));
    if (died === undefined) probe.violation('answer', 'open after a death', '', 'refused');
    else await tried.compare('after a death', died);
  }
  const cut = await probe.op('open after a power cut', () => open(store.clone(), 'another'));
  if (cut === undefined) probe.violation('answer', 'open after a power cut', '', 'refused');
  else await tried.compare('after a power cut', cut, (block) => tried.unflushed.has(block));
  await probe.op('close', () => dev.close());
  const again = await probe.op('open again', () => open(store, OTHER_BOOT));
  if (again === undefined) probe.violation('answer', 'open again', '', 'refused');
  else await tried.compare('opened again', again);
}

export const fuzzFormat: FuzzFormat = {
  name: 'overlay',
  bases: fileNames,
  prepare: prepareFiles,
  digest: (base) => fileOf(base).digest,
  mutant,
  run,
};
