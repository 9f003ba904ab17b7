/** Mounts and unmounts one volume again and again, and looks at what is left on the host. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordDirectory } from '../../src/cli/mounts.js';
import type { MountRecord } from '../../src/cli/mounts.js';
import type { Workplace } from '../../test/cli/support.js';
import { rumpfuse, run } from '../../test/cli/support.js';
import { alive, descendants } from '../survive/processes.js';

/** Of the host, KiB. */
interface Memory {
  readonly available: number;
  readonly shared: number;
  /** The kernel's, which it cannot give up. */
  readonly unreclaimable: number;
}

export interface Figures {
  readonly mounts: number;
  readonly seconds: number;
  /** Of a mount and of an unmount, milliseconds, ascending. */
  readonly mount_ms: readonly number[];
  readonly umount_ms: readonly number[];
  /** What did not go as it must. */
  readonly failures: readonly string[];
  /** Unmounts that had to wait for somebody else's mount namespace, made while the volume was mounted. */
  readonly held_elsewhere: number;
  /** What is there that was not there before; empty lists if all is well. */
  readonly left: Readonly<Record<'mounts' | 'records' | 'processes' | 'connections', readonly string[]>>;
  /** The host shows its FUSE connections (fusectl is mounted). */
  readonly shows_connections: boolean;
  readonly before: Memory;
  readonly after: Memory;
}

/** A stand-by is started a second after the mount: now and then one is waited for, milliseconds. */
const STANDBY_EVERY = 8;
const STANDBY_MS = 1600;
/** What umount says then: no fault of the mount's, and on a busy host there is always somebody who makes one. */
const HELD_ELSEWHERE =
  /^rumpfuse: .* is unmounted here, but process \d+ is in a mount namespace that has it still .*\n/gm;
const CONNECTIONS = '/sys/fs/fuse/connections';

function read(name: string): string {
  try {
    return readFileSync(name, 'latin1');
  } catch {
    return ''; // the process has ended
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function links(dir: string): string[] {
  return list(dir).flatMap((name) => {
    try {
      return [readlinkSync(`${dir}/${name}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** A number alone may be another process's by now. */
function identity(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
}

/**
 * Processes that name `dir` in their arguments, hold a file below it open, or are among `seen`. The test's own is none
 * of them.
 */
function users(dir: string, seen: ReadonlySet<string>): string[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      const held = links(`/proc/${pid}/fd`)
        .filter((target) => target.startsWith(`${dir}/`))
        .map((target) => `${pid} holds ${target}`);
      return command.includes(`${dir}/`) || (seen.has(identity(Number(pid))) && alive(Number(pid)))
        ? [`${pid}: ${command}`, ...held]
        : held;
    });
}

function mountinfo(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
}

/** Lines of mountinfo that name `dir`. */
function mountsBelow(dir: string): string[] {
  return mountinfo().filter((line) => line.includes(` ${dir}/`));
}

/** Of the mount in a line of mountinfo ("40 22 0:52 / ..."): its device is anonymous, the minor number tells it. */
function minorOf(line: string): string | undefined {
  return line.split(' ')[2]?.split(':')[1];
}

function memory(): Memory {
  const of = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(read('/proc/meminfo'))?.[1] ?? NaN);
  return { available: of('MemAvailable'), shared: of('Shmem'), unreclaimable: of('SUnreclaim') };
}

/**
 * What the mounts of one run are known by on the host, besides their folder: only what belongs to them is looked at.
 */
class Traces {
  /** In the directory of records: the mounts' own, and their logs, which have no name to go by. */
  private readonly files = new Set<string>();
  private readonly minors = new Set<string>();
  private readonly processes = new Set<string>();
  shows_connections = false;

  constructor(private readonly dir: string) {}

  /** Notes those of the mount that is there now. @returns its supervisor; undefined: it is not on record */
  mounted(): number | undefined {
    for (const line of mountsBelow(this.dir)) this.minors.add(minorOf(line)!);
    this.shows_connections ||= list(CONNECTIONS).some((name) => this.minors.has(name));
    let supervisor: number | undefined;
    for (const name of this.records()) {
      const { log, standing, pid } = JSON.parse(read(path.join(recordDirectory(), name))) as MountRecord;
      for (const file of [name, log, standing]) if (file !== undefined) this.files.add(path.basename(file));
      supervisor = pid;
    }
    return supervisor;
  }

  /** Notes the processes that serve it. */
  served(supervisor: number): void {
    for (const { pid } of [{ pid: supervisor }, ...descendants(supervisor)]) this.processes.add(identity(pid));
  }

  left(): Figures['left'] {
    const records = this.records();
    const live = mountinfo().map(minorOf);
    return {
      mounts: mountsBelow(this.dir),
      // The host gives numbers of devices out again: what is named after one may be somebody else's.
      records: list(recordDirectory()).filter(
        (name) => this.files.has(name) && (!name.endsWith('.json') || records.includes(name)),
      ),
      processes: users(this.dir, this.processes),
      connections: list(CONNECTIONS).filter((name) => this.minors.has(name) && !live.includes(name)),
    };
  }

  private records(): string[] {
    return list(recordDirectory()).filter(
      (name) => name.endsWith('.json') && read(path.join(recordDirectory(), name)).includes(`${this.dir}/`),
    );
  }
}

/** `progress` is called after each. Other mounts may come and go meanwhile. */
export async function mountAgainAndAgain(
  place: Workplace,
  mounts: number,
  type = 'ffs',
  progress: (done: number) => void = () => {},
): Promise<Figures> {
  const image = place.path('img');
  const mnt = place.folder('mnt');
  const failures: string[] = [];
  let held_elsewhere = 0;
  const must = async (what: string, outcome: ReturnType<typeof run>) => {
    const { status, stderr: said } = await outcome;
    const stderr = said.replace(HELD_ELSEWHERE, '');
    if (stderr !== said) held_elsewhere++;
    if (status !== 0 || stderr !== '') failures.push(`${what}: exit status ${status}: ${stderr.trim()}`);
  };
  const traces = new Traces(place.dir);
  const mount_ms: number[] = [];
  const umount_ms: number[] = [];
  await must('newfs', rumpfuse('newfs', '-t', type, '-s', '8m', image));
  const before = memory();
  const started = performance.now();
  for (let i = 1; i <= mounts; i++) {
    const mounting = performance.now();
    await must(`mount ${i}`, rumpfuse('mount', image, mnt));
    mount_ms.push(performance.now() - mounting);
    const supervisor = traces.mounted();
    await must(
      `use ${i}`,
      run('sh', ['-c', 'mkdir d && echo text > d/f && ls -l d >/dev/null && rm -r d'], { cwd: mnt }),
    );
    if (i % STANDBY_EVERY === 0) await sleep(STANDBY_MS);
    if (supervisor === undefined) failures.push(`mount ${i}: not on record`);
    else traces.served(supervisor);
    const unmounting = performance.now();
    await must(`umount ${i}`, rumpfuse('umount', mnt));
    umount_ms.push(performance.now() - unmounting);
    progress(i);
  }
  const seconds = (performance.now() - started) / 1000;
  const after = memory();
  await must('fsck', rumpfuse('fsck', image));
  return {
    mounts,
    seconds,
    failures,
    held_elsewhere,
    before,
    after,
    shows_connections: traces.shows_connections,
    left: traces.left(),
    mount_ms: mount_ms.sort((a, b) => a - b),
    umount_ms: umount_ms.sort((a, b) => a - b),
  };
}
