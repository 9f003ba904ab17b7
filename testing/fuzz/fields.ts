/** Fields of on-disk structures, and what becomes of one: for fuzzers that know the format. */
import type { Mutation } from './mutant.js';
import type { Random } from './random.js';
import { fieldBytes, getField, interestingValue } from './values.js';

export interface Field {
  readonly name: string;
  /** In its structure, bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly width: number;
}

export function field(name: string, offset: number, width: number): Field {
  return { name, offset, width };
}

/** A volume that is mutated. */
export interface Fields {
  readonly view: DataView;
  readonly random: Random;
  /** Numbers that mean something on this volume; asked for only where a value is to be found. */
  numbers(): readonly number[];
}

/**
 * Sets a field, little-endian, of the structure at byte `at`.
 * @param what the structure is called
 * @param value undefined: one that a careless reader may stumble over
 */
export function setField(
  { view, random, numbers }: Fields, what: string, at: number, f: Field, value?: bigint,
): Mutation {
  const was = getField(view, at + f.offset, f.width, true);
  const now = value ?? interestingValue(random, numbers(), was, f.width);
  return {
    label: `${what}.${f.name} 0x${was.toString(16)} -> 0x${now.toString(16)}`,
    patches: [{ at: at + f.offset, bytes: fieldBytes(now, f.width, true) }],
  };
}
