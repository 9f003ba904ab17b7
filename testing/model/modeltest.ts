import assert from 'node:assert/strict';
import { bytestrFromBytes } from '../../src/kernel/bytestr.js';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import { S_IFDIR, S_IFLNK } from '../../src/kernel/stat.js';
import { get, pattern, same } from '../matrix/check.js';
import { NAMEMAX } from '../matrix/fs.js';
import type { Fs, Target, Volume } from '../matrix/fs.js';
import { Model, Refused, store } from './fsmodel.js';
import type { ModelNode } from './fsmodel.js';
import { Random, shrink } from './random.js';

interface Op {
  readonly kind: string;
  readonly path: string;
  readonly other: string;
  readonly n: number;
  readonly size: number;
}

const NAMES = ['a', 'b', 'c', 'dd', 'long'.repeat(20), 'x'.repeat(NAMEMAX), 'e\u0301'];
const KINDS = [
  'create', 'create', 'write', 'write', 'write', 'mkdir', 'mkdir', 'mkdir', 'rmdir', 'unlink', 'unlink', 'rename',
  'rename', 'rename', 'rename', 'truncate', 'chmod', 'chown', 'utimes', 'hold', 'holdwrite', 'drop', 'fill', 'sync',
];
/** Upper bounds of what is written at once. */
const SIZES = [10, 1000, 20_000, 150_000];
/** The same, where the volume shall be full most of the time. */
const LARGE_SIZES = [1000, 20_000, 300_000, 600_000];
const NEW = new Set(['create', 'mkdir', 'symlink']);
const ONFILES = new Set(['write', 'truncate', 'hold', 'link', 'unlink']);
/** Codes with which an operation that must fail may fail. */
const REFUSALS = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'EINVAL', 'EPERM', 'EBUSY', 'EXDEV']);
const HELD_MAX = 4;
/** With so many files in the tree, more are removed than made. */
const TREE_MAX = 60;
/** Well under PATH_MAX bytes: a character may take three, and the mount point comes before it. */
const PATH_CHARS = 700;

/** All paths of the model's tree, directories with a slash behind. */
function paths(model: Model): string[] {
  const found: string[] = [];
  const todo: [string, ModelNode][] = [['', model.root]];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    for (const [name, child] of next[1].entries) {
      const path = `${next[0]}${name}`;
      if (child.type === S_IFDIR) todo.push([`${path}/`, child]);
      found.push(child.type === S_IFDIR ? `${path}/` : path);
    }
  }
  return found;
}

/** No path gets longer than the system allows, even if `path`, with what is below it, is moved to `other`. */
function short(path: string, other: string, there: readonly string[]): boolean {
  let below = 0;
  for (const one of there) if (one.startsWith(`${path}/`)) below = Math.max(below, one.length - path.length);
  return Math.max(path.length, other.length + below) < PATH_CHARS;
}

/** Operations that mostly make sense: a model goes along, so that names that are there are known. */
function generate(random: Random, count: number, target: Target, cramped: boolean): Op[] {
  const kinds = KINDS.filter((kind) => kind !== 'chown' || target.features.has('owners'));
  if (target.features.has('symlinks')) kinds.push('symlink');
  if (target.features.has('hardlinks')) kinds.push('link', 'link');
  const model = new Model(target.features.has('bsdgroups'));
  const ops: Op[] = [];
  for (let i = 0; i < count; i++) {
    const there = paths(model);
    const dirs = there.filter((path) => path.endsWith('/'));
    const files = there.filter((path) => !path.endsWith('/'));
    const fresh = () => {
      const dir = dirs.length > 0 && random.below(4) > 0 ? random.pick(dirs) : '';
      return `${dir}${random.pick(NAMES).slice(0, target.namemax)}`;
    };
    const one = (from: string[]) =>
      from.length > 0 && random.below(5) > 0 ? random.pick(from).replace(/\/$/, '') : fresh();
    let kind = target.features.has('remount') && random.below(60) === 0 ? 'remount' : random.pick(kinds);
    if (there.length > TREE_MAX && random.below(2) === 0) kind = random.pick(['unlink', 'unlink', 'rmdir', 'rename']);
    const path = NEW.has(kind) ? fresh() : one(kind === 'rmdir' ? dirs : ONFILES.has(kind) ? files : there);
    const other = random.below(3) === 0 ? one(there) : fresh();
    if (!short(path, other, there)) continue;
    const op = { kind, path, other, n: random.next(), size: random.below(random.pick(cramped ? LARGE_SIZES : SIZES)) };
    ops.push(op);
    try {
      modelled(model, op);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return ops;
}

/** What the operation does to names; nothing for one that changes none. */
function modelled(model: Model, op: Op): void {
  switch (op.kind) {
    case 'create': case 'write': case 'hold': model.openFile(op.path, 0o644); break;
    case 'mkdir': model.mkdir(op.path, 0o755); break;
    case 'rmdir': model.rmdir(op.path); break;
    case 'unlink': model.unlink(op.path); break;
    case 'rename': model.rename(op.path, op.other); break;
    case 'link': model.link(op.path, op.other); break;
    case 'symlink': model.symlink(targetOf(op), op.path); break;
    case 'truncate': model.truncate(op.path, op.size); break;
    case 'chmod': model.chmod(op.path, op.n & 0o777); break;
    case 'chown': model.chown(op.path, op.n & 0xffff, op.n >>> 16); break;
    case 'utimes': model.utimes(op.path, timeOf(op)); break;
  }
}

interface Held {
  readonly fd: number;
  readonly node: ModelNode;
}

/** A real volume and its model, side by side. */
class Run {
  readonly model: Model;
  private readonly held: Held[] = [];
  private readonly fs: Fs;
  private readonly volume: Volume;
  private readonly target: Target;

  /** The volume may be full at any time. */
  private readonly cramped: boolean;

  constructor(volume: Volume, target: Target, cramped: boolean) {
    this.cramped = cramped;
    this.volume = volume;
    this.fs = volume.fs;
    this.target = target;
    this.model = new Model(target.features.has('bsdgroups'));
  }

  async apply(op: Op): Promise<void> {
    // On a full volume the tree is another than when the operation was thought of.
    if (op.kind === 'rename' && !short(op.path, op.other, paths(this.model))) return;
    switch (op.kind) {
      case 'sync':
        return this.fs.sync();
      case 'drop':
        return this.drop(op.n % HELD_MAX);
      case 'remount':
        while (this.held.length > 0) await this.drop(0);
        await this.volume.remount!(false);
        return this.compare();
      case 'hold':
        return this.hold(op);
      case 'holdwrite': {
        const held = this.held[op.n % HELD_MAX];
        return held === undefined ? undefined : this.writeTo(held, op);
      }
      case 'write':
        return this.write(op);
      case 'fill':
        return this.fill(op);
      default:
        return this.both(op);
    }
  }

  /**
   * An operation on names: succeeds or fails as the model does. On a full volume it may also fail, and then has done
   * nothing.
   */
  private async both(op: Op): Promise<void> {
    let code: string | undefined;
    let said = '';
    try {
      await this.real(op);
    } catch (error) {
      code = (error as { code?: string }).code ?? '';
      said = (error as Error).message;
      if (code === 'ENOSPC' && this.cramped) return;
    }
    let refused = false;
    try {
      modelled(this.model, op);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused = true;
    }
    if (code === undefined) {
      assert(!refused, 'succeeded, should have been refused');
    } else {
      assert(
        refused && REFUSALS.has(code),
        `should have ${refused ? 'been refused' : 'succeeded'}, failed with ${said}`,
      );
    }
  }

  private async real(op: Op): Promise<void> {
    const { fs } = this;
    switch (op.kind) {
      case 'create': await fs.close(await fs.open(op.path, O_RDWR | O_CREAT, 0o644)); break;
      case 'mkdir': await fs.mkdir(op.path, 0o755); break;
      case 'rmdir': await fs.rmdir(op.path); break;
      case 'unlink': await fs.unlink(op.path); break;
      case 'rename': await fs.rename(op.path, op.other); break;
      case 'link':
        // The model does not follow symlinks here, and systems differ in that.
        if ((await fs.lstat(op.path)).type === S_IFLNK) throw Object.assign(new Error('a symlink'), { code: 'ENOENT' });
        await fs.link(op.path, op.other);
        break;
      case 'symlink': await fs.symlink(targetOf(op), op.path); break;
      case 'truncate': await fs.truncate(op.path, op.size); break;
      case 'chmod': await fs.chmod(op.path, op.n & 0o777); break;
      case 'chown': await fs.chown(op.path, op.n & 0xffff, op.n >>> 16); break;
      case 'utimes': await fs.utimes(op.path, timeOf(op), timeOf(op)); break;
      default: assert.fail(op.kind);
    }
  }

  /** Opens the file in both; undefined where both refuse. */
  private async open(path: string): Promise<Held | undefined> {
    let fd: number | undefined;
    let said = '';
    try {
      fd = await this.fs.open(path, O_RDWR | O_CREAT, 0o644);
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      if (code === 'ENOSPC' && this.cramped) return undefined;
      assert(code !== undefined && REFUSALS.has(code), `open: ${message}`);
      said = message;
    }
    let node: ModelNode | undefined;
    try {
      node = this.model.openFile(path, 0o644);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    if (fd === undefined) {
      assert(node === undefined, `open: ${said}`);
      return undefined;
    }
    assert(node !== undefined, 'open succeeded, should have been refused');
    return { fd, node };
  }

  private async write(op: Op): Promise<void> {
    const file = await this.open(op.path);
    if (file === undefined) return;
    await this.writeTo(file, op);
    await this.fs.close(file.fd);
  }

  private async writeTo(file: Held, op: Op): Promise<void> {
    const data = pattern(op.size, op.n);
    const at = (op.n >>> 8) % 3 === 0 ? file.node.data.length : (op.n >>> 8) % 200_000;
    if (data.length === 0) return;
    const count = await this.pwrite(file.fd, data, at);
    if (count > 0) store(file.node, data.subarray(0, count), at);
    file.node.mtime = undefined;
    same(await this.fs.pread(file.fd, file.node.data.length + 1, 0), file.node.data, 'a file just written');
  }

  /** Bytes stored: all, or on a full volume what fitted. */
  private async pwrite(fd: number, data: Uint8Array, at: number): Promise<number> {
    try {
      const count = await this.fs.pwrite(fd, data, at);
      assert(count === data.length || (this.cramped && count > 0), `wrote ${count} of ${data.length}`);
      return count;
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOSPC' && this.cramped) return 0;
      throw error;
    }
  }

  /** Makes a directory long and short again. */
  private async fill(op: Op): Promise<void> {
    const dir = op.path.split('/').slice(0, -1).join('/');
    let node: ModelNode | undefined;
    try {
      node = this.model.lookup(dir);
    } catch {
      return;
    }
    if (node === undefined || node.type !== S_IFDIR) return;
    const prefix = dir === '' ? '' : `${dir}/`;
    const count = 5 + (op.n % 40);
    const long = 'y'.repeat(op.n % 97).slice(0, (this.target.namemax ?? NAMEMAX) - 'fill--44'.length);
    const name = (i: number) => `${prefix}fill-${long}-${i}`;
    let made = 0;
    try {
      for (; made < count; made++) await this.fs.close(await this.fs.open(name(made), O_RDWR | O_CREAT));
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC' || !this.cramped) throw error;
    }
    for (let i = 0; i < made; i++) await this.fs.unlink(name(i));
    node.mtime = undefined;
  }

  private async hold(op: Op): Promise<void> {
    if (this.held.length >= HELD_MAX) return;
    const file = await this.open(op.path);
    if (file !== undefined) this.held.push(file);
  }

  /** Closes a descriptor; the file may have no name any more, and must be whole to the last. */
  private async drop(index: number): Promise<void> {
    const [held] = this.held.splice(index, 1);
    if (held === undefined) return;
    const st = await this.fs.fstat(held.fd);
    assert.equal(st.nlink, held.node.links, 'links of an open file');
    same(await this.fs.pread(held.fd, held.node.data.length + 1, 0), held.node.data, 'an open file');
    await this.fs.close(held.fd);
  }

  async end(): Promise<void> {
    await this.compare();
    while (this.held.length > 0) await this.drop(0);
  }

  /** The whole tree. */
  async compare(): Promise<void> {
    const todo: [string, ModelNode][] = [['', this.model.root]];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const [path, node] = next;
      const st = await this.fs.lstat(path);
      assert.equal(st.type, node.type, `type of ${path}`);
      if (path !== '') await this.compareAttributes(path, node);
      if (node.type === S_IFDIR) {
        const entries = await this.fs.readdir(path);
        const wanted = [...node.entries.keys()].map((name) => bytestrFromBytes(new TextEncoder().encode(name)));
        assert.deepEqual(entries.map((entry) => entry.name).sort(), wanted.sort(), `entries of "${path}"`);
        for (const [name, child] of node.entries) todo.push([path === '' ? name : `${path}/${name}`, child]);
      } else if (node.type === S_IFLNK) {
        assert.equal(bytestrFromBytes(await this.fs.readlink(path)), node.target, `target of ${path}`);
      } else {
        same(await get(this.fs, path), node.data, path);
      }
    }
  }

  private async compareAttributes(path: string, node: ModelNode): Promise<void> {
    const { features } = this.target;
    const st = await this.fs.lstat(path);
    if (node.type !== S_IFLNK && features.has('modes')) assert.equal(st.mode, node.mode, `mode of ${path}`);
    if (features.has('owners')) assert.deepEqual([st.uid, st.gid], [node.uid, node.gid], `owner of ${path}`);
    if (node.type !== S_IFDIR || features.has('linkcounts')) assert.equal(st.nlink, node.nlink, `links of ${path}`);
    if (node.mtime !== undefined && features.has('nstimes')) assert.equal(st.mtime, node.mtime, `mtime of ${path}`);
  }
}

function targetOf(op: Op): string {
  return `nowhere/${'t'.repeat(op.n % 300)}`;
}

function timeOf(op: Op): bigint {
  return BigInt(op.n) * 500_000_007n - 10n ** 17n;
}

const COMPARE_EVERY = 50;
/** Bytes that a run never fills. */
const ROOMY = 64 * 2 ** 20;

async function run(
  target: Target,
  ops: readonly Op[],
  size_bytes: number,
): Promise<{ at: number; error: Error } | undefined> {
  let volume: Volume | undefined;
  let at = 0;
  try {
    volume = await target.make(size_bytes);
    const pair = new Run(volume, target, size_bytes < ROOMY);
    for (; at < ops.length; at++) {
      await pair.apply(ops[at]!);
      if (at % COMPARE_EVERY === COMPARE_EVERY - 1) await pair.compare();
    }
    at = ops.length - 1;
    await pair.end();
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
 * Random operations on a tree against the model; on a small volume also in want of room. Throws with the shortest
 * failing sequence found.
 */
export async function modelTest(target: Target, seed: number, count: number, size_bytes = ROOMY): Promise<void> {
  const ops = generate(new Random(seed), count, target, size_bytes < ROOMY);
  const failed = await run(target, ops, size_bytes);
  if (failed === undefined) return;
  const shortest = await shrink(
    ops.slice(0, failed.at + 1),
    async (fewer) => (await run(target, fewer, size_bytes))?.at,
  );
  const again = (await run(target, shortest, size_bytes))?.error ?? failed.error;
  throw new Error(
    `RUMPFUSE_SEED=${seed} RUMPFUSE_OPS=${count}: operation ${failed.at}: ${failed.error.message}\n` +
      `shortest: ${again.message}\n${shortest
        .slice(-40)
        .map((op) => JSON.stringify(op).replace(/(x{9}|(?:long){3})[longx]{20,}/g, '$1...'))
        .join('\n')}\n${again.stack ?? ''}`,
  );
}
