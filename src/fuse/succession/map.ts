/** The server's side of the memory that outlives it. */
import { closeSync } from 'node:fs';
import { cLibrary } from '../mount/libc.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;

/**
 * Maps `bytes` of the file and closes the descriptor. undefined: koffi has no library for this host. To be called
 * before the process confines itself.
 */
export function mapMemory(fd: number, bytes: number): Uint8Array | undefined {
  const found = cLibrary();
  if (found === null) return undefined;
  const { koffi, lib } = found;
  const mmap = lib.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)');
  const address = mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0) as unknown;
  closeSync(fd);
  if (address === null || BigInt.asUintN(64, koffi.address(address)) === MAP_FAILED) return undefined;
  return new Uint8Array(koffi.view(address, bytes) as ArrayBuffer);
}
