/** Requests that no kernel would send, between ones that it would: what they are made of. */
import { opcodeOf, requestBytes } from '../../test/fuse/fixtures/request.js';
import type { Part } from '../../test/fuse/fixtures/request.js';
import { OPERATIONS } from '../../src/fuse/protocol/opcodes.js';
import type { HandlerName } from '../../src/fuse/protocol/opcodes.js';
import type { Mutation } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';

/**
 * In the uppermost 16 bits of a word: the number below stands for the n-th node, or handle, that the server has told
 * of.
 */
export const NODE_MARK = 0xf00dn << 48n;
export const HANDLE_MARK = 0xf11dn << 48n;

const HEADER = 40;
const NAMES = [
  'a',
  'b',
  'c',
  'dir',
  'dir/sub',
  'empty',
  'one',
  'void',
  'many',
  '.',
  '..',
  '',
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(5000),
  'ä\u{1f600}',
  'a\nb',
  'file number 5 xxxxx',
];
const XATTRS = [
  'user.a',
  'user.longer.name',
  'system.posix_acl_access',
  'security.capability',
  'user.',
  '',
  'trusted.x',
  `user.${'n'.repeat(300)}`,
];
const OFFSETS = [
  0,
  1,
  511,
  4096,
  100_000,
  2 ** 31,
  2 ** 40,
  2 ** 53 - 1,
  2 ** 53,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];
const SIZES = [0, 1, 15, 16, 100, 4096, 65_536, 1 << 20, (1 << 20) + 1, 0x7fffffff, 0xffffffff];
const MODES = [0o100644, 0o040755, 0o120777, 0o010600, 0o020600, 0o060600, 0o140600, 0, 0o170000, 0xffffffff];
const FLAGS = [0, 1, 2, 3, 0o100, 0o300, 0o1000, 0o2002, 0o200000, 0o20000000, 0o22000000, 0xffffffff];

function shapes(random: Random): Readonly<Record<HandlerName, () => Part[]>> {
  const name = (): Part => ['name', random.pick(NAMES)];
  const u32 = (...of: readonly number[]): Part => ['u32', random.pick(of)];
  const node = (): Part => ['u64', NODE_MARK | BigInt(random.below(40))];
  const fh = (): Part => ['u64', random.once(2) ? 0 : HANDLE_MARK | BigInt(random.below(40))];
  const off = (): Part => ['u64', random.pick(OFFSETS)];
  const zeros = (count: number): Part[] => Array.from({ length: count }, () => ['u32', 0]);
  const lock = (): Part[] => [
    fh(),
    ['u64', random.below(3)],
    off(),
    off(),
    u32(0, 1, 2, 3, 0xffffffff),
    u32(1),
    u32(0, 1),
    u32(0),
  ];
  const copy = (): Part[] => [fh(), off(), node(), fh(), off(), off(), ['u64', 0]];
  const data = (): Part[] => {
    const length = random.pick([0, 1, 100, 4096, 70_000, 1 << 20]);
    return [
      fh(),
      off(),
      ['u32', random.once(8) ? random.pick(SIZES) : length],
      u32(0, 1, 2, 4),
      ['u64', 0],
      u32(...FLAGS),
      u32(0),
      ['bytes', new Uint8Array(length).fill(0x41)],
    ];
  };
  const read = (): Part[] => [fh(), off(), u32(...SIZES), u32(0), ['u64', 0], u32(...FLAGS), u32(0)];
  return {
    lookup: () => [name()],
    forget: () => [['u64', random.pick([0, 1, 2, 1000, 2n ** 64n - 1n])]],
    getattr: () => [u32(0, 1), u32(0), fh()],
    setattr: () => [
      ['u32', random.below(4096)],
      u32(0),
      fh(),
      off(),
      ['u64', 0],
      off(),
      off(),
      off(),
      u32(0, 999_999_999, 1_000_000_000, 0xffffffff),
      u32(0, 0xffffffff),
      u32(0),
      u32(...MODES),
      u32(0),
      u32(0, 1000, 0xffffffff),
      u32(0, 0xffffffff),
      u32(0),
    ],
    readlink: () => [],
    symlink: () => [
      name(),
      ['name', random.pick(['target', '', 'x'.repeat(1023), 'x'.repeat(1024), 'x'.repeat(70_000)])],
    ],
    mknod: () => [u32(...MODES), u32(0, 0x1103, 0xffffffff), u32(0, 0o22), u32(0), name()],
    mkdir: () => [u32(...MODES), u32(0, 0o22), name()],
    unlink: () => [name()],
    rmdir: () => [name()],
    rename: () => [node(), name(), name()],
    link: () => [node(), name()],
    open: () => [u32(...FLAGS), u32(0, 1, 0xffffffff)],
    read,
    write: data,
    statfs: () => [],
    release: () => [fh(), u32(...FLAGS), u32(0, 1, 2, 3), ['u64', random.below(3)]],
    fsync: () => [fh(), u32(0, 1), u32(0)],
    setxattr: () => {
      const length = random.pick([0, 1, 100, 5000, 65_536, 100_000]);
      return [
        ['u32', random.once(6) ? random.pick(SIZES) : length],
        u32(0, 1, 2, 3),
        ['name', random.pick(XATTRS)],
        ['bytes', new Uint8Array(length).fill(7)],
      ];
    },
    getxattr: () => [u32(...SIZES), u32(0), ['name', random.pick(XATTRS)]],
    listxattr: () => [u32(...SIZES), u32(0)],
    removexattr: () => [['name', random.pick(XATTRS)]],
    flush: () => [fh(), u32(0), u32(0), ['u64', random.below(3)]],
    init: () => [
      u32(7, 7, 7, 6, 8, 0xffffffff),
      u32(31, 45, 12, 99, 0),
      u32(1 << 17),
      u32(0xffffffff, 0, 1 << 30),
      u32(0xffffffff, 0),
      ...zeros(11),
    ],
    opendir: () => [u32(...FLAGS), u32(0)],
    readdir: read,
    releasedir: () => [fh(), u32(0), u32(0), ['u64', 0]],
    fsyncdir: () => [fh(), u32(0, 1), u32(0)],
    getlk: lock,
    setlk: lock,
    setlkw: lock,
    access: () => [u32(0, 1, 2, 4, 7, 0xffffffff), u32(0)],
    create: () => [u32(...FLAGS), u32(...MODES), u32(0), u32(0), name()],
    interrupt: () => [['u64', 2 * random.below(100)]],
    bmap: () => [off(), u32(...SIZES), u32(0)],
    destroy: () => [],
    ioctl: () => [
      fh(),
      u32(0, 1, 2),
      u32(0x5401, 0x80086601, 0xffffffff),
      off(),
      u32(0, 8, 0xffffffff),
      u32(0, 8, 0xffffffff),
    ],
    poll: () => [fh(), ['u64', 1], u32(0, 1), u32(1)],
    notify_reply: () => [],
    batch_forget: () => {
      const count = random.below(5);
      const parts: Part[] = [['u32', random.once(4) ? random.pick(SIZES) : count], u32(0)];
      for (let i = 0; i < count; i++) parts.push(node(), ['u64', random.below(3)]);
      return parts;
    },
    fallocate: () => [fh(), off(), off(), u32(0, 1, 3, 8, 16, 0xffffffff), u32(0)],
    readdirplus: read,
    rename2: () => [node(), u32(0, 1, 2, 4, 7, 0xffffffff), u32(0), name(), name()],
    lseek: () => [fh(), off(), u32(0, 1, 2, 3, 4, 0xffffffff), u32(0)],
    copy_file_range: copy,
    syncfs: () => [['u64', 0]],
    tmpfile: () => [u32(...FLAGS), u32(...MODES), u32(0), u32(0), name()],
    statx: () => [u32(0, 1), u32(0), fh(), u32(0, 0xffffffff), u32(0xfff, 0xffffffff, 0)],
    copy_file_range_64: copy,
  };
}

const HANDLERS = OPERATIONS.flatMap((operation) => (operation === undefined ? [] : [operation.handler]));
/** Likelier than others: what makes nodes and content for the rest. */
const COMMON: readonly HandlerName[] = [
  'lookup',
  'lookup',
  'lookup',
  'mknod',
  'mkdir',
  'open',
  'opendir',
  'write',
  'write',
  'read',
  'getattr',
  'setattr',
  'rename2',
  'link',
  'unlink',
  'setxattr',
  'readdirplus',
];

type Damage = (bytes: Buffer<ArrayBufferLike>, random: Random) => readonly [Buffer<ArrayBufferLike>, string];

const DAMAGE: readonly (readonly [number, Damage])[] = [
  [
    2,
    (b, r) => {
      const len = r.pick([0, 1, 39, 40, b.length - 1, b.length + 1, b.length * 2, 0x7fffffff, 0xffffffff]);
      b.writeUInt32LE(len >>> 0, 0);
      return [b, `says that it has ${len} bytes`];
    },
  ],
  [
    4,
    (b, r) => {
      const cut = b.subarray(0, r.below(b.length + 1));
      if (cut.length >= 4) cut.writeUInt32LE(cut.length, 0);
      return [cut, `cut to ${cut.length} bytes`];
    },
  ],
  [
    2,
    (b, r) => {
      const longer = Buffer.concat([b, Buffer.alloc(r.pick([1, 8, 4096, 70_000]), r.pick([0, 0x41, 0xff]))]);
      longer.writeUInt32LE(longer.length, 0);
      return [longer, `longer by ${longer.length - b.length} bytes`];
    },
  ],
  [
    2,
    (b, r) => {
      const opcode = r.pick([0, 7, 19, 48, 49, 54, 100, 4096, 1 << 20, 0x7fffffff, 0xffffffff, r.below(64)]);
      b.writeUInt32LE(opcode >>> 0, 4);
      return [b, `opcode ${opcode}`];
    },
  ],
  [
    3,
    (b, r) => {
      const id = r.pick([0n, 2n, 77n, 0xffffffffn, 1n << 32n, (1n << 63n) - 1n, (1n << 64n) - 1n, BigInt(r.u32())]);
      b.writeBigUInt64LE(id, 16);
      return [b, `node ${id}`];
    },
  ],
  [
    1,
    (b, r) => {
      const unique = r.pick([0n, 2n, (1n << 63n) + 2n, (1n << 64n) - 1n]);
      b.writeBigUInt64LE(unique, 8);
      return [b, `unique ${unique}`];
    },
  ],
  [
    6,
    (b, r) => {
      const words = (b.length - HEADER) >> 2;
      if (words <= 0) return [b, 'as it is'];
      const width = r.once(2) && words > 1 ? 8 : 4;
      const at = HEADER + 4 * r.below(Math.min(words, 24) - (width === 8 ? 1 : 0));
      const view = new DataView(b.buffer, b.byteOffset, b.length);
      const value = interestingValue(
        r,
        [1 << 20, (1 << 20) + 1, 4096, b.length, 255, 256],
        getField(view, at, width, true),
        width,
      );
      b.set(fieldBytes(value, width, true), at);
      return [b, `0x${value.toString(16)} at ${at - HEADER}`];
    },
  ],
  [
    3,
    (b, r) => {
      const end = b.lastIndexOf(0);
      if (end < HEADER) return [b, 'as it is'];
      b[end] = r.pick([0x41, 0x2f, 0xff]);
      return [b, 'without its last NUL'];
    },
  ],
  [
    2,
    (b, r) => {
      for (let i = 0; i < 4; i++)
        if (b.length > HEADER) {
          b[HEADER + r.below(Math.min(b.length - HEADER, 300))] = r.pick([0, 0x2f, 0x2e, 0xff, 1]);
        }
      return [b, 'with four other bytes'];
    },
  ],
];

/** One request: its bytes as of the beginning, in this host's byte order (little-endian). */
export function makeRequest(random: Random, number: number): Mutation {
  const name = random.once(3) ? random.pick(HANDLERS) : random.pick(COMMON);
  const unique = 2 * (number + 1);
  const plain = requestBytes(
    name,
    {
      unique,
      uid: random.pick([0, 0, 0, 1000, 0xffffffff]),
      gid: random.pick([0, 1000]),
      pid: random.pick([1, 0, 0x7fffffff]),
    },
    shapes(random)[name](),
  );
  let bytes: Buffer<ArrayBufferLike> = Buffer.from(plain);
  bytes.writeBigUInt64LE(random.once(3) ? 1n : NODE_MARK | BigInt(random.below(40)), 16);
  let how = '';
  if (random.once(3)) [bytes, how] = random.weighted(DAMAGE)(bytes, random);
  return {
    label: `${number}: ${name}${how === '' ? '' : `, ${how}`}`,
    patches: [{ at: 0, bytes: new Uint8Array(bytes) }],
  };
}

/** What Linux sends first. */
export function initRequest(): Mutation {
  const bytes = requestBytes('init', { unique: 2, nodeLo: 0 }, [
    ['u32', 7],
    ['u32', 45],
    ['u32', 1 << 17],
    ['u32', 0xffffffff],
    ['u32', 0xffffffff],
    ...Array.from({ length: 11 }, (): Part => ['u32', 0]),
  ]);
  return { label: '0: init, as Linux sends it', patches: [{ at: 0, bytes: new Uint8Array(bytes) }] };
}

export const NO_REPLY_OPCODES: ReadonlySet<number> = new Set(
  (['forget', 'batch_forget', 'interrupt', 'notify_reply'] as const).map(opcodeOf),
);
