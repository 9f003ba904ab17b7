/** A workload on a volume whose device fails, and what must hold afterwards whatever failed. */
import { FaultDevice } from '../devices/fault.js';
import type { Fault, FaultOptions } from '../devices/fault.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { Errno } from '../../src/kernel/errno.js';
import { MNT_RDONLY, O_APPEND, O_CREAT, O_RDONLY, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { pattern } from '../../test/ffs/write-support.js';
import type { Variant } from '../variants/variant.js';
import { MOUNTPOINT as V } from '../mounted.js';
import { check, mountVolume } from '../variants/volume.js';

/** No call may take longer, whatever the device does: only for what hangs. */
const ANSWER_MS = 600_000;

/** What went wrong with a run: empty is well. */
export type Verdict = string[];

/** A call ends in its answer or in an Errno. */
async function answered<T>(what: string, verdict: Verdict, call: Promise<T>): Promise<T | Errno | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      verdict.push(`${what}: no answer`);
      resolve(undefined);
    }, ANSWER_MS);
  });
  try {
    return await Promise.race([call, late]);
  } catch (thrown) {
    if (thrown instanceof Errno) return thrown;
    verdict.push(`${what}: ${thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)}`);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What has been promised: after an fsync that succeeded a file is on the disk as it was, until it is changed again;
 * then it may be there in either form.
 */
class Promises {
  readonly now = new Map<string, Uint8Array>();
  readonly kept = new Map<string, Uint8Array>();

  /** The file has this content in memory, or (undefined) nobody knows. */
  is(name: string, content: Uint8Array | undefined): void {
    this.kept.delete(name);
    if (content === undefined) this.now.delete(name);
    else this.now.set(name, content);
  }

  synced(name: string): void {
    const content = this.now.get(name);
    if (content !== undefined) this.kept.set(name, content);
  }
}

/** The work: it goes on whatever fails. Says which calls failed. */
async function work({ features }: Variant, sys: RumpSys, promises: Promises, verdict: Verdict): Promise<string[]> {
  const failed: string[] = [];
  const ok = async (what: string, call: Promise<unknown>): Promise<boolean> => {
    const answer = await answered(what, verdict, call);
    if (answer instanceof Errno) failed.push(`${what}: ${answer.code}`);
    return !(answer instanceof Errno);
  };

  /** Writes a file anew or at its end, and asks for it to be kept. */
  const put = async (
    name: string,
    content: Uint8Array,
    flags = 0,
    sync: 'fsync' | 'fdatasync' | '' = 'fsync',
  ): Promise<void> => {
    const fd = await answered(`open ${name}`, verdict, sys.open(`${V}/${name}`, O_RDWR | O_CREAT | flags, 0o644));
    if (typeof fd !== 'number') {
      failed.push(`open ${name}`);
      promises.is(name, undefined);
      return;
    }
    const before = (flags & O_APPEND) !== 0 ? promises.now.get(name) : new Uint8Array(0);
    promises.is(name, undefined);
    const n = await answered(`write ${name}`, verdict, sys.write(fd, content));
    if (n === content.length && before !== undefined) promises.is(name, Buffer.concat([before, content]));
    else failed.push(`write ${name}`);
    if (sync !== '' && (await ok(`${sync} ${name}`, sys[sync](fd)))) {
      promises.synced(name);
      if (n instanceof Errno) verdict.push(`${sync} ${name} succeeded behind a write that failed`);
    }
    await ok(`close ${name}`, sys.close(fd));
  };
  const gone = async (name: string, call: Promise<unknown>): Promise<void> => {
    promises.is(name, undefined);
    await ok(`remove ${name}`, call);
  };
  const moved = async (from: string, to: string): Promise<void> => {
    const content = promises.now.get(from);
    promises.is(from, undefined);
    promises.is(to, undefined);
    if (await ok(`rename ${from} ${to}`, sys.rename(`${V}/${from}`, `${V}/${to}`))) promises.is(to, content);
  };

  await ok('mkdir d', sys.mkdir(`${V}/d`, 0o755));
  await put('small', pattern(300, 1));
  await put('d/medium', pattern(20_000, 2));
  await put('large', pattern(150_000, 3));
  await put('small', pattern(5000, 4), O_APPEND);
  for (let i = 0; i < 12; i++) await put(`d/f${i}`, pattern(i * 400, i), 0, '');
  await ok('sync', sys.sync());
  await moved('d/medium', 'moved');
  await put('moved', pattern(100, 5), O_APPEND, 'fdatasync');
  await gone('d/f3', sys.unlink(`${V}/d/f3`));
  await ok('mkdir d/e', sys.mkdir(`${V}/d/e`, 0o755));
  await put('d/e/inner', pattern(9000, 6));
  promises.is('large', undefined);
  await ok('truncate large', sys.truncate(`${V}/large`, 70_000));
  if (features.includes('hardlinks')) await ok('link', sys.link(`${V}/small`, `${V}/d/e/small too`));
  if (features.includes('symlinks')) await ok('symlink', sys.symlink('somewhere', `${V}/link`));
  await ok('stat', sys.stat(`${V}/d/e`));
  await put('last', pattern(40_000, 7));
  await gone('d/e/inner', sys.unlink(`${V}/d/e/inner`));
  await put('after', pattern(2000, 8));
  return failed;
}

/** Are the files there, as promised? */
async function missing(variant: Variant, dev: BlockDevice, promises: Promises): Promise<string[]> {
  const wrong: string[] = [];
  const vol = await mountVolume(variant, dev, MNT_RDONLY);
  for (const [name, content] of promises.kept) {
    try {
      const fd = await vol.sys.open(`${V}/${name}`, O_RDONLY);
      const bytes = new Uint8Array(content.length + 1);
      let n = 0;
      for (let k = 1; k > 0 && n < bytes.length; n += k) k = await vol.sys.read(fd, bytes, n);
      await vol.sys.close(fd);
      if (n !== content.length || Buffer.compare(bytes.subarray(0, n), content) !== 0) {
        wrong.push(`${name}: other content (${n} of ${content.length} bytes)`);
      }
    } catch (thrown) {
      wrong.push(`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  await vol.close();
  return wrong;
}

export interface Run {
  readonly verdict: Verdict;
  /** Calls that failed. */
  readonly failed: readonly string[];
  /** Operations that the device was asked for. */
  readonly operations: number;
  readonly log: readonly string[];
  readonly promised: number;
}

/** Works on `disk` (which is changed) through a device with faults, and looks at what is left. */
export async function runFaulty(variant: Variant, disk: MemoryDevice, faults: FaultOptions): Promise<Run> {
  const verdict: Verdict = [];
  const promises = new Promises();
  const dev = new FaultDevice(disk, faults);
  let failed: string[] = [];
  let log: readonly string[] = [];
  const vol = await answered('mount', verdict, mountVolume(variant, dev));
  if (vol instanceof Errno) {
    failed = [`mount: ${vol.code}`];
  } else if (vol !== undefined) {
    log = vol.log;
    failed = await work(variant, vol.sys, promises, verdict);
    const unmounted = await answered('unmount', verdict, vol.sys.unmount(V));
    if (unmounted instanceof Errno) failed.push(`unmount: ${unmounted.code}`);
    const halted = await answered('halt', verdict, vol.kernel.halt());
    if (halted instanceof Errno) failed.push(`halt: ${halted.code}`);
  }
  const { operations } = dev;

  // The disk itself is sound: its errors were passing ones, or the cable's.
  const look = await check(variant, disk);
  if (look.markedClean === true && !look.clean) {
    verdict.push(
      `marked clean, but: ${look.problems
        .slice(0, 3)
        .map((p) => p.message)
        .join('; ')}`,
    );
  }
  const mended = await check(variant, disk, 'repair');
  if (!mended.clean) verdict.push(`cannot be mended: ${mended.problems.slice(0, 3).map((p) => p.message).join('; ')}`);
  else verdict.push(...(await missing(variant, disk, promises)).map((what) => `fsynced and lost: ${what}`));
  const seen = new Map<string, number>();
  for (const line of log) if (/^(error|warn)/.test(line)) seen.set(line, (seen.get(line) ?? 0) + 1);
  for (const [line, n] of seen) if (n > 1) verdict.push(`said ${n} times: ${line}`);
  if (failed.length > 0 && !failed[0]!.startsWith('mount') && seen.size === 0) {
    verdict.push(`not a word in the log, but: ${failed.slice(0, 3).join(', ')}`);
  }
  return { verdict, failed, operations, log, promised: promises.kept.size };
}

export interface FaultKind {
  readonly name: string;
  /** Faults for a run that fails at operation `at` of the device. */
  faults(at: number): FaultOptions;
}

const once =
  (fault: Fault, ops: readonly string[]) =>
  (at: number): FaultOptions => ({ fault: (op, number) => (number === at && ops.includes(op) ? fault : undefined) });
const from =
  (fault: Fault, ops: readonly string[]) =>
  (at: number): FaultOptions => ({ fault: (op, number) => (number >= at && ops.includes(op) ? fault : undefined) });

const EIO = 5;
const ENOSPC = 28;
const ANY = ['read', 'write', 'flush', 'discard'];

export const FAULT_KINDS: readonly FaultKind[] = [
  { name: 'one error', faults: once({ errno: EIO }, ANY) },
  { name: 'errors from then on', faults: from({ errno: EIO }, ANY) },
  { name: 'no write from then on', faults: from({ errno: EIO }, ['write', 'flush']) },
  { name: 'no read from then on', faults: from({ errno: EIO }, ['read']) },
  { name: 'one transfer comes short', faults: once({ short_bytes: 512 }, ANY) },
  { name: 'the host is full', faults: from({ errno: ENOSPC }, ['write']) },
  { name: 'the device is pulled out', faults: (at) => ({ vanish_after: at }) },
  // The first flush at or behind that place fails, and what it was to keep is as good as lost.
  { name: 'one flush fails', faults: (at) => {
    let done = false;
    return { fault: (op, number) => {
      if (done || op !== 'flush' || number < at) return undefined;
      done = true;
      return { errno: EIO };
    } };
  } },
];
