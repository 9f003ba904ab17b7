import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { makedev, Stat } from '../../src/kernel/stat.js';
import * as F from '../../src/fuse/protocol/fuse_kernel.js';
import { layout } from '../../src/fuse/protocol/layout.js';
import { direntBytes, putDirent, putEntryOut, putNegativeEntry, putStatxOut } from '../../src/fuse/protocol/encode.js';
import { InBuf, Message, OutBuf } from '../../src/fuse/protocol/message.js';
import { OPERATIONS, rxLine, txLine } from '../../src/fuse/protocol/opcodes.js';
import { negotiate, wantedFlags } from '../../src/fuse/protocol/init.js';
import { codeOf, request } from './fixtures/request.js';

const HEADER = '/usr/include/linux/fuse.h';

interface CStruct {
  size: number;
  fields: Map<string, number>;
}

/** Structures of a C header with natural alignment, the rules of every host that FUSE runs on. */
function parseStructs(text: string): Map<string, CStruct> {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  const structs = new Map<string, CStruct>();
  for (const [, name, body] of plain.matchAll(/^struct (\w+) \{([^}]*)\};/gm)) {
    let at = 0;
    let align = 1;
    const fields = new Map<string, number>();
    for (const [, struct, scalar, field, count] of body!.matchAll(
      /(?:struct\s+(\w+)|u?(int\d+)_t|char)\s+(\w+)(?:\[(\w*)\])?\s*;/g,
    )) {
      const inner = struct === undefined ? undefined : structs.get(struct);
      const bytes = inner?.size ?? (scalar === undefined ? 1 : Number(scalar.slice(3)) / 8);
      const unit = inner === undefined ? bytes : 8;
      at = Math.ceil(at / unit) * unit;
      align = Math.max(align, Math.min(unit, 8));
      fields.set(field!, at);
      if (inner !== undefined) {
        for (const [innerName, offset] of inner.fields) {
          fields.set(`${field}.${innerName}`, at + offset);
        }
      }
      at += bytes * (count === undefined ? 1 : Number(count) || 0);
    }
    structs.set(name!, { size: Math.ceil(at / align) * align, fields });
  }
  return structs;
}

/** Fields that have another name here, or lie in a structure of their own in the header. */
const ELSEWHERE: Record<string, Record<string, string>> = {
  fuse_lk_in: { lk_start: 'lk.start', lk_end: 'lk.end', lk_type: 'lk.type', lk_pid: 'lk.pid' },
  fuse_statx: {
    atime: 'atime.tv_sec', atimensec: 'atime.tv_nsec', btime: 'btime.tv_sec', btimensec: 'btime.tv_nsec',
    ctime: 'ctime.tv_sec', ctimensec: 'ctime.tv_nsec', mtime: 'mtime.tv_sec', mtimensec: 'mtime.tv_nsec',
  },
};
/**
 * Parts of the header's structures that are read or written as structures of their own, or extensions not negotiated;
 * bytes.
 */
const LEFT_OUT: Record<string, number> = {
  fuse_entry_out: F.fuse_attr.SIZEOF, fuse_attr_out: F.fuse_attr.SIZEOF, fuse_statx_out: F.fuse_statx.SIZEOF,
  fuse_setxattr_in: 8, fuse_init_in: 44, fuse_rename_in: 0,
};

t.test('structures are as the header of this host has them', { skip: existsSync(HEADER) ? false : `${HEADER} is not installed` }, (t) => {
  const structs = parseStructs(readFileSync(HEADER, 'utf8'));
  t.ok(structs.size > 40, 'the header was understood');
  let compared = 0;
  for (const [name, ours] of Object.entries(F)) {
    if (typeof ours !== 'object') continue;
    const theirs = structs.get(name);
    if (theirs === undefined) continue; // newer than this host's header
    compared++;
    t.equal(ours.SIZEOF + (LEFT_OUT[name] ?? 0), theirs.size, `sizeof ${name}`);
    for (const [field, offset] of Object.entries(ours)) {
      const theirName = ELSEWHERE[name]?.[field] ?? field;
      if (theirs.fields.has(theirName)) { t.equal(offset, theirs.fields.get(theirName), `${name}.${field}`); }
      else { t.ok(field === 'SIZEOF' || /unused|padding|dummy|spare|reserved|^open_flags$|^backing_id$|^max_stack_depth$|^request_timeout$/.test(field), `${name}.${field} is in the header`); }
    }
  }
  t.ok(compared > 35, `${compared} structures compared`);
  t.end();
});

t.test(
  'constants are as the header of this host has them',
  { skip: existsSync(HEADER) ? false : `${HEADER} is not installed` },
  (t) => {
    const text = readFileSync(HEADER, 'utf8');
    const values = new Map<string, number>();
    for (const [, name, shift] of text.matchAll(/^#define (F\w+)\s+\(1 << (\d+)\)/gm)) {
      values.set(name!, 2 ** Number(shift));
    }
    for (const [, name, value] of text.matchAll(/^\t(FUSE_\w+)\s*= (\d+),/gm)) values.set(name!, Number(value));
    let compared = 0;
    for (const [name, value] of Object.entries(F)) {
      if (typeof value !== 'number' || !values.has(name)) continue;
      t.equal(value, values.get(name), name);
      compared++;
    }
    t.ok(compared > 35, `${compared} constants compared`);
    for (const [opcode, operation] of OPERATIONS.entries()) {
      const name = operation && `FUSE_${operation.name}`;
      if (name !== undefined && values.has(name)) t.equal(opcode, values.get(name), name);
    }
    t.end();
  },
);

t.test('sizes that the protocol fixes', (t) => {
  t.equal(F.fuse_in_header.SIZEOF, 40);
  t.equal(F.fuse_out_header.SIZEOF, 16);
  t.equal(F.ENTRY_OUT_SIZEOF, 128);
  t.equal(F.ATTR_OUT_SIZEOF, 104);
  t.equal(F.fuse_init_out.SIZEOF, 64);
  t.equal(F.fuse_write_in.SIZEOF, 40);
  t.equal(F.fuse_statx.SIZEOF, 256);
  t.equal(F.STATX_OUT_SIZEOF, 288);
  t.throws(() => layout('bad', { a: 4, b: 8 }), /not a multiple/);
  t.end();
});

t.test('numbers keep their value', (t) => {
  const out = new OutBuf(64);
  const input = new InBuf(128);
  const m = new Message(input, out);
  for (const value of [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32) - 5, 2 ** 53 - 1, -(2 ** 53) + 1]) {
    out.set64(8, value);
    input.u8.set(out.u8.subarray(out.at(8), out.at(16)), m.at(8));
    t.equal(m.i64(8), value, `${value} as 64 bits`);
    t.equal(m.big(8), BigInt.asUintN(64, BigInt(value)), `${value} as its two's complement`);
  }
  out.set64words(16, 0xfffffffe, 0x80000001);
  input.u8.set(out.u8.subarray(out.at(16), out.at(24)), m.at(0));
  t.equal(m.lo(0), 0xfffffffe);
  t.equal(m.hi(0), 0x80000001);
  t.equal(codeOf(() => m.offset64(0)), 'EFBIG', 'an offset beyond 2^53');
  t.end();
});

t.test('a request is taken apart', (t) => {
  const { m } = request('lookup', { nodeLo: 7, nodeHi: 0x90000000, uid: 1000, gid: 100, pid: 5 }, [['name', 'na me']]);
  t.match(
    { opcode: m.opcode, nodeLo: m.nodeLo, nodeHi: m.nodeHi, uid: m.uid, gid: m.gid, pid: m.pid },
    { opcode: 1, nodeLo: 7, nodeHi: 0x90000000, uid: 1000, gid: 100, pid: 5 },
  );
  t.equal(m.name(0), 'na me');
  t.match(rxLine(m), /^rx \d+ LOOKUP node 7\.90000000 "na me" \(uid 1000 gid 100 pid 5\)$/);
  t.match(txLine(m, 2, 0, 12.4), /LOOKUP ENOENT \(12 us\)$/);
  t.equal(m.begin(39), false, 'shorter than a header');
  t.equal(m.begin(m.length + 1), false, 'a length that the header does not agree with');
  t.end();
});

t.test('names: bytes, two in a row, broken ones', (t) => {
  const two = request('symlink', {}, [['name', 'link'], ['name', 'to/a/ü']]).m;
  t.equal(two.name(0), 'link');
  t.same(Buffer.from(two.name(two.behindName(0)) as Uint8Array).toString(), 'to/a/ü', 'not ASCII: bytes');
  const odd = request('lookup', {}, [['bytes', Uint8Array.of(0xff, 0xfe, 0)]]).m;
  t.same([...(odd.name(0) as Uint8Array)], [0xff, 0xfe]);
  const endless = request('lookup', {}, [['bytes', Uint8Array.of(65, 66)]]).m;
  t.equal(codeOf(() => endless.name(0)), 'EINVAL', 'no NUL');
  const empty = request('lookup', {}, [['bytes', Uint8Array.of(0, 0)]]).m;
  t.equal(codeOf(() => empty.name(0)), 'EINVAL', 'empty');
  t.equal(codeOf(() => endless.name(1000)), 'EINVAL', 'behind the request');
  t.match(rxLine(endless), /<no name>/, 'the trace does not fail');
  t.end();
});

function stat(): Stat {
  const st = new Stat();
  Object.assign(st, {
    st_ino: 0xfedcba9876543210n,
    st_size: 2 ** 45 + 3,
    st_blocks: 17,
    st_mode: 0o104755,
    st_nlink: 3,
    st_uid: 4000000000,
    st_gid: 5,
    st_rdev: makedev(300, 70000),
    st_blksize: 16384,
    st_atime: -1,
    st_atimensec: 999999999,
    st_mtime: 2 ** 33,
    st_mtimensec: 1,
    st_ctime: 3,
    st_ctimensec: 4,
    st_birthtime: -5,
    st_birthtimensec: 6,
  });
  return st;
}

const little = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

t.test(
  'attributes: 64-bit inodes, nanoseconds, times before 1970 and after 2106',
  { skip: little ? false : 'written for little-endian hosts' },
  (t) => {
    const out = new OutBuf(512);
    t.equal(putEntryOut(out, 0, 9, 1, 2, stat(), { entry: 1.5, attr: 600, negative: 0 }), 128);
    const view = new DataView(out.u8.buffer, out.u8.byteOffset + 16);
    t.equal(view.getBigUint64(0, true), 0x100000009n, 'nodeid');
    t.equal(view.getBigUint64(16, true), 1n);
    t.equal(view.getUint32(32, true), 500000000);
    t.equal(view.getBigUint64(24, true), 600n);
    t.equal(view.getBigUint64(40, true), 0xfedcba9876543210n);
    t.equal(view.getBigUint64(48, true), BigInt(2 ** 45 + 3));
    t.equal(view.getBigInt64(64, true), -1n);
    t.equal(view.getBigInt64(72, true), BigInt(2 ** 33));
    t.equal(view.getUint32(88, true), 999999999);
    t.equal(view.getUint32(100, true), 0o104755);
    t.equal(view.getUint32(108, true), 4000000000);
    t.equal(
      view.getUint32(116, true),
      (70000 & 0xff) | (300 << 8) | ((70000 & 0xfff00) << 12),
      'rdev as the host packs it',
    );

  t.equal(putStatxOut(out, stat(), { entry: 1, attr: 1, negative: 0 }), 288);
  t.equal(view.getUint32(32, true), 0xfff, 'birth time is there');
  t.equal(view.getUint16(32 + 28, true), 0o104755);
  t.equal(view.getBigInt64(32 + 80, true), -5n);
  const young = stat();
  young.st_birthtime = young.st_birthtimensec = 0;
  putStatxOut(out, young, { entry: 1, attr: 1, negative: 0 });
  t.equal(view.getUint32(32, true), 0x7ff, 'no birth time is not the year 1970');

  putNegativeEntry(out, { entry: 1, attr: 1, negative: 2.25 });
  t.equal(view.getBigUint64(0, true), 0n);
  t.equal(view.getBigUint64(16, true), 2n);
  t.equal(view.getUint32(32, true), 250000000);
  t.end();
});

t.test('directory entries are padded to 8 bytes with zeros', (t) => {
  for (let length = 1; length <= 17; length++) {
    const out = new OutBuf(128);
    out.u8.fill(0xaa);
    const size = putDirent(out, 0, { d_fileno: 5n, d_type: 8, d_name: 'x'.repeat(length), d_off: 77 });
    t.equal(size, direntBytes(length));
    t.equal(size % 8, 0);
    t.same(
      [...out.u8.subarray(out.at(24 + length), out.at(size))],
      Array(size - 24 - length).fill(0),
      `padding of ${length}`,
    );
    t.equal(out.u8.toString('latin1', out.at(24), out.at(24 + length)), 'x'.repeat(length));
    t.equal(out.u8[out.at(size)], 0xaa, 'nothing behind it is touched');
  }
  t.end();
});

t.test('INIT asks only for what the host offers and what is honoured', (t) => {
  const options = {
    max_write: 1 << 20,
    page_bytes: 4096,
    remote_locks: false,
    handles: false,
    writeback_cache: false,
    readdirplus: true,
    resend: false,
  };
  const offer = (major: number, minor: number, flags: number) =>
    request('init', {}, [
      ['u32', major],
      ['u32', minor],
      ['u32', 131072],
      ['u32', flags],
      ['u32', 0xff],
      ...(Array(11).fill(['u32', 0]) as ['u32', number][]),
    ]).m;

  const all = offer(7, 45, 0xffffffff);
  t.match(negotiate(all, options), { minor: 45, flags: wantedFlags(options), max_write: 1 << 20 });
  const w = (field: number) => all.out.u32[(16 + field) >> 2]!;
  t.equal(w(F.fuse_init_out.flags), wantedFlags(options));
  t.notOk(
    w(F.fuse_init_out.flags) &
      (F.FUSE_POSIX_LOCKS |
        F.FUSE_FLOCK_LOCKS |
        F.FUSE_POSIX_ACL |
        F.FUSE_WRITEBACK_CACHE |
        F.FUSE_ATOMIC_O_TRUNC |
        F.FUSE_DONT_MASK |
        F.FUSE_SETXATTR_EXT),
    'nothing more',
  );
  t.equal(w(F.fuse_init_out.max_write), 1 << 20);
  t.equal(w(F.fuse_init_out.max_pages) & 0xffff, 256);

  t.match(
    negotiate(offer(7, 31, F.FUSE_BIG_WRITES), options),
    { minor: 31, flags: F.FUSE_BIG_WRITES, max_write: 131072 },
    'an old host without MAX_PAGES',
  );
  t.match(negotiate(offer(7, 99, 0), options), { minor: 45 }, 'a newer minor version is answered with ours');
  t.equal(negotiate(offer(7, 30, 0), options), 'too-old');
  t.equal(negotiate(offer(8, 0, 0), options), 'again');
  t.ok(wantedFlags({ ...options, remote_locks: true }) & F.FUSE_POSIX_LOCKS);
  t.ok(wantedFlags({ ...options, handles: true }) & F.FUSE_ATOMIC_O_TRUNC);
  t.ok(wantedFlags({ ...options, writeback_cache: true }) & F.FUSE_WRITEBACK_CACHE);
  t.notOk(wantedFlags({ ...options, readdirplus: false }) & F.FUSE_DO_READDIRPLUS);
  t.end();
});
