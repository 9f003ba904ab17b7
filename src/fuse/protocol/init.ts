/** INIT: what is agreed with the host before the first request. Only what is honoured is asked for. */
import * as F from './fuse_kernel.js';
import type { Message } from './message.js';

export interface InitOptions {
  /** Largest payload of a WRITE, bytes. */
  readonly max_write: number;
  /** The host's page size, bytes. */
  readonly page_bytes: number;
  /** POSIX and flock locks are kept by the kernel (others share the volume); else the host keeps them itself. */
  readonly remote_locks: boolean;
  /** OPEN is answered, and may truncate. Without it (stateless) the host truncates by SETATTR. */
  readonly handles: boolean;
  readonly writeback_cache: boolean;
  /** Every entry of a directory can be given a node without being opened. */
  readonly readdirplus: boolean;
  /** The host is to send requests again that a dead server has read. */
  readonly resend: boolean;
}

/** What was agreed. */
export interface InitResult {
  readonly minor: number;
  readonly flags: number;
  readonly flags2: number;
  readonly max_write: number;
}

/** Flags asked for where the host offers them. */
export function wantedFlags(options: InitOptions): number {
  let want =
    F.FUSE_ASYNC_READ |
    F.FUSE_BIG_WRITES |
    F.FUSE_MAX_PAGES |
    F.FUSE_PARALLEL_DIROPS |
    F.FUSE_EXPORT_SUPPORT |
    F.FUSE_CACHE_SYMLINKS |
    F.FUSE_EXPLICIT_INVAL_DATA |
    F.FUSE_ASYNC_DIO |
    F.FUSE_HANDLE_KILLPRIV_V2 |
    F.FUSE_ABORT_ERROR |
    F.FUSE_INIT_EXT;
  if (options.remote_locks) want |= F.FUSE_POSIX_LOCKS | F.FUSE_FLOCK_LOCKS;
  if (options.readdirplus) want |= F.FUSE_DO_READDIRPLUS | F.FUSE_READDIRPLUS_AUTO;
  if (options.handles) want |= F.FUSE_ATOMIC_O_TRUNC;
  if (options.writeback_cache) want |= F.FUSE_WRITEBACK_CACHE;
  return want;
}

/**
 * Reads the offer and writes the answer behind the reply's header (fuse_init_out.SIZEOF bytes). `again`: the host
 * speaks a newer major version and will ask once more with ours. `too-old`: it speaks none that is served.
 */
export function negotiate(msg: Message, options: InitOptions): InitResult | 'again' | 'too-old' {
  const major = msg.u32(F.fuse_init_in.major);
  const minor = msg.u32(F.fuse_init_in.minor);
  const out = msg.out;
  out.clear(0, F.fuse_init_out.SIZEOF);
  out.set32(F.fuse_init_out.major, F.FUSE_KERNEL_VERSION);
  if (major > F.FUSE_KERNEL_VERSION) return 'again';
  if (major < F.FUSE_KERNEL_VERSION || minor < F.FUSE_KERNEL_MINOR_OLDEST) return 'too-old';

  const offered = msg.u32(F.fuse_init_in.flags);
  const offered2 =
    offered & F.FUSE_INIT_EXT && msg.bodyBytes >= F.fuse_init_in.SIZEOF ? msg.u32(F.fuse_init_in.flags2) : 0;
  const flags = (wantedFlags(options) & offered) >>> 0;
  const flags2 = offered2 & (options.resend ? F.FUSE2_HAS_RESEND : 0);
  const max_write = flags & F.FUSE_MAX_PAGES ? options.max_write : Math.min(options.max_write, 32 * options.page_bytes);
  const agreed = Math.min(minor, F.FUSE_KERNEL_MINOR_VERSION);

  out.set32(F.fuse_init_out.minor, agreed);
  out.set32(F.fuse_init_out.max_readahead, msg.u32(F.fuse_init_in.max_readahead));
  out.set32(F.fuse_init_out.flags, flags);
  // Requests that the host may have under way in the background (readahead): deep enough to keep one server busy.
  out.set16(F.fuse_init_out.max_background, 64);
  out.set16(F.fuse_init_out.congestion_threshold, 48);
  out.set32(F.fuse_init_out.max_write, max_write);
  out.set32(F.fuse_init_out.time_gran, 1);
  out.set16(F.fuse_init_out.max_pages, Math.ceil(max_write / options.page_bytes));
  out.set32(F.fuse_init_out.flags2, flags2);
  return { minor: agreed, flags, flags2, max_write };
}
