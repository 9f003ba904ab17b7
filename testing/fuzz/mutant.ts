/** A disk image with some of its bytes changed. */

/** Bytes put at an offset. */
export interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** One thing that was done to an image; each is made for the image as it was, so that any of them can be left out. */
export interface Mutation {
  /** In words: structure, field, old and new value. */
  readonly label: string;
  readonly patches: readonly Patch[];
  /** The device ends here instead; bytes. */
  readonly size?: number;
}

export interface Mutant {
  /** Name of the image that was changed. */
  readonly base: string;
  readonly mutations: readonly Mutation[];
  /** Of the random choices made while it is tried: what is written where. */
  readonly seed: number;
  /** Format's own: how it is tried. Plain data. */
  readonly how: Readonly<Record<string, string | number | boolean>>;
}

/** A mutant as it is kept in a file. */
export interface Recipe {
  readonly format: string;
  readonly base: string;
  /** Of the base image, so that a recipe is not tried on another one. */
  readonly digest: string;
  readonly seed: number;
  readonly how: Mutant['how'];
  readonly mutations: readonly {
    readonly label: string;
    readonly size?: number;
    readonly patches: readonly (readonly [at: number, hex: string])[];
  }[];
}

export function toRecipe(format: string, digest: string, mutant: Mutant): Recipe {
  return {
    format,
    base: mutant.base,
    digest,
    seed: mutant.seed,
    how: mutant.how,
    mutations: mutant.mutations.map((m) => ({
      label: m.label,
      ...(m.size === undefined ? {} : { size: m.size }),
      patches: m.patches.map((p) => [p.at, Buffer.from(p.bytes).toString('hex')] as const),
    })),
  };
}

export function fromRecipe(recipe: Recipe): Mutant {
  return {
    base: recipe.base,
    seed: recipe.seed,
    how: recipe.how,
    mutations: recipe.mutations.map((m) => ({
      label: m.label,
      ...(m.size === undefined ? {} : { size: m.size }),
      patches: m.patches.map(([at, hex]) => ({ at, bytes: new Uint8Array(Buffer.from(hex, 'hex')) })),
    })),
  };
}

export function describeMutant(mutant: Mutant): string {
  const lines = mutant.mutations.map((m) => `  ${m.label}`);
  return [`${mutant.base} ${JSON.stringify(mutant.how)}`, ...lines].join('\n');
}
