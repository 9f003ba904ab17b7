import { NAME_UNITS, name_entries } from '../../disk/entry.js';
import type { Checker } from './checker.js';
import type { PlacedSet } from './placed.js';

// eslint-disable-next-line no-control-regex -- the format forbids them
const FORBIDDEN = /[\x00-\x1f"*/:<>?\\|]/g;

/** A name that the directory does not have yet, made of this one, with as many entries. */
function another(name: string, taken: (name: string) => boolean): string {
  const room = name_entries(name.length) * NAME_UNITS;
  for (let n = 1; ; n++) {
    const tail = `~${n}`;
    const made = name.slice(0, Math.min(255, room) - tail.length) + tail;
    if (!taken(made)) return made;
  }
}

/** Characters, that no other file of the directory has the name, and its hash. @returns whether the set was changed */
export async function check_name(c: Checker, { set, path }: PlacedSet, keys: Set<string>): Promise<boolean> {
  const name = set.name();
  let now = name;
  const plain = name.replace(FORBIDDEN, '_');
  if (plain !== name) {
    const fix = c.problem('damage', `${path}: the name has characters that no name can have`);
    if (fix !== null) {
      now = plain;
      fix.fixed = `RENAMED TO ${plain}`;
    }
  }
  if (keys.has(c.names.key(now))) {
    // So is a file and the one that takes its place, where that was cut off.
    const fix = c.problem('preen', `${path}: another file has the same name`);
    if (fix !== null) {
      now = another(now, (made) => keys.has(c.names.key(made)));
      fix.fixed = `RENAMED TO ${now}`;
    }
  }
  keys.add(c.names.key(now));
  if (now !== name) {
    set.setname(now, c.names.hash(now));
    return true;
  }
  if (set.namehash === c.names.hash(name)) return false;
  const fix = c.problem('safe', `${path}: NameHash is wrong`);
  if (fix === null) return false;
  set.setname(name, c.names.hash(name));
  fix.fixed = 'SET';
  return true;
}
