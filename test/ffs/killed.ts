/**
 * Kernels that are killed: random work on a volume whose kernel has memory that outlives it (kernel/keep). At random
 * moments, also in the middle of an operation and of a recovery, the kernel is given up with what disk and memory hold
 * just then, and another one goes on with them. What it shows must be what the operations made that had been answered.
 */
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import { ffs } from '../../src/fs/ffs/index.js';
import { fsck } from '../../src/fs/ffs/tools/fsck/index.js';
import { tmpfs } from '../../src/fs/tmpfs/index.js';
import type { BlockDevice } from '../../src/kernel/blkdev.js';
import { Errno } from '../../src/kernel/errno.js';
import { O_APPEND, O_CREAT, O_RDWR, O_TRUNC } from '../../src/kernel/fcntl.js';
import { KEEP_BYTES_MIN, Keep } from '../../src/kernel/keep/keep.js';
import { RumpKernel } from '../../src/kernel/rump.js';
import { MemoryRumpuser } from '../../src/kernel/rumpuser/memory.js';
import type { RumpSys } from '../../src/kernel/sys/rumpsys.js';
import { MOUNTPOINT, manifest } from './volumes.js';
import type { Geometry } from './write-support.js';
import { newdisk } from './write-support.js';

/** Of a dying kernel: nothing more reaches the disk. */
class Killed extends Error {}

/** A disk that can be taken away from its kernel in the middle of a write. */
class Mortal implements BlockDevice {
  readonly name = 'mortal disk';
  readonly sector_bytes = 512;
  readonly readonly = false;
  dead = false;
  /** Called before each write. */
  before: (() => void) | null = null;

  constructor(readonly disk: MemoryDevice) {}

  get size_bytes(): number {
    return this.disk.size_bytes;
  }
  read(into: Uint8Array, into_offset: number, length: number, offset_bytes: number): void {
    this.disk.read(into, into_offset, length, offset_bytes);
  }
  write(from: Uint8Array, from_offset: number, length: number, offset_bytes: number): void {
    this.before?.();
    if (this.dead) throw new Killed();
    this.disk.write(from, from_offset, length, offset_bytes);
  }
  flush(): void {
    this.before?.();
    if (this.dead) throw new Killed();
  }
  discard(): void {}
  close(): void {}
  readonly immediate = true;
  room(): number {
    return Infinity;
  }
}

/** What is left when a process dies. */
interface Remains {
  readonly disk: MemoryDevice;
  readonly memory: Uint8Array;
}

interface Life extends Remains {
  readonly dev: Mortal;
  readonly keep: Keep;
  readonly kernel: RumpKernel;
  readonly sys: RumpSys;
  readonly log: string[];
}

function remains(life: { readonly disk: MemoryDevice; readonly memory: Uint8Array }): Remains {
  return { disk: life.disk.clone(), memory: life.memory.slice() };
}

async function boot(
  { disk, memory }: Remains,
  options: ReadonlyMap<string, string | true>,
  before: ((dev: Mortal) => void) | null,
): Promise<Life> {
  const dev = new Mortal(disk);
  const log: string[] = [];
  const rumpuser = new MemoryRumpuser({ now: 1_800_000_000 });
  rumpuser.rumpuser_dprintf = (level, message) => void log.push(`${level}: ${message}`);
  const keep = new Keep(memory);
  const kernel = await RumpKernel.boot({ rumpuser, components: [tmpfs, ffs], keep });
  await kernel.sys.mkdir(MOUNTPOINT, 0o755);
  if (before !== null) dev.before = () => before(dev);
  await kernel.sys.mount('ffs', MOUNTPOINT, 0, { fspec: dev, options: new Map(options) });
  dev.before = null;
  return { disk, memory, dev, keep, kernel, sys: kernel.sys, log };
}

export interface KilledOptions {
  readonly geometry: Geometry;
  readonly seed: number;
  readonly operations: number;
  /** Share of the operations at which the kernel dies. */
  readonly kills: number;
  readonly log: boolean;
  readonly disk_bytes?: number;
  /** Now and then there are more changes than the memory holds: nobody dies until they fit in again. */
  readonly outgrown?: boolean;
}

export interface KilledResult {
  readonly kills: number;
  /** Of them in the middle of an operation, and of a recovery. */
  readonly inside: number;
  readonly recovering: number;
  /** How often changes fitted in again. */
  readonly again: number;
  readonly problems: string[];
}

const NAMES = ['a', 'b', 'c', 'a name that is somewhat longer than the others', 'e', 'f'];
const DIRS = ['', '/d', '/d/dd', '/x'];

export async function killed(options: KilledOptions): Promise<KilledResult> {
  let x = options.seed >>> 0 || 1;
  const random = (n: number): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
  const problems: string[] = [];
  const mountoptions = new Map<string, string | true>(options.log ? [['log', true]] : []);
  let kills = 0;
  let inside = 0;
  let recovering = 0;
  let again = 0;
  let outgrown = false;
  let unique = 2;
  /** The two names of the last rename. */
  const renaming: [string, string] = ['', ''];

  let life = await boot(
    { disk: await newdisk(options.geometry, options.disk_bytes), memory: new Uint8Array(KEEP_BYTES_MIN) },
    mountoptions,
    null,
  );
  /** Descriptors of files without a name: their handle, and what they hold. */
  let open: { fd: number; ino: number; gen: number; content: string }[] = [];

  const path = (): string => `${MOUNTPOINT}${DIRS[random(DIRS.length)]!}/${NAMES[random(NAMES.length)]!}`;
  /** Where a server reads its requests: a write from there may be put off, if it is of whole blocks. */
  const filled = (): Uint8Array => {
    const bytes = random(3) === 0 ? 32768 * (1 + random(6)) : 1 + random(random(4) === 0 ? 200_000 : 6000);
    return life.keep.requests.subarray(0, bytes).fill(random(256));
  };
  const read = async (sys: RumpSys, fd: number): Promise<string> => {
    const bytes = new Uint8Array(300_000);
    const n = await sys.pread(fd, bytes, 0);
    return `${n}:${bytes.subarray(0, n).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 0)}`;
  };

  /** One operation, whose parts may be looked at separately only where a successor may find it half done. */
  async function operate(sys: RumpSys, what: number): Promise<void> {
    switch (what) {
      case 0: case 1: case 2: {
        const fd = await sys.open(path(), O_RDWR | O_CREAT | (random(3) === 0 ? O_TRUNC : 0), 0o644);
        await sys.close(fd);
        return;
      }
      case 3: case 4: case 5: {
        const fd = await sys.open(path(), O_RDWR | (random(2) === 0 ? O_APPEND : 0));
        try {
          await sys.pwrite(fd, filled(), random(3) === 0 ? random(100_000) : 0);
        } finally {
          await sys.close(fd);
        }
        return;
      }
      case 6: return sys.unlink(path());
      case 7: return sys.rename((renaming[0] = path()), (renaming[1] = path()));
      case 8: return sys.link(path(), path());
      case 9: return sys.mkdir(`${MOUNTPOINT}${DIRS[1 + random(DIRS.length - 1)]!}`, 0o755);
      case 10: return sys.mkdir(path(), 0o755);
      case 11: return sys.rmdir(path());
      case 12: return sys.symlink('x'.repeat(1 + random(200)), path());
      case 13: return sys.truncate(path(), random(50_000));
      case 14: return sys.chmod(path(), 0o600 + random(8));
      case 15: {
        const fd = await sys.open(path(), O_RDWR);
        try {
          await sys.fsync(fd);
        } finally {
          await sys.close(fd);
        }
        return;
      }
      default: return sys.sync();
    }
  }

  async function unlinkopen(): Promise<void> {
    const { sys } = life;
    const name = path();
    const fd = await sys.open(name, O_RDWR);
    const st = await sys.fstat(fd);
    if (st.st_nlink > 1) return sys.close(fd);
    await sys.unlink(name);
    open.push({ fd, ino: Number(st.st_ino), gen: st.st_gen, content: await read(sys, fd) });
  }

  function outgrow(): void {
    const { keep } = life;
    keep.onroom = (there) => {
      outgrown = !there;
      if (there) again++;
    };
    keep.note({
      b_offset: 0,
      b_bcount: KEEP_BYTES_MIN,
      b_data: new Uint8Array(KEEP_BYTES_MIN),
      dirty: true,
      kept: -1,
      keptlisted: false,
    });
    void keep.commit();
  }

  const tree = (sys: RumpSys): Promise<string> => manifest(sys);

  /**
   * A rename that was half done has left both names: the server ends it so (src/fuse/bridge/name.ts). False: it was
   * not.
   */
  async function completerename(sys: RumpSys): Promise<boolean> {
    const [from, to] = renaming;
    const inode = (name: string) => sys.lstat(name).then(({ st_ino }) => st_ino, () => undefined);
    if (from === to || (await inode(from)) === undefined || (await inode(from)) !== (await inode(to))) return false;
    if ((await sys.lstat(from)).st_mode >> 12 === 4) await sys.rename(from, to);
    else await sys.unlink(from);
    return true;
  }

  /** The next kernel, and what it must show. */
  async function succeed(left: Remains, wanted: readonly string[], what: string): Promise<void> {
    kills++;
    for (let attempt = 0; ; attempt++) {
      let dying: Remains | undefined;
      let writes = attempt < 2 && random(4) === 0 ? 1 + random(12) : Infinity;
      try {
        life = await boot(left, mountoptions, (dev) => {
          if (--writes > 0) return;
          dying ??= remains(left);
          dev.dead = true;
        });
        break;
      } catch (thrown) {
        if (dying === undefined) throw thrown;
        recovering++;
        left = dying;
      }
    }
    const { sys, keep, log } = life;
    const bad = log.filter((line) => !line.startsWith('info'));
    if (bad.length > 0) problems.push(`${what}: ${bad.join('; ')}`);
    const taken: typeof open = [];
    for (const file of open) {
      try {
        const fd = await sys.fhopen(
          { fh_fsid: (await sys.getfh(MOUNTPOINT)).fh_fsid, fh_fid: { fid_ino: file.ino, fid_gen: file.gen } },
          O_RDWR,
        );
        if ((await read(sys, fd)) !== file.content) {
          problems.push(`${what}: the removed file ${file.ino} holds something else`);
        }
        taken.push({ ...file, fd });
      } catch (thrown) {
        problems.push(`${what}: the removed file ${file.ino} cannot be opened: ${String(thrown)}`);
      }
    }
    open = taken;
    await keep.adopted();
    const completed = keep.halfdone(unique, 0) && (await completerename(sys));
    const found = await tree(sys);
    // What is done again is done at another time.
    const shown = (text: string): string => (completed ? text.replaceAll(/\t1800000\d+\.\d+/g, '') : text);
    if (!wanted.map(shown).includes(shown(found))) {
      problems.push(`${what}: found\n${found}instead of\n${wanted.join('or\n')}`);
    }
  }

  for (let n = 0; n < options.operations && problems.length === 0; n++) {
    if (options.outgrown === true && !outgrown && random(12) === 0) outgrow();
    const what = random(18);
    // Most of what reaches the disk does so in fsync and sync.
    const dies = !outgrown && random(1000) < options.kills * (what >= 15 ? 3000 : 1000);
    const within = dies && (what >= 15 || random(2) === 0);
    const before = within ? await tree(life.sys) : '';
    let dying: Remains | undefined;
    let writes = within ? 1 + random(6) : Infinity;
    const { keep, sys, dev } = life;
    renaming.fill('');
    dev.before = () => {
      if (--writes === 0) dying = remains(life);
    };
    unique += 2;
    keep.begin(unique, 0);
    try {
      if (what === 17 && open.length < 4 && !within) await unlinkopen();
      else await operate(sys, what);
    } catch (thrown) {
      if (!(thrown instanceof Errno)) throw thrown;
    }
    if (random(10) === 0 && open.length > 0 && !within) await sys.close(open.pop()!.fd);
    dev.before = null;
    await keep.commit({ lo: unique, hi: 0, bytes: new Uint8Array([what, 7]), length: 2 });
    if (!dies || random(2) === 0) keep.settle();
    if (!dies) continue;
    if (dying !== undefined) {
      inside++;
      const after = await tree(sys);
      // What a write, or a truncation, has done to a file in its middle is neither the one nor the other.
      const partly = [3, 4, 5, 13].includes(what);
      await succeed(dying, partly ? [] : [before, after], `operation ${n} (${what}), killed inside`);
      if (partly) problems.splice(0, problems.length, ...problems.filter((problem) => !problem.includes('instead of')));
    } else {
      await succeed(remains(life), [await tree(sys)], `operation ${n} (${what}), killed after it`);
    }
  }
  if (problems.length > 0) return { kills, inside, recovering, again, problems };
  for (const { fd } of open) await life.sys.close(fd);
  await life.sys.unmount(MOUNTPOINT);
  await life.kernel.halt();
  const report = await fsck(life.disk);
  for (const { code, message } of report.problems) problems.push(`at the end: ${code} ${message}`);
  if (!report.clean) problems.push('at the end: not clean');
  if (new Keep(life.memory).inherited) problems.push('at the end: something is left for a successor');
  return { kills, inside, recovering, again, problems };
}
