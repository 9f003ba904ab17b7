/** Reproducible random numbers: 0 <= x < 1. */
export function lcg(seed: number): () => number {
  let x = seed >>> 0;
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x / 2 ** 32;
  };
}

/** The same as throws of dice: 0 to sides - 1. */
export function dice(seed: number): (sides: number) => number {
  const random = lcg(seed);
  return (sides) => Math.floor(random() * sides);
}
