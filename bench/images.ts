import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './exec.js';
import { type Format, VOLUME_BYTES, type VolumeName } from './system.js';

/**
 * The image files of one format. What is in `data` and `tree` is written through a mount, by the caller of {@link
 * empty}.
 */
export class Images {
  readonly directory: string;
  readonly format: Format;

  constructor(directory: string, format: Format) {
    this.directory = directory;
    this.format = format;
  }

  path(volume: VolumeName | 'huge'): string {
    return path.join(this.directory, `${this.format.name}-${volume}.img`);
  }

  /**
   * Makes an empty volume; `work` with all blocks of its image there, so that no row pays for the host's allocation.
   */
  empty(volume: VolumeName): string {
    const image = this.path(volume);
    if (volume === 'work') {
      run('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', `count=${VOLUME_BYTES.work / 2 ** 20}`], 120);
    } else {
      this.sparse(image, VOLUME_BYTES[volume]);
    }
    this.format.make?.(image);
    return image;
  }

  /** An image that is ready to be mounted, in the host's page cache. */
  fresh(volume: VolumeName): string {
    const image = this.path(volume);
    if (volume === 'scratch') run('cp', ['--sparse=always', this.path('tree'), image], 120);
    if (volume === 'data') run('dd', [`if=${image}`, 'of=/dev/null', 'bs=1M'], 120);
    return image;
  }

  /** A sparse volume of `bytes` bytes, for the memory row. */
  huge(bytes: number): string {
    const image = this.path('huge');
    this.sparse(image, bytes);
    this.format.make?.(image);
    return image;
  }

  private sparse(image: string, bytes: number): void {
    rmSync(image, { force: true });
    writeFileSync(image, '');
    truncateSync(image, bytes);
  }
}
