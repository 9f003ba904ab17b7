import { supervisorMain } from './launch.js';

supervisorMain();
