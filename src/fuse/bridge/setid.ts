import { S_ISGID, S_ISUID } from '../../kernel/stat.js';
import type { Bridge } from './bridge.js';
import { isDirectory } from './nodes.js';
import type { Node } from './nodes.js';

/**
 * Takes away a file's set-uid, and set-gid of what its group may execute, where the host says so (the writer has no
 * CAP_FSETID) or always does (chown). The driver has done it for all but uid 0. Returns whether there were any.
 */
export async function killSetid(b: Bridge, node: Node): Promise<boolean> {
  if (node.plain) return false;
  const st = await b.sys.fstat(node.fd);
  const { st_mode } = st;
  if ((st_mode & (S_ISUID | S_ISGID)) === 0 || isDirectory(st)) {
    node.plain = true;
    return false;
  }
  const kill = S_ISUID | (st_mode & 0o010 ? S_ISGID : 0);
  if (st_mode & kill) await b.sys.fchmod(node.fd, st_mode & 0o7777 & ~kill);
  return true;
}
