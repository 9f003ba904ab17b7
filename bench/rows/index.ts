import type { Scenario } from '../row.js';
import { lookup } from './lookup.js';
import { random } from './random.js';
import { read } from './read.js';
import { remove } from './remove.js';
import { small } from './small.js';
import { walk } from './walk.js';
import { write } from './write.js';

/** In the order of the table. */
export const scenarios: readonly Scenario[] = [read, write, random, small, walk, lookup, remove];
