/**
 * What is fuzzed: every file system that has a fuzzer of its own (fuzz/NAME) or variants for the one that knows no
 * format, and what is no file system.
 */
import { existsSync } from 'node:fs';
import { FORMATS } from '../src/fs/registry.js';
import type { FuzzFormat } from '../testing/fuzz/format.js';
import { volumeFuzzer } from '../testing/fuzz/volume.js';
import { variantsFor } from '../testing/variants/index.js';

const OTHERS: readonly string[] = ['label', 'fuse', 'overlay'];

function hasOwn(name: string): boolean {
  return existsSync(new URL(`./${name}/index.js`, import.meta.url));
}

/** File systems that are fuzzed. */
export async function fuzzedFileSystems(): Promise<string[]> {
  const names: string[] = [];
  for (const { name } of FORMATS)
    if (hasOwn(name) || (await variantsFor('fuzz', name, true)).length > 0) {
      names.push(name);
    }
  return names;
}

export async function formatNames(): Promise<string[]> {
  return [...(await fuzzedFileSystems()), ...OTHERS];
}

/** @throws Error if nothing is fuzzed under that name */
export async function formatOf(name: string): Promise<FuzzFormat> {
  const names = await formatNames();
  if (!names.includes(name)) throw new Error(`nothing that is fuzzed is called ${name}; there are ${names.join(', ')}`);
  return hasOwn(name)
    ? ((await import(`./${name}/index.js`)) as { fuzzFormat: FuzzFormat }).fuzzFormat
    : volumeFuzzer(name);
}
