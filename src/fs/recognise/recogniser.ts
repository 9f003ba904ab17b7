import type { Look } from './look.js';

/**
 * filesystem   a volume with files in it
 * table        a partition table
 * member       a part of something larger: RAID, LVM, a pool
 * container something that holds a disk or a volume in another form: an encrypted volume, a disk image of a virtual
 * machine other swap space and the like
 */
export type RecognisedKind = 'filesystem' | 'table' | 'member' | 'container' | 'other';

/** What a probe has found out beyond "it is there". */
export interface Found {
  /** In place of the recogniser's own. */
  readonly what?: string;
  /** How far it reaches from the beginning of the device, bytes, as it says itself. */
  readonly size_bytes?: number;
}

/** Something that can be on a device, and how to tell. */
export interface Recogniser {
  /** Short and fixed, for programs: "luks", "ext". */
  readonly name: string;
  readonly kind: RecognisedKind;
  /** For a sentence: "an encrypted volume (LUKS)". */
  readonly what: string;
  /** What to do about it, for a sentence: "open it with cryptsetup". "" where there is nothing to be said. */
  readonly advice: string;
  /** Reads a bounded number of bytes and trusts none of them. @throws EIO */
  probe(look: Look): Promise<Found | boolean>;
}

export interface Recognised {
  readonly name: string;
  readonly kind: RecognisedKind;
  readonly what: string;
  readonly advice: string;
  readonly size_bytes?: number;
}
