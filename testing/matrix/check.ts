import assert from 'node:assert/strict';
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../../src/kernel/fcntl.js';
import type { Fs, Name } from './fs.js';

/** The call must fail, with one of these codes. */
export async function fails(codes: string | readonly string[], call: Promise<unknown>, what = ''): Promise<void> {
  const wanted = typeof codes === 'string' ? [codes] : codes;
  let code: string | undefined;
  try {
    await call;
  } catch (error) {
    code = (error as { code?: string }).code;
    if (code === undefined) throw error;
  }
  assert(code !== undefined, `${what} succeeded, should fail with ${wanted.join(' or ')}`);
  assert(wanted.includes(code), `${what} failed with ${code}, should be ${wanted.join(' or ')}`);
}

/** Bytes that tell where they are from: a different sequence for each seed and position. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = (seed * 2654435761) | 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x;
  }
  return bytes;
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((go) => setTimeout(go, milliseconds));
}

export async function put(fs: Fs, path: Name, data: Uint8Array | string = '', mode = 0o644): Promise<void> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const fd = await fs.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  try {
    if (bytes.length > 0) await writeAll(fs, fd, bytes, 0);
  } finally {
    await fs.close(fd);
  }
}

export async function writeAll(fs: Fs, fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const count = await fs.pwrite(fd, bytes.subarray(done), position + done);
    assert(count > 0, 'a write moved nothing');
    done += count;
  }
}

export async function get(fs: Fs, path: Name): Promise<Uint8Array> {
  const fd = await fs.open(path, O_RDONLY);
  try {
    const { size } = await fs.fstat(fd);
    const whole = new Uint8Array(size);
    for (let done = 0; done < size; ) {
      const some = await fs.pread(fd, size - done, done);
      assert(some.length > 0, `end of file at ${done} of ${size}`);
      whole.set(some, done);
      done += some.length;
    }
    assert.equal((await fs.pread(fd, 10, size)).length, 0, 'bytes behind the end');
    return whole;
  } finally {
    await fs.close(fd);
  }
}

export async function getText(fs: Fs, path: Name): Promise<string> {
  return new TextDecoder().decode(await get(fs, path));
}

/** Compares bytes; says where they differ. */
export function same(actual: Uint8Array, wanted: Uint8Array, what = 'content'): void {
  assert.equal(actual.length, wanted.length, `${what}: length`);
  if (Buffer.compare(actual, wanted) === 0) return;
  const at = actual.findIndex((byte, i) => byte !== wanted[i]);
  assert.fail(`${what}: differs at ${at}: ${actual[at]} instead of ${wanted[at]}`);
}

export async function names(fs: Fs, path: Name = ''): Promise<string[]> {
  return (await fs.readdir(path)).map((entry) => entry.name).sort();
}

/** The path is not there. */
export async function absent(fs: Fs, path: Name): Promise<void> {
  await fails('ENOENT', fs.lstat(path), `lstat ${String(path)}`);
}
