import { DRIVER_RECORDS } from '../../../kernel/keep/keep.js';
import type { Keep, KeptDriver } from '../../../kernel/keep/keep.js';
import type { RecordWriter } from '../../../kernel/keep/records.js';
import type { ExfatNode } from '../file/node.js';
import type { Order } from './order.js';

/** What a successor must know beyond the dirty blocks (kernel/keep/keep.ts). Records; the last one about a thing counts. */

/** [the volume was marked dirty by us] */
export const R_MOUNT = DRIVER_RECORDS;
/** [first cluster, clusters]: to be freed. */
export const R_FREE = DRIVER_RECORDS + 1;
/** [cluster]: the chain is to end there. */
export const R_END = DRIVER_RECORDS + 2;
/** [number, attributes, first cluster, contiguous, size, valid size]: without a name, but in use. */
export const R_ORPHAN = DRIVER_RECORDS + 3;
/** [number]: no more. */
export const R_UNORPHAN = DRIVER_RECORDS + 4;
/** As lib/filenumbers.ts writes it. */
export const R_NUMBER = DRIVER_RECORDS + 5;
/** [number]: data of the file is lost. */
export const R_LOST = DRIVER_RECORDS + 6;
/** []: nothing is to be changed any more. */
export const R_BROKEN = DRIVER_RECORDS + 7;

export class Kept implements KeptDriver {
  readonly #order: Order;
  readonly #keep: Keep;
  /** Records of small changes: type, number of words, words. */
  #small: number[] = [];
  readonly #orphans = new Set<ExfatNode>();
  whole = true;

  constructor(order: Order, keep: Keep) {
    this.#order = order;
    this.#keep = keep;
  }

  freeing(cluster: number, count: number): void {
    this.#small.push(R_FREE, 2, cluster, count);
  }

  ending(cluster: number): void {
    this.#small.push(R_END, 1, cluster);
  }

  orphan(node: ExfatNode): void {
    this.#orphans.add(node);
  }

  unorphan(number: number): void {
    this.#small.push(R_UNORPHAN, 1, number);
  }

  /** Something else has changed: everything is to be recorded anew. */
  moved(): void {
    this.whole = true;
  }

  get quiet(): boolean {
    return !this.#order.busy;
  }

  get changed(): boolean {
    return this.whole || this.#small.length > 0 || this.#orphans.size > 0 || this.#order.em.em_where.numbers.changed;
  }

  /** Before a write to the device that depends on what has changed. */
  commit(): void {
    void this.#keep.commit();
  }

  /** A flush has ended, and no operation is at work. */
  flushed(): void {
    this.#keep.takeup();
  }

  quieted(): void {
    if (this.quiet) this.#keep.quieted();
  }

  settle(): void {
    this.#order.em.em_posting?.settle();
  }

  forget(): void {
    this.#done();
    this.#order.em.em_where.numbers.forget();
    this.whole = true;
  }

  delta(out: RecordWriter): void {
    const small = this.#small;
    const gone = new Set<number>();
    for (let i = 0; i < small.length; i += 2 + small[i + 1]!) if (small[i] === R_UNORPHAN) gone.add(small[i + 2]!);
    for (const node of this.#orphans) if (!gone.has(node.en_number)) orphanrecord(out, node);
    for (let i = 0; i < small.length; ) {
      const count = small[i + 1]!;
      out.begin(small[i]!);
      for (let k = 0; k < count; k++) out.put(small[i + 2 + k]!);
      out.end();
      i += 2 + count;
    }
    this.#order.em.em_where.numbers.delta(out, R_NUMBER);
    this.#done();
  }

  snapshot(out: RecordWriter): void {
    const order = this.#order;
    const record = (type: number, ...words: readonly number[]): void => {
      out.begin(type);
      out.putall(words);
      out.end();
    };
    record(R_MOUNT, order.marked ? 1 : 0);
    const frees = order.freerows;
    for (let i = 0; i < frees.length; i += 2) record(R_FREE, frees[i]!, frees[i + 1]!);
    for (const cluster of order.chainends) record(R_END, cluster);
    for (const node of order.nameless) orphanrecord(out, node);
    for (const number of order.lost) record(R_LOST, number);
    if (order.broken !== undefined) record(R_BROKEN);
    order.em.em_where.numbers.snapshot(out, R_NUMBER);
    this.#done();
  }

  #done(): void {
    this.#small.length = 0;
    this.#orphans.clear();
    this.whole = false;
  }
}

function orphanrecord(out: RecordWriter, node: ExfatNode): void {
  out.begin(R_ORPHAN);
  out.putall([node.en_number, node.en_attributes, node.en_chain.first, node.en_chain.contiguous ? 1 : 0, node.en_size, node.en_valid]);
  out.end();
}
