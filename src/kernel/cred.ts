/** Who asks. Immutable: to change, make a new one. Group 0 of cr_groups is not repeated: cr_gid stands apart. */
export interface Cred {
  readonly cr_uid: number;
  readonly cr_gid: number;
  /** Supplementary groups. */
  readonly cr_groups: readonly number[];
  /**
   * The host has done the permission checks already (FUSE's default_permissions, with the caller's full group list that
   * the protocol does not carry). Ownership of new files, clearing of set-id bits and the like still go by uid and gid.
   */
  readonly cr_hostchecked: boolean;
}

export function makeCred(uid: number, gid: number, groups: readonly number[] = [], hostchecked = false): Cred {
  return Object.freeze({ cr_uid: uid, cr_gid: gid, cr_groups: groups, cr_hostchecked: hostchecked });
}

/** The kernel's own credential: uid 0, gid 0. */
export const NOCRED: Cred = makeCred(0, 0);

/** The superuser. */
export function kauth_issuser(cred: Cred): boolean {
  return cred.cr_uid === 0;
}

export function kauth_ismember(cred: Cred, gid: number): boolean {
  return cred.cr_gid === gid || cred.cr_groups.includes(gid);
}
