import type { Mutant } from './mutant.js';
import type { Probe } from './probe.js';

/** A kind of input that is fuzzed. */
export interface FuzzFormat {
  readonly name: string;
  /** Mutants that each run of the tests tries; default 48. */
  readonly share?: number;
  /** Names of the base images. */
  readonly bases: readonly string[];
  /** Base images are made once in a process and kept. */
  prepare(): Promise<void>;
  /** Tells one state of a base image from another. */
  digest(base: string): string;
  /** The mutant of that number: the same for the same seed. */
  mutant(seed: number, index: number): Mutant;
  /** Tries everything on it. */
  run(mutant: Mutant, probe: Probe): Promise<void>;
  /** Writes the mutant to an image file, for tries with `rumpfuse mount`; undefined if it can not be mounted. */
  readonly save?: (mutant: Mutant, file: string) => Promise<void>;
}
