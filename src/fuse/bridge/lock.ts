/** GETLK, SETLK, SETLKW: POSIX and flock locks, where the kernel keeps them (remote_locks). */
import { E, errno } from '../../kernel/errno.js';
import {
  F_GETLK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  SEEK_SET,
} from '../../kernel/fcntl.js';
import type { Flock } from '../../kernel/sys/rumpsys.js';
import * as F from '../protocol/fuse_kernel.js';
import { F_UNLCK as HOST_UNLCK, F_WRLCK as HOST_WRLCK, lockTypeToHost, lockTypeToKernel } from '../protocol/linux.js';
import type { Message } from '../protocol/message.js';
import type { Bridge } from './bridge.js';
import { cancelSignal } from './cancel.js';
import { handleFd } from './handle.js';

const K = F.fuse_lk_in;
const L = F.fuse_file_lock;
/** The host's end of a lock that reaches to the end of the file. */
const OFFSET_MAX = 0x7fffffffffffffffn;

function flockOf(m: Message): Flock {
  const start = m.offset64(K.lk_start);
  const end = m.big(K.lk_end);
  return {
    l_start: start,
    l_len: end >= OFFSET_MAX || end > BigInt(Number.MAX_SAFE_INTEGER) ? 0 : Number(end) - start + 1,
    l_pid: m.u32(K.lk_pid),
    l_type: lockTypeToKernel(m.u32(K.lk_type)),
    l_whence: SEEK_SET,
  };
}

function check(b: Bridge): void {
  if (!b.options.remote_locks) throw errno(E.ENOSYS); // the host keeps locks by itself
}

export async function getlk(b: Bridge, m: Message): Promise<number> {
  check(b);
  const found = (await b.sys.fcntl(handleFd(m, K.fh), F_GETLK, flockOf(m), m.big(K.owner))) as Flock;
  m.out.clear(0, L.SIZEOF);
  m.out.set32(L.type, found.l_type === F_UNLCK ? HOST_UNLCK : lockTypeToHost(found.l_type));
  if (found.l_type !== F_UNLCK) {
    m.out.set64(L.start, found.l_start);
    if (found.l_len === 0) m.out.setBig(L.end, OFFSET_MAX);
    else m.out.set64(L.end, found.l_start + found.l_len - 1);
    m.out.set32(L.pid, found.l_pid);
  }
  return L.SIZEOF;
}

export function setlk(b: Bridge, m: Message): Promise<number> {
  return lock(b, m, false);
}

/** Waits for the lock. Others' requests are served meanwhile, INTERRUPT ends the wait. */
export function setlkw(b: Bridge, m: Message): Promise<number> {
  return lock(b, m, true);
}

async function lock(b: Bridge, m: Message, wait: boolean): Promise<number> {
  check(b);
  const fd = handleFd(m, K.fh);
  const owner = m.big(K.owner);
  const sys = wait ? b.sys.withSignal(cancelSignal(m)) : b.sys;
  if (wait) m.parked = true;
  if (m.u32(K.lk_flags) & F.FUSE_LK_FLOCK) {
    const type = m.u32(K.lk_type);
    const operation = type === HOST_UNLCK ? LOCK_UN : (type === HOST_WRLCK ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB);
    await sys.flock(fd, operation, owner);
  } else {
    await sys.fcntl(fd, wait ? F_SETLKW : F_SETLK, flockOf(m), owner);
  }
  return 0;
}
