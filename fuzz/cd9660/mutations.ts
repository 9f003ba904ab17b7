import type { Mutation } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';
import type { Field } from './atlas.js';
import type { Base } from './bases.js';

const SIGNATURES = [
  'CE',
  'CL',
  'ER',
  'ES',
  'NM',
  'PL',
  'PN',
  'PX',
  'RE',
  'RR',
  'SF',
  'SL',
  'SP',
  'ST',
  'TF',
  'ZF',
  'Z2',
  'AA',
  '\0\0',
];

/** One field gets another value: in both byte orders, or in one only. */
function change(base: Base, field: Field, random: Random): Mutation {
  const view = new DataView(base.bytes.buffer, base.bytes.byteOffset);
  const was = getField(view, field.at, field.width, true);
  const value = interestingValue(random, base.atlas.meaningful, was, field.width);
  const patches = [{ at: field.at, bytes: fieldBytes(value, field.width, true) }];
  if (field.both && random.below(3) > 0)
    patches.push({ at: field.at + field.width, bytes: fieldBytes(value, field.width, false) });
  return { label: `${field.what}: ${was} -> ${value}`, patches };
}

/** The bytes of one structure over another. */
function over(base: Base, what: string, places: readonly (readonly [number, number])[], random: Random): Mutation {
  const [from, length] = random.pick(places);
  const [to, room] = random.pick(places);
  const bytes = base.bytes.slice(from, from + Math.min(length, random.once(2) ? room : length));
  return { label: `${what} at ${from} over that at ${to}`, patches: [{ at: to, bytes }] };
}

function sign(base: Base, random: Random): Mutation {
  const [at] = random.pick(base.atlas.uses);
  const name = random.pick(SIGNATURES);
  return {
    label: `system use field at ${at} becomes ${JSON.stringify(name)}`,
    patches: [{ at, bytes: Uint8Array.from(name, (c) => c.charCodeAt(0)) }],
  };
}

function noise(base: Base, random: Random): Mutation {
  const [start] = random.pick(base.atlas.records);
  const at = Math.min(start + random.below(200), base.bytes.length - 9);
  const bytes = Uint8Array.from({ length: 1 + random.below(8) }, () => random.u32() & 0xff);
  return { label: `${bytes.length} random bytes at ${at}`, patches: [{ at, bytes }] };
}

function cut(base: Base, random: Random): Mutation {
  const size = random.once(3) ? base.bytes.length + random.below(5_000_000) : random.below(base.bytes.length);
  return { label: `the device has ${size} bytes`, patches: [], size };
}

export function mutate(base: Base, random: Random): Mutation {
  const { atlas } = base;
  return random.weighted<() => Mutation>([
    [10, () => change(base, random.pick(atlas.fields), random)],
    [2, () => over(base, 'record', atlas.records, random)],
    [2, () => (atlas.uses.length > 0 ? over(base, 'field', atlas.uses, random) : noise(base, random))],
    [1, () => (atlas.uses.length > 0 ? sign(base, random) : noise(base, random))],
    [2, () => noise(base, random)],
    [1, () => cut(base, random)],
  ])();
}
