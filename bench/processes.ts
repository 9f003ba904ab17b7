import { readFileSync, readdirSync } from 'node:fs';

/** Every process started for a mount carries this variable in its environment; its value is the mount point. */
export const MARK = 'RUMPFUSE_BENCH_MOUNT';

export interface Memory {
  /** Processes of the file server. */
  processes: number;
  /** Resident set sizes added up; a page that two processes share counts twice. Bytes. */
  rss: number;
  /** The same with shared pages divided among those who share them. Bytes. */
  pss: number;
  /** Highest resident set size of each process so far, added up. Bytes. */
  peak: number;
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

function kilobytes(text: string, field: string): number {
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
}

/** The processes that serve a mount: those with the mark or the mount point's name, and all their descendants. */
export function serverProcesses(directory: string): number[] {
  const pids = readdirSync('/proc').map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const parent = new Map<number, number>();
  const found = new Set<number>();
  for (const pid of pids) {
    const stat = read(pid, 'stat');
    parent.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    if (
      read(pid, 'environ').split('\0').includes(`${MARK}=${directory}`) ||
      read(pid, 'cmdline').split('\0').includes(directory)
    ) {
      found.add(pid);
    }
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const [pid, ppid] of parent) if (found.has(ppid)) found.add(pid);
  }
  return [...found];
}

export function memoryOf(pids: readonly number[]): Memory {
  const memory: Memory = { processes: 0, rss: 0, pss: 0, peak: 0 };
  for (const pid of pids) {
    const status = read(pid, 'status');
    const rss = kilobytes(status, 'VmRSS');
    if (rss === 0) continue;
    memory.processes++;
    memory.rss += rss;
    memory.peak += kilobytes(status, 'VmHWM');
    memory.pss += kilobytes(read(pid, 'smaps_rollup'), 'Pss');
  }
  return memory;
}

/** Ends what still serves a mount that is gone. */
export function endServers(directory: string): void {
  for (const pid of serverProcesses(directory)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended by itself meanwhile.
    }
  }
}
