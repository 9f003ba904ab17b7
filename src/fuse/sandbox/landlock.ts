/** Landlock (include/uapi/linux/landlock.h): a process that gives up opening files and making connections for good. */
import { closeSync } from 'node:fs';
import type { SandboxLibc } from './libc.js';
import type { Machine } from './syscalls.js';
import { syscallNumber } from './syscalls.js';

const CREATE_RULESET_VERSION = 1;
/** Every thread, not only the one that asks; since version 8. */
const RESTRICT_SELF_TSYNC = 1 << 3;
const TSYNC_SINCE = 8;

/** Bits of the rights on files that each version of the interface knows. */
function fileRights(version: number): number {
  if (version >= 5) return 16;
  if (version >= 3) return 15;
  return version === 2 ? 14 : 13;
}

/**
 * struct landlock_ruleset_attr: files, network (since version 4: TCP bind and connect), scope (since 6: abstract
 * sockets, signals).
 */
function ruleset(version: number): Uint8Array {
  const words = [(1n << BigInt(fileRights(version))) - 1n];
  if (version >= 4) words.push(3n);
  if (version >= 6) words.push(3n);
  return new Uint8Array(BigUint64Array.from(words).buffer);
}

/**
 * Gives up every right that the kernel knows of, with no exception. Returns what holds now.
 * @throws Error, why it is not possible
 */
export function landlock(lib: SandboxLibc, machine: Machine): string {
  const create = syscallNumber(machine, 'landlock_create_ruleset')!;
  const version = lib.createRuleset(create, null, CREATE_RULESET_VERSION);
  if (version < 1) throw new Error('this kernel has no Landlock, or it is switched off');
  const rules = lib.createRuleset(create, ruleset(version), 0);
  if (rules < 0) throw new Error(`no ruleset (error ${-rules})`);
  try {
    const all = version >= TSYNC_SINCE;
    const result = lib.restrictSelf(
      syscallNumber(machine, 'landlock_restrict_self')!,
      rules,
      all ? RESTRICT_SELF_TSYNC : 0,
    );
    if (result < 0) throw new Error(`not enforced (error ${-result})`);
    return `version ${version}, ${all ? 'every thread' : 'the serving thread'}`;
  } finally {
    closeSync(rules);
  }
}
