import fc from 'fast-check';
import t from 'tap';
import { ALLOW, KILL_PROCESS, encode, fail } from '../../src/fuse/sandbox/bpf.js';
import { reaching, reading, serving } from '../../src/fuse/sandbox/filter.js';
import type { Reach } from '../../src/fuse/sandbox/filter.js';
import { MACHINES, SYSCALLS, syscallNumber } from '../../src/fuse/sandbox/syscalls.js';
import type { SyscallName } from '../../src/fuse/sandbox/syscalls.js';
import { answer } from './fixtures/bpf.js';

const REFUSED = fail(1);
const PID = 77;
const runs = Number(process.env['SANDBOX_RUNS'] ?? 3000);
fc.configureGlobal({ seed: 8, numRuns: runs });

for (const arch of ['x64', 'arm64'] as const) {
  const machine = MACHINES[arch]!;
  const first = serving(machine, [4, 5], PID);
  const ask = (name: SyscallName, ...args: number[]) =>
    answer(first, { number: syscallNumber(machine, name)!, arch: machine.audit_arch, args: args.map(BigInt) });

  t.test(`${arch}: calls that serving needs`, (t) => {
    for (const name of [
      'futex',
      'epoll_pwait',
      'fdatasync',
      'munmap',
      'exit_group',
      'setitimer',
      'rt_sigreturn',
    ] as const) {
      t.equal(ask(name), ALLOW, name);
    }
    for (const name of ['read', 'write', 'readv', 'writev'] as const) {
      t.equal(ask(name, 3), ALLOW, `${name} on a stream`);
      t.equal(ask(name, 4), REFUSED, `${name} on a disk`);
      t.equal(ask(name, 5), REFUSED, `${name} on the other disk`);
    }
    for (const name of ['pread64', 'pwrite64'] as const) {
      t.equal(ask(name, 4, 0, 512, 0), ALLOW);
      t.equal(ask(name, 3, 0, 512, 0), REFUSED, `${name} on a stream`);
    }
    t.equal(ask('mmap', 0, 4096, 3, 0x22), ALLOW);
    t.equal(ask('mmap', 0, 4096, 3, 0x01, 4), REFUSED, 'mapping the disk');
    t.equal(ask('fallocate', 4, 3), ALLOW);
    t.equal(ask('fallocate', 4, 0), REFUSED, 'growing');
    t.equal(ask('fallocate', 3, 3), REFUSED);
    t.equal(ask('ioctl', 4, 0x1277), ALLOW);
    t.equal(ask('ioctl', 3, 0x1277), REFUSED);
    t.equal(ask('ioctl', 4, 0x80081272), ALLOW);
    t.equal(ask('ioctl', 4, 0x2285), REFUSED, 'SCSI commands');
    t.equal(ask('ioctl', 1, 0x5412), REFUSED, 'input into the terminal');
    t.equal(ask('mmap', 0, 4096, 5, 0x22), REFUSED, 'memory to be executed that is not V8\'s own');
    t.equal(ask('fcntl', 4, 3), ALLOW);
    t.equal(ask('fcntl', 3, 4, 0o4000), ALLOW, 'not to wait');
    t.equal(ask('fcntl', 7, 4, 0o24002), ALLOW, 'signals of the channel');
    t.equal(ask('fcntl', 3, 4, 0o2000), REFUSED, 'O_APPEND, which writes at the end whatever the place is');
    t.equal(ask('fcntl', 4, 4, 0), REFUSED, 'any flags of a disk');
    t.equal(ask('fcntl', 4, 0), REFUSED, 'another number for the disk');
    t.equal(ask('prctl', 15), ALLOW);
    t.equal(ask('prctl', 4, 1), REFUSED, 'dumpable again');
    t.equal(ask('tgkill', PID, PID, 6), ALLOW);
    t.equal(ask('tgkill', 1, 1, 9), REFUSED, 'signals to others');
    t.equal(ask('seccomp', 1, 5), ALLOW, 'another filter on all threads');
    t.equal(ask('seccomp', 1, 8), REFUSED, 'one that asks somebody');
    t.end();
  });

  t.test(`${arch}: everything else`, (t) => {
    for (const name of [
      'execve',
      'ptrace',
      'mount',
      'unshare',
      'setns',
      'bpf',
      'process_vm_readv',
      'init_module',
    ] as const) {
      t.equal(ask(name), KILL_PROCESS, name);
    }
    t.equal(ask('clone', 17), REFUSED);
    t.equal(ask('clone3'), REFUSED);
    const known = new Set<number | null>(Object.values(SYSCALLS).map((numbers) => numbers[machine.column]));
    const others = Array.from({ length: 600 }, (_, number) => number).filter((number) => !known.has(number));
    t.ok(others.length > 400);
    t.same(
      others.filter((number) => answer(first, { number, arch: machine.audit_arch }) !== REFUSED),
      [],
      'calls that nobody named',
    );
    t.equal(answer(first, { number: 0, arch: 0x40000003 }), KILL_PROCESS, "another machine's calls");
    t.equal(answer(first, { number: 0x40000000, arch: machine.audit_arch }), KILL_PROCESS, 'x32');
    t.ok(encode(first).length / 8 < 4096, 'as many instructions as the kernel takes');
    t.end();
  });

  t.test(`${arch}: transfers inside the volume, and no others`, (t) => {
    // Around the edges of words, and of the numbers that the volume begins and ends with.
    const size = fc.oneof(
      fc.bigInt(0n, 1n << 42n),
      fc.constantFrom(0n, 512n, (1n << 32n) - 1n, 1n << 32n, (1n << 32n) + 512n, 3n << 32n),
    );
    const length = fc.oneof(
      fc.bigInt(0n, 1n << 21n),
      size,
      fc.constantFrom((1n << 64n) - 1n, 1n << 63n, (1n << 53n) - 1n),
    );
    const at = fc.oneof(
      size,
      fc.constantFrom((1n << 64n) - 1n, (1n << 64n) - 512n, 1n << 63n, (1n << 53n) - 1n, 1n << 53n),
    );
    fc.assert(
      fc.property(
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 3, max: 6 }),
        at,
        length,
        fc.integer({ min: -3, max: 3 }),
        fc.constantFrom('pread64', 'pwrite64', 'fallocate'),
        (one, other, write, near, fd, where, bytes, by, name) => {
          const [start, end] = one < other ? [one, other] : [other, one];
          const reach: Reach = { fd: 4, start: Number(start), end: Number(end), write, discard: false };
          const other_disk: Reach = { fd: 5, start: 0, end: 1 << 20, write: false, discard: false };
          // Half of the transfers end or begin at most three bytes from an edge.
          const offset = BigInt.asUintN(64, near ? (by % 2 === 0 ? end - bytes : start) + BigInt(by) : where);
          const args = name === 'fallocate' ? [BigInt(fd), 3n, offset, bytes] : [BigInt(fd), 0n, bytes, offset];
          const got = answer(reaching(machine, [reach, other_disk]), {
            number: syscallNumber(machine, name as SyscallName)!,
            arch: machine.audit_arch,
            args,
          });
          const allowed =
            fd === 4 ? { start, end, write } : fd === 5 ? { start: 0n, end: 1n << 20n, write: false } : undefined;
          const inside =
            allowed !== undefined &&
            (name === 'pread64' || allowed.write) &&
            offset >= allowed.start &&
            offset + bytes <= allowed.end &&
            bytes < 1n << 53n;
          return got === (inside ? ALLOW : REFUSED);
        },
      ),
    );
    t.end();
  });

  t.test(`${arch}: what else the second filter decides`, (t) => {
    const ask = (reach: Partial<Reach>, name: SyscallName, ...args: number[]) =>
      answer(reaching(machine, [{ fd: 4, start: 0, end: 4096, write: true, discard: true, ...reach }]), {
        number: syscallNumber(machine, name)!,
        arch: machine.audit_arch,
        args: args.map(BigInt),
      });
    t.equal(ask({}, 'ioctl', 4, 0x1277), ALLOW, 'discard on the whole disk');
    t.equal(ask({ discard: false }, 'ioctl', 4, 0x1277), REFUSED, 'on a part: nobody sees which bytes');
    t.equal(ask({ write: false }, 'ioctl', 4, 0x1277), REFUSED);
    t.equal(ask({}, 'ioctl', 4, 0x5401), ALLOW, 'left to the first');
    t.equal(ask({}, 'read', 3), ALLOW, 'left to the first');
    t.end();
  });

  t.test(`${arch}: a volume that turns out to be for reading only`, (t) => {
    const ask = (name: SyscallName, ...args: number[]) =>
      answer(reading(machine, 4), {
        number: syscallNumber(machine, name)!,
        arch: machine.audit_arch,
        args: args.map(BigInt),
      });
    for (const name of ['pwrite64', 'fallocate'] as const) t.equal(ask(name, 4, 3, 512, 0), REFUSED);
    t.equal(ask('ioctl', 4, 0x1277), REFUSED);
    t.equal(ask('ioctl', 4, 0x80081272), ALLOW, 'left to the first');
    t.equal(ask('pread64', 4, 0, 512, 0), ALLOW, 'left to the others');
    t.equal(ask('pwrite64', 5, 0, 512, 0), ALLOW, 'the overlay notes that it was closed');
    t.end();
  });
}
