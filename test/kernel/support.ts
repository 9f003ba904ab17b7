import type { Test } from 'tap';
import { errnoName, errnoOf } from '../../src/kernel/errno.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import type { BootOptions, Component } from '../../src/kernel/rump.js';
import type { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import { memoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';

export interface Booted {
  readonly kernel: RumpKernel;
  readonly sys: RumpSys;
  readonly host: MemoryRumpuser;
}

/** A kernel on the in-memory host, halted when the test ends. */
export async function boot(
  t: Test,
  components: readonly Component[] = [],
  options: Partial<BootOptions> = {},
): Promise<Booted> {
  const host = memoryRumpuser();
  const kernel = await RumpKernel.boot({ rumpuser: host, components: [tmpfs, ...components], ...options });
  t.teardown(async () => {
    await kernel.halt();
  });
  return { kernel, sys: kernel.sys, host };
}

/** The call fails with just this errno. */
export async function fails(
  t: Test,
  call: Promise<unknown> | (() => unknown),
  name: string,
  message?: string,
): Promise<void> {
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (thrown) {
    t.equal(errnoName(errnoOf(thrown)), name, message ?? `fails with ${name}`);
    return;
  }
  t.fail(message ?? `fails with ${name}`, { found: 'success' });
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function bytes(s: string): Uint8Array {
  return new TextEncoder().encode(s);
}

export async function writeFile(sys: RumpSys, path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const fd = await sys.creat(path, mode);
  await sys.write(fd, typeof content === 'string' ? bytes(content) : content);
  await sys.close(fd);
}

export async function readFile(sys: RumpSys, path: string): Promise<string> {
  const fd = await sys.open(path, 0);
  const buf = new Uint8Array(65536);
  const n = await sys.read(fd, buf);
  await sys.close(fd);
  return text(buf.subarray(0, n));
}

export async function names(sys: RumpSys, path: string): Promise<string[]> {
  const fd = await sys.open(path, 0);
  const found: string[] = [];
  for (;;) {
    const entries = await sys.getdents(fd);
    if (entries.length === 0) break;
    for (const entry of entries) if (entry.d_name !== '.' && entry.d_name !== '..') found.push(entry.d_name);
  }
  await sys.close(fd);
  return found.sort();
}
