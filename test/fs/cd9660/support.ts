/** For the tests of ISO 9660: discs made by others' programs, and what is read of them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openImage } from '../../../src/blockdev/image.js';
import { cd9660 } from '../../../src/fs/cd9660/index.js';
import type { BlockDevice } from '../../../src/kernel/blkdev.js';
import { bytestrToBytes } from '../../../src/kernel/bytestr.js';
import { Errno } from '../../../src/kernel/errno.js';
import { O_RDONLY } from '../../../src/kernel/fcntl.js';
import { nodeRumpuser } from '../../../src/kernel/rumpuser/node.js';
import type { Stat } from '../../../src/kernel/stat.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../src/kernel/stat.js';
import type { RumpSys } from '../../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, mountInMemory } from '../../../testing/mounted.js';
import type { MountedVolume } from '../../../testing/mounted.js';

export const V = MOUNTPOINT;

/** The names of `programs` that are not installed. */
export function missing(...programs: string[]): string | false {
  const absent = programs.filter(
    (program) => !(process.env.PATH ?? '').split(':').some((dir) => existsSync(path.join(dir, program))),
  );
  return absent.length > 0 ? `not installed: ${absent.join(', ')}` : false;
}

/** A folder that goes with the test file. */
export function scratch(t: { teardown(f: () => void): void }): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-iso-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Runs a program that must succeed. */
export function run(program: string, args: readonly string[], input?: string, cwd?: string): string {
  const ran = spawnSync(program, args, {
    encoding: 'latin1',
    maxBuffer: 2 ** 28,
    ...(input === undefined ? {} : { input }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (ran.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${ran.error?.message ?? ran.stderr.slice(-2000)}`);
  return ran.stdout;
}

/** Mounts a disc in a kernel of its own. */
export async function mountIso(
  from: string | BlockDevice,
  options: Record<string, string | true> = {},
): Promise<MountedVolume> {
  const fspec =
    typeof from === 'string' ? await openImage(nodeRumpuser(), from, { readonly: true, exclusive: false }) : from;
  return mountInMemory(cd9660, { fspec, options });
}

/** What is compared of a file. `sha` of a regular file's content, or why it cannot be read. */
export interface Seen {
  readonly type: number;
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: bigint;
  readonly link: string | undefined;
  readonly sha: string | undefined;
}

const latin1 = new TextDecoder('latin1');

export async function names(sys: RumpSys, dir: string | Uint8Array): Promise<string[]> {
  const fd = await sys.open(dir, O_RDONLY);
  const found: string[] = [];
  try {
    for (;;) {
      const some = await sys.getdents(fd, 100);
      if (some.length === 0) return found;
      for (const { d_name } of some) if (d_name !== '.' && d_name !== '..') found.push(d_name);
    }
  } finally {
    await sys.close(fd);
  }
}

async function hash(sys: RumpSys, file: Uint8Array): Promise<string> {
  const sha = createHash('sha1');
  try {
    const fd = await sys.open(file, O_RDONLY);
    const buffer = new Uint8Array(1 << 18);
    try {
      for (let n; (n = await sys.read(fd, buffer)) > 0;) sha.update(buffer.subarray(0, n));
    } finally {
      await sys.close(fd);
    }
    return sha.digest('hex');
  } catch (thrown) {
    if (thrown instanceof Errno) return thrown.code;
    throw thrown;
  }
}

/** Everything below the root of a mount, by path (byte string). */
export async function tree(sys: RumpSys): Promise<Map<string, Seen>> {
  const all = new Map<string, Seen>();
  const dirs = [''];
  for (let dir; (dir = dirs.pop()) !== undefined;) {
    const at = bytestrToBytes(`${V}${dir}`);
    for (const name of await names(sys, at)) {
      const file = `${dir}/${name}`;
      const bytes = bytestrToBytes(`${V}${file}`);
      const st: Stat = await sys.lstat(bytes);
      const type = st.st_mode & S_IFMT;
      const link = type === S_IFLNK ? latin1.decode(await sys.readlink(bytes)) : undefined;
      all.set(file, {
        type,
        mode: st.st_mode & 0o7777,
        size: type === S_IFDIR ? 0 : st.st_size,
        mtime: st.st_mtime,
        uid: st.st_uid,
        gid: st.st_gid,
        nlink: st.st_nlink,
        rdev: st.st_rdev,
        link,
        sha: type === S_IFREG ? await hash(sys, bytes) : undefined,
      });
      if (type === S_IFDIR) dirs.push(file);
    }
  }
  return all;
}
