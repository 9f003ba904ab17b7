/**
 * The memory that outlives a kernel: SERVER_BYTES of the server; a header; REQUESTS_BYTES that requests are read into;
 * two logs of records (records.ts), of which one is valid; copies of dirty blocks. A commit appends to the valid log,
 * or, when that has become long, writes everything anew into the other. What counts is one word of the header, stored
 * last: which log, and how far.
 */

/** At the start of the memory, bytes that belong to whoever serves requests (the kernel does not touch them). */
export const SERVER_BYTES = 65536;

/** Of the memory, bytes for requests that may be large: two of a mebibyte with what comes before its data. */
export const REQUESTS_BYTES = 2 * ((1 << 20) + 4096);

/** Longest answer that can be kept, bytes. */
export const ANSWER_MAX = 512;

export const HEADER_BYTES = 4096;
/**
 * Words of the header: whether the memory has been used, and what is committed: 2 * words of the log, + 1 for the
 * second.
 */
export const W_MAGIC = 0;
export const W_COMMITTED = 1;
export const MAGIC = 0x72_66_6b_31;
/** The note of a write that was put off (posted.ts), in the header behind its words. */
export const POSTED_AT = SERVER_BYTES + 64;
export const REQUESTS_AT = SERVER_BYTES + HEADER_BYTES;
export const LOGS_AT = REQUESTS_AT + REQUESTS_BYTES;
/** Bytes of each log. */
export const LOG_BYTES = 16 << 20;
export const SLOTS_AT = LOGS_AT + 2 * LOG_BYTES;
/** What the memory must have at least, bytes; more is room for more dirty blocks. */
export const KEEP_BYTES_MIN = SLOTS_AT + (16 << 20);

// Types of records.
/** [offset, bytes, slot]: a dirty block and its copy. */
export const R_BLOCK = 1;
/** [offset]: the block is dirty no more. */
export const R_CLEAN = 2;
/** [low, high, bytes, answer...]: a request, and what it was answered. */
export const R_ANSWER = 3;
/** [low, high, ...]: requests at work; replaces the list before. */
export const R_ATWORK = 4;
/** The driver's types begin here. */
export const DRIVER_RECORDS = 16;
