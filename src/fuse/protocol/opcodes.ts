/** The operations of the protocol: one table for decoding, dispatch and trace. */
import * as F from './fuse_kernel.js';
import { hostErrnoName } from './errno.js';
import type { Message } from './message.js';

/** What a handler is called in the bridge. */
export type HandlerName =
  | 'lookup'
  | 'forget'
  | 'getattr'
  | 'setattr'
  | 'readlink'
  | 'symlink'
  | 'mknod'
  | 'mkdir'
  | 'unlink'
  | 'rmdir'
  | 'rename'
  | 'link'
  | 'open'
  | 'read'
  | 'write'
  | 'statfs'
  | 'release'
  | 'fsync'
  | 'setxattr'
  | 'getxattr'
  | 'listxattr'
  | 'removexattr'
  | 'flush'
  | 'init'
  | 'opendir'
  | 'readdir'
  | 'releasedir'
  | 'fsyncdir'
  | 'getlk'
  | 'setlk'
  | 'setlkw'
  | 'access'
  | 'create'
  | 'interrupt'
  | 'bmap'
  | 'destroy'
  | 'ioctl'
  | 'poll'
  | 'notify_reply'
  | 'batch_forget'
  | 'fallocate'
  | 'readdirplus'
  | 'rename2'
  | 'lseek'
  | 'copy_file_range'
  | 'syncfs'
  | 'tmpfile'
  | 'statx'
  | 'copy_file_range_64';

export interface Operation {
  readonly name: string;
  readonly handler: HandlerName;
  /** The least length of the body, bytes; a shorter request is answered with EINVAL. */
  readonly body: number;
  /** The volume may be dirty afterwards. */
  readonly modifies: boolean;
  /** The handler reads the payload while it works: the input stays its own until the reply. */
  readonly holds_input: boolean;
  /** The rest of the trace line of a request. */
  readonly rx: (m: Message) => string;
  /** The rest of the trace line of a reply that is no error. `payload`: its bytes. */
  readonly tx: (m: Message, payload: number) => string;
}

const octal = (mode: number) => `0${mode.toString(8)}`;
const hex = (value: number) => `0x${value.toString(16)}`;
const fh = (m: Message, at: number) => `fh ${m.u64(at)}`;

/** A nodeid as people read it: file number, and generation where there is one. */
export function nodeText(lo: number, hi: number): string {
  return hi === 0 ? `${lo}` : `${lo}.${hi.toString(16)}`;
}

/** A name for a terminal: in quotes, control characters and what is not UTF-8 escaped. */
function nameText(name: string | Uint8Array): string {
  return JSON.stringify(typeof name === 'string' ? name : Buffer.from(name).toString('utf8'));
}

/** The name at `at`, or a mark: a trace must not fail where the request is malformed. */
function name(m: Message, at: number): string {
  try {
    return nameText(m.name(at));
  } catch {
    return '<no name>';
  }
}
function second(m: Message, at: number): string {
  try {
    return name(m, m.behindName(at));
  } catch {
    return '<no name>';
  }
}

const nothing = () => '';
const word = (m: Message, at: number) => m.out.u32[(m.out.at(at)) >> 2]!;
const attrText = (m: Message, at: number) =>
  `ino ${word(m, at + F.fuse_attr.ino)} mode ${octal(word(m, at + F.fuse_attr.mode))} nlink ` +
    `${word(m, at + F.fuse_attr.nlink)} size ${word(m, at + F.fuse_attr.size)}`;
const entry = (m: Message) =>
  word(m, 0) === 0 && word(m, 4) === 0
    ? 'not there'
    : `node ${nodeText(word(m, 0), word(m, 4))} ${attrText(m, F.fuse_entry_out.SIZEOF)}`;
const attr = (m: Message) => attrText(m, F.fuse_attr_out.SIZEOF);
const opened = (m: Message) => `fh ${word(m, F.fuse_open_out.fh)} flags ${hex(word(m, F.fuse_open_out.open_flags))}`;
const bytes = (_m: Message, payload: number) => `${payload} bytes`;
const written = (m: Message) => `${word(m, 0)} bytes`;
const lock = (m: Message) =>
  `${fh(m, F.fuse_lk_in.fh)} ${['read', 'write', 'unlock'][m.u32(F.fuse_lk_in.lk_type)] ?? '?'} ` +
  `${m.u64(F.fuse_lk_in.lk_start)}-${m.u64(F.fuse_lk_in.lk_end)}` +
  (m.u32(F.fuse_lk_in.lk_flags) & F.FUSE_LK_FLOCK ? ' flock' : '');
const copy = (m: Message) => {
  const C = F.fuse_copy_file_range_in;
  return `${m.u64(C.len)} bytes ${fh(m, C.fh_in)}@${m.u64(C.off_in)} -> node ` +
    `${nodeText(m.lo(C.nodeid_out), m.hi(C.nodeid_out))} ${fh(m, C.fh_out)}@${m.u64(C.off_out)}`;
};
const setattrText = (m: Message) => {
  const S = F.fuse_setattr_in;
  const valid = m.u32(S.valid);
  const parts: string[] = [];
  if (valid & F.FATTR_MODE) parts.push(`mode ${octal(m.u32(S.mode))}`);
  if (valid & F.FATTR_UID) parts.push(`uid ${m.u32(S.uid)}`);
  if (valid & F.FATTR_GID) parts.push(`gid ${m.u32(S.gid)}`);
  if (valid & F.FATTR_SIZE) parts.push(`size ${m.u64(S.size)}`);
  if (valid & F.FATTR_ATIME) parts.push(`atime ${valid & F.FATTR_ATIME_NOW ? 'now' : m.i64(S.atime)}`);
  if (valid & F.FATTR_MTIME) parts.push(`mtime ${valid & F.FATTR_MTIME_NOW ? 'now' : m.i64(S.mtime)}`);
  if (valid & F.FATTR_FH) parts.push(fh(m, S.fh));
  return parts.join(' ');
};

interface More {
  readonly rx?: (m: Message) => string;
  readonly tx?: (m: Message, payload: number) => string;
  readonly modifies?: boolean;
  readonly holds_input?: boolean;
}

const table: (Operation | undefined)[] = [];
function op(opcode: number, handler: HandlerName, body: number, more: More = {}): void {
  table[opcode] = {
    name: handler.toUpperCase(),
    handler,
    body,
    modifies: more.modifies ?? false,
    holds_input: more.holds_input ?? false,
    rx: more.rx ?? nothing,
    tx: more.tx ?? nothing,
  };
}

/** A name of at least one byte and its NUL. */
const NAME = 2;
const M = { modifies: true };

op(1, 'lookup', NAME, { rx: (m) => name(m, 0), tx: entry });
op(2, 'forget', F.fuse_forget_in.SIZEOF, { rx: (m) => `${m.u64(0)} times` });
op(3, 'getattr', F.fuse_getattr_in.SIZEOF, {
  rx: (m) => (m.u32(0) & F.FUSE_GETATTR_FH ? fh(m, F.fuse_getattr_in.fh) : ''),
  tx: attr,
});
op(4, 'setattr', F.fuse_setattr_in.SIZEOF, { ...M, rx: setattrText, tx: attr });
op(5, 'readlink', 0, { tx: bytes });
op(6, 'symlink', 2 * NAME, { ...M, rx: (m) => `${name(m, 0)} -> ${second(m, 0)}`, tx: entry });
op(8, 'mknod', F.fuse_mknod_in.SIZEOF + NAME, {
  ...M,
  rx: (m) => `${name(m, F.fuse_mknod_in.SIZEOF)} mode ${octal(m.u32(0))} rdev ${hex(m.u32(F.fuse_mknod_in.rdev))}`,
  tx: entry,
});
op(9, 'mkdir', F.fuse_mkdir_in.SIZEOF + NAME, {
  ...M,
  rx: (m) => `${name(m, F.fuse_mkdir_in.SIZEOF)} mode ${octal(m.u32(0))}`,
  tx: entry,
});
op(10, 'unlink', NAME, { ...M, rx: (m) => name(m, 0) });
op(11, 'rmdir', NAME, { ...M, rx: (m) => name(m, 0) });
op(12, 'rename', F.fuse_rename_in.SIZEOF + 2 * NAME, {
  ...M,
  rx: (m) => `${name(m, 8)} -> node ${nodeText(m.lo(0), m.hi(0))} ${second(m, 8)}`,
});
op(13, 'link', F.fuse_link_in.SIZEOF + NAME, {
  ...M,
  rx: (m) => `node ${nodeText(m.lo(0), m.hi(0))} as ${name(m, 8)}`,
  tx: entry,
});
op(14, 'open', F.fuse_open_in.SIZEOF, { ...M, rx: (m) => `flags ${octal(m.u32(0))}`, tx: opened });
op(15, 'read', F.fuse_read_in.SIZEOF, {
  ...M,
  rx: (m) => `${fh(m, 0)} ${m.u32(F.fuse_read_in.size)} bytes at ${m.u64(F.fuse_read_in.offset)}`,
  tx: bytes,
});
op(16, 'write', F.fuse_write_in.SIZEOF, {
  ...M,
  holds_input: true,
  rx: (m) => `${fh(m, 0)} ${m.u32(F.fuse_write_in.size)} bytes at ${m.u64(F.fuse_write_in.offset)}`,
  tx: written,
});
op(17, 'statfs', 0);
op(18, 'release', F.fuse_release_in.SIZEOF, { ...M, rx: (m) => fh(m, 0) });
op(20, 'fsync', F.fuse_fsync_in.SIZEOF, {
  rx: (m) => `${fh(m, 0)}${m.u32(F.fuse_fsync_in.fsync_flags) & F.FUSE_FSYNC_FDATASYNC ? ' data only' : ''}`,
});
op(21, 'setxattr', F.fuse_setxattr_in.SIZEOF + NAME, {
  ...M,
  rx: (m) => `${name(m, F.fuse_setxattr_in.SIZEOF)} ${m.u32(0)} bytes flags ${m.u32(4)}`,
});
op(22, 'getxattr', F.fuse_getxattr_in.SIZEOF + NAME, {
  rx: (m) => `${name(m, F.fuse_getxattr_in.SIZEOF)} room ${m.u32(0)}`,
  tx: bytes,
});
op(23, 'listxattr', F.fuse_getxattr_in.SIZEOF, { rx: (m) => `room ${m.u32(0)}`, tx: bytes });
op(24, 'removexattr', NAME, { ...M, rx: (m) => name(m, 0) });
op(25, 'flush', F.fuse_flush_in.SIZEOF, { rx: (m) => fh(m, 0) });
op(26, 'init', F.FUSE_COMPAT_INIT_IN_SIZE, {
  rx: (m) => `protocol ${m.u32(0)}.${m.u32(4)} flags ${hex(m.u32(F.fuse_init_in.flags))}`,
  tx: (m) =>
    `protocol ${word(m, 0)}.${word(m, 4)} flags ${hex(word(m, F.fuse_init_out.flags))} max_write ` +
      `${word(m, F.fuse_init_out.max_write)}`,
});
op(27, 'opendir', F.fuse_open_in.SIZEOF, { tx: opened });
op(28, 'readdir', F.fuse_read_in.SIZEOF, {
  ...M,
  rx: (m) => `${fh(m, 0)} room ${m.u32(F.fuse_read_in.size)} from ${m.u64(F.fuse_read_in.offset)}`,
  tx: bytes,
});
op(29, 'releasedir', F.fuse_release_in.SIZEOF, { rx: (m) => fh(m, 0) });
op(30, 'fsyncdir', F.fuse_fsync_in.SIZEOF, { rx: (m) => fh(m, 0) });
op(31, 'getlk', F.fuse_lk_in.SIZEOF, { rx: lock });
op(32, 'setlk', F.fuse_lk_in.SIZEOF, { rx: lock });
op(33, 'setlkw', F.fuse_lk_in.SIZEOF, { rx: lock });
op(34, 'access', F.fuse_access_in.SIZEOF, { rx: (m) => `mask ${m.u32(0)}` });
op(35, 'create', F.fuse_create_in.SIZEOF + NAME, {
  ...M,
  rx: (m) => `${name(m, F.fuse_create_in.SIZEOF)} mode ${octal(m.u32(F.fuse_create_in.mode))} flags ${octal(m.u32(0))}`,
  tx: (m) => `${entry(m)} fh ${word(m, F.ENTRY_OUT_SIZEOF)}`,
});
op(36, 'interrupt', F.fuse_interrupt_in.SIZEOF, { rx: (m) => `request ${m.big(0)}` });
op(37, 'bmap', F.fuse_bmap_in.SIZEOF);
op(38, 'destroy', 0);
op(39, 'ioctl', F.fuse_ioctl_in.SIZEOF, { rx: (m) => `cmd ${hex(m.u32(F.fuse_ioctl_in.cmd))}` });
op(40, 'poll', F.fuse_poll_in.SIZEOF);
op(41, 'notify_reply', 0);
op(42, 'batch_forget', F.fuse_batch_forget_in.SIZEOF, { rx: (m) => `${m.u32(0)} nodes` });
op(43, 'fallocate', F.fuse_fallocate_in.SIZEOF, {
  ...M,
  rx: (m) =>
    `${fh(m, 0)} mode ${m.u32(F.fuse_fallocate_in.mode)} ${m.u64(F.fuse_fallocate_in.length)} bytes at ` +
      `${m.u64(F.fuse_fallocate_in.offset)}`,
});
op(44, 'readdirplus', F.fuse_read_in.SIZEOF, {
  ...M,
  rx: (m) => `${fh(m, 0)} room ${m.u32(F.fuse_read_in.size)} from ${m.u64(F.fuse_read_in.offset)}`,
  tx: bytes,
});
op(45, 'rename2', F.fuse_rename2_in.SIZEOF + 2 * NAME, {
  ...M,
  rx: (m) =>
    `${name(m, 16)} -> node ${nodeText(m.lo(0), m.hi(0))} ${second(m, 16)} flags ${m.u32(F.fuse_rename2_in.flags)}`,
});
op(46, 'lseek', F.fuse_lseek_in.SIZEOF, {
  rx: (m) =>
    `${fh(m, 0)} ${m.u32(F.fuse_lseek_in.whence) === 3 ? 'data' : 'hole'} from ${m.u64(F.fuse_lseek_in.offset)}`,
  tx: (m) => `at ${word(m, 0)}`,
});
op(47, 'copy_file_range', F.fuse_copy_file_range_in.SIZEOF, { ...M, rx: copy, tx: written });
op(50, 'syncfs', F.fuse_syncfs_in.SIZEOF);
op(51, 'tmpfile', F.fuse_create_in.SIZEOF, M);
op(52, 'statx', F.fuse_statx_in.SIZEOF, {
  tx: (m) => `ino ${word(m, F.fuse_statx_out.SIZEOF + F.fuse_statx.ino)} mask ${hex(word(m, F.fuse_statx_out.SIZEOF))}`,
});
op(53, 'copy_file_range_64', F.fuse_copy_file_range_in.SIZEOF, { ...M, rx: copy, tx: written });

/** By opcode; undefined for those that no file system is asked (DAX, CUSE) or that are newer than this server. */
export const OPERATIONS: readonly (Operation | undefined)[] = table;

export function operationName(opcode: number): string {
  return OPERATIONS[opcode]?.name ?? `opcode ${opcode}`;
}

/** The line for a request that has come. */
export function rxLine(m: Message): string {
  const operation = OPERATIONS[m.opcode];
  const known = operation !== undefined && m.bodyBytes >= operation.body;
  const rest = known ? operation.rx(m) : `${m.bodyBytes} bytes`;
  return `rx ${m.uniqueLo} ${operationName(m.opcode)} node ` +
    `${nodeText(m.nodeLo, m.nodeHi)}${rest === '' ? '' : ` ${rest}`} (uid ${m.uid} gid ${m.gid} pid ${m.pid})`;
}

/** The line for its reply. `error`: the host's errno or 0. */
export function txLine(m: Message, error: number, payload: number, microseconds: number): string {
  const text = error !== 0 ? hostErrnoName(error) : (OPERATIONS[m.opcode]?.tx(m, payload) || 'ok');
  return `tx ${m.uniqueLo} ${operationName(m.opcode)} ${text} (${microseconds.toFixed(0)} us)`;
}
