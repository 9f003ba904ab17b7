import { crc32be } from '../../lib/crc32be.js';
import type { JournalSuper } from '../disk/journal.js';
import {
  JBD2_COMMIT_BLOCK,
  JBD2_COMPAT_CHECKSUM,
  JBD2_DESCRIPTOR_BLOCK,
  JBD2_INCOMPAT,
  JBD2_MAGIC,
  JBD2_REVOKE_BLOCK,
  TAG_ESCAPE,
  commit_chksum,
  commit_sealed,
  commit_sec,
  journal_tags,
  revoked_blocks,
  tag_sealed,
  tail_sealed,
} from '../disk/journal.js';
import type { Log } from './find.js';

/** Where the newest copy of a block of the volume lies in the log. */
export interface Copy {
  /** Block of the log. */
  readonly block: number;
  /** Its first word, which would look like the log's own, has been taken out. */
  readonly escaped: boolean;
}

export interface Recovery {
  /** By the number of the block in the volume. */
  readonly copies: Map<number, Copy>;
  readonly transactions: number;
  readonly revokes: number;
  /** What was wrong, if anything; what came before is recovered. */
  readonly problems: readonly string[];
  /** Sequence number behind the last transaction. */
  readonly end: number;
}

/** A block of the log's own. */
interface LogBlock {
  readonly at: number;
  readonly block: Uint8Array;
  readonly view: DataView;
  readonly type: number;
  readonly sequence: number;
}

/** Sequence numbers wrap around. */
function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

const next = (sequence: number): number => (sequence + 1) >>> 0;

class Recoverer {
  private readonly revoked = new Map<number, number>();
  private readonly copies = new Map<number, Copy>();
  private readonly problems: string[] = [];
  private transactions = 0;
  private end = 0;

  constructor(
    private readonly log: Log,
    private readonly sb: JournalSuper,
    /** Blocks of the volume. */
    private readonly volume: number,
  ) {}

  /**
   * After Linux fs/jbd2/recovery.c (do_one_pass): where the log ends; which blocks are revoked; the copies. @throws EIO
   * the device
   */
  async recover(): Promise<Recovery> {
    this.end = this.sb.s_sequence;
    if (this.sb.s_start !== 0) {
      await this.scan();
      await this.pass(async (b) => this.revoke(b));
      await this.pass(async (b) => this.replay(b));
    }
    return {
      copies: this.copies,
      transactions: this.transactions,
      revokes: this.revoked.size,
      problems: this.problems,
      end: this.end,
    };
  }

  private wrap(at: number): number {
    return at >= this.sb.last ? at - (this.sb.last - this.sb.s_first) : at;
  }

  /** A block of the log's own with that sequence number; undefined: there is none. */
  private async own(at: number, sequence: number): Promise<LogBlock | undefined> {
    const block = await this.log.read(at);
    const view = new DataView(block.buffer);
    if (view.getUint32(0) !== JBD2_MAGIC || view.getUint32(8) !== sequence) return undefined;
    return { at, block, view, type: view.getUint32(4), sequence };
  }

  /** Finds the end of the log. Each step passes one block at least, and all together no more than there are. */
  private async scan(): Promise<void> {
    const { sb } = this;
    let at = sb.s_start;
    let sequence = sb.s_sequence;
    let last = 0;
    let stale = false;
    let crc = 0xffffffff;
    const v1 = (sb.s_feature_compat & JBD2_COMPAT_CHECKSUM) !== 0;
    for (let left = sb.last - sb.s_first; left > 0;) {
      const b = await this.own(at, sequence);
      if (b === undefined) break;
      let blocks = 1;
      if (b.type === JBD2_DESCRIPTOR_BLOCK) {
        const tags = journal_tags(sb, b.view).length;
        if (!tail_sealed(sb, b.block, b.view)) stale = true;
        if (v1) {
          crc = crc32be(crc, b.block);
          for (let i = 1; i <= tags && i < left; i++) crc = crc32be(crc, await this.log.read(this.wrap(at + i)));
        }
        blocks += tags;
      } else if (b.type === JBD2_REVOKE_BLOCK) {
        if (!tail_sealed(sb, b.block, b.view)) stale = true;
      } else if (b.type === JBD2_COMMIT_BLOCK) {
        const time = commit_sec(b.view);
        const bad = stale || !commit_sealed(sb, b.block, b.view) || (v1 && !this.v1sealed(b.view, crc));
        if (bad) {
          // Older than what came before: it was left from the last time round. Else it is the end only if it may have
          // been written before its data.
          if (time >= last && (sb.s_feature_incompat & JBD2_INCOMPAT.async_commit) === 0)
            this.problems.push(`transaction ${sequence}, committed in block ${at} of the log: checksum is wrong`);
          break;
        }
        last = time;
        sequence = next(sequence);
        this.transactions++;
        crc = 0xffffffff;
      } else break;
      left -= blocks;
      at = this.wrap(at + blocks);
    }
    this.end = sequence;
  }

  private v1sealed(view: DataView, crc: number): boolean {
    const { type, size, value } = commit_chksum(view);
    return (type === 1 && size === 4 && value === crc) || (type === 0 && size === 0 && value === 0);
  }

  /** Visits descriptors and revokes of all transactions that are complete. */
  private async pass(visit: (b: LogBlock) => Promise<void>): Promise<void> {
    const { sb } = this;
    let at = sb.s_start;
    let sequence = sb.s_sequence;
    for (let left = sb.last - sb.s_first; left > 0 && before(sequence, this.end);) {
      const b = await this.own(at, sequence);
      if (b === undefined) return;
      let blocks = 1;
      if (b.type === JBD2_COMMIT_BLOCK) sequence = next(sequence);
      else {
        if (b.type === JBD2_DESCRIPTOR_BLOCK) blocks += journal_tags(sb, b.view).length;
        await visit(b);
      }
      left -= blocks;
      at = this.wrap(at + blocks);
    }
  }

  private revoke(b: LogBlock): void {
    if (b.type !== JBD2_REVOKE_BLOCK) return;
    for (const block of revoked_blocks(this.sb, b.view)) {
      const had = this.revoked.get(block);
      if (had === undefined || before(had, b.sequence)) this.revoked.set(block, b.sequence);
    }
  }

  private async replay(b: LogBlock): Promise<void> {
    if (b.type !== JBD2_DESCRIPTOR_BLOCK) return;
    let at = b.at;
    for (const tag of journal_tags(this.sb, b.view)) {
      at = this.wrap(at + 1);
      const revoked = this.revoked.get(tag.blocknr);
      if (revoked !== undefined && !before(revoked, b.sequence)) continue;
      if (tag.blocknr >= this.volume) {
        this.problem(`transaction ${b.sequence}: a copy of block ${tag.blocknr}, outside of the volume`);
      } else if (this.sb.csum && !tag_sealed(this.sb, tag, b.sequence, await this.log.read(at))) {
        this.problem(
          `transaction ${b.sequence}: the copy of block ${tag.blocknr} in block ${at} of the log: checksum is wrong`,
        );
      } else this.copies.set(tag.blocknr, { block: at, escaped: (tag.flags & TAG_ESCAPE) !== 0 });
    }
  }

  private problem(what: string): void {
    if (this.problems.length < 4) this.problems.push(what);
  }
}

/** Reads a log whose volume has `volume` blocks. @throws EIO the device */
export function recover(log: Log, sb: JournalSuper, volume: number): Promise<Recovery> {
  return new Recoverer(log, sb, volume).recover();
}
