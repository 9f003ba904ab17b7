/**
 * Resource limits (include/uapi/asm-generic/resource.h) of a server. Hard limits: what is given up does not come back.
 */
import type { SandboxLibc } from './libc.js';

const EPERM = 1;
const RLIMIT_FSIZE = 1;
const RLIMIT_CORE = 4;
const RLIMIT_NPROC = 6;
const RLIMIT_NOFILE = 7;
const RLIMIT_AS = 9;
const RLIMIT_MSGQUEUE = 12;

/**
 * Node has some 25 open when it serves; more than it has it does not need, but poll(2) wants the limit above the
 * numbers in use.
 */
export const DESCRIPTORS = 64;

function set(lib: SandboxLibc, what: string, resource: number, value: number): void {
  const result = lib.setrlimit(resource, value, value);
  // EPERM: the hard limit is lower already.
  if (result < 0 && result !== -EPERM) throw new Error(`${what} (error ${-result})`);
}

/**
 * `file_bytes`: of the largest plain file that is served; a write beyond it fails. Returns what holds.
 * @throws Error
 */
export function limitResources(lib: SandboxLibc, file_bytes: number): string {
  set(lib, 'core dumps', RLIMIT_CORE, 0);
  set(lib, 'message queues', RLIMIT_MSGQUEUE, 0);
  set(lib, 'file size', RLIMIT_FSIZE, file_bytes);
  set(lib, 'descriptors', RLIMIT_NOFILE, DESCRIPTORS);
  set(lib, 'processes', RLIMIT_NPROC, 0);
  return `no new process or thread, ${DESCRIPTORS} descriptors, no core dump, files stay as large as they are`;
}

/**
 * A cap on the address space. V8 reserves a good deal that it never uses, so it is what the process has (`used_bytes`)
 * and so much more. @throws Error
 */
export function limitMemory(lib: SandboxLibc, used_bytes: number, more_bytes: number): string {
  set(lib, 'address space', RLIMIT_AS, used_bytes + more_bytes);
  return `${Math.round(more_bytes / 2 ** 20)} MiB beyond what Node needs to start`;
}
