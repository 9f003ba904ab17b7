/**
 * The servers of one mount, one after the other. When the one at work dies, the next one goes on: a stand-by, which has
 * everything behind it but the look at the disk, or one that is started then.
 *
 *   SERVING   a server is at work; a while later a stand-by is started beside it
 *     ->RECOVERING it has died, and its process is gone. The next server is told `go`, takes over what its predecessor
 *       left,
 *                     and says `ready`. -> SERVING; or it dies, too, and so on
 *     -> FINISHING    it has died after the mount had ended: the next one only writes what is left to be written
 *     -> ENDED        the mount has ended and everything is written; or nobody can go on, and nobody ever will
 */
import type { MountStanding } from '../messages.js';
import type { Layer } from '../sandbox/layers.js';
import type { Server } from '../sandbox/start.js';
import type { MemoryFile } from './memory-file.js';

/** So many servers in a row that die without having answered one request are enough. */
const TRIES = 5;
/**
 * So long after the mount the first stand-by is started, milliseconds, or so many times as long: programs come first.
 */
const STANDBY_FIRST_MS = 1000;
const STANDBY_FIRST_TIMES = 5;
/** More requests in that time are a program at work. */
const BUSY = 1000;
/** One that cannot even stand is tried again ever more rarely. */
const STANDBY_RETRY_MS = 50;
const STANDBY_RETRY_MAX_MS = 60_000;
/** Nobody takes longer than that to take over, milliseconds. */
const RECOVERY_MS = 60_000;
/** Deaths that are all told of; from then on only some. */
const TOLD_MAX = 20;
/** It tried what its confinement forbids: somebody else has taken it over, and wrote what it left. */
const TAKEN_OVER = 'SIGSYS';

export interface SuccessionOptions {
  readonly mountpoint: string;
  /** Starts a server that waits for `go`. */
  readonly heir: () => Promise<Server>;
  readonly memory: MemoryFile;
  readonly standby: boolean;
  /** The host has the mount still. */
  readonly connected: () => boolean;
  /** A server that waits is as confined as the mount demands. @throws Error why not. `said`: by itself */
  readonly admit: (server: Server, said: readonly Layer[]) => void;
  readonly say: (level: 'warn' | 'error', message: string) => void;
  readonly changed: (standing: MountStanding) => void;
  /** A server asks for the mount to be ended. */
  readonly unmount: () => void;
}

/** A server that is getting ready to go on. */
interface Heir {
  readonly server: Server;
  /** False: it has died before. */
  readonly standing: Promise<boolean>;
}

export class Succession {
  restarts = 0;
  /** Why the server at work is being killed, where it was not its own doing. */
  verdict: string | undefined;
  private heir: Heir | undefined;
  private timer: NodeJS.Timeout | undefined;
  private retry_ms = STANDBY_RETRY_MS;
  private ended = false;
  private turned_readonly = false;
  /** Changes are more than the memory holds. */
  private outgrown = false;
  private outgrown_told = false;
  private onPong: () => void = () => {};

  /** `server` is at work. */
  constructor(public server: Server, private readonly options: SuccessionOptions) {
    this.listen(server);
    this.planFirst(STANDBY_FIRST_TIMES);
  }

  /** Calls `pong` when the server at work answers. */
  ping(pong: () => void): void {
    this.onPong = pong;
    this.server.send({ type: 'ping' });
  }

  /** Resolves when the mount has ended: with 0 if everything is on the disk, else with how the last server ended. */
  async run(): Promise<number | string> {
    const { memory, connected } = this.options;
    let before: number | undefined;
    let tries = 0;
    for (;;) {
      const how = await this.server.exit;
      const died = performance.now();
      const finish = !connected();
      const { progress, closed } = memory.look();
      // One that has ended in order has seen the end of the connection, whatever the host says of it (an abort by
      // fusectl).
      if (closed && how === 0) return this.end(0);
      if (finish && (how === 0 || closed)) return this.end(0);
      tries = progress === before ? tries + 1 : 1;
      before = progress;
      // One that ends in order because it cannot write has said why; another one will hardly fare better.
      const useless = finish && typeof how === 'number' && tries > 1;
      if (how === TAKEN_OVER || tries > TRIES || useless) return this.end(how);
      const heir = await this.next();
      if (heir === undefined) return this.end(how);
      this.server = heir;
      this.listen(heir);
      const going = finish ? this.finish(heir) : this.go(heir);
      // While it takes over, programs wait, and leave the processors to others.
      if (!finish) this.plan(0);
      const ready = await going;
      this.restarts++;
      this.tell(this.verdict ?? String(how), ready ? performance.now() - died : undefined, finish);
      this.verdict = undefined;
      this.changed();
    }
  }

  private async finish(heir: Server): Promise<boolean> {
    heir.send({ type: 'go', finish: true });
    return false;
  }

  /** Tells an heir to take over; true when it serves. */
  private go(heir: Server): Promise<boolean> {
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.verdict = `it did not take over within ${RECOVERY_MS / 1000} s`;
        heir.kill();
      }, RECOVERY_MS);
      const done = (ready: boolean) => {
        clearTimeout(late);
        resolve(ready);
      };
      this.listen(heir, () => done(true));
      void heir.exit.then(() => done(false));
      heir.send({ type: 'go', finish: false });
    });
  }

  private listen(server: Server, ready: () => void = () => {}): void {
    let failed = false;
    server.onMessage = (message) => {
      switch (message.type) {
        case 'unmount': return this.options.unmount();
        case 'failed':
          // Said once, and by each server that there was at most TOLD_MAX times.
          if (!failed && this.restarts <= TOLD_MAX) this.options.say('error', message.message);
          failed = true;
          return;
        case 'pong': return this.onPong();
        case 'ready': return ready();
        case 'readonly':
          if (this.turned_readonly) return;
          this.turned_readonly = true;
          return this.changed();
        case 'room':
          if (this.outgrown === !message.there) return;
          this.outgrown = !message.there;
          // Once is enough to be said: `info` shows it, too.
          if (!this.outgrown_told) {
            this.options.say(
              'warn',
              `changes to ${this.options.mountpoint} that are not on the disk yet have outgrown the memory for them: ` +
                'until they are, the death of its server would end the mount',
            );
          }
          this.outgrown_told = true;
          return this.changed();
        default:
      }
    };
  }

  private tell(why: string, pause_ms: number | undefined, finish: boolean): void {
    const { restarts } = this;
    if (restarts > TOLD_MAX && (restarts & (restarts - 1)) !== 0) return;
    const now = finish
      ? 'another one writes what is left'
      : pause_ms === undefined
        ? 'so did the next one'
        : `another one goes on after ${pause_ms.toFixed(0)} ms`;
    this.options.say(
      'warn',
      `the file system server of ${this.options.mountpoint} died (${why}); ` +
        `${now}${restarts > 1 ? `; death ${restarts}` : ''}`,
    );
  }

  private changed(): void {
    const server_pid = this.server.pid();
    const standby_pid = this.heir?.server.pid();
    this.options.changed({
      restarts: this.restarts,
      ...(server_pid !== undefined ? { server_pid } : {}),
      ...(standby_pid !== undefined ? { standby_pid } : {}),
      ...(this.turned_readonly ? { turned_readonly: true as const } : {}),
      ...(this.outgrown ? { outgrown: true as const } : {}),
    });
  }

  // ---- who comes next

  /**
   * A server that waits for `go`: the stand-by, if there is one that lives, or a new one. undefined: none can be
   * started.
   */
  private async next(): Promise<Server | undefined> {
    clearTimeout(this.timer);
    for (let tries = 0; tries < TRIES && !this.ended; tries++) {
      const heir = (this.heir ??= await this.start());
      if (heir === undefined) return undefined;
      const standing = await heir.standing;
      this.heir = undefined;
      if (standing) return heir.server;
    }
    return undefined;
  }

  private plan(ms: number): void {
    if (!this.options.standby) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.standBy(), ms);
  }

  /** The processors that a server takes to start are missed by whoever unpacks an archive just now. */
  private planFirst(times: number): void {
    const { memory, standby } = this.options;
    if (!standby) return;
    const before = memory.look().progress;
    this.timer = setTimeout(() => {
      if (times > 1 && ((memory.look().progress - before) >>> 0) > BUSY) this.planFirst(times - 1);
      else void this.standBy();
    }, STANDBY_FIRST_MS);
  }

  private starting: Promise<Heir | undefined> | undefined;

  private async standBy(): Promise<void> {
    const heir = (this.heir ??= await this.start());
    if (heir === undefined) return;
    const standing = await heir.standing;
    if (this.heir !== heir) return; // at work already
    if (standing) {
      this.retry_ms = STANDBY_RETRY_MS;
      this.changed();
      await heir.server.exit;
      if (this.heir !== heir) return;
    } else {
      this.retry_ms = Math.min(2 * this.retry_ms, STANDBY_RETRY_MAX_MS);
    }
    this.heir = undefined;
    if (!this.ended) this.plan(this.retry_ms);
  }

  /** Never two at a time. */
  private start(): Promise<Heir | undefined> {
    return (this.starting ??= this.startOne().finally(() => (this.starting = undefined)));
  }

  private async startOne(): Promise<Heir | undefined> {
    let server: Server;
    try {
      server = await this.options.heir();
    } catch (error) {
      this.options.say(
        'warn',
        `no server can be started to stand by: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    }
    if (this.ended) {
      server.kill();
      await server.exit;
      return undefined;
    }
    const standing = new Promise<boolean>((resolve) => {
      server.onMessage = (message) => {
        if (message.type !== 'standing') return;
        try {
          this.options.admit(server, message.layers);
          resolve(true);
        } catch (error) {
          this.options.say(
            'warn',
            `a server that should stand by is not confined as the mount demands: ` +
              `${error instanceof Error ? error.message : String(error)}`,
          );
          server.kill();
        }
      };
      void server.exit.then(() => resolve(false));
    });
    return { server, standing };
  }

  private async end(how: number | string): Promise<number | string> {
    this.ended = true;
    clearTimeout(this.timer);
    await this.starting?.catch(() => {});
    const { heir } = this;
    this.heir = undefined;
    heir?.server.kill();
    await heir?.server.exit;
    return this.verdict ?? how;
  }
}
