import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout; the tests run compiled from a folder below it. */
export const ROOT = (() => {
  let dir = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(dir, 'package-lock.json'))) dir = path.dirname(dir);
  return dir;
})();

export const RUMPFUSE = path.join(ROOT, 'bin/rumpfuse');

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Only for what hangs: no verdict is to depend on the speed of the machine. Milliseconds. */
export const FAR_MS = 900_000;

/** Runs a program to its end, or kills it after `timeout_ms`. */
export function run(
  program: string,
  args: readonly string[],
  options: { timeout_ms?: number; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd !== undefined ? { cwd: options.cwd } : {}),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout_ms ?? FAR_MS);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}

export function rumpfuse(...args: string[]): Promise<Outcome> {
  return run(RUMPFUSE, args);
}

/** Why no real mount can be made here, or undefined. */
export const noMount: string | undefined = !existsSync('/dev/fuse')
  ? '/dev/fuse is not there'
  : process.getuid?.() !== 0
    ? 'only root mounts in this test'
    : undefined;

/** A folder for images and mount points that is emptied and unmounted at the end. */
export class Workplace {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'rumpfuse-cli-'));

  path(name: string): string {
    return path.join(this.dir, name);
  }
  folder(name: string): string {
    mkdirSync(this.path(name), { recursive: true });
    return this.path(name);
  }
  file(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }
  async end(): Promise<void> {
    for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
      const mountpoint = line.split(' ')[4] ?? '';
      if (mountpoint.startsWith(`${this.dir}/`)) await run('umount', ['-l', mountpoint]);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
