import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

/**
 * The tree of small files that several rows work on, the same that zerofs shows: `f7` and `f207` are in `d7` where
 * there are 200 directories.
 */
export interface Tree {
  files: number;
  dirs: number;
  /** Bytes of each file. */
  filesize: number;
}

const CHUNK = 1 << 20;
const MASK = 0x7fffffff;
const buffer = Buffer.alloc(CHUNK);
for (let at = 0, state = 1; at < CHUNK; at++) {
  state = (Math.imul(state, 1103515245) + 12345) & MASK;
  buffer[at] = state >> 16;
}

/** Seconds that `work` takes. */
function time(work: () => void): number {
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

function write(path: string, bytes: number): void {
  const fd = openSync(path, 'w');
  for (let done = 0; done < bytes;) done += writeSync(fd, buffer, 0, Math.min(CHUNK, bytes - done));
  if (bytes >= CHUNK) fsyncSync(fd);
  closeSync(fd);
}

/** Runs a program and insists that it succeeds. Its start costs a millisecond or two. */
function program(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  if (result.status !== 0) throw new Error(`${command}: ${result.error?.message ?? result.stderr.slice(0, 300)}`);
}

function files(root: string, tree: Tree): string[] {
  return Array.from({ length: tree.files }, (_, i) => `${root}/d${i % tree.dirs}/f${i}`);
}

function directories(root: string, tree: Tree): string[] {
  return Array.from({ length: tree.dirs }, (_, i) => `${root}/d${i}`);
}

/**
 * What the client can be asked to do. Each answers the seconds that its system calls took; preparations are outside.
 * All of it is synchronous: the client has nothing else to do, and this is the cheapest way to make system calls here.
 */
export const load = {
  /** Writes a file from its beginning and fsyncs it. */
  write: (path: string, bytes: number): number => time(() => write(path, bytes)),

  /** Reads a file of `bytes` bytes from its beginning to its end. */
  read(path: string, bytes: number): number {
    let total = 0;
    const seconds = time(() => {
      const fd = openSync(path, 'r');
      for (let got = -1; got !== 0; total += got) got = readSync(fd, buffer, 0, CHUNK, null);
      closeSync(fd);
    });
    if (total !== bytes) throw new Error(`${path}: ${total} bytes read, ${bytes} expected`);
    return seconds;
  },

  /** Reads `count` blocks of `size` bytes at random aligned places. */
  random(path: string, bytes: number, size: number, count: number, seed: number): number {
    const blocks = Math.floor(bytes / size);
    const positions = new Float64Array(count);
    let state = seed;
    for (let i = 0; i < count; i++) {
      state = (Math.imul(state, 1103515245) + 12345) & MASK;
      positions[i] = Math.floor((state / MASK) * (blocks - 1)) * size;
    }
    const fd = openSync(path, 'r');
    const seconds = time(() => {
      for (let i = 0; i < count; i++)
        if (readSync(fd, buffer, 0, size, positions[i]!) !== size) {
          throw new Error(`${path}: short read`);
        }
    });
    closeSync(fd);
    return seconds;
  },

  unlink: (path: string): number => time(() => unlinkSync(path)),

  /** Makes a tree of files below `root`, directories included. */
  create(root: string, tree: Tree): number {
    const dirs = directories(root, tree);
    const names = files(root, tree);
    return time(() => {
      for (const dir of dirs) mkdirSync(dir);
      for (const name of names) write(name, tree.filesize);
    });
  },

  /** Looks every file of the tree up, by its full path: access(2) asks for nothing more. */
  lookup(root: string, tree: Tree): number {
    const names = files(root, tree);
    return time(() => {
      for (const name of names) accessSync(name);
    });
  },

  /**
   * Asks for the attributes of every file of the tree, by its full path; with statx(2) and the birth time, as Node.js
   * does.
   */
  stat(root: string, tree: Tree): number {
    const names = files(root, tree);
    let bytes = 0;
    const seconds = time(() => {
      for (const name of names) bytes += lstatSync(name).size;
    });
    if (bytes !== tree.files * tree.filesize) throw new Error(`${root}: the files hold ${bytes} bytes`);
    return seconds;
  },

  /** find(1), which asks for the attributes of all that it meets. */
  find: (root: string): number => time(() => program('find', [root, '-printf', '%s %m %p\\n'])),

  /** rm(1) of all directories of the tree. */
  remove(root: string, tree: Tree): number {
    const dirs = directories(root, tree);
    return time(() => program('rm', ['-r', ...dirs]));
  },
};

export type Load = typeof load;
