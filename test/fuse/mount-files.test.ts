import t from 'tap';
import { filesOnMount } from './fixtures/files.js';
import { whyNoMounts } from './fixtures/mounted.js';

const skip = whyNoMounts();

t.test('files on a real mount, by node', { skip }, (t) => filesOnMount(t, {}));
t.test('with handles', { skip }, (t) => filesOnMount(t, { handles: true }));
