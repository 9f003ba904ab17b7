/** The processes of a mount, as the host sees them. */
import { readFileSync, readdirSync } from 'node:fs';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly title: string;
}

function all(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): Process[] => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z') return [];
        return [
          {
            pid: Number(name),
            parent: Number(parent),
            title: readFileSync(`/proc/${name}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' '),
          },
        ];
      } catch {
        return [];
      }
    });
}

/** Everything that a process has started, and what that has started. */
export function descendants(pid: number): { pid: number; title: string }[] {
  const list = all();
  const found = new Set([pid]);
  for (let before = 0; before !== found.size;) {
    before = found.size;
    for (const process of list) if (found.has(process.parent)) found.add(process.pid);
  }
  found.delete(pid);
  return list.filter((process) => found.has(process.pid));
}

export interface Family {
  /** At work. */
  readonly server: number | undefined;
  /** Waiting, or getting ready. */
  readonly others: readonly number[];
}

export function familyOf(supervisor: number, mountpoint: string): Family {
  const family = descendants(supervisor).filter(
    ({ title }) => title.startsWith('rumpfuse: ') || title.startsWith(process.execPath),
  );
  return {
    server: family.find(({ title }) => title === `rumpfuse: ${mountpoint}`)?.pid,
    others: family.filter(({ title }) => title !== `rumpfuse: ${mountpoint}`).map(({ pid }) => pid),
  };
}

/** At work: one that has ended and waits for its parent to notice is not. */
export function alive(pid: number): boolean {
  return all().some((process) => process.pid === pid);
}
