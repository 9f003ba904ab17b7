/**
 * What a driver tells whoever serves its mount: that something changed which nobody on this host has changed. What the
 * host remembers of it is wrong then. The driver has changed, or forgotten, what it remembers itself before it says so.
 */
import type { Fid } from '../stat.js';

export type Change =
  /** Attributes of a file, and with `data` its content from `offset` on (`length` 0: to its end). */
  | {
      readonly kind: 'file';
      readonly fsid: number;
      readonly fid: Fid;
      readonly data?: { readonly offset: number; readonly length: number };
    }
  /** What `name`, a byte string, means in a directory. */
  | { readonly kind: 'name'; readonly fsid: number; readonly fid: Fid; readonly name: string }
  /** Anything and everything of a mount: names, attributes, content. */
  | { readonly kind: 'mount'; readonly fsid: number };

export type ChangeListener = (change: Change) => void;
