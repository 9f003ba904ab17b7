import fc from 'fast-check';
import t from 'tap';
import {
  F_GETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_CREAT, O_EXLOCK,
  O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET,
} from '../../src/kernel/fcntl.js';
import { LockManager, Lockf } from '../../src/kernel/vfs/lockf.js';
import type { Flock, RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { boot, fails, writeFile } from './support.js';

function range(type: number, start: number, length: number, whence = SEEK_SET): Flock {
  return { l_type: type, l_start: start, l_len: length, l_whence: whence, l_pid: 0 };
}

async function two(
  t: Parameters<typeof boot>[0],
): Promise<{ a: RumpSys; b: RumpSys; fa: number; fb: number; sys: RumpSys }> {
  const { kernel, sys } = await boot(t);
  await writeFile(sys, '/f', '0123456789');
  const a = kernel.newproc();
  const b = kernel.newproc();
  return { a, b, fa: await a.open('/f', O_RDWR), fb: await b.open('/f', O_RDWR), sys };
}

async function pending(call: Promise<unknown>): Promise<boolean> {
  let done = false;
  const end = (): void => void (done = true);
  call.then(end, end);
  await new Promise((resolve) => setImmediate(resolve));
  return !done;
}

t.test('record locks between processes', async (t) => {
  const { a, b, fa, fb, sys } = await two(t);
  t.equal(await a.fcntl(fa, F_SETLK, range(F_WRLCK, 2, 3)), 0);
  await fails(t, b.fcntl(fb, F_SETLK, range(F_RDLCK, 4, 1)), 'EAGAIN');
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 5, 0));
  const found = (await b.fcntl(fb, F_GETLK, range(F_WRLCK, 0, 0))) as Flock;
  t.match(found, { l_type: F_WRLCK, l_start: 2, l_len: 3, l_whence: SEEK_SET, l_pid: 2 });
  t.match(await b.fcntl(fb, F_GETLK, range(F_WRLCK, 0, 2)), { l_type: F_UNLCK });
  t.match(
    await sys.fcntl(await sys.open('/f', O_RDWR), F_GETLK, range(F_RDLCK, 7, 1)),
    { l_type: F_WRLCK, l_start: 5, l_len: 0, l_pid: 3 },
    'to the end',
  );
  await a.fcntl(fa, F_SETLK, range(F_UNLCK, 3, 1));
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 3, 1));
  await fails(t, a.fcntl(fa, F_SETLK, range(F_WRLCK, 2, 3)), 'EAGAIN', 'unlocking splits');
  await a.fcntl(fa, F_SETLK, range(F_RDLCK, 2, 1));
});

t.test('where a range begins', async (t) => {
  const { a, b, fa, fb } = await two(t);
  await a.lseek(fa, 4, SEEK_SET);
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, -1, 2, SEEK_CUR));
  t.match(await b.fcntl(fb, F_GETLK, range(F_WRLCK, 0, 0)), { l_start: 3, l_len: 2 });
  await a.fcntl(fa, F_SETLK, range(F_UNLCK, 0, 0));
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, -3, 1, SEEK_END));
  t.match(await b.fcntl(fb, F_GETLK, range(F_WRLCK, 0, 0)), { l_start: 7, l_len: 1 });
  await a.fcntl(fa, F_SETLK, range(F_UNLCK, 0, 0));
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, 5, -2));
  t.match(await b.fcntl(fb, F_GETLK, range(F_WRLCK, 0, 0)), { l_start: 3, l_len: 2 }, 'a negative length');
  await fails(t, a.fcntl(fa, F_SETLK, range(F_WRLCK, -1, 1)), 'EINVAL');
  await fails(t, a.fcntl(fa, F_SETLK, range(F_WRLCK, 1, -2)), 'EINVAL');
  await fails(t, a.fcntl(fa, F_SETLK, range(9, 1, 1)), 'EINVAL');
  await fails(t, a.fcntl(fa, F_SETLK, range(F_WRLCK, 1, 1, 7)), 'EINVAL');
});

t.test('the descriptor must allow it, and closing any of them ends the locks', async (t) => {
  const { a, b, fa, fb } = await two(t);
  const ro = await a.open('/f', O_RDONLY);
  const wo = await a.open('/f', O_WRONLY);
  await fails(t, a.fcntl(ro, F_SETLK, range(F_WRLCK, 0, 1)), 'EBADF');
  await fails(t, a.fcntl(wo, F_SETLK, range(F_RDLCK, 0, 1)), 'EBADF');
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, 0, 0));
  await a.close(ro);
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 0, 0));
  await b.exit();
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, 0, 0));
});

t.test('waiting, interrupting, deadlock', async (t) => {
  const { a, b, fa, fb } = await two(t);
  await a.fcntl(fa, F_SETLK, range(F_WRLCK, 0, 1));
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 1, 1));
  const waiting = b.fcntl(fb, F_SETLKW, range(F_WRLCK, 0, 1));
  t.ok(await pending(waiting));
  await fails(t, a.fcntl(fa, F_SETLKW, range(F_WRLCK, 1, 1)), 'EDEADLK');
  await a.fcntl(fa, F_SETLK, range(F_UNLCK, 0, 0));
  t.equal(await waiting, 0);
  const stop = new AbortController();
  const interrupted = a.withSignal(stop.signal).fcntl(fa, F_SETLKW, range(F_WRLCK, 0, 1));
  t.ok(await pending(interrupted));
  stop.abort();
  await fails(t, interrupted, 'EINTR');
  await fails(t, a.withSignal(stop.signal).fcntl(fa, F_SETLKW, range(F_WRLCK, 0, 1)), 'EINTR');
  // Whoever gave up must not be served, nor be in the way.
  await b.fcntl(fb, F_SETLK, range(F_UNLCK, 0, 0));
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 0, 1));
  await b.fcntl(fb, F_SETLK, range(F_UNLCK, 0, 0));

  // The descriptor is closed while its lock is waited for.
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 0, 1));
  const late = a.fcntl(fa, F_SETLKW, range(F_WRLCK, 0, 1));
  late.catch(() => undefined);
  t.ok(await pending(late));
  await a.close(fa);
  await b.fcntl(fb, F_SETLK, range(F_UNLCK, 0, 0));
  await fails(t, late, 'EBADF');
  await b.fcntl(fb, F_SETLK, range(F_WRLCK, 0, 0));
});

t.test('owners given by number, as FUSE does', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const fd = await sys.open('/f', O_RDWR);
  const other = await sys.open('/f', O_RDWR);
  const big = 0xffff_ffff_ffff_fffen;
  await sys.fcntl(fd, F_SETLK, { ...range(F_WRLCK, 0, 0), l_pid: 1234 }, big);
  await fails(t, sys.fcntl(fd, F_SETLK, range(F_WRLCK, 0, 0), 7n), 'EAGAIN', 'one process, two owners');
  t.match(await sys.fcntl(fd, F_GETLK, range(F_WRLCK, 0, 0), 7n), { l_pid: 1234 });
  await sys.close(other);
  await fails(t, sys.fcntl(fd, F_SETLK, range(F_WRLCK, 0, 0), 7n), 'EAGAIN', "close ends only the process's own locks");
  await sys.fcntl(fd, F_SETLK, range(F_UNLCK, 0, 0), BigInt('18446744073709551614'));
  await sys.fcntl(fd, F_SETLK, range(F_WRLCK, 0, 0), 7n);
});

t.test('flock', async (t) => {
  const { sys } = await boot(t);
  await writeFile(sys, '/f', 'x');
  const a = await sys.open('/f', O_RDONLY);
  const b = await sys.open('/f', O_RDONLY);
  await sys.flock(a, LOCK_SH);
  await sys.flock(b, LOCK_SH | LOCK_NB);
  await fails(t, sys.flock(a, LOCK_EX | LOCK_NB), 'EAGAIN');
  await sys.flock(b, LOCK_UN);
  await sys.flock(a, LOCK_EX | LOCK_NB);
  const dup = await sys.dup(a);
  await sys.flock(dup, LOCK_EX | LOCK_NB);
  await sys.close(a);
  await fails(t, sys.flock(b, LOCK_SH | LOCK_NB), 'EAGAIN', 'dup shares the lock');
  await fails(t, sys.open('/f', O_RDWR | O_EXLOCK | O_NONBLOCK), 'EAGAIN');
  const waiting = sys.flock(b, LOCK_SH);
  t.ok(await pending(waiting));
  await sys.close(dup);
  await waiting;
  await sys.fcntl(await sys.open('/f', O_RDWR), F_SETLK, range(F_WRLCK, 0, 0));
  await fails(t, sys.flock(b, LOCK_SH | LOCK_EX), 'EINVAL');
  await fails(t, sys.flock(b, 0), 'EINVAL');
  await sys.flock(b, LOCK_UN);
  const locked = await sys.open('/g', O_RDWR | O_CREAT | O_EXLOCK, 0o644);
  await fails(t, sys.open('/g', O_RDWR | O_EXLOCK | O_NONBLOCK), 'EAGAIN');
  await sys.flock(locked, LOCK_UN);

  await sys.flock(b, LOCK_EX, 1n);
  await fails(t, sys.flock(b, LOCK_EX | LOCK_NB, 2n), 'EAGAIN');
  await sys.flock(b, LOCK_UN, 1n);
  await sys.flock(b, LOCK_EX | LOCK_NB, 2n);
  await sys.close(b);
  const c = await sys.open('/f', O_RDONLY);
  await sys.flock(c, LOCK_EX | LOCK_NB);
  t.pass('the file took the locks of its owners along');
});

/** The lock list against a model that knows for every byte who holds what. */
t.test('record locks agree with a model by bytes', async (t) => {
  const BYTES = 24;
  const step = fc.record({
    owner: fc.integer({ min: 0, max: 2 }),
    type: fc.constantFrom(F_RDLCK, F_WRLCK, F_UNLCK),
    start: fc.integer({ min: 0, max: BYTES - 1 }),
    length: fc.integer({ min: 0, max: BYTES }),
  });
  const runs = Number(process.env['RUMPFUSE_RUNS'] ?? 300);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const manager = new LockManager();
      const lockf = new Lockf();
      const owners = [1n, 2n, 3n];
      // the last byte stands for everything behind
      const model = owners.map(() => new Array<number>(BYTES + 1).fill(F_UNLCK));
      for (const { owner, type, start, length } of steps) {
        const end = length === 0 || start + length > BYTES ? Infinity : start + length - 1;
        const last = Math.min(end, BYTES);
        let conflict = false;
        for (let at = start; at <= last; at++) {
          for (let other = 0; other < owners.length; other++) {
            if (other === owner || type === F_UNLCK) continue;
            const held = model[other]![at]!;
            if (held !== F_UNLCK && (held === F_WRLCK || type === F_WRLCK)) conflict = true;
          }
        }
        let refused = false;
        try {
          await manager.setlk(
            lockf,
            true,
            { lf_start: start, lf_end: end, lf_type: type, lf_owner: owners[owner]!, lf_pid: 0 },
            false,
          );
        } catch {
          refused = true;
        }
        if (refused !== conflict) return false;
        if (!refused) model[owner]!.fill(type, start, last + 1);
        for (let at = 0; at <= BYTES; at++) {
          for (let who = 0; who < owners.length; who++) {
            const byte = at === BYTES ? Number.MAX_SAFE_INTEGER : at;
            const held = lockf.posix.held.filter(
              (lock) => lock.lf_owner === owners[who] && lock.lf_start <= byte && byte <= lock.lf_end,
            );
            if (held.length > 1 || (held[0]?.lf_type ?? F_UNLCK) !== model[who]![at]) return false;
          }
        }
      }
      return true;
    }),
    { seed: 1, numRuns: runs },
  );
  t.pass(`${runs} sequences`);
});
