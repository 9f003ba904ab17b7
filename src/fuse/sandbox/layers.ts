/** What holds a server back, as the person who mounts is told. */
export type LayerName =
  /** None but those that it is given. */
  | 'descriptors'
  /** Network, mounts, processes, System V IPC and host name of its own. */
  | 'namespaces'
  /** Nothing to be seen of the host's files. */
  | 'root'
  /** Not the superuser; an id that nothing belongs to, or the mounting user's. */
  | 'user'
  | 'capabilities'
  | 'no-new-privs'
  /** No other process may look into its memory; no core dumps. */
  | 'not-dumpable'
  /** Descriptors, processes, file size. */
  | 'limits'
  | 'memory'
  | 'landlock'
  /** The seccomp filter. */
  | 'system-calls'
  /** Of the disk, the bytes of the volume only, and for reading only where it is mounted so. */
  | 'disk';

export interface Layer {
  readonly name: LayerName;
  readonly on: boolean;
  /** How, or why not. */
  readonly detail?: string;
}

export const LAYERS: readonly LayerName[] = [
  'descriptors', 'namespaces', 'root', 'user', 'capabilities', 'no-new-privs', 'not-dumpable', 'limits', 'memory',
  'landlock', 'system-calls', 'disk',
];

/** The layers that are not in force, with why; empty when all are. A layer that nobody reported is not in force. */
export function missing(layers: readonly Layer[]): Layer[] {
  return LAYERS.map((name): Layer => layers.find((layer) => layer.name === name) ?? { name, on: false }).filter(
    (layer) => !layer.on,
  );
}

/** One line: what is not in force. */
export function inWords(layers: readonly Layer[]): string {
  return layers.map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`)).join(', ');
}
