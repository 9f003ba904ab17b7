import { spawnSync } from 'node:child_process';

/** A command failed, or did not end in its time. */
export class CommandError extends Error {}

/** Runs a command to its end, at most `seconds`. Its output counts only when it fails. @throws CommandError */
export function run(
  command: string,
  args: readonly string[],
  seconds: number,
  env: NodeJS.ProcessEnv = process.env,
): string {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.status === 0) return result.stdout;
  const why = result.error?.message ?? (result.signal ? `ended by ${result.signal}` : `exit status ${result.status}`);
  throw new CommandError(
    `${[command, ...args].join(' ')}: ${why}${result.stderr ? `: ${result.stderr.trim().slice(-400)}` : ''}`,
  );
}

/** Is there such a program on the PATH? */
export function onPath(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { stdio: 'ignore' }).status === 0;
}

/** Blocks this process. */
export function sleep(seconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}
