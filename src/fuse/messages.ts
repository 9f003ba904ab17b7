/** What supervisor, server and launcher say to each other. */

import { printable } from '../kernel/printable.js';
import { LAYERS } from './sandbox/layers.js';
import type { Layer } from './sandbox/layers.js';
import type { LockdownOrder } from './sandbox/lockdown.js';

import type { HostMount } from './mount/options.js';

/** The FUSE descriptor is mounted: serve it. */
export interface ServeOrder {
  readonly type: 'serve';
  readonly mountpoint: string;
  readonly readonly: boolean;
  readonly default_permissions: boolean;
  /** What the first server found the volume to be, as mount -t names it. */
  readonly fstype: string;
}

/** The memory that outlives a server, and what goes with it. Descriptors are the server's. */
export interface SuccessionOrder {
  readonly memory_fd: number;
  readonly memory_bytes: number;
  /**
   * /dev/fuse, opened anew: what is read through it ends with this server. For hosts that cannot send requests again.
   */
  readonly clone_fd: number;
  /** Do not ask the host to send requests again even if it could. For tests. */
  readonly noresend: boolean;
}

/** Where a volume is, and what it may be. */
export interface Place {
  /** Bytes start to end (not included) of the disk. */
  readonly start: number;
  readonly end: number;
  /** Names of formats; empty where one was asked for. */
  readonly formats: readonly string[];
}

/** Supervisor to server. */
export type ToServer =
  /**
   * Open the volume. `readonly`: it is to be opened so, whatever `args` say. `ipc`: its descriptor of this channel.
   * `lockdown`: what to give up before. `place`: what a survey has found. Before the first byte of the disk is looked
   * at, it says `standing` and waits for `go`. `heir`: as it is to serve then, at once.
   */
  | {
      readonly type: 'open';
      readonly args: unknown;
      readonly readonly: boolean;
      readonly ipc: number;
      readonly lockdown?: LockdownOrder;
      readonly succession?: SuccessionOrder;
      readonly heir?: ServeOrder;
      readonly place?: Place;
    }
  /** Find out which bytes of the disk are the volume, say so, and end. Waits for `go` as well. */
  | { readonly type: 'survey'; readonly args: unknown; readonly ipc: number; readonly lockdown?: LockdownOrder }
  | ServeOrder
  /** The same through the other channel, which mounts by itself. */
  | { readonly type: 'serve-native'; readonly mount: HostMount }
  /**
   * The disk may be looked at. To an heir: the server before is gone. `finish`: so is the mount; only what is left to
   * be written is to be written.
   */
  | { readonly type: 'go'; readonly finish: boolean }
  /** Write everything and end, although there is no mount. */
  | { readonly type: 'close' }
  /** Is anybody there? */
  | { readonly type: 'ping' };

/** Server to supervisor. */
export type ToSupervisor =
  /** The program runs. */
  | { readonly type: 'started' }
  /** It waits for `go`. `layers`: of its confinement, as it says. */
  | { readonly type: 'standing'; readonly layers: readonly Layer[] }
  | ({ readonly type: 'place' } & Place)
  /** The volume is open. `survives`: another server can go on where it stops. */
  | {
      readonly type: 'volume';
      readonly readonly: boolean;
      readonly fstype: string;
      readonly notice?: string;
      readonly survives: boolean;
    }
  /** The host has been answered. */
  | { readonly type: 'ready' }
  | { readonly type: 'pong' }
  /** Nothing can be changed on the mount any more: it was too often the end of a server. */
  | { readonly type: 'readonly' }
  /**
   * Changes that are not on the disk have outgrown the memory that outlives the server: nobody can go on where it
   * stops. Or they fit in again.
   */
  | { readonly type: 'room'; readonly there: boolean }
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
  /** The mount goes on when its server dies. */
  readonly survives: boolean;
}

/** What changes while a mount lives. */
export interface MountStanding {
  readonly server_pid?: number;
  /** The process that waits to take over. */
  readonly standby_pid?: number;
  /** How often a server has died and another one has gone on. */
  readonly restarts: number;
  /** Since a request was the end of several servers, nothing can be changed. */
  readonly turned_readonly?: true;
  /** There is no room for what another server would need: the death of this one would end the mount. */
  readonly outgrown?: true;
}

/** Supervisor to launcher. */
export type ToLauncher =
  | ({ readonly type: 'ready' } & MountReady)
  | { readonly type: 'failed'; readonly message: string; readonly code: string };

/** Launcher to supervisor. */
export type FromLauncher = { readonly type: 'supervise'; readonly options: unknown };

const TEXT_MAX = 1000;
const FORMATS_MAX = 100;

function text(value: unknown): string {
  return typeof value === 'string' ? printable(value.slice(0, TEXT_MAX)) : '';
}

function layers(value: unknown): Layer[] {
  if (!Array.isArray(value)) return [];
  return LAYERS.flatMap((name): Layer[] => {
    const found = (value.slice(0, 2 * LAYERS.length) as (Partial<Layer> | null)[]).find(
      (layer) => layer?.name === name,
    );
    return found === undefined
      ? []
      : [{ name, on: found!.on === true, ...(found!.detail !== undefined ? { detail: text(found!.detail) } : {}) }];
  });
}

function place(start: unknown, end: unknown, formats: unknown): Extract<ToSupervisor, { type: 'place' }> | undefined {
  if (
    !Number.isSafeInteger(start) ||
    !Number.isSafeInteger(end) ||
    (start as number) < 0 ||
    (end as number) <= (start as number)
  ) {
    return undefined;
  }
  if (!Array.isArray(formats) || formats.length > FORMATS_MAX) return undefined;
  return { type: 'place', start: start as number, end: end as number, formats: formats.map(text) };
}

/**
 * A message of a server, who may have been taken over: only what is of the form, texts short and printable. undefined:
 * it is none.
 */
export function fromServer(raw: unknown): ToSupervisor | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const message = raw as Record<string, unknown>;
  switch (message['type']) {
    case 'started': case 'ready': case 'pong': case 'readonly': case 'unmount':
      return { type: message['type'] };
    case 'room':
      return { type: 'room', there: message['there'] === true };
    case 'standing':
      return { type: 'standing', layers: layers(message['layers']) };
    case 'place':
      return place(message['start'], message['end'], message['formats']);
    case 'volume':
      return {
        type: 'volume',
        readonly: message['readonly'] === true,
        fstype: text(message['fstype']),
        survives: message['survives'] === true,
        ...(message['notice'] !== undefined ? { notice: text(message['notice']) } : {}),
      };
    case 'failed':
      return { type: 'failed', message: text(message['message']), code: text(message['code']).slice(0, 20) };
    default:
      return undefined;
  }
}
