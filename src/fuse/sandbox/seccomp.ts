import { INSTRUCTION_BYTES, encode } from './bpf.js';
import type { Program } from './bpf.js';
import type { SandboxLibc } from './libc.js';
import type { Machine } from './syscalls.js';
import { syscallNumber } from './syscalls.js';

/** Every thread of the process. */
const TSYNC = 1;
/**
 * Older kernels than 5.16 would also switch speculation off, which costs a JavaScript engine dearly; newer ones do not.
 */
const SPEC_ALLOW = 4;

export const FILTER_FLAGS = TSYNC | SPEC_ALLOW;

/**
 * Puts a filter on all threads of this process, which must have no_new_privs set.
 * @throws Error, why it is not possible
 */
export function addFilter(lib: SandboxLibc, machine: Machine, program: Program): void {
  const bytes = encode(program);
  const result = lib.seccomp(syscallNumber(machine, 'seccomp')!, FILTER_FLAGS, bytes, bytes.length / INSTRUCTION_BYTES);
  if (result > 0) throw new Error(`thread ${result} has a filter of its own`);
  if (result < 0) throw new Error(`this kernel takes no seccomp filter (error ${-result})`);
}
