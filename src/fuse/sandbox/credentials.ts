/** Who a server is: never the superuser, without capabilities, and not able to become more. */
import type { SandboxLibc } from './libc.js';

const PR_SET_DUMPABLE = 4;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** More than any kernel has; the first that it does not know ends the list. */
const CAPABILITIES = 64;
/** "nobody": where ids above 65535 do not exist (a container). */
export const NOBODY = 65534;

function must(result: number, what: string): void {
  if (result < 0) throw new Error(`${what} (error ${-result})`);
}

export function noNewPrivileges(lib: SandboxLibc): void {
  must(lib.prctl(PR_SET_NO_NEW_PRIVS, 1), 'no_new_privs');
}

export function notDumpable(lib: SandboxLibc): void {
  must(lib.prctl(PR_SET_DUMPABLE, 0), 'dumpable');
}

/** Whatever is executed from now on gets no capability. Only the privileged can do this, and only they need to. */
export function dropBoundingSet(lib: SandboxLibc): void {
  for (let capability = 0; capability < CAPABILITIES; capability++) {
    if (lib.prctl(PR_CAPBSET_DROP, capability) < 0) return;
  }
}

/** Becomes that user, on all threads; or nobody, where there is no such id. Returns who it is now. @throws Error */
export function becomeUser(uid: number): string {
  for (const id of [uid, NOBODY]) {
    try {
      process.setgroups!([]);
      process.setgid!(id);
      process.setuid!(id);
      return id === NOBODY ? 'nobody' : `id ${id}, which nothing belongs to`;
    } catch {
      // EINVAL: the id is not there in this user namespace. EPERM is found out with the other one.
    }
  }
  throw new Error('the host does not let it change its user');
}

/**
 * Empties the capability sets. They belong to threads: the others of a process have lost theirs when it ceased to be
 * the superuser, and never had any otherwise.
 */
export function dropCapabilities(lib: SandboxLibc): void {
  lib.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL); // since Linux 4.3; older ones have no such set
  must(lib.clearCapabilities(), 'capset');
}
