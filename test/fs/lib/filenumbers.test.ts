import fc from 'fast-check';
import t from 'tap';
import { FileNumbers } from '../../../src/fs/lib/filenumbers.js';
import { RecordWriter, readrecords } from '../../../src/kernel/keep/records.js';

const PLACES = 6;

type Step = { readonly op: 'see' | 'create' | 'move' | 'remove' | 'close' | 'die'; readonly a: number; readonly b: number };

const steps = fc.array(
  fc.record<Step>({ op: fc.constantFrom('see', 'create', 'move', 'remove', 'close', 'die'), a: fc.nat(PLACES - 1), b: fc.nat(PLACES - 1) }),
  { maxLength: 60 },
);

/** A successor that has only what was recorded. */
function successor(numbers: FileNumbers): FileNumbers {
  const words = new Float64Array(4096);
  const out = new RecordWriter(words);
  numbers.snapshot(out, 16);
  const heir = new FileNumbers(2, PLACES);
  for (const record of readrecords(words, out.at)!) heir.inherit(record);
  return heir;
}

t.test('numbers are unique, stay what they were, and are found again by place and by a successor', (t) => {
  fc.assert(
    fc.property(steps, (all) => {
      let numbers = new FileNumbers(2, PLACES);
      /** What is at each place, and what is open without a place; a file is its number and generation once it was seen. */
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
          numbers = successor(numbers);
        }
        const given = new Set<number>(orphans);
        for (const [place, { number, generation }] of at) {
          const now = numbers.numberAt(place);
          if (given.has(now)) throw new Error(`number ${now} is given twice`);
          given.add(now);
          if (number !== undefined && (number !== now || generation !== numbers.generation(now))) throw new Error(`number ${number} became ${now}`);
          if (number === undefined && dead.has(`${now} ${numbers.generation(now)}`)) throw new Error('a dead file is back');
          if (numbers.placeOf(now) !== place) throw new Error(`number ${now} leads to ${numbers.placeOf(now)}, not ${place}`);
        }
        for (const orphan of orphans) if (numbers.placeOf(orphan) !== undefined) throw new Error('a file without entry has a place');
      }
    }),
  );
  t.end();
});

t.test('a delta says what a snapshot says', (t) => {
  const words = new Float64Array(4096);
  const out = new RecordWriter(words);
  const numbers = new FileNumbers(2, 100);
  numbers.moved(numbers.numberAt(5), 6);
  numbers.delta(out, 16);
  t.equal(out.at, 0, 'nobody records yet');
  numbers.snapshot(out, 16);
  numbers.moved(7, 8);
  numbers.removed(numbers.numberAt(9));
  numbers.gone(11);
  t.ok(numbers.changed);
  numbers.delta(out, 16);
  t.notOk(numbers.changed);
  const heir = new FileNumbers(2, 100);
  for (const record of readrecords(words, out.at)!) heir.inherit(record);
  for (const place of [5, 6, 7, 8, 9]) t.equal(heir.numberAt(place), numbers.numberAt(place), `place ${place}`);
  t.equal(heir.generation(11), 1);
  t.end();
});
