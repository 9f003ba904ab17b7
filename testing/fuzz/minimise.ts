/** Makes a mutant that fails smaller, as long as it fails in the same way. */
import type { Recipe } from './mutant.js';
import type { Violation } from './probe.js';
import { keyOf } from './probe.js';
import type { Limits } from './workers.js';
import { tryRecipe } from './workers.js';

type Part = Recipe['mutations'][number];

/** Tries that one mutant is worth. */
const MAX_TRIES = 60;

/** @returns the smaller recipe, and the violation as it shows there; undefined if it does not show again at all */
export async function minimise(
  recipe: Recipe,
  wanted: string,
  limits: Limits,
): Promise<{ recipe: Recipe; violation: Violation } | undefined> {
  let tries = 0;
  const fails = async (candidate: Recipe): Promise<Violation | undefined> => {
    tries++;
    return (await tryRecipe(candidate.format, candidate, limits)).find((v) => keyOf(v) === wanted);
  };
  let violation = await fails(recipe);
  if (violation === undefined) return undefined;
  let best = recipe;
  const keep = async (candidate: Recipe): Promise<boolean> => {
    if (tries >= MAX_TRIES) return false;
    const again = await fails(candidate);
    if (again === undefined) return false;
    best = candidate;
    violation = again;
    return true;
  };

  // Whole mutations, from the last on.
  for (let i = best.mutations.length - 1; i >= 0 && best.mutations.length > 1; i--) {
    await keep({ ...best, mutations: best.mutations.filter((_, k) => k !== i) });
  }
  // How it is tried: plainly, if that does too.
  for (const name of Object.keys(best.how)) {
    if (best.how[name] === false) continue;
    const how = { ...best.how };
    delete how[name];
    await keep({ ...best, how });
  }
  // Parts of a mutation, then halves of its bytes.
  for (let i = 0; i < best.mutations.length; i++) {
    const put = (part: Part): Recipe => ({ ...best, mutations: best.mutations.map((m, k) => (k === i ? part : m)) });
    for (let p = best.mutations[i]!.patches.length - 1; p >= 0 && best.mutations[i]!.patches.length > 1; p--) {
      const m = best.mutations[i]!;
      await keep(put({ ...m, patches: m.patches.filter((_, k) => k !== p) }));
    }
    for (let p = 0; p < best.mutations[i]!.patches.length; p++) {
      for (let half = 0; half < 2; ) {
        const m = best.mutations[i]!;
        const [at, hex] = m.patches[p]!;
        const bytes = hex.length / 2;
        if (bytes < 2) break;
        const cut = Math.ceil(bytes / 2);
        const smaller: readonly [number, string] =
          half === 0 ? [at, hex.slice(0, 2 * cut)] : [at + cut, hex.slice(2 * cut)];
        if (await keep(put({ ...m, patches: m.patches.map((q, k) => (k === p ? smaller : q)) }))) half = 0;
        else half++;
      }
    }
  }
  return { recipe: best, violation };
}
