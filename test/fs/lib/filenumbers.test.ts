import fc from 'fast-check';
import t from 'tap';
import { FileNumbers } from '../../../src/fs/lib/filenumbers.js';

const PLACES = 6;

type Step = {
  readonly op: 'see' | 'create' | 'move' | 'remove' | 'close' | 'die';
  readonly a: number;
  readonly b: number;
};

const steps = fc.array(
  fc.record<Step>({
    op: fc.constantFrom('see', 'create', 'move', 'remove', 'close', 'die'),
    a: fc.nat(PLACES - 1),
    b: fc.nat(PLACES - 1),
  }),
  { maxLength: 60 },
);

/** A successor that has only what was recorded. */
function successor(rows: Map<number, readonly number[]>): FileNumbers {
  const heir = new FileNumbers(2, PLACES);
  const kept = new Map(rows);
  heir.record = (number, words) => void rows.set(number, words);
  for (const [number, words] of kept) heir.inherit(number, words);
  return heir;
}

t.test('numbers are unique, stay what they were, and are found again by place and by a successor', (t) => {
  fc.assert(
    fc.property(steps, (all) => {
      const rows = new Map<number, readonly number[]>();
      let numbers = successor(rows);
      /**
       * What is at each place, and what is open without a place; a file is its number and generation once it was seen.
       */
      const at = new Map<number, { number?: number; generation?: number }>();
      const orphans: number[] = [];
      const dead = new Set<string>();
      for (const { op, a, b } of all) {
        const file = at.get(a);
        if (op === 'create' && file === undefined) at.set(a, {});
        else if (op === 'see' && file !== undefined) {
          file.number = numbers.numberAt(a);
          file.generation = numbers.generation(file.number);
        } else if (op === 'move' && file !== undefined && !at.has(b)) {
          file.number = numbers.numberAt(a);
          file.generation = numbers.generation(file.number);
          numbers.moved(file.number, b);
          at.delete(a);
          at.set(b, file);
        } else if (op === 'remove' && file !== undefined) {
          const number = numbers.numberAt(a);
          dead.add(`${number} ${numbers.generation(number)}`);
          numbers.removed(number);
          orphans.push(number);
          at.delete(a);
        } else if (op === 'close' && orphans.length > 0) {
          numbers.gone(orphans.shift()!);
        } else if (op === 'die') {
          numbers = successor(rows);
        }
        const given = new Set<number>(orphans);
        for (const [place, { number, generation }] of at) {
          const now = numbers.numberAt(place);
          if (given.has(now)) throw new Error(`number ${now} is given twice`);
          given.add(now);
          if (number !== undefined && (number !== now || generation !== numbers.generation(now))) {
            throw new Error(`number ${number} became ${now}`);
          }
          if (number === undefined && dead.has(`${now} ${numbers.generation(now)}`)) {
            throw new Error('a dead file is back');
          }
          if (numbers.placeOf(now) !== place) {
            throw new Error(`number ${now} leads to ${numbers.placeOf(now)}, not ${place}`);
          }
        }
        for (const orphan of orphans)
          if (numbers.placeOf(orphan) !== undefined) {
            throw new Error('a file without entry has a place');
          }
      }
    }),
  );
  t.end();
});
