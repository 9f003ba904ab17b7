/** What supervisor, server and launcher say to each other over the IPC channel of Node. */

import type { Layer } from './sandbox/layers.js';
import type { LockdownOrder } from './sandbox/lockdown.js';

import type { HostMount } from './mount/options.js';

/** Supervisor to server. */
export type ToServer =
  /** Open the volume. `readonly`: it is to be opened so, whatever `args` say. `lockdown`: what to give up before. */
  | { readonly type: 'open'; readonly args: unknown; readonly readonly: boolean; readonly lockdown?: LockdownOrder }
  /** The FUSE descriptor is mounted: serve it. */
  | { readonly type: 'serve'; readonly mountpoint: string; readonly readonly: boolean; readonly default_permissions: boolean }
  /** The same through the other channel, which mounts by itself. */
  | { readonly type: 'serve-native'; readonly mount: HostMount };

/** Server to supervisor. */
export type ToSupervisor =
  /** The program runs. */
  | { readonly type: 'started' }
  /** The volume is open. `layers`: of its confinement, those that it sees to itself. */
  | { readonly type: 'volume'; readonly readonly: boolean; readonly fstype: string; readonly notice?: string; readonly layers: readonly Layer[] }
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
  /** The server's process, as the host counts. */
  readonly server_pid?: number;
  /** How the server is confined; empty when it is not meant to be. */
  readonly sandbox: readonly Layer[];
}

/** Supervisor to launcher. */
export type ToLauncher = ({ readonly type: 'ready' } & MountReady) | { readonly type: 'failed'; readonly message: string; readonly code: string };

/** Launcher to supervisor. */
export type FromLauncher = { readonly type: 'supervise'; readonly options: unknown };
