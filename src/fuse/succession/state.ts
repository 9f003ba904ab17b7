/**
 * The server's part of the memory that outlives it: 32-bit words. One process writes at a time. A killed process has
 * made its stores in the order of the program; what consists of several words becomes valid by the one that is stored
 * last.
 */

/** The first word that a process finds wrong is the end of the inheritance. */
export const STATE_MAGIC = 0x72667331;

export const W = {
  magic: 0,
  /** INIT has been answered; what was agreed lies in the words behind. */
  agreed: 1,
  minor: 2,
  max_write: 3,
  /** Requests of a dead server are sent again to the next one (else they have ended with an error). */
  resend: 4,
  /** Requests answered, modulo 2^32. */
  progress: 5,
  /** The volume is mounted for writing: without a kept state of it nobody can go on. */
  writing: 6,
  /** Nothing may be changed any more. */
  turned_readonly: 7,
  /** Everything is on the disk, the volume is closed. */
  closed: 8,
  /** The place (see below) of the request that the processor is at, plus one; 0: none. */
  current: 9,
  /** Where the next suspect goes. */
  suspect: 10,
} as const;

/** Requests at work, by the number of their message: unique (low, high), node (low, high), opcode. Opcode 0: none. */
export const PLACES = 64;
export const PLACES_AT = 64;
export const PLACE_WORDS = 8;
/** Requests that were at work when a server died: as a place, and in the word behind how heavily it weighs. */
export const SUSPECTS = 64;
export const SUSPECTS_AT = PLACES_AT + PLACES * PLACE_WORDS;

export const P = { lo: 0, hi: 1, nodeLo: 2, nodeHi: 3, opcode: 4, weight: 5 } as const;

export const STATE_WORDS = SUSPECTS_AT + SUSPECTS * PLACE_WORDS;
