import t from 'tap';
import { matrix } from '../../testing/matrix/matrix.js';
import { tmpfsTarget } from './targets.js';

await matrix(t, tmpfsTarget);
