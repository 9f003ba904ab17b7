import t from 'tap';
import { matrix } from '../../testing/matrix/matrix.js';
import { ffsTargets } from './targets.js';

await matrix(t, ffsTargets['ffs0-le']);
