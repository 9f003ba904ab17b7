/**
 * A random workload on a recording disk, with the promises that it earns on the way: which content must be under which
 * name after a power cut at any later moment, as long as nobody touches the file.
 */
import { FaultDevice } from '../../src/blockdev/fault.js';
import type { DiskEvent } from '../../src/blockdev/fault.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { mountFfs } from './volumes.js';
import { V, pattern } from './write-support.js';

/** Holds for cuts at event counts since..until-1. */
export interface Claim {
  readonly since: number;
  until: number;
  /** One of these paths (relative to the volume) holds one of these contents. */
  readonly paths: readonly string[];
  readonly contents: readonly Uint8Array[];
  readonly why: string;
}

interface File {
  path: string;
  content: Uint8Array;
  /** Names under which the disk may have it, and whether its present content is on it. */
  durable: boolean;
  maybe: string[];
  claim: Claim | null;
}

class Dice {
  #x: number;
  constructor(seed: number) {
    this.#x = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  }
  roll(sides: number): number {
    this.#x = (Math.imul(this.#x, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#x / 2 ** 32) * sides);
  }
}

export interface Workload {
  readonly events: readonly DiskEvent[];
  readonly claims: readonly Claim[];
  readonly trace: readonly string[];
}

/** Runs `steps` steps on `disk` and unmounts. */
export async function workload(disk: MemoryDevice, seed: number, steps: number, options: Record<string, string | true> = {}, flags = 0): Promise<Workload> {
  const dev = new FaultDevice(disk, { record: true });
  const vol = await mountFfs(dev, flags, options);
  const run = new Run(vol.sys, dev, new Dice(seed));
  for (let i = 0; i < steps; i++) await run.step();
  const { events } = dev;
  const counted = events.length;
  await vol.close();
  if (vol.log.length > 0) throw new Error(vol.log.join('\n'));
  for (const claim of run.claims) claim.until = Math.min(claim.until, counted);
  return { events, claims: run.claims, trace: run.trace };
}

class Run {
  readonly claims: Claim[] = [];
  readonly trace: string[] = [];
  readonly #sys: RumpSys;
  readonly #dev: FaultDevice;
  readonly #dice: Dice;
  readonly #files: File[] = [];
  readonly #dirs: string[] = [''];
  #serial = 0;

  constructor(sys: RumpSys, dev: FaultDevice, dice: Dice) {
    this.#sys = sys;
    this.#dev = dev;
    this.#dice = dice;
  }

  get #now(): number {
    return this.#dev.events.length;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#dice.roll(list.length)];
  }

  /** Short and long names, so that chunks fill and are reused. */
  #name(kind: string): string {
    return `${this.#pick(this.#dirs)!}/${kind}${this.#serial++}${'x'.repeat(this.#dice.roll(3) * 40)}`;
  }

  /** The file changes now: what was promised of it ends before the first write of the change. */
  #touched(file: File): void {
    if (file.claim !== null) file.claim.until = this.#now;
    file.claim = null;
    file.durable = false;
  }

  /** Everything that is known to be on the disk now is promised. */
  #promise(file: File, why: string): void {
    if (file.claim !== null) file.claim.until = this.#now;
    file.durable = true;
    file.maybe = [file.path];
    file.claim = { since: this.#now, until: Infinity, paths: [file.path], contents: [file.content], why };
    this.claims.push(file.claim);
  }

  async #open<T>(path: string, f: (fd: number) => Promise<T>): Promise<T> {
    const fd = await this.#sys.open(V + path, O_RDWR | O_CREAT, 0o644);
    try {
      return await f(fd);
    } finally {
      await this.#sys.close(fd);
    }
  }

  async step(): Promise<void> {
    const kinds = ['create', 'create', 'create', 'append', 'overwrite', 'truncate', 'unlink', 'unlink', 'rename', 'rename', 'rename', 'replace', 'replace', 'linkunlink', 'mkdir', 'rmdir', 'movedir', 'fsync', 'fsync', 'fsync', 'sync'];
    const kind = kinds[this.#dice.roll(kinds.length)]!;
    const at = this.#now;
    const what = await this.#do(kind);
    if (what !== '') this.trace.push(`${at}: ${kind} ${what}`);
  }

  async #do(kind: string): Promise<string> {
    const sys = this.#sys;
    const file = this.#pick(this.#files);
    switch (kind) {
      case 'create': {
        const path = this.#name('f');
        const content = pattern(this.#dice.roll(6) === 0 ? this.#dice.roll(120_000) : this.#dice.roll(6000), this.#serial);
        await this.#open(path, (fd) => sys.write(fd, content));
        this.#files.push({ path, content, durable: false, maybe: [], claim: null });
        return `${path} ${content.length}`;
      }
      case 'append': {
        if (file === undefined) return '';
        this.#touched(file);
        const more = pattern(this.#dice.roll(20_000), this.#serial++);
        await this.#open(file.path, (fd) => sys.pwrite(fd, more, file.content.length));
        file.content = Buffer.concat([file.content, more]);
        return `${file.path} +${more.length}`;
      }
      case 'overwrite': {
        if (file === undefined || file.content.length === 0) return '';
        this.#touched(file);
        const from = this.#dice.roll(file.content.length);
        const bytes = pattern(Math.min(this.#dice.roll(9000), file.content.length - from), this.#serial++);
        await this.#open(file.path, (fd) => sys.pwrite(fd, bytes, from));
        file.content = Uint8Array.from(file.content); // a slice of a Buffer would share its bytes
        file.content.set(bytes, from);
        return `${file.path} ${from}..${from + bytes.length}`;
      }
      case 'truncate': {
        if (file === undefined) return '';
        this.#touched(file);
        const length = this.#dice.roll(file.content.length + 3000);
        await sys.truncate(V + file.path, length);
        const content = new Uint8Array(length);
        content.set(file.content.subarray(0, length));
        file.content = content;
        return `${file.path} ${length}`;
      }
      case 'unlink': {
        if (file === undefined) return '';
        this.#touched(file);
        this.#files.splice(this.#files.indexOf(file), 1);
        await sys.unlink(V + file.path);
        return file.path;
      }
      case 'rename': {
        if (file === undefined) return '';
        const to = this.#name('r');
        this.#moving(file, to);
        const from = file.path;
        await sys.rename(V + from, V + to);
        file.path = to;
        return `${from} ${to}`;
      }
      case 'replace': {
        const target = this.#pick(this.#files);
        if (file === undefined || target === undefined || target === file) return '';
        return this.#replace(file, target);
      }
      case 'linkunlink': {
        if (file === undefined) return '';
        const to = this.#name('l');
        this.#moving(file, to);
        const from = file.path;
        await sys.link(V + from, V + to);
        await sys.unlink(V + from);
        file.path = to;
        return `${from} ${to}`;
      }
      case 'mkdir': {
        if (this.#dirs.length > 8) return '';
        const path = this.#name('d');
        await sys.mkdir(V + path, 0o755);
        this.#dirs.push(path);
        return path;
      }
      case 'rmdir': {
        const dir = this.#pick(this.#dirs)!;
        if (dir === '' || this.#inside(dir)) return '';
        this.#dirs.splice(this.#dirs.indexOf(dir), 1);
        await sys.rmdir(V + dir);
        return dir;
      }
      case 'movedir': {
        const dir = this.#pick(this.#dirs)!;
        const to = this.#name('m');
        if (dir === '' || to.startsWith(`${dir}/`)) return '';
        await this.#movedir(dir, to);
        return `${dir} ${to}`;
      }
      case 'fsync': {
        if (file === undefined) return '';
        await this.#open(file.path, (fd) => sys.fsync(fd));
        this.#promise(file, `fsync of ${file.path}`);
        return file.path;
      }
      case 'sync':
        await sys.sync();
        for (const one of this.#files) this.#promise(one, `sync, ${one.path}`);
        return '-';
      default:
        throw new Error(kind);
    }
  }

  #inside(dir: string): boolean {
    return this.#files.some((f) => f.path.startsWith(`${dir}/`)) || this.#dirs.some((d) => d.startsWith(`${dir}/`));
  }

  /** The file gets another name; until that is on the disk it may be under any that it had. */
  #moving(file: File, to: string): void {
    if (!file.durable) return;
    const { content } = file;
    if (file.claim !== null) file.claim.until = this.#now;
    file.maybe = [...file.maybe, to];
    file.claim = { since: this.#now, until: Infinity, paths: file.maybe, contents: [content], why: `rename ${file.maybe.join(' -> ')}` };
    this.claims.push(file.claim);
  }

  async #replace(file: File, target: File): Promise<string> {
    const from = file.path;
    // Both on the disk: the name holds one or the other, and the file is under its old or its new name.
    const named: Claim | null = target.durable && file.durable && target.maybe.length === 1 ? { since: this.#now, until: Infinity, paths: [target.path], contents: [target.content, file.content], why: `replacement of ${target.path} by ${from}` } : null;
    this.#touched(target);
    this.#moving(file, target.path);
    if (named !== null) this.claims.push(named);
    await this.#sys.rename(V + from, V + target.path);
    if (named !== null) named.until = this.#now + 1;
    this.#files.splice(this.#files.indexOf(target), 1);
    file.path = target.path;
    return `${from} over ${target.path}`;
  }

  async #movedir(dir: string, to: string): Promise<void> {
    const renamed = (path: string): string => (path === dir || path.startsWith(`${dir}/`) ? to + path.slice(dir.length) : path);
    for (const file of this.#files) {
      const path = renamed(file.path);
      if (path === file.path) continue;
      if (file.durable) {
        if (file.claim !== null) file.claim.until = this.#now;
        file.maybe = [...file.maybe, ...file.maybe.map(renamed), path];
        file.claim = { since: this.#now, until: Infinity, paths: file.maybe, contents: [file.content], why: `directory ${dir} -> ${to}` };
        this.claims.push(file.claim);
      }
      file.path = path;
    }
    for (let i = 0; i < this.#dirs.length; i++) this.#dirs[i] = renamed(this.#dirs[i]!);
    await this.#sys.rename(V + dir, V + to);
  }
}
