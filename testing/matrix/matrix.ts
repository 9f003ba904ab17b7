import assert from 'node:assert/strict';
import type { Test } from 'tap';
import { cases as writingCases } from './cases/index.js';
import { NAMEMAX } from './fs.js';
import type { Feature, Fs, Target, Volume } from './fs.js';
import { readingCases } from './reading.js';

/** What a case works with. */
export interface Context {
  /** The case's own, empty folder, as superuser; of a volume that is only read its root. */
  readonly fs: Fs;
  readonly volume: Volume;
  readonly features: ReadonlySet<Feature>;
  /** Bytes of the longest name. */
  readonly namemax: number;
  /** Another process, ended after the case. */
  proc(uid?: number, gid?: number, groups?: readonly number[]): Promise<Fs>;
}

/** One case of the matrix. It fails by throwing. */
export interface Case {
  readonly name: string;
  readonly needs?: readonly Feature[];
  /** Wants a volume of its own, of this size at the least and not much more. */
  readonly size_bytes?: number;
  /** Wants a volume of its own: it remounts. */
  readonly alone?: boolean;
  run(c: Context): Promise<void>;
}

/** Only for what hangs. */
const CASE_MILLISECONDS = Number(process.env['RUMPFUSE_CASE_MS'] ?? 600_000);
/** A case that takes longer is named. */
const SLOW_MILLISECONDS = 1000;
const SHARED = 64 * 2 ** 20;

function deadline(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${CASE_MILLISECONDS} ms`)), CASE_MILLISECONDS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function attempt(target: Target, one: Case, volume: Volume, folder: string): Promise<void> {
  const procs: Fs[] = [];
  const fs = target.reading === true ? volume.fs : volume.fs.at(folder);
  const context: Context = {
    fs,
    volume,
    features: target.features,
    namemax: target.namemax ?? NAMEMAX,
    async proc(uid, gid, groups) {
      const made = await fs.proc(uid, gid, groups);
      procs.push(made);
      return made;
    },
  };
  try {
    if (target.reading !== true) await volume.fs.mkdir(folder, 0o755);
    await deadline(one.run(context));
  } finally {
    for (const proc of procs) await proc.exit();
  }
}

/**
 * Runs every case on the target, as one tap test each. A case that the target declares as failing must fail;
 * one that needs what the target lacks is left out, with a comment. RUMPFUSE_CASE=text runs only the cases whose name
 * holds it.
 */
export async function matrix(t: Test, target: Target): Promise<void> {
  const only = process.env['RUMPFUSE_CASE'];
  const declared = target.expected ?? {};
  const cases = target.reading === true ? readingCases : writingCases;
  for (const name of Object.keys(declared)) {
    assert(
      cases.some((one) => one.name === name),
      `expected failure of unknown case "${name}"`,
    );
  }
  const common = target.shared === true || target.reading === true ? await target.make(SHARED) : undefined;
  let number = 0;
  for (const one of cases) {
    if (only !== undefined && !one.name.includes(only)) continue;
    const missing = (one.needs ?? []).filter((feature) => !target.features.has(feature));
    if (missing.length > 0) {
      t.comment(`not for ${target.name}: ${one.name} (needs ${missing.join(', ')})`);
      continue;
    }
    const own = common === undefined || one.alone === true || one.size_bytes !== undefined;
    const folder = `case${++number}`;
    const began = performance.now();
    let thrown: unknown;
    let volume: Volume | undefined;
    try {
      volume = own ? await target.make(one.size_bytes) : common;
      await attempt(target, one, volume, folder);
    } catch (error) {
      thrown = error ?? new Error('threw nothing');
    }
    if (own && volume !== undefined) {
      try {
        await volume.cleanup();
      } catch (error) {
        thrown ??= error;
      }
    }
    const took = performance.now() - began;
    if (took > SLOW_MILLISECONDS) t.comment(`${one.name}: ${Math.round(took)} ms`);
    const reason = declared[one.name];
    if (reason !== undefined) t.ok(thrown !== undefined, `${one.name}: expected to fail: ${reason}`);
    else if (thrown === undefined) t.pass(one.name);
    else t.fail(`${one.name}: ${(thrown as Error).message}`, { stack: (thrown as Error).stack ?? '' });
  }
  if (common !== undefined) {
    try {
      await common.cleanup();
      t.pass('the shared volume is sound after all cases');
    } catch (error) {
      t.fail(`the shared volume after all cases: ${(error as Error).message}`);
    }
  }
}
