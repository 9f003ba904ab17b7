import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Load } from './load.js';

/** Gives orders to the client process (client-main.ts), each with a time limit. */
export class Client {
  private child: ChildProcess | undefined;

  /** Carries out one item of the load; `onTimeout` must free a client that hangs in a system call. Answers seconds. */
  async run<K extends keyof Load>(
    seconds: number,
    onTimeout: () => void,
    name: K,
    ...args: Parameters<Load[K]>
  ): Promise<number> {
    const child = (this.child ??= fork(fileURLToPath(new URL('client-main.js', import.meta.url)), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }));
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        act();
      };
      const onMessage = (answer: unknown) => {
        const { seconds, error } = answer as { seconds: number; error?: string };
        finish(() => (error === undefined ? resolve(seconds) : reject(new Error(`${name}: ${error}`))));
      };
      const onExit = () => {
        this.child = undefined;
        finish(() => reject(new Error(`${name}: the client process ended`)));
      };
      const timer = setTimeout(() => {
        finish(() => reject(new Error(`${name}: not done after ${seconds} s`)));
        this.child = undefined;
        child.kill('SIGKILL');
        onTimeout();
      }, seconds * 1000);
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.send({ name, args });
    });
  }

  end(): void {
    this.child?.disconnect();
    this.child = undefined;
  }
}
