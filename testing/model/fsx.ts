import assert from 'node:assert/strict';
import { O_APPEND, O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { pattern, same, writeAll } from '../matrix/check.js';
import type { Fs, Target, Volume } from '../matrix/fs.js';
import { Random, shrink } from './random.js';

/** Bytes; large enough for indirect blocks in every format. */
const FILE_MAX = 700_000;
const IO_MAX = 70_000;

interface Op {
  readonly kind: 'write' | 'append' | 'read' | 'truncate' | 'punch' | 'allocate' | 'fsync' | 'remount' | 'reopen';
  readonly at: number;
  readonly length: number;
  readonly seed: number;
}

function generate(random: Random, count: number, target: Target): Op[] {
  const kinds: Op['kind'][] = [
    'write',
    'write',
    'write',
    'write',
    'read',
    'read',
    'read',
    'append',
    'truncate',
    'fsync',
    'reopen',
  ];
  if (target.features.has('fdiscard')) kinds.push('punch');
  if (target.features.has('fallocate')) kinds.push('allocate');
  const ops: Op[] = [];
  for (let i = 0; i < count; i++) {
    const kind = target.features.has('remount') && random.below(100) === 0 ? 'remount' : random.pick(kinds);
    // Often at the edges of sectors, fragments, blocks and pages, where the errors are.
    const edge = random.pick([512, 1024, 4096, 8192, 65536]);
    let at = random.below(FILE_MAX - IO_MAX);
    if (random.below(3) === 0) at -= at % edge;
    let length = 1 + random.below(random.pick([10, 600, 5000, IO_MAX]));
    if (random.below(4) === 0) length = Math.max(edge, length - (length % edge));
    ops.push({ kind, at, length, seed: random.next() });
  }
  return ops;
}

/** The file as it should be. */
class Shadow {
  readonly bytes = new Uint8Array(FILE_MAX + IO_MAX);
  size = 0;

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.size);
  }
  write(data: Uint8Array, at: number): void {
    this.bytes.set(data, at);
    this.size = Math.max(this.size, at + data.length);
  }
  truncate(size: number): void {
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }
}

async function apply(op: Op, fd: number, fs: Fs, shadow: Shadow): Promise<void> {
  switch (op.kind) {
    case 'write': {
      const data = pattern(op.length, op.seed);
      await writeAll(fs, fd, data, op.at);
      shadow.write(data, op.at);
      break;
    }
    case 'append': {
      if (shadow.size + op.length > FILE_MAX) return;
      const data = pattern(op.length, op.seed);
      const appender = await fs.open('fsx', O_RDWR | O_APPEND);
      assert.equal(await fs.write(appender, data), data.length);
      await fs.close(appender);
      shadow.write(data, shadow.size);
      break;
    }
    case 'read':
      same(
        await fs.pread(fd, op.length, op.at),
        shadow.bytes.subarray(op.at, Math.max(op.at, Math.min(op.at + op.length, shadow.size))),
        `read ${op.length} at ${op.at}`,
      );
      break;
    case 'truncate':
      await fs.ftruncate(fd, op.at);
      shadow.truncate(op.at);
      break;
    case 'punch':
      await fs.fdiscard(fd, op.at, op.length);
      shadow.bytes.fill(0, op.at, Math.max(op.at, Math.min(op.at + op.length, shadow.size)));
      break;
    case 'allocate':
      await fs.fallocate(fd, op.at, op.length);
      shadow.size = Math.max(shadow.size, op.at + op.length);
      break;
    case 'fsync':
      await fs.fsync(fd);
      break;
    case 'remount':
    case 'reopen':
      break; // done by the caller
  }
  assert.equal((await fs.fstat(fd)).size, shadow.size, 'size');
}

async function whole(fs: Fs, fd: number, shadow: Shadow): Promise<void> {
  for (let at = 0; at < shadow.size; at += 262_144) {
    same(
      await fs.pread(fd, Math.min(262_144, shadow.size - at), at),
      shadow.content.subarray(at, at + 262_144),
      `the file from ${at}`,
    );
  }
}

/** Runs the operations on a fresh volume. Returns where and how it failed, or undefined. */
async function run(target: Target, ops: readonly Op[]): Promise<{ at: number; error: Error } | undefined> {
  let volume: Volume | undefined;
  let at = 0;
  try {
    volume = await target.make();
    const { fs } = volume;
    const shadow = new Shadow();
    let fd = await fs.open('fsx', O_RDWR | O_CREAT);
    for (; at < ops.length; at++) {
      const op = ops[at]!;
      if (op.kind === 'remount' || op.kind === 'reopen') {
        await fs.close(fd);
        if (op.kind === 'remount') await volume.remount!(false);
        fd = await fs.open('fsx', O_RDWR);
        await whole(fs, fd, shadow);
      } else {
        await apply(op, fd, fs, shadow);
      }
    }
    at = ops.length - 1;
    await whole(fs, fd, shadow);
    await fs.close(fd);
    const done = volume;
    volume = undefined;
    await done.cleanup();
    return undefined;
  } catch (error) {
    await volume?.cleanup().catch(() => undefined);
    return { at, error: error as Error };
  }
}

/**
 * Random reads, writes, truncations and holes of one file against an array of bytes. Throws with the shortest failing
 * sequence found.
 */
export async function fsx(target: Target, seed: number, count: number): Promise<void> {
  const ops = generate(new Random(seed), count, target);
  const failed = await run(target, ops);
  if (failed === undefined) return;
  const shortest = await shrink(ops.slice(0, failed.at + 1), async (fewer) => (await run(target, fewer))?.at);
  const again = (await run(target, shortest))?.error ?? failed.error;
  throw new Error(
    `RUMPFUSE_SEED=${seed} RUMPFUSE_OPS=${count}: operation ${failed.at}: ${failed.error.message}\n` +
      `shortest: ${again.message}\n${shortest
        .slice(-40)
        .map((op) => JSON.stringify(op))
        .join('\n')}\n${again.stack ?? ''}`,
  );
}
