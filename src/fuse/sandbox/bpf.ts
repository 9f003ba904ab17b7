/**
 * Classic BPF as seccomp takes it (include/uapi/linux/filter.h, bpf_common.h): one 32-bit accumulator A, one index
 * register X, 16 words of scratch memory, jumps forward only, by at most 255 instructions where they are conditional.
 */

/** Instruction: code, jump if true, jump if false, constant. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number];
export type Program = readonly Instruction[];

export const INSTRUCTION_BYTES = 8;

const LD_W_ABS = 0x20;
const LD_MEM = 0x60;
const LDX_MEM = 0x61;
const ST = 0x02;
const ADD_K = 0x04;
const ADD_X = 0x0c;
const JEQ_K = 0x15;
const JGT_K = 0x25;
const JGE_K = 0x35;
const JSET_K = 0x45;
const JGE_X = 0x3d;
const RET_K = 0x06;
const SKIP_MAX = 255;

/** SECCOMP_RET_*, include/uapi/linux/seccomp.h. */
export const ALLOW = 0x7fff0000;
export const KILL_PROCESS = 0x80000000;
export function fail(errno: number): number {
  return 0x00050000 | errno;
}

/**
 * struct seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits. Little-endian machines
 * only.
 */
export const NR = 0;
export const ARCH = 4;
export function low(argument: number): number {
  return 16 + 8 * argument;
}
export function high(argument: number): number {
  return low(argument) + 4;
}

export const load = (offset: number): Instruction => [LD_W_ABS, 0, 0, offset];
export const loadMemory = (word: number): Instruction => [LD_MEM, 0, 0, word];
export const loadIndex = (word: number): Instruction => [LDX_MEM, 0, 0, word];
export const store = (word: number): Instruction => [ST, 0, 0, word];
export const add = (k: number): Instruction => [ADD_K, 0, 0, k];
export const addIndex = (): Instruction => [ADD_X, 0, 0, 0];
export const answer = (action: number): Instruction => [RET_K, 0, 0, action >>> 0];

function conditional(code: number, k: number, body: Program, onTrue: boolean): Program {
  if (body.length > SKIP_MAX) throw new RangeError(`a jump over ${body.length} instructions`);
  return [[code, onTrue ? 0 : body.length, onTrue ? body.length : 0, k >>> 0], ...body];
}

/** Runs `body` if A has that value. */
export const ifEqual = (k: number, body: Program): Program => conditional(JEQ_K, k, body, true);
export const unlessEqual = (k: number, body: Program): Program => conditional(JEQ_K, k, body, false);
/** Runs `body` if A > k (without sign). */
export const ifGreater = (k: number, body: Program): Program => conditional(JGT_K, k, body, true);
export const ifLess = (k: number, body: Program): Program => conditional(JGE_K, k, body, false);
/** Runs `body` if A has none of these bits. */
export const unlessBits = (k: number, body: Program): Program => conditional(JSET_K, k, body, false);
/** Runs `body` if A has one of these bits. */
export const ifBits = (k: number, body: Program): Program => conditional(JSET_K, k, body, true);
/** Runs `body` if A < X (without sign). */
export const ifLessThanIndex = (body: Program): Program => conditional(JGE_X, 0, body, false);
/** Answers `action` unless A is one of the values. */
export function unlessOneOf(values: readonly number[], body: Program): Program {
  return values.reduceRight<Program>((rest, value) => unlessEqual(value, rest), body);
}

/** struct sock_filter, for the kernel. */
export function encode(program: Program): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(i * INSTRUCTION_BYTES, code, true);
    view.setUint8(i * INSTRUCTION_BYTES + 2, jt);
    view.setUint8(i * INSTRUCTION_BYTES + 3, jf);
    view.setUint32(i * INSTRUCTION_BYTES + 4, k, true);
  });
  return bytes;
}
