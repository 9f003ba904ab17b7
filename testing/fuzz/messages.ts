/** What the harness and its workers tell each other. */
import type { Recipe } from './mutant.js';
import type { Violation } from './probe.js';

export type ToWorker =
  | { readonly do: 'mutants'; readonly seed: number; readonly first: number; readonly count: number }
  /** Tries one, and says before each operation which it is. */
  | { readonly do: 'recipe'; readonly recipe: Recipe };

export type FromWorker =
  | { readonly is: 'ready' }
  | { readonly is: 'begin'; readonly index: number }
  | {
      readonly is: 'end';
      readonly index: number;
      readonly operations: number;
      readonly failed: number;
      readonly counts: readonly (readonly [string, number])[];
      readonly slowest_ms: number;
      readonly slowest_op: string;
      readonly maxrss_bytes: number;
      readonly violations: readonly Violation[];
    }
  | { readonly is: 'idle' };
