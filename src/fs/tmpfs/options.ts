import { E, errno } from '../../kernel/errno.js';
import type { TmpfsOptions } from './volume.js';

const DEFAULT_SIZE = 2 ** 30;
/** One file for every KiB, unless nodes= says otherwise. */
const BYTES_PER_NODE = 1024;
const UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

function number(name: string, value: string | true, pattern: RegExp, base: number, max: number): number {
  const match = value === true ? null : pattern.exec(value.toLowerCase());
  const result = match === null ? NaN : parseInt(match[1]!, base) * (UNITS[match[2] ?? ''] ?? NaN);
  if (!(result <= max)) {
    throw errno(E.EINVAL, `tmpfs: option ${name}: "${value === true ? '' : value}" is no number up to ${max}`);
  }
  return result;
}

/**
 * -o size=BYTES[k|m|g|t] (0: the default, 1 GiB), nodes=N[k|m|g] (0: one for each KiB of size), mode=OCTAL, uid=N,
 * gid=N.
 * @throws EINVAL
 */
export function parseOptions(options: ReadonlyMap<string, string | true>): Partial<TmpfsOptions> {
  const result: Partial<TmpfsOptions> = {};
  for (const [name, value] of options) {
    if (name === 'size') result.size_bytes = number(name, value, /^(\d+)([kmgt]?)$/, 10, Number.MAX_SAFE_INTEGER);
    else if (name === 'nodes') result.nodes = number(name, value, /^(\d+)([kmg]?)$/, 10, 2 ** 32);
    else if (name === 'mode') result.mode = number(name, value, /^([0-7]+)$/, 8, 0o7777);
    else if (name === 'uid') result.uid = number(name, value, /^(\d+)$/, 10, 2 ** 32 - 2);
    else if (name === 'gid') result.gid = number(name, value, /^(\d+)$/, 10, 2 ** 32 - 2);
    else throw errno(E.EINVAL, `tmpfs: unknown option "${name}" (known: size, nodes, mode, uid, gid)`);
  }
  if (result.size_bytes === 0) delete result.size_bytes;
  if (result.nodes === 0) delete result.nodes;
  return result;
}

export function withDefaults(given: Partial<TmpfsOptions>): TmpfsOptions {
  const size_bytes = given.size_bytes ?? DEFAULT_SIZE;
  return {
    size_bytes,
    nodes: given.nodes ?? Math.max(16, Math.floor(size_bytes / BYTES_PER_NODE)),
    mode: given.mode ?? 0o1777,
    uid: given.uid ?? 0,
    gid: given.gid ?? 0,
  };
}
