/**
 * A program at work on a mount that knows what must be there: each step is a system call or a few, whose outcome is
 * compared with a model. Nothing here is told of servers that die.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import type { Random } from './random.js';

interface ModelFile {
  content: Buffer;
  names: number;
}
interface OpenFile {
  readonly fd: number;
  readonly file: ModelFile;
}

const FILES_MAX = 60;
const DIRECTORIES_MAX = 12;
const OPEN_MAX = 8;
const FILE_BYTES_MAX = 400_000;
/** Errors that are told in full. */
const TOLD_MAX = 20;

/** What the format can keep. */
export interface Keeps {
  readonly hardlinks: boolean;
  readonly linkcounts: boolean;
}

export interface Picture {
  /** Path below the mount to the hash of its content and how many names it has. */
  readonly files: Readonly<Record<string, { readonly hash: string; readonly size: number; readonly names: number }>>;
  readonly directories: readonly string[];
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

export class Workload {
  operations = 0;
  /** Calls that failed and should not, calls that did not and should, content that is not what was written. */
  failures = 0;
  readonly told: string[] = [];
  /** Begin and end of each call: milliseconds of the host's monotonic clock. */
  readonly times: number[] = [];
  private readonly files = new Map<string, ModelFile>();
  private readonly directories = new Set<string>();
  private readonly open: OpenFile[] = [];
  private count = 0;

  /** `own`: a directory that is there and nobody else's; `shared`: one where others work, too. */
  constructor(
    private readonly random: Random,
    private readonly root: string,
    own: string,
    private readonly shared: string,
    private readonly name: string,
    private readonly keeps: Keeps,
  ) {
    this.directories.add(own);
  }

  private call<T>(what: string, work: () => T, expected?: string): T | undefined {
    this.operations++;
    const begin = Number(process.hrtime.bigint()) / 1e6;
    try {
      const result = work();
      if (expected !== undefined) this.fail(`${what} succeeded where ${expected} is right`);
      return result;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== expected) this.fail(`${what}: ${code ?? String(error)}`);
      return undefined;
    } finally {
      this.times.push(begin, Number(process.hrtime.bigint()) / 1e6);
    }
  }

  private fail(what: string): void {
    this.failures++;
    if (this.told.length < TOLD_MAX) this.told.push(`${new Date().toISOString()} ${this.name}: ${what}`);
  }

  private at(relative: string): string {
    return path.join(this.root, relative);
  }
  private fresh(): string {
    const directory = this.random.below(4) === 0 ? this.shared : this.random.pick([...this.directories]);
    return path.join(directory, `${this.name}-${this.count++}`);
  }
  private someFile(): string | undefined {
    return this.files.size === 0 ? undefined : this.random.pick([...this.files.keys()]);
  }

  /** One step of the load. */
  step(): void {
    const { random } = this;
    const steps: [number, () => void][] = [
      [14, () => this.create()], [16, () => this.write()], [10, () => this.append()], [6, () => this.rename()],
      [6, () => this.unlink()], [this.keeps.hardlinks ? 4 : 0, () => this.link()], [5, () => this.mkdir()],
      [4, () => this.rmdir()], [14, () => this.verify()], [6, () => this.openOne()], [6, () => this.closeOne()],
      [10, () => this.writeOpen()], [3, () => this.truncate()], [3, () => this.list()], [3, () => this.mustFail()],
      [3, () => this.replace()], [5, () => this.moveDirectory()],
    ];
    let at = random.below(steps.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, step] of steps) {
      at -= weight;
      if (at < 0) return step();
    }
  }

  private bytes(): Buffer {
    return this.random.bytes(this.random.pick([1, 100, 2000, 5000, 9000, 40_000, 131_072]));
  }

  private create(): void {
    if (this.files.size >= FILES_MAX) return this.unlink();
    const name = this.fresh();
    const fd = this.call(`create ${name}`, () => fs.openSync(this.at(name), 'wx+'));
    if (fd === undefined) return;
    const file = { content: Buffer.alloc(0), names: 1 };
    this.files.set(name, file);
    this.put(fd, file, 0, this.bytes(), name);
    if (this.random.below(3) === 0) this.call(`fsync ${name}`, () => fs.fsyncSync(fd));
    if (this.open.length < OPEN_MAX && this.random.below(3) === 0) this.open.push({ fd, file });
    else this.call(`close ${name}`, () => fs.closeSync(fd));
  }

  private put(fd: number, file: ModelFile, position: number, bytes: Buffer, what: string): void {
    const done = this.call(`write ${what}`, () => fs.writeSync(fd, bytes, 0, bytes.length, position));
    if (done === undefined) return;
    if (done !== bytes.length) this.fail(`write ${what}: ${done} of ${bytes.length} bytes`);
    const content = Buffer.alloc(Math.max(file.content.length, position + done));
    file.content.copy(content);
    bytes.copy(content, position, 0, done);
    file.content = content;
  }

  private write(): void {
    const name = this.someFile();
    if (name === undefined) return this.create();
    const file = this.files.get(name)!;
    const fd = this.call(`open ${name}`, () => fs.openSync(this.at(name), 'r+'));
    if (fd === undefined) return;
    this.put(fd, file, Math.min(this.random.below(file.content.length + 1), FILE_BYTES_MAX), this.bytes(), name);
    if (this.random.below(4) === 0) this.call(`fsync ${name}`, () => fs.fsyncSync(fd));
    this.call(`close ${name}`, () => fs.closeSync(fd));
  }

  private append(): void {
    const name = this.someFile();
    if (name === undefined) return this.create();
    const file = this.files.get(name)!;
    if (file.content.length > FILE_BYTES_MAX) return this.truncate();
    const bytes = this.bytes();
    if (
      this.call(`append to ${name}`, () => fs.appendFileSync(this.at(name), bytes)) === undefined &&
      this.told.length > 0
    ) {
      // It has told; what is there is looked at by the next verify.
    }
    file.content = Buffer.concat([file.content, bytes]);
  }

  private rename(): void {
    const from = this.someFile();
    if (from === undefined) return this.create();
    const to = this.fresh();
    this.call(`rename ${from} ${to}`, () => fs.renameSync(this.at(from), this.at(to)));
    this.files.set(to, this.files.get(from)!);
    this.files.delete(from);
  }

  /** A rename over a file that is there. */
  private replace(): void {
    const from = this.someFile();
    const to = this.someFile();
    if (from === undefined || to === undefined || from === to || this.files.get(from) === this.files.get(to)) return;
    this.call(`rename ${from} over ${to}`, () => fs.renameSync(this.at(from), this.at(to)));
    this.files.get(to)!.names--;
    this.files.set(to, this.files.get(from)!);
    this.files.delete(from);
  }

  private unlink(): void {
    const name = this.someFile();
    if (name === undefined) return this.create();
    this.call(`unlink ${name}`, () => fs.unlinkSync(this.at(name)));
    this.files.get(name)!.names--;
    this.files.delete(name);
  }

  private link(): void {
    const from = this.someFile();
    if (from === undefined || this.files.size >= FILES_MAX) return this.unlink();
    const to = this.fresh();
    this.call(`link ${from} ${to}`, () => fs.linkSync(this.at(from), this.at(to)));
    const file = this.files.get(from)!;
    file.names++;
    this.files.set(to, file);
  }

  private mkdir(): void {
    if (this.directories.size >= DIRECTORIES_MAX) return this.rmdir();
    const name = path.join(this.random.pick([...this.directories]), `d${this.count++}`);
    this.call(`mkdir ${name}`, () => fs.mkdirSync(this.at(name)));
    this.directories.add(name);
  }

  /** With all that is below it, mostly into another directory: its `..` changes, and the link counts of two. */
  private moveDirectory(): void {
    const below = (name: string, directory: string) => name === directory || name.startsWith(`${directory}/`);
    const movable = [...this.directories].slice(1);
    if (movable.length === 0) return this.mkdir();
    const from = this.random.pick(movable);
    const parent = this.random.pick([...this.directories].filter((name) => !below(name, from)));
    const to = path.join(parent, `d${this.count++}`);
    this.call(`rename ${from} ${to}`, () => fs.renameSync(this.at(from), this.at(to)));
    const moved = (name: string) => to + name.slice(from.length);
    for (const name of movable.filter((candidate) => below(candidate, from))) {
      this.directories.delete(name);
      this.directories.add(moved(name));
    }
    for (const [name, file] of [...this.files]) {
      if (!below(name, from)) continue;
      this.files.delete(name);
      this.files.set(moved(name), file);
    }
    const inodes = this.call(`stat ${to}/..`, () => [
      fs.statSync(`${this.at(to)}/..`).ino,
      fs.statSync(this.at(parent)).ino,
    ]);
    if (inodes !== undefined && inodes[0] !== inodes[1]) {
      this.fail(`.. of ${to} is ${inodes[0]} instead of ${inodes[1]}`);
    }
    const st = this.call(`stat ${parent}`, () => fs.statSync(this.at(parent)));
    const links = 2 + [...this.directories].filter((name) => path.dirname(name) === parent).length;
    if (this.keeps.linkcounts && st !== undefined && st.nlink !== links) {
      this.fail(`${parent} has ${st.nlink} links instead of ${links}`);
    }
  }

  private empty(): string | undefined {
    const used = new Set([...this.files.keys(), ...this.directories].map((name) => path.dirname(name)));
    return [...this.directories].slice(1).find((name) => !used.has(name));
  }

  private rmdir(): void {
    const name = this.empty();
    if (name === undefined) return this.verify();
    this.call(`rmdir ${name}`, () => fs.rmdirSync(this.at(name)));
    this.directories.delete(name);
  }

  private truncate(): void {
    const name = this.someFile();
    if (name === undefined) return;
    const file = this.files.get(name)!;
    const size = this.random.below(file.content.length + 5000);
    this.call(`truncate ${name}`, () => fs.truncateSync(this.at(name), size));
    const content = Buffer.alloc(size);
    file.content.copy(content);
    file.content = content;
  }

  private verify(): void {
    const name = this.someFile();
    if (name === undefined) return this.create();
    const found = this.call(`read ${name}`, () => fs.readFileSync(this.at(name)));
    if (found !== undefined) this.compare(name, found, this.files.get(name)!);
    const st = this.call(`stat ${name}`, () => fs.statSync(this.at(name)));
    if (this.keeps.linkcounts && st !== undefined && st.nlink !== this.files.get(name)!.names) {
      this.fail(`${name} has ${st.nlink} names instead of ${this.files.get(name)!.names}`);
    }
  }

  private compare(what: string, found: Buffer, file: ModelFile): void {
    if (found.equals(file.content)) return;
    const length = Math.min(found.length, file.content.length);
    let at = 0;
    while (at < length && found[at] === file.content[at]) at++;
    this.fail(`${what} differs from byte ${at} on (${found.length} bytes instead of ${file.content.length})`);
    file.content = found;
  }

  private openOne(): void {
    const name = this.someFile();
    if (name === undefined || this.open.length >= OPEN_MAX) return this.closeOne();
    const fd = this.call(`open ${name}`, () => fs.openSync(this.at(name), 'r+'));
    if (fd === undefined) return;
    this.open.push({ fd, file: this.files.get(name)! });
    // Every other one loses its name while it is open.
    if (this.random.below(2) === 0) return;
    this.call(`unlink ${name}`, () => fs.unlinkSync(this.at(name)));
    this.files.get(name)!.names--;
    this.files.delete(name);
  }

  /** Files that have lost their names are read and written, too. */
  private writeOpen(): void {
    if (this.open.length === 0) return this.openOne();
    const { fd, file } = this.random.pick(this.open);
    const what = file.names === 0 ? 'a file without a name' : 'an open file';
    const position = Math.min(this.random.below(file.content.length + 1), FILE_BYTES_MAX);
    this.put(fd, file, position, this.bytes(), what);
    if (this.random.below(4) === 0) this.call(`fsync ${what}`, () => fs.fsyncSync(fd));
    const found = Buffer.alloc(file.content.length + 1);
    const got = this.call(`read ${what}`, () => fs.readSync(fd, found, 0, found.length, 0));
    if (got !== undefined) this.compare(what, found.subarray(0, got), file);
    const st = this.call(`fstat ${what}`, () => fs.fstatSync(fd));
    if (this.keeps.linkcounts && st !== undefined && st.nlink !== file.names) {
      this.fail(`${what} has ${st.nlink} names instead of ${file.names}`);
    }
  }

  private closeOne(): void {
    const found = this.open.pop();
    if (found !== undefined) this.call('close', () => fs.closeSync(found.fd));
  }

  private list(): void {
    const directory = this.random.pick([...this.directories]);
    const names = this.call(`list ${directory}`, () => fs.readdirSync(this.at(directory)));
    const expected = [...this.files.keys(), ...this.directories]
      .filter((name) => path.dirname(name) === directory)
      .map((name) => path.basename(name));
    if (names !== undefined && names.sort().join('\n') !== expected.sort().join('\n')) {
      this.fail(`list ${directory}: ${names.join(' ')} instead of ${expected.join(' ')}`);
    }
  }

  private mustFail(): void {
    const name = this.someFile();
    if (name === undefined) return;
    this.call(`create ${name} again`, () => fs.openSync(this.at(name), 'wx'), 'EEXIST');
    const directory = this.random.pick([...this.directories]);
    this.call(`mkdir ${directory} again`, () => fs.mkdirSync(this.at(directory)), 'EEXIST');
    this.call('unlink what is not there', () => fs.unlinkSync(this.at(this.fresh())), 'ENOENT');
    this.call('rmdir of a file', () => fs.rmdirSync(this.at(name)), 'ENOTDIR');
  }

  /** Looks at everything, and closes what is open. */
  finish(): Picture {
    for (const { fd, file } of this.open.splice(0)) {
      const found = Buffer.alloc(file.content.length + 1);
      const got = this.call('read an open file', () => fs.readSync(fd, found, 0, found.length, 0));
      if (got !== undefined) this.compare('an open file', found.subarray(0, got), file);
      this.call('close', () => fs.closeSync(fd));
    }
    const files: Record<string, { hash: string; size: number; names: number }> = {};
    for (const [name, file] of this.files) {
      const found = this.call(`read ${name}`, () => fs.readFileSync(this.at(name)));
      if (found !== undefined) this.compare(name, found, file);
      files[name] = { hash: hashOf(file.content), size: file.content.length, names: file.names };
    }
    return { files, directories: [...this.directories] };
  }
}
