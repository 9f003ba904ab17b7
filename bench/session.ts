import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Client } from './client.js';
import { Images } from './images.js';
import type { Load } from './load.js';
import { abort, forceUnmount, mountOn } from './mounts.js';
import { MARK, endServers } from './processes.js';
import type { Format, Sizes, System, VolumeName } from './system.js';

/** Seconds that one order to the client may take. */
const ORDER_LIMIT = 180;

/** What a scenario does inside a mount: `root` is the mount point. */
export type Work<T> = (root: string) => Promise<T>;

/** One system with its images and its mount point. */
export class Session {
  readonly system: System;
  readonly sizes: Sizes;
  readonly directory: string;
  readonly images: Images | undefined;
  private readonly client: Client;
  private readonly env: NodeJS.ProcessEnv;

  constructor(system: System, sizes: Sizes, base: string, client: Client, env: NodeJS.ProcessEnv) {
    this.system = system;
    this.sizes = sizes;
    this.directory = path.join(base, `mnt-${system.name}`);
    this.images = system.format && new Images(base, system.format);
    this.client = client;
    this.env = { ...env, [MARK]: this.directory };
    mkdirSync(this.directory);
  }

  /** Mounts a volume with a fresh server, does the work and unmounts, in any case. */
  async on<T>(volume: VolumeName, work: Work<T>): Promise<T> {
    return this.mounted(this.images?.fresh(volume) ?? '', volume, work);
  }

  /** The same with an image of the caller's. */
  async mounted<T>(image: string, volume: VolumeName, work: Work<T>): Promise<T> {
    try {
      this.system.mount(volume, image, this.directory, this.sizes, this.env);
      if (mountOn(this.directory) === undefined) throw new Error('mounted without an error, but there is no mount');
      const result = await work(this.directory);
      this.system.unmount(this.directory);
      if (mountOn(this.directory) !== undefined) {
        throw new Error('unmounted without an error, but the mount is still there');
      }
      return result;
    } catch (error) {
      forceUnmount(this.directory);
      endServers(this.directory);
      throw error;
    }
  }

  /** An order to the client. @returns seconds */
  run<K extends keyof Load>(name: K, ...args: Parameters<Load[K]>): Promise<number> {
    return this.client.run(ORDER_LIMIT, () => abort(this.directory), name, ...args);
  }

  /** Makes the images of a format that is written as a whole. */
  private async master(images: Images, master: NonNullable<Format['master']>): Promise<void> {
    const folder = `${this.directory}-content`;
    for (const [volume, fill] of [
      ['data', () => this.run('write', path.join(folder, 'zero'), this.sizes.large)],
      ['tree', () => this.run('create', folder, this.sizes.tree)],
    ] as const) {
      mkdirSync(folder);
      try {
        await fill();
        master(images.path(volume), folder);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  }

  /** Makes the images of the system's format and fills them, through the system itself. */
  async prepare(volumes: readonly VolumeName[]): Promise<void> {
    if (this.images === undefined) return;
    const { master } = this.images.format;
    if (master !== undefined) return this.master(this.images, master);
    for (const volume of volumes) {
      if (volume === 'scratch') continue;
      const image = this.images.empty(volume);
      if (volume === 'data') {
        await this.mounted(image, volume, (root) => this.run('write', `${root}/zero`, this.sizes.large));
      }
      if (volume === 'tree') await this.mounted(image, volume, (root) => this.run('create', root, this.sizes.tree));
    }
  }
}
