/**
 * A random workload on a recording disk, with the promises that it earns on the way: which content must be under which
 * name after a power cut at any later moment, as long as nobody touches the file.
 */
import { FaultDevice } from '../devices/fault.js';
import type { DiskEvent } from '../devices/fault.js';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { O_CREAT, O_RDWR } from '../../src/kernel/fcntl.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { NAMEMAX } from '../matrix/fs.js';
import { dice } from '../../test/ffs/dice.js';
import { pattern } from '../../test/ffs/write-support.js';
import type { Variant } from '../variants/variant.js';
import { MOUNTPOINT as V } from '../mounted.js';
import { mountVolume } from '../variants/volume.js';

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
  /** It took another file's name, which holds one or the other since. */
  took: Claim | null;
}

/** Bytes that all files together may have: the disk is so small that what is freed is soon used again. */
const ROOM = 250_000;

/** The names on the volume after an operation: a volume that logs has, after a cut, one of these. */
export interface Namespace {
  /** Events that had happened when the operation began and when it was over. */
  readonly from: number;
  readonly at: number;
  /** Paths, sorted, one a line. */
  readonly names: string;
  /** Whether the disk has it then. */
  readonly durable: boolean;
}

export interface Workload {
  readonly events: readonly DiskEvent[];
  readonly claims: readonly Claim[];
  readonly namespaces: readonly Namespace[];
  readonly trace: readonly string[];
}

export interface WorkloadOptions {
  /** MNT_* flags of the mount. */
  readonly flags?: number;
  /** Also files without a name that stay open, and large ones. */
  readonly orphans?: boolean;
}

/** Runs `steps` steps on `disk` and unmounts. */
export async function workload(
  variant: Variant,
  disk: MemoryDevice,
  seed: number,
  steps: number,
  options: WorkloadOptions = {},
): Promise<Workload> {
  const dev = new FaultDevice(disk, { record: true });
  const vol = await mountVolume(variant, dev, options.flags ?? 0);
  const run = new Run(
    vol.sys,
    dev,
    dice(Math.imul(seed, 2654435761) + 12345),
    kindsOf(variant, options.orphans ?? false),
    variant.namemax ?? NAMEMAX,
  );
  run.namespaces.push({ from: 0, at: 0, names: '', durable: true });
  const { spare_bytes } = variant.powercut!;
  if (spare_bytes !== undefined) await run.crowd(spare_bytes);
  for (let i = 0; i < steps; i++) await run.step();
  const { events } = dev;
  const counted = events.length;
  await run.end();
  await vol.close();
  const complaints = vol.log.filter((line) => !line.includes('-o async'));
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  for (const claim of run.claims) claim.until = Math.min(claim.until, counted);
  return { events, claims: run.claims, namespaces: run.namespaces, trace: run.trace };
}

const KINDS = [
  'create',
  'create',
  'create',
  'append',
  'overwrite',
  'truncate',
  'recycle',
  'recycle',
  'recycle',
  'unlink',
  'unlink',
  'rename',
  'rename',
  'rename',
  'replace',
  'replace',
  'linkunlink',
  'mkdir',
  'rmdir',
  'movedir',
  'fsync',
  'fsync',
  'fsync',
  'sync',
];

/** What the steps may be; more often where it stands twice. */
function kindsOf({ features }: Variant, orphans: boolean): readonly string[] {
  const kinds = orphans ? [...KINDS, 'orphan', 'orphan', 'orphanwrite', 'orphanclose', 'large'] : KINDS;
  return features.includes('hardlinks') ? kinds : kinds.filter((kind) => kind !== 'linkunlink');
}

class Run {
  readonly claims: Claim[] = [];
  readonly trace: string[] = [];
  readonly #sys: RumpSys;
  readonly #dev: FaultDevice;
  readonly #roll: (sides: number) => number;
  /** Bytes. */
  readonly #namemax: number;
  readonly #files: File[] = [];
  readonly #dirs: string[] = [''];
  /** Directories renamed since everything was on the disk: old and new path. */
  #moves: [string, string][] = [];
  readonly namespaces: Namespace[] = [];
  /** Open files without a name. */
  readonly #orphans: number[] = [];
  readonly #kinds: readonly string[];
  #serial = 0;

  constructor(
    sys: RumpSys,
    dev: FaultDevice,
    roll: (sides: number) => number,
    kinds: readonly string[],
    namemax: number,
  ) {
    this.#namemax = namemax;
    this.#sys = sys;
    this.#dev = dev;
    this.#roll = roll;
    this.#kinds = kinds;
  }

  /** Remembers the names as they are now, `extra` besides. */
  note(from: number, durable: boolean, extra?: string): void {
    const names = [...this.#files.map((f) => f.path), ...this.#dirs];
    if (extra !== undefined) names.push(extra);
    this.namespaces.push({ from, at: this.#now, names: names.sort().join('\n'), durable });
  }

  async end(): Promise<void> {
    for (const fd of this.#orphans) await this.#sys.close(fd);
  }

  get #now(): number {
    return this.#dev.events.length;
  }

  get #total(): number {
    return this.#files.reduce((sum, file) => sum + file.content.length, 0);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#roll(list.length)];
  }

  /** Short and long names, so that chunks fill and are reused. */
  #name(kind: string): string {
    const name = `${kind}${this.#serial++}${'x'.repeat(this.#roll(3) * 40)}`.slice(0, this.#namemax);
    return `${this.#pick(this.#dirs)!}/${name}`;
  }

  /** Other promises take the place of those of the file. */
  #ended(file: File): void {
    if (file.claim !== null) file.claim.until = this.#now;
    if (file.took !== null) file.took.until = this.#now;
    file.took = null;
  }

  /** The file changes now: what was promised of it ends before the first write of the change. */
  #touched(file: File): void {
    this.#ended(file);
    file.claim = null;
    file.durable = false;
  }

  /** Everything that is known to be on the disk now is promised. */
  #promise(file: File, why: string): void {
    this.#ended(file);
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

  /** Fills the disk but for so many bytes. */
  async crowd(spare_bytes: number): Promise<void> {
    const st = await this.#sys.statvfs(V);
    const much = st.f_bavail * st.f_frsize - spare_bytes;
    if (much > 0) await this.#open('/crowd', (fd) => this.#sys.write(fd, new Uint8Array(much).fill(1)));
    await this.#sys.sync();
  }

  async step(): Promise<void> {
    const kind = this.#kinds[this.#roll(this.#kinds.length)]!;
    const at = this.#now;
    let what: string;
    try {
      what = await this.#do(kind);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(`${kind} fails: ${why}; before it:\n${this.trace.slice(-5).join('\n')}`, { cause: thrown });
    }
    if (what === '') return;
    this.trace.push(`${at}: ${kind} ${what}`);
    this.note(at, kind === 'fsync' || kind === 'sync');
  }

  async #do(kind: string): Promise<string> {
    const sys = this.#sys;
    const file = this.#pick(this.#files);
    switch (kind) {
      case 'create': {
        if (this.#total > ROOM) return '';
        const path = this.#name('f');
        const content = pattern(this.#roll(6) === 0 ? this.#roll(120_000) : this.#roll(6000), this.#serial);
        this.note(this.#now, false, path);
        await this.#open(path, (fd) => sys.write(fd, content));
        this.#files.push({ path, content, durable: false, maybe: [], claim: null, took: null });
        return `${path} ${content.length}`;
      }
      case 'append': {
        if (file === undefined || this.#total > ROOM) return '';
        this.#touched(file);
        const more = pattern(this.#roll(20_000), this.#serial++);
        await this.#open(file.path, (fd) => sys.pwrite(fd, more, file.content.length));
        file.content = Buffer.concat([file.content, more]);
        return `${file.path} +${more.length}`;
      }
      case 'overwrite': {
        if (file === undefined || file.content.length === 0) return '';
        this.#touched(file);
        const from = this.#roll(file.content.length);
        const bytes = pattern(Math.min(this.#roll(9000), file.content.length - from), this.#serial++);
        await this.#open(file.path, (fd) => sys.pwrite(fd, bytes, from));
        file.content = Uint8Array.from(file.content); // a slice of a Buffer would share its bytes
        file.content.set(bytes, from);
        return `${file.path} ${from}..${from + bytes.length}`;
      }
      case 'truncate': {
        if (file === undefined) return '';
        this.#touched(file);
        const length = this.#roll(file.content.length + 3000);
        await sys.truncate(V + file.path, length);
        const content = new Uint8Array(length);
        content.set(file.content.subarray(0, length));
        file.content = content;
        return `${file.path} ${length}`;
      }
      case 'recycle': {
        // What one file lets go of is just what another, elsewhere, asks for.
        if (file === undefined || file.content.length < 2000) return '';
        this.#touched(file);
        const length = this.#roll(1000);
        await sys.truncate(V + file.path, length);
        const content = pattern(file.content.length - length, this.#serial);
        file.content = Uint8Array.from(file.content.subarray(0, length));
        const path = this.#name('c');
        await this.#open(path, (fd) => sys.write(fd, content));
        this.#files.push({ path, content, durable: false, maybe: [], claim: null, took: null });
        return `${file.path} ${length} ${path} ${content.length}`;
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
        this.note(this.#now, false, to);
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
      case 'orphan': {
        if (file === undefined || this.#orphans.length > 6) return '';
        this.#touched(file);
        this.#files.splice(this.#files.indexOf(file), 1);
        this.#orphans.push(await sys.open(V + file.path, O_RDWR));
        await sys.unlink(V + file.path);
        return file.path;
      }
      case 'orphanwrite': {
        const fd = this.#pick(this.#orphans);
        if (fd === undefined) return '';
        await sys.pwrite(fd, pattern(this.#roll(60_000), this.#serial++), this.#roll(200_000));
        return String(fd);
      }
      case 'orphanclose': {
        const fd = this.#orphans.shift();
        if (fd === undefined) return '';
        await sys.close(fd);
        return String(fd);
      }
      case 'large': {
        if (file === undefined) return '';
        this.#touched(file);
        const from = this.#roll(400_000);
        const bytes = pattern(this.#roll(200_000), this.#serial++);
        await this.#open(file.path, (fd) => sys.pwrite(fd, bytes, from));
        const content = new Uint8Array(Math.max(file.content.length, from + bytes.length));
        content.set(file.content);
        content.set(bytes, from);
        file.content = content;
        return `${file.path} ${from}..${from + bytes.length}`;
      }
      case 'fsync': {
        if (file === undefined) return '';
        await this.#open(file.path, (fd) => sys.fsync(fd));
        this.#moves = [];
        this.#promise(file, `fsync of ${file.path}`);
        return file.path;
      }
      case 'sync':
        await sys.sync();
        this.#moves = [];
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
    const { content } = file;
    this.#ended(file);
    if (!file.durable) return;
    file.maybe = [...file.maybe, ...this.#aliases(to)];
    file.claim = {
      since: this.#now,
      until: Infinity,
      paths: file.maybe,
      contents: [content],
      why: `rename ${file.maybe.join(' -> ')}`,
    };
    this.claims.push(file.claim);
  }

  /** A path, and what it is if the disk still has older names of directories in it. */
  #aliases(path: string): string[] {
    const all = new Set([path]);
    for (const [from, to] of [...this.#moves].reverse()) {
      for (const one of [...all])
        if (one.startsWith(`${to}/`)) {
          all.add(from + one.slice(to.length));
        }
    }
    return [...all];
  }

  async #replace(file: File, target: File): Promise<string> {
    const from = file.path;
    // The name that was on the disk holds the one or the other file from now on.
    const took: Claim | null =
      target.durable && target.maybe.length === 1
        ? {
            since: this.#now,
            until: Infinity,
            paths: [target.path],
            contents: [target.content, file.content],
            why: `replacement of ${target.path} by ${from}`,
          }
        : null;
    this.#touched(target);
    this.#moving(file, target.path);
    await this.#sys.rename(V + from, V + target.path);
    if (took !== null) this.claims.push(took);
    file.took = took;
    this.#files.splice(this.#files.indexOf(target), 1);
    file.path = target.path;
    return `${from} over ${target.path}`;
  }

  async #movedir(dir: string, to: string): Promise<void> {
    const renamed = (path: string): string =>
      path === dir || path.startsWith(`${dir}/`) ? to + path.slice(dir.length) : path;
    // The disk may have either name of it, below either name of any directory above.
    const [froms, tos] = [this.#aliases(dir), this.#aliases(to)];
    for (const file of this.#files) {
      if (file.took !== null && file.took.paths[0]!.startsWith(`${dir}/`)) {
        file.took.until = this.#now;
        file.took = null;
      }
      const all = new Set(file.maybe);
      for (const path of file.maybe) {
        for (const from of froms)
          if (path.startsWith(`${from}/`)) {
            for (const one of tos) {
              all.add(one + path.slice(from.length));
            }
          }
      }
      const maybe = [...all];
      if (file.durable && maybe.length > file.maybe.length) {
        if (file.claim !== null) file.claim.until = this.#now;
        file.maybe = maybe;
        file.claim = {
          since: this.#now,
          until: Infinity,
          paths: file.maybe,
          contents: [file.content],
          why: `directory ${dir} -> ${to}`,
        };
        this.claims.push(file.claim);
      }
      file.path = renamed(file.path);
    }
    for (let i = 0; i < this.#dirs.length; i++) this.#dirs[i] = renamed(this.#dirs[i]!);
    this.#moves.push([dir, to]);
    await this.#sys.rename(V + dir, V + to);
  }
}
