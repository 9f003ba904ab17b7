import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import type { Component } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT } from './walk.js';

/** Small, so that blocks are evicted and read again. */
const BUFCACHE_BYTES = 512 * 1024;
const NOW = 1_800_000_000;

export interface Mounted {
  readonly kernel: RumpKernel;
  readonly sys: RumpSys;
  /** What was logged, `level: message`. */
  readonly log: readonly string[];
}

function shown(arg: unknown): string {
  if (arg instanceof Uint8Array) {
    return arg.length > 200 ? `${arg.length} bytes` : JSON.stringify(Buffer.from(arg).toString('latin1'));
  }
  return typeof arg === 'object' && arg !== null ? '{}' : String(arg);
}

/**
 * FUZZ_CALLS=1: every system call with its arguments and its outcome goes to standard error, to see how a mutant fails.
 */
function talkative(sys: RumpSys): RumpSys {
  return new Proxy(sys, {
    get(target, name: keyof RumpSys) {
      const call = target[name] as (...args: unknown[]) => unknown;
      return async (...args: unknown[]) => {
        const line = `${name}(${args.map(shown).join(', ')})`;
        try {
          const answer = await call.apply(target, args);
          console.error(`${line} = ${shown(answer)}`);
          return answer;
        } catch (thrown) {
          console.error(
            `${line}: ${thrown instanceof Error ? `${(thrown as { code?: string }).code ?? ''} ${thrown.message}` : String(thrown)}`,
          );
          throw thrown;
        }
      };
    },
  });
}

/**
 * Boots a kernel with the driver and mounts the device on {@link MOUNTPOINT}; a kernel whose mount failed is halted.
 */
export async function mountVolume(
  driver: Component,
  dev: BlockDevice,
  flags: number,
  options: Record<string, string | true> = {},
): Promise<Mounted> {
  const log: string[] = [];
  const rumpuser = new MemoryRumpuser({ now: NOW });
  rumpuser.rumpuser_dprintf = (level, message) => {
    log.push(`${level}: ${message}`);
    if (process.env.FUZZ_CALLS !== undefined) console.error(`  log: ${level}: ${message}`);
  };
  const kernel = await RumpKernel.boot({ rumpuser, components: [tmpfs, driver], bufcache_bytes: BUFCACHE_BYTES });
  const sys = process.env.FUZZ_CALLS === undefined ? kernel.sys : talkative(kernel.sys);
  await sys.mkdir(MOUNTPOINT, 0o755);
  try {
    await sys.mount(driver.vfsops!.vfs_name, MOUNTPOINT, flags, {
      fspec: dev,
      options: new Map(Object.entries(options)),
    });
  } catch (thrown) {
    await kernel.halt();
    throw thrown;
  }
  return { kernel, sys, log };
}
