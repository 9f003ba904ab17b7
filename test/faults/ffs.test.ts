import t from 'tap';
import type { NewfsVolumeOptions } from '../../src/fs/ffs/tools/newfs.js';
import { newdisk } from '../ffs/write-support.js';
import { FAULT_KINDS, runFaulty } from '../../testing/faults/workload.js';

/**
 * Errors of the device at any place of a workload: each call ends, in an error if it was not carried out; nothing that
 * was fsynced is lost; what is left can be mended; the log says so once. RUMPFUSE_FAULTS=1 tries every place.
 */
const EVERY = process.env.RUMPFUSE_FAULTS !== undefined;
/** Places tried for each kind of error otherwise. */
const PLACES = 12;
const SIZE = 4 * 2 ** 20;

interface Volume {
  readonly name: string;
  readonly newfs: NewfsVolumeOptions;
  readonly options: Record<string, string | true>;
}

const VOLUMES: readonly Volume[] = [
  { name: 'ffs1', newfs: { format: 1, endian: 'big', blockSize: 8192, fragSize: 1024 }, options: {} },
  { name: 'ffs2', newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, options: {} },
  { name: 'ffs2 with a journal', newfs: { format: 2, endian: 'little', blockSize: 8192, fragSize: 1024 }, options: { log: true } },
];

for (const volume of VOLUMES) {
  await t.test(volume.name, { timeout: 600_000 }, async (t) => {
    const empty = await newdisk(volume.newfs, SIZE);
    for (const slow of [false, true]) {
      const sound = await runFaulty(empty.clone(), { slow }, volume.options);
      t.same(sound.verdict, [], 'nothing goes wrong without errors');
      t.same(sound.failed, [], 'and no call fails');
      t.ok(sound.promised >= 4, `${sound.operations} operations of the device, ${sound.promised} files kept`);
      if (slow) continue;
      for (const kind of FAULT_KINDS) {
        const stride = EVERY ? 1 : Math.max(1, Math.floor(sound.operations / PLACES));
        let wrong = '';
        let tried = 0;
        // Another offset for each kind, so that together they touch more places.
        for (let at = EVERY ? 0 : FAULT_KINDS.indexOf(kind) % stride; at < sound.operations && wrong === ''; at += stride, tried++) {
          const run = await runFaulty(empty.clone(), { ...kind.faults(at), slow: tried % 3 === 2 }, volume.options);
          if (run.verdict.length > 0) wrong = `at operation ${at}: ${run.verdict.join(' | ')}\nfailed: ${run.failed.join(', ')}\nlog: ${run.log.join('\n')}`;
        }
        t.equal(wrong, '', `${kind.name}: ${tried} places`);
      }
    }
  });
}
