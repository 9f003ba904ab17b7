/**
 * Errors of the device at any place of a workload: every call ends, in an errno if it was not carried out; what was
 * fsynced is
 * there; what is left can be mended. EXFAT_FAULTS=1 tries every place.
 */
import t from 'tap';
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { fsck } from '../../../src/fs/exfat/tools/fsck/index.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import { E, Errno } from '../../../src/kernel/errno.js';
import { MNT_FORCE, MNT_RDONLY, O_APPEND, O_CREAT, O_RDWR } from '../../../src/kernel/fcntl.js';
import { FaultDevice } from '../../../testing/devices/fault.js';
import type { FaultOptions } from '../../../testing/devices/fault.js';
import { V, get, mount, pattern, same } from './volumes.js';

t.setTimeout(0); // the runner has a limit

const EVERY = process.env['EXFAT_FAULTS'] !== undefined;
const PLACES = 14;

interface Outcome {
  readonly wrong: string[];
  readonly failed: number;
  readonly operations: number;
}

async function workload(disk: MemoryDevice, faults: FaultOptions): Promise<Outcome> {
  const wrong: string[] = [];
  let failed = 0;
  const dev = new FaultDevice(disk, faults);
  const kept = new Map<string, Uint8Array>();
  const ok = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call();
    } catch (thrown) {
      failed++;
      if (!(thrown instanceof Errno)) wrong.push(String((thrown as Error).stack));
      return undefined;
    }
  };
  const m = await ok(() => mount(dev));
  if (m !== undefined) {
    const { sys } = m;
    const write = async (name: string, content: Uint8Array, sync: boolean): Promise<void> => {
      const fd = await ok(() => sys.open(`${V}/${name}`, O_RDWR | O_CREAT, 0o644));
      if (fd === undefined) return;
      kept.delete(name);
      const written = await ok(() => sys.write(fd, content));
      if (sync && (await ok(async () => (await sys.fsync(fd), true))) === true && written === content.length) {
        kept.set(name, content);
      }
      await ok(() => sys.close(fd));
    };
    await ok(() => sys.mkdir(`${V}/d`, 0o755));
    for (let i = 0; i < 6; i++) await write(`d/file ${i}`, pattern(i, 3000 * i + 100), i % 2 === 0);
    for (let i = 0; i < 4; i++) {
      for (const name of ['a', 'b']) {
        const fd = await ok(() => sys.open(`${V}/${name}`, O_RDWR | O_CREAT | O_APPEND, 0o644));
        if (fd === undefined) continue;
        await ok(() => sys.write(fd, pattern(i, 6000)));
        await ok(() => sys.close(fd));
      }
    }
    kept.delete('d/file 1');
    await ok(() => sys.rename(`${V}/d/file 1`, `${V}/d/a name that takes more entries than before, ${'x'.repeat(90)}`));
    kept.delete('d/file 2');
    await ok(() => sys.unlink(`${V}/d/file 2`));
    await ok(() => sys.truncate(`${V}/a`, 7000));
    await ok(() => sys.sync());
    await write('last', pattern(9, 40_000), true);
    await ok(() => sys.unmount(V, MNT_FORCE));
    await ok(() => m.kernel.halt());
  }
  // The disk is well again.
  await fsck(disk, 'repair');
  const after = await fsck(disk, 'check');
  if (!after.clean) wrong.push(`not mended: ${after.problems[0]?.message ?? 'not marked clean'}`);
  const look = await mount(disk, MNT_RDONLY);
  for (const [name, content] of kept) {
    const found = await get(look.sys, `${V}/${name}`).catch(() => undefined);
    if (found === undefined || !same(found, content)) wrong.push(`${name} was fsynced and is lost`);
  }
  await look.close();
  return { wrong, failed, operations: dev.operations };
}

const KINDS: readonly (readonly [string, (at: number) => FaultOptions])[] = [
  ['one operation fails', (at) => ({ fault: (_op, number) => (number === at ? { errno: E.EIO } : undefined) })],
  [
    'writes fail from here on',
    (at) => ({ fault: (op, number) => (op === 'write' && number >= at ? { errno: E.EIO } : undefined) }),
  ],
  [
    'flushes fail from here on',
    (at) => ({ fault: (op, number) => (op === 'flush' && number >= at ? { errno: E.EIO } : undefined) }),
  ],
  [
    'one write stops in the middle',
    (at) => ({
      fault: (op, number) => (op === 'write' && number >= at && number < at + 2 ? { short_bytes: 512 } : undefined),
    }),
  ],
  [
    'no space where it is kept',
    (at) => ({
      fault: (op, number) => (op === 'write' && number >= at && number < at + 20 ? { errno: E.ENOSPC } : undefined),
    }),
  ],
  ['pulled out', (at) => ({ vanish_after: at })],
];

const empty = new MemoryDevice({ size_bytes: 3 * 2 ** 20 });
await newfs(empty, { clusterSize: 1024 });
const sound = await workload(empty.clone(), {});
t.same([sound.wrong, sound.failed], [[], 0], 'nothing goes wrong without errors');
for (const [name, faults] of KINDS) {
  const stride = EVERY ? 1 : Math.max(1, Math.floor(sound.operations / PLACES));
  let wrong = '';
  let tried = 0;
  for (
    let at = KINDS.findIndex(([other]) => other === name) % stride;
    at < sound.operations && wrong === '';
    at += stride, tried++
  ) {
    const run = await workload(empty.clone(), { ...faults(at), slow: tried % 3 === 2 });
    if (run.wrong.length > 0) wrong = `at operation ${at} of ${sound.operations}: ${run.wrong.join(' | ')}`;
  }
  t.equal(wrong, '', `${name}: ${tried} places`);
}
