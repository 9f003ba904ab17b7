import type { Mutant } from './mutant.js';
import type { Probe } from './probe.js';

/** A kind of input that is fuzzed. */
export interface FuzzFormat {
  readonly name: string;
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
  /** The mutant as an image file's bytes, for tries outside of this process. */
  image(mutant: Mutant): Uint8Array;
  /** Can it be mounted with `rumpfuse mount`? */
  readonly mountable: boolean;
}
