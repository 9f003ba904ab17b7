/** What a power cut leaves of a volume: recovers it as the mode prescribes and says which promises are broken. */
import { MemoryDevice } from '../../src/blockdev/memory.js';
import type { DiskEvent } from '../devices/fault.js';
import { lastBarrier } from '../devices/powercut.js';
import type { PowerCut } from '../devices/powercut.js';
import { MNT_RDONLY } from '../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFMT } from '../../src/kernel/stat.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import type { Claim, Workload } from './workload.js';
import { manifest, names } from '../../test/ffs/volumes.js';
import { get, same } from '../../test/ffs/write-support.js';
import type { Variant } from '../variants/variant.js';
import { MOUNTPOINT as V } from '../mounted.js';
import { check, mountVolume } from '../variants/volume.js';

/** Every so many cuts another's checker looks, too. */
const STRANGER = 20;

/**
 * Cuts at event `at`. Of the writes since the last barrier the disk has, by turns: all; a random part, one write of it
 * torn; all but one; only the newest; the newest half; none.
 */
export function randomcut(events: readonly DiskEvent[], at: number, n: number, random: () => number): PowerCut {
  const barrier = lastBarrier(events, at);
  const pick = barrier + Math.floor(random() * (at - barrier));
  switch (n % 6) {
    case 0: return { events: at };
    case 1: return { events: at, keep: (i) => i !== pick };
    case 2: return { events: at, keep: (i) => i === at - 1 };
    case 3: return { events: at, keep: (i) => i >= pick };
    case 4: return { events: at, keep: () => false };
    default: {
      const share = random();
      const kept = new Set<number>();
      for (let i = barrier; i < at; i++) if (random() < share) kept.add(i);
      return { events: at, keep: (i) => kept.has(i), torn: { index: pick, bytes: Math.floor(random() * 32) * 512 } };
    }
  }
}

/** Disks after cuts, asked for in the order of their events: what is behind the last barrier is put together once. */
export class CutDisks {
  readonly #base: MemoryDevice;
  readonly #events: readonly DiskEvent[];
  #done = 0;

  constructor(before: Uint8Array, events: readonly DiskEvent[]) {
    this.#base = new MemoryDevice({ content: before });
    this.#events = events;
  }

  after(cut: PowerCut): MemoryDevice {
    const barrier = lastBarrier(this.#events, cut.events);
    for (; this.#done < barrier; this.#done++) apply(this.#base, this.#events[this.#done]!, Infinity);
    const disk = this.#base.clone();
    for (let i = barrier; i < cut.events; i++) {
      if (cut.keep?.(i) ?? true) apply(disk, this.#events[i]!, cut.torn?.index === i ? cut.torn.bytes : Infinity);
    }
    return disk;
  }
}

function apply(disk: MemoryDevice, event: DiskEvent, most: number): void {
  if (event.op === 'write') disk.write(event.bytes, 0, Math.min(event.bytes.length, most), event.offset_bytes);
  else if (event.op === 'discard') disk.discard(event.offset_bytes, event.length);
}

/** The file is under a path that may still name something else: what is there, undefined if nothing. */
async function contentOf(sys: RumpSys, path: string): Promise<Uint8Array | undefined> {
  try {
    return await get(sys, V + path);
  } catch {
    return undefined;
  }
}

/** The promises that a volume after a cut at event `at` does not keep. */
export async function broken(sys: RumpSys, claims: readonly Claim[], at: number): Promise<string[]> {
  const bad: string[] = [];
  for (const claim of claims) {
    if (at < claim.since || at >= claim.until) continue;
    let kept = false;
    for (const path of claim.paths) {
      const content = await contentOf(sys, path);
      if (content !== undefined && claim.contents.some((c) => same(c, content))) kept = true;
    }
    if (!kept) bad.push(`${claim.why} (promised at ${claim.since})`);
  }
  return bad;
}

/** All paths of the volume, as the workload keeps them. */
export async function namespaceof(sys: RumpSys): Promise<string> {
  const all: string[] = [];
  const pending = [''];
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    all.push(dir);
    for (const name of await names(sys, Buffer.from(V + dir))) {
      const path = `${dir}/${name}`;
      if (((await sys.lstat(V + path)).st_mode & S_IFMT) === S_IFDIR) pending.push(path);
      else all.push(path);
    }
  }
  return all.sort().join('\n');
}

/** A volume that logs is, after a cut, as it was after one of the operations since the last that was made durable. */
export function consistentnames(work: Workload, found: string, at: number): string | undefined {
  for (let i = work.namespaces.length - 1; i >= 0; i--) {
    const space = work.namespaces[i]!;
    if (space.from > at) continue;
    if (space.names === found) return undefined;
    if (space.durable && space.at <= at) break;
  }
  return `the names are those of no moment since the last commit: ${found.replace(/x+/g, '').replaceAll('\n', ' ')}`;
}

async function examinelog(variant: Variant, disk: MemoryDevice, work: Workload, at: number): Promise<string[]> {
  const bad: string[] = [];
  const problems = async (what: string, repaired: boolean): Promise<void> => {
    const report = await check(variant, disk);
    const wrong = repaired
      ? report.problems
      : report.problems.filter(
          ({ code }) => code === undefined || !(variant.powercut!.before_recovery ?? []).includes(code),
        );
    for (const p of wrong.slice(0, 3)) bad.push(`${what}: ${p.code ?? ''} ${p.message}`);
    if (repaired && !report.clean) bad.push(`${what}: not clean`);
  };
  await problems('checked with the journal in memory', false);
  const first = await mountVolume(variant, disk, MNT_RDONLY);
  let seen: string;
  try {
    bad.push(...first.log.filter((l) => !l.startsWith('info')));
    bad.push(...(await broken(first.sys, work.claims, at)));
    const wrong = consistentnames(work, await namespaceof(first.sys), at);
    if (wrong !== undefined) bad.push(wrong);
    seen = await manifest(first.sys);
  } finally {
    await first.close();
  }
  const second = await mountVolume(variant, disk);
  try {
    bad.push(...second.log.filter((l) => !l.startsWith('info')));
    if ((await manifest(second.sys)) !== seen) bad.push('a read-only and a read-write mount show different files');
  } finally {
    await second.close();
  }
  await problems('after the replay', true);
  return bad;
}

async function examineordered(
  variant: Variant,
  disk: MemoryDevice,
  work: Workload,
  at: number,
  promised: boolean,
): Promise<string[]> {
  const found = await check(variant, disk);
  const never = new Set(variant.powercut!.never);
  const bad = promised
    ? found.problems.filter(({ code }) => code !== undefined && never.has(code)).map((p) => `${p.code} ${p.message}`)
    : [];
  await check(variant, disk, 'repair');
  const after = await check(variant, disk);
  if (!after.clean) bad.push(`not repaired: ${after.problems[0]?.message ?? ''}`);
  const vol = await mountVolume(variant, disk, MNT_RDONLY);
  try {
    if (promised) bad.push(...(await broken(vol.sys, work.claims, at)));
  } finally {
    await vol.close();
  }
  return bad;
}

/** Mounted as it is, if the driver does that; then preened, and looked at by another's checker now and then. */
async function examinesound(
  variant: Variant,
  disk: MemoryDevice,
  work: Workload,
  at: number,
  stranger: boolean,
): Promise<string[]> {
  const bad: string[] = [];
  const look = async (dev: MemoryDevice, flags: number, quiet: boolean): Promise<void> => {
    const vol = await mountVolume(variant, dev, flags);
    try {
      bad.push(...(quiet ? vol.log : []), ...(await broken(vol.sys, work.claims, at)));
    } finally {
      await vol.close();
    }
  };
  await look(disk.clone(), 0, false);
  const preened = await check(variant, disk, 'preen');
  for (const { message, fixed } of preened.problems)
    if (fixed === undefined) {
      bad.push(`not mended without asking: ${message}`);
    }
  const after = await check(variant, disk);
  if (!after.clean) bad.push(`after the repair: ${after.problems[0]?.message ?? 'not marked clean'}`);
  const said = stranger ? await variant.stranger?.(disk) : undefined;
  if (said !== undefined) bad.push(`another's checker: ${said}`);
  await look(disk, MNT_RDONLY, true);
  return bad;
}

/** What a cut breaks, in words; empty if nothing. `n`: its number: another's checker looks at some. */
export async function examine(
  variant: Variant,
  disk: MemoryDevice,
  work: Workload,
  at: number,
  n = 1,
): Promise<string[]> {
  const { promise } = variant.powercut!;
  try {
    if (promise === 'log') return await examinelog(variant, disk, work, at);
    if (promise === 'sound') return await examinesound(variant, disk, work, at, n % STRANGER === 0);
    return await examineordered(variant, disk, work, at, promise === 'ordered');
  } catch (thrown) {
    return [`recovery fails: ${thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ''}` : String(thrown)}`];
  }
}
