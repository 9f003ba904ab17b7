/** The variants of all drivers: those of each format of the registry, from `test/fs/NAME/variants.ts`. */
import { FORMATS } from '../../src/fs/registry.js';
import type { Harness, Variant } from './variant.js';

export type { Harness, Variant } from './variant.js';

async function variantsOf(type: string): Promise<readonly Variant[]> {
  return ((await import(`../../test/fs/${type}/variants.js`)) as { variants: readonly Variant[] }).variants;
}

/** All of them; a format without a list is an error. */
export async function allVariants(): Promise<readonly Variant[]> {
  return (await Promise.all(FORMATS.map(({ name }) => variantsOf(name)))).flat();
}

/**
 * @param which a format or a variant, by name; undefined: all
 * @param lax a name that nothing has is no error
 * @throws Error if there is no such name
 */
export async function variantsFor(harness: Harness, which?: string, lax = false): Promise<readonly Variant[]> {
  const all = await allVariants();
  if (which !== undefined && !lax && !all.some(({ name, type }) => which === name || which === type)) {
    throw new Error(`no variant and no file system with variants is called ${which}`);
  }
  return all.filter(
    ({ name, type, harnesses }) =>
      harnesses.includes(harness) && (which === undefined || which === name || which === type),
  );
}

/** The variant of that name, or the first of that format. @throws Error */
export async function variantNamed(harness: Harness, which: string): Promise<Variant> {
  const found = await variantsFor(harness, which);
  if (found.length === 0) throw new Error(`${which} does not take part in ${harness}`);
  return found[0]!;
}

/** The runs that a test of this harness is divided into, each a process: names to be given to variantsFor. */
export async function runsOf(harness: Harness): Promise<string[]> {
  const variants = await variantsFor(harness);
  return harness === 'matrix' ? variants.map(({ name }) => name) : [...new Set(variants.map(({ type }) => type))];
}
