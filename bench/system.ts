/** The sizes of everything, so that --quick can make them small. */
export interface Sizes {
  /** Bytes of the large file. */
  large: number;
  /** 4 KiB reads of the random row. */
  randoms: number;
  small: { files: number; dirs: number; filesize: number };
  tree: { files: number; dirs: number; filesize: number };
}

export const FULL: Sizes = {
  large: 512 * 2 ** 20,
  randoms: 20000,
  small: { files: 5000, dirs: 50, filesize: 1024 },
  tree: { files: 20000, dirs: 200, filesize: 1024 },
};
export const QUICK: Sizes = {
  large: 64 * 2 ** 20,
  randoms: 2000,
  small: { files: 500, dirs: 5, filesize: 1024 },
  tree: { files: 2000, dirs: 20, filesize: 1024 },
};

/**
 * The volumes of the benchmark: `data` holds the file `zero`, `tree` the tree of small files, `work` nothing (its image
 * has all its blocks, as a disk would), `scratch` is a copy of `tree` that may be destroyed.
 */
export type VolumeName = 'data' | 'tree' | 'work' | 'scratch';

/** Bytes of the volumes' images. */
export const VOLUME_BYTES: Record<VolumeName, number> = {
  data: 768 * 2 ** 20,
  tree: 768 * 2 ** 20,
  work: 1024 * 2 ** 20,
  scratch: 768 * 2 ** 20,
};

/** How a format's images are made; undefined for a system that needs none. */
export interface Format {
  readonly name: string;
  /**
   * Makes an empty file system in the image file `image`, which is there and has its size; it is filled through the
   * system.
   */
  make?(image: string): void;
  /**
   * For formats that are written as a whole: makes the file `image` of what is in `folder`. The systems of the format
   * only read.
   */
  master?(image: string, folder: string): void;
}

/** One way to put a volume in front of programs. */
export interface System {
  /** Short, for --systems. */
  readonly name: string;
  readonly title: string;
  readonly format?: Format;
  /** Not measured unless --systems names it. */
  readonly onlyAsked?: boolean;
  /** Why this system cannot be measured here; undefined: it can. */
  missing(): string | undefined;
  /**
   * Mounts; returns when the mount is up. `image` is '' for a system without format. The environment marks the
   * processes.
   */
  mount(volume: VolumeName, image: string, directory: string, sizes: Sizes, env: NodeJS.ProcessEnv): void;
  /** Unmounts; returns when all is on the image. */
  unmount(directory: string): void;
}
