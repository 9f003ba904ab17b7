/**
 * What is particular to the files of a mount, as far as the VFS layer and whoever serves the mount must know. The
 * driver sets it while mounting (Mount.mnt_traits); it stays as it is until the volume is unmounted.
 */

/** How long a host may keep what it was told without asking again; seconds, fractions allowed. */
export interface HostTimeouts {
  /** That a name names this file. */
  readonly entry: number;
  readonly attr: number;
  /** That a name is not there; 0: it is not to remember that. */
  readonly negative: number;
}

export interface MountTraits {
  /**
   * Gives names (byte strings) that the format takes for the same one key; null: names are the same only if their bytes
   * are. A driver that sets it has VOP_SPELLING. It must map "." and ".." to themselves, and the key of a key is the
   * key.
   */
  readonly foldname: ((name: string) => string) | null;
  /**
   * An entry can also be found by a name that {@link foldname} does not take for the same (the 8.3 names of FAT and
   * NTFS). Then the VFS layer remembers of no name that it is missing, and forgets all names of a file when it loses
   * one.
   */
  readonly aliases: boolean;
  /**
   * Names are Unicode: what is no valid UTF-8 is not there (ENOENT), and cannot be made (EILSEQ). Else they are bytes.
   */
  readonly unicode: boolean;
  /**
   * The longest name, in the format's own units; and how many of them a name (a byte string) takes. At most 1023 bytes.
   */
  readonly namemax: number;
  namelength(name: string): number;
  /**
   * Others may change the volume while it is mounted (a server's export). The name cache is then left alone: a driver
   * that wants one knows himself how long an answer is good for.
   */
  readonly shared: boolean;
  /** null: long, since every change passes by the host; on a shared volume not at all. */
  readonly timeouts: HostTimeouts | null;
  /** What the format can keep. Asked for what it cannot, the VFS layer refuses: EPERM for link, symlink and mknod. */
  readonly hardlinks: boolean;
  readonly symlinks: boolean;
  /** Devices, fifos and sockets. */
  readonly specials: boolean;
  /**
   * VOPs may sleep for as long as a server or a device likes, and look at the signal of their context meanwhile:
   * whoever serves the mount is to give each call a signal of its own.
   */
  readonly interruptible: boolean;
  /**
   * File numbers take up to 48 bits, and generations 16, instead of 32 and 32: a host is told both in one number, by
   * which another server of the mount finds the file again.
   */
  readonly wideids: boolean;
  /** Permissions are not decided by the mode bits: VOP_ACCESS is asked for everybody, the superuser included. */
  readonly access: boolean;
}

/** One byte, one unit. */
export function bytelength(name: string): number {
  return name.length;
}

/** Files as Unix has them, on a volume that only this mount changes. */
export const UNIX_TRAITS: MountTraits = Object.freeze({
  foldname: null, aliases: false, unicode: false, namemax: 255, namelength: bytelength, shared: false, timeouts: null,
  hardlinks: true, symlinks: true, specials: true, interruptible: false, wideids: false, access: false,
});
