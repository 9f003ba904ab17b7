/**
 * What a successor must know of a volume beside its dirty blocks (kernel/keep/state.ts): rows of numbers, by number.
 *
 *   file number      where its entry is, if that is not what the number says: as lib/filenumbers.ts wants it
 *   -file number     a file without a name that is in use: attributes, first cluster, in a row, size, valid size
 *   FREE + cluster   so many clusters from there on become free with the next flush
 *   END + cluster    the chain ends there with the next flush
 *   0                whether we marked the volume dirty, and whether it is broken
 */
import type { KeptState } from '../../../kernel/keep/state.js';
import { ATTR_DIRECTORY } from '../disk/entry.js';
import { ExfatNode } from '../file/node.js';
import { Chain } from '../space/chain.js';
import type { ExfatMount } from '../volume/exfatmount.js';
import type { Order } from './order.js';

/** Above every file number; clusters take 32 bits. */
const FREE = 2 ** 51;
const END = FREE + 2 ** 32;
const VOLUME = 0;

export class Rows {
  private readonly kept: KeptState;

  constructor(kept: KeptState) {
    this.kept = kept;
  }

  volume(marked: boolean, broken: boolean): void {
    this.kept.put(VOLUME, [marked ? 1 : 0, broken ? 1 : 0]);
  }

  number(number: number, words: readonly number[]): void {
    this.kept.put(number, words);
  }

  orphan(node: ExfatNode): void {
    const { en_chain: chain } = node;
    this.kept.put(
      -node.en_number, [node.en_attributes, chain.first, chain.contiguous ? 1 : 0, node.en_size, node.en_valid],
    );
  }

  unorphan(number: number): void {
    this.kept.remove(-number);
  }

  freeing(cluster: number, count: number): void {
    this.kept.put(FREE + cluster, [count]);
  }

  ending(cluster: number): void {
    this.kept.put(END + cluster, []);
  }

  freed(cluster: number): void {
    this.kept.remove(FREE + cluster);
  }

  ended(cluster: number): void {
    this.kept.remove(END + cluster);
  }
}

/** A file without a name, of what a predecessor put. */
function orphan_node(em: ExfatMount, number: number, words: readonly number[]): ExfatNode {
  const [attributes = 0, first = 0, contiguous = 0, size = 0, valid = 0] = words;
  const node = new ExfatNode(em, number);
  node.en_attributes = attributes;
  node.en_size = size;
  node.en_valid = valid;
  node.en_removed = true;
  node.en_chain = new Chain(first, em.clustersof(size), contiguous !== 0);
  if ((attributes & ATTR_DIRECTORY) !== 0) node.en_bad = 'the directory has been removed';
  return node;
}

/** Takes up what a predecessor put, before anything is changed. */
export function rows_inherit(em: ExfatMount, order: Order, kept: KeptState): void {
  const { numbers } = em.em_where;
  for (const [key, words] of kept.inherited) {
    if (key >= END) order.endlater(key - END);
    else if (key >= FREE) order.freelater(key - FREE, words[0] ?? 0);
    else if (key > 0) numbers.inherit(key, words);
  }
  for (const [key, words] of kept.inherited) if (key < 0) order.orphaned(orphan_node(em, -key, words));
  const volume = kept.inherited.get(VOLUME);
  if (volume?.[0] === 1) order.adopt();
  if (volume?.[1] === 1) order.fail('it was damaged before another server took it over; run rumpfuse fsck');
}

/** Did a predecessor mark the volume dirty? Then that says nothing against it. */
export function rows_marked(kept: KeptState | null): boolean {
  return kept?.inherited.get(VOLUME)?.[0] === 1;
}
