import type { MaybePromise } from '../../../kernel/rumpuser/rumpuser.js';
import type { Buf } from '../../../kernel/vfs/bio.js';
import { crc32be } from '../../lib/crc32be.js';
import {
  JBD2_COMMIT_BLOCK, JBD2_COMPAT_CHECKSUM, JBD2_DESCRIPTOR_BLOCK, JBD2_HEADER, JBD2_INCOMPAT, JBD2_MAGIC,
  JBD2_REVOKE_BLOCK, JS, TAG_ESCAPE, TAG_LAST, TAG_SAME_UUID, block_chksum, commit_seal, journal_header,
  journal_super_seal, tag_bytes, tag_put, tail_seal,
} from '../disk/journal.js';
import type { JournalSuper } from '../disk/journal.js';
import type { Log } from './find.js';

/** Bytes of one transfer. */
const MAXTRANSFER = 1 << 20;
const UUID_BYTES = 16;

/**
 * Writes transactions into the log: descriptors and copies, revokes, and a commit block; a ring of blocks. Its
 * superblock
 * says where the oldest transaction begins that is not yet at its place.
 */
export class LogWriter {
  private readonly view: DataView;
  /** Block behind the newest transaction that was committed, and the sequence number of the next one. */
  head: number;
  sequence: number;
  /** Blocks from the tail to the head. */
  used = 0;
  /** Blocks that transactions may take. */
  readonly capacity: number;
  private readonly tagbytes: number;
  private readonly tagsper: number;
  private readonly revokesper: number;
  private readonly staging: Uint8Array;
  /** Behind what has been written of the transaction so far. */
  private at = 0;
  private taken = 0;
  private crc = 0;

  /** @param bytes block 0 of the log. The log is empty. */
  constructor(
    readonly log: Log,
    private readonly sb: JournalSuper,
    private readonly bytes: Uint8Array,
    sequence: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.capacity = sb.last - sb.s_first;
    this.head = sb.s_first;
    this.sequence = sequence;
    this.tagbytes = tag_bytes(sb);
    const room = log.bsize - JBD2_HEADER - (sb.csum ? 4 : 0);
    this.tagsper = Math.floor((room - UUID_BYTES) / this.tagbytes);
    this.revokesper = Math.floor((room - 4) / this.revokebytes);
    this.staging = new Uint8Array(Math.max(2 * log.bsize, Math.min(MAXTRANSFER, (this.tagsper + 1) * log.bsize)));
  }

  private get revokebytes(): number {
    return (this.sb.s_feature_incompat & JBD2_INCOMPAT['64bit']) !== 0 ? 8 : 4;
  }

  /** Blocks that a transaction takes. */
  length(blocks: number, revokes: number): number {
    const perwrite = Math.min(this.tagsper, this.staging.length / this.log.bsize - 1);
    return blocks + Math.ceil(blocks / perwrite) + Math.ceil(revokes / this.revokesper) + 1;
  }

  private wrap(n: number): number {
    return n >= this.sb.last ? n - this.capacity : n;
  }

  /**
   * Says on the disk that the log begins at the head, with the next transaction; `empty`: that there is nothing in it.
   */
  async settail(empty: boolean): Promise<void> {
    this.view.setUint32(JS.sequence, this.sequence);
    this.view.setUint32(JS.start, empty ? 0 : this.head);
    journal_super_seal(this.bytes);
    await this.log.dev.write(this.bytes, 0, this.log.bsize, this.log.place(0));
    this.used = 0;
  }

  /**
   * Writes the blocks and revokes of a transaction behind the head: of no effect before {@link commit}. Blocks may
   * change as soon as this has been called for them. The caller has seen to it that they fit.
   */
  async append(blocks: readonly Buf[], revokes: readonly number[]): Promise<void> {
    this.at = this.head;
    this.taken = 0;
    this.crc = 0xffffffff;
    const { bsize } = this.log;
    const perwrite = Math.min(this.tagsper, this.staging.length / bsize - 1);
    for (let i = 0; i < blocks.length; i += perwrite) {
      const n = Math.min(perwrite, blocks.length - i);
      this.stage(blocks, i, n);
      await this.put(n + 1);
    }
    for (let i = 0; i < revokes.length; i += this.revokesper) {
      this.stagerevokes(revokes.slice(i, i + this.revokesper));
      await this.put(1);
    }
  }

  /** A descriptor and the copies of blocks from..from+n-1, all at once: what changes later is not in them. */
  private stage(blocks: readonly Buf[], from: number, n: number): void {
    const { staging, sb } = this;
    const { bsize } = this.log;
    const descriptor = staging.subarray(0, bsize);
    const view = new DataView(staging.buffer, staging.byteOffset, bsize);
    descriptor.fill(0);
    journal_header(view, JBD2_DESCRIPTOR_BLOCK, this.sequence);
    let at = JBD2_HEADER;
    for (let k = 0; k < n; k++) {
      const bp = blocks[from + k];
      const copy = staging.subarray((k + 1) * bsize, (k + 2) * bsize);
      copy.set(bp.b_data);
      let flags = k === 0 ? 0 : TAG_SAME_UUID;
      if (k === n - 1) flags |= TAG_LAST;
      if (bp.b_view.getUint32(0) === JBD2_MAGIC) {
        flags |= TAG_ESCAPE;
        copy.fill(0, 0, 4);
      }
      tag_put(view, at, sb, bp.b_offset / bsize, flags, sb.csum ? block_chksum(sb, this.sequence, copy) : 0);
      at += this.tagbytes;
      if (k === 0) {
        descriptor.set(sb.s_uuid, at);
        at += UUID_BYTES;
      }
    }
    tail_seal(sb, descriptor, view);
    if ((sb.s_feature_compat & JBD2_COMPAT_CHECKSUM) !== 0)
      for (let k = 0; k <= n; k++) this.crc = crc32be(this.crc, staging.subarray(k * bsize, (k + 1) * bsize));
  }

  private stagerevokes(revokes: readonly number[]): void {
    const { bsize } = this.log;
    const block = this.staging.subarray(0, bsize);
    const view = new DataView(this.staging.buffer, this.staging.byteOffset, bsize);
    block.fill(0);
    journal_header(view, JBD2_REVOKE_BLOCK, this.sequence);
    const size = this.revokebytes;
    let at = JBD2_HEADER + 4;
    for (const number of revokes) {
      if (size === 8) view.setUint32(at, Math.floor(number / 2 ** 32));
      view.setUint32(at + size - 4, number % 2 ** 32);
      at += size;
    }
    view.setUint32(JBD2_HEADER, at);
    tail_seal(this.sb, block, view);
  }

  /** Writes the first `blocks` staged blocks: in pieces where the log is not contiguous, or begins again. */
  private put(blocks: number): MaybePromise<void> {
    const { bsize } = this.log;
    const writes: Promise<void>[] = [];
    for (let done = 0; done < blocks; ) {
      const place = this.log.place(this.at);
      let n = 1;
      while (done + n < blocks && this.at + n < this.sb.last && this.log.place(this.at + n) === place + n * bsize) n++;
      const wait = this.log.dev.write(this.staging, done * bsize, n * bsize, place);
      if (wait instanceof Promise) writes.push(wait);
      done += n;
      this.taken += n;
      this.at = this.wrap(this.at + n);
    }
    return writes.length === 0 ? undefined : Promise.all(writes).then(() => undefined);
  }

  /** Writes the commit block: when it is on stable storage, and what it commits was before, the transaction counts. */
  async commit(now: { sec: number; nsec: number }): Promise<void> {
    const { bsize } = this.log;
    const block = this.staging.subarray(0, bsize);
    const view = new DataView(this.staging.buffer, this.staging.byteOffset, bsize);
    block.fill(0);
    journal_header(view, JBD2_COMMIT_BLOCK, this.sequence);
    commit_seal(this.sb, block, view, now, this.crc);
    await this.put(1);
  }

  /** It is: the next transaction goes behind it. */
  committed(): void {
    this.head = this.at;
    this.used += this.taken;
    this.sequence = (this.sequence + 1) >>> 0;
  }
}

