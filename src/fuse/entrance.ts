/**
 * A server on its way from its first order to its first look at the disk:
 *
 *   loading    its program loads and opens what it needs
 *     -> standing   it has given up all else and said so; the supervisor looks for itself. An heir rehearses meanwhile
 *     -> through    the supervisor has said `go`: the disk may be read
 */
import { setImmediate as immediate } from 'node:timers/promises';
import { E, errno } from '../kernel/errno.js';
import { Keep } from '../kernel/keep/keep.js';
import type { ToServer, ToSupervisor } from './messages.js';
import { sandboxLibc } from './sandbox/libc.js';
import { Lockdown, hearSupervisor } from './sandbox/lockdown.js';
import type { DiskUse } from './sandbox/lockdown.js';
import { mapMemory } from './succession/map.js';
import { Notes } from './succession/notes.js';

export type OpenOrder = Extract<ToServer, { type: 'open' }>;
export type SurveyOrder = Extract<ToServer, { type: 'survey' }>;
/** Asks now and then whether to go on. */
export type Rehearsal = (goOn: () => Promise<boolean>) => Promise<void>;

export class Entrance {
  readonly lockdown: Lockdown | undefined;
  keep: Keep | undefined;
  notes: Notes | undefined;
  /** The mount has ended: only what is left to be written is to be written. */
  finish = false;
  private readonly memory: Uint8Array | undefined;
  private readonly heir: boolean;
  private waited: Promise<void> | undefined;

  /** `gone`: the supervisor says `go`. */
  constructor(
    order: OpenOrder | SurveyOrder,
    private readonly say: (message: ToSupervisor) => Promise<void>,
    private readonly gone: Promise<{ finish: boolean }>,
  ) {
    const succession = order.type === 'open' ? order.succession : undefined;
    this.heir = order.type === 'open' && order.heir !== undefined;
    this.memory = succession === undefined ? undefined : mapMemory(succession.memory_fd, succession.memory_bytes);
    if (order.lockdown !== undefined) this.lockdown = new Lockdown(order.lockdown, order.ipc);
    const lib = sandboxLibc();
    if (this.lockdown === undefined && lib !== null) hearSupervisor(lib, order.ipc);
  }

  /** The first call counts. */
  lockDown(use: DiskUse, rehearse?: Rehearsal): Promise<void> {
    return (this.waited ??= this.wait(use, rehearse));
  }

  private async wait(use: DiskUse, rehearse: Rehearsal | undefined): Promise<void> {
    await this.lockdown?.close(use);
    if (this.heir) process.title = 'rumpfuse: stand-by';
    void this.say({ type: 'standing', layers: this.lockdown?.layers ?? [] });
    if (this.heir && rehearse !== undefined) await this.rehearse(rehearse);
    ({ finish: this.finish } = await this.gone);
    if (this.memory !== undefined) this.remember(this.memory);
  }

  private async rehearse(rehearse: Rehearsal): Promise<void> {
    let called = false;
    void this.gone.then(() => (called = true));
    await rehearse(async () => {
      await immediate();
      return !called;
    }).catch(() => {}); // nothing that matters to anybody
  }

  /** @throws EIO an heir without an inheritance */
  private remember(memory: Uint8Array): void {
    const notes = (this.notes = new Notes(memory));
    const keep = (this.keep = new Keep(memory));
    keep.onroom = (there) => void this.say({ type: 'room', there });
    // Without its last state a volume that was being written must be checked first.
    if (this.heir && (!notes.inherited || (notes.writing && !keep.inherited))) {
      throw errno(E.EIO, 'the server before has left nothing to go on from');
    }
  }
}
