/** What supervisor, server and launcher say to each other over the IPC channel of Node. */

/** Supervisor to server. */
export type ToServer =
  /** Open the volume. `readonly`: it is to be opened so, whatever `args` say. */
  | { readonly type: 'open'; readonly args: unknown; readonly readonly: boolean }
  /** The FUSE descriptor is mounted: serve it. */
  | { readonly type: 'serve'; readonly device: string; readonly mountpoint: string; readonly readonly: boolean; readonly default_permissions: boolean };

/** Server to supervisor. */
export type ToSupervisor =
  /** The volume is open. */
  | { readonly type: 'volume'; readonly readonly: boolean; readonly fstype: string; readonly notice?: string }
  /** The host has been answered. */
  | { readonly type: 'ready' }
  /** It was not possible; `message` is for a person. */
  | { readonly type: 'failed'; readonly message: string; readonly code: string }
  /** The server was asked to end. */
  | { readonly type: 'unmount' };

/** A mount that is up. */
export interface MountReady {
  /** The supervisor's process. Ends when the mount has ended and everything is on the disk. */
  readonly pid: number;
  readonly device: string;
  readonly mountpoint: string;
  readonly fstype: string;
  readonly readonly: boolean;
  /** Something that the person at the terminal should know (why it is read-only). */
  readonly notice?: string;
}

/** Supervisor to launcher. */
export type ToLauncher = ({ readonly type: 'ready' } & MountReady) | { readonly type: 'failed'; readonly message: string; readonly code: string };

/** Launcher to supervisor. */
export type FromLauncher = { readonly type: 'supervise'; readonly options: unknown };
