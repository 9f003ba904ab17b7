import t from 'tap';
import { matrix } from '../../../testing/matrix/matrix.js';
import { targets } from './target.js';

await matrix(t, targets['fat16']);
