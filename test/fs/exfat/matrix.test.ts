import t from 'tap';
import { matrix } from '../../../testing/matrix/matrix.js';
import { targets } from './target.js';

t.setTimeout(0); // the runner has a limit

await matrix(t, targets['exfat-4k']);
