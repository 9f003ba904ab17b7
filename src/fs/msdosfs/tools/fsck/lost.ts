import { HOST_ZONE } from '../../../lib/dostime.js';
import { DIRENT_BYTES, clusterOffset } from '../../disk/bpb.js';
import {
  ATTR_ARCHIVE,
  D,
  SLOT_DELETED,
  SLOT_EMPTY,
  setAtime,
  setCrtime,
  setMtime,
  setStart,
} from '../../disk/direntry.js';
import { CELL_FREE } from '../../space/fat.js';
import { lostChains, settleLost } from './chains.js';
import type { FsckContext } from './context.js';
import type { Found } from './files.js';
import { shortName } from '../../dir/parse.js';
import { patchEntry, readDirectory, withCluster } from './directory.js';
import type { Directory } from './directory.js';

/** Clusters in use that no file has: they become files FSCK0000.REC and so on in the root directory. */
export async function keepLost(ctx: FsckContext, files: Found[]): Promise<void> {
  const heads = lostChains(ctx);
  if (heads.length === 0) return;
  const keeper = ctx.mode === 'check' ? undefined : new Keeper(ctx, files[0]!);
  for (const head of heads) {
    const n = settleLost(ctx, head, files.length + 1, ctx.mode !== 'check');
    await ctx.problem(`${n} clusters from ${head} on are in use, but no file has them`, {
      preen: true,
      ...(keeper === undefined ? {} : { fix: async () => keeper.keep(head, n) }),
    });
  }
}

class Keeper {
  private root: Directory | undefined;
  private readonly taken = new Set<string>();
  private slot = 0;
  private n = 0;

  constructor(
    private readonly ctx: FsckContext,
    private readonly file: Found,
  ) {}

  /** Gives the chain a name, or frees it where there is no room for one. @returns what was done */
  async keep(head: number, clusters: number): Promise<string> {
    const { ctx } = this;
    if (this.root === undefined) await this.open();
    const slot = await this.freeSlot();
    const name = this.name();
    if (slot < 0 || name === undefined) {
      this.free(head);
      return 'freed: the root directory has no room for a file';
    }
    const { bytes, view } = this.root!;
    const now = Math.floor(Date.now() / 1000);
    const ended = bytes[slot * DIRENT_BYTES] === SLOT_EMPTY;
    if (ended && (slot + 1) * DIRENT_BYTES < bytes.length) {
      await patchEntry(ctx, this.root!, slot + 1, (at) => (bytes[at] = SLOT_EMPTY));
    }
    await patchEntry(ctx, this.root!, slot, (at) => {
      bytes.fill(0, at, at + DIRENT_BYTES);
      for (let i = 0; i < 11; i++) bytes[at + i] = name.charCodeAt(i);
      bytes[at + D.attr] = ATTR_ARCHIVE;
      setStart(view, at, ctx.g.type === 32, head);
      view.setUint32(at + D.fileSize, Math.min(clusters * ctx.g.clusterBytes, 0xffffffff), true);
      setCrtime(view, at, HOST_ZONE, now, 0);
      setMtime(view, at, HOST_ZONE, now);
      setAtime(view, at, HOST_ZONE, now);
    });
    return `kept as ${name.slice(0, 8)}.REC`;
  }

  private async open(): Promise<void> {
    this.root = await readDirectory(this.ctx, this.file);
    for (let slot = 0; slot < this.root.end; slot++) this.taken.add(shortName(this.root.bytes, slot * DIRENT_BYTES));
  }

  private name(): string | undefined {
    for (; this.n < 10000; this.n++) {
      const name = `FSCK${String(this.n).padStart(4, '0')}REC`;
      if (this.taken.has(name)) continue;
      this.taken.add(name);
      return name;
    }
    return undefined;
  }

  private async freeSlot(): Promise<number> {
    const { bytes } = this.root!;
    for (; this.slot < bytes.length / DIRENT_BYTES; this.slot++) {
      const first = bytes[this.slot * DIRENT_BYTES];
      if (first === SLOT_DELETED || first === SLOT_EMPTY) return this.slot++;
    }
    return (await this.grow()) ? this.freeSlot() : -1;
  }

  /** Another cluster for the root directory of FAT32. */
  private async grow(): Promise<boolean> {
    const { ctx, file } = this;
    if (ctx.g.type !== 32 || file.clusters === 0 || (file.clusters + 1) * ctx.g.clusterBytes > 65536 * DIRENT_BYTES) {
      return false;
    }
    let last = file.start;
    for (let n = 1; n < file.clusters; n++) last = ctx.get(last);
    const cluster = ctx.take();
    if (cluster === 0) return false;
    await ctx.patch(clusterOffset(ctx.g, cluster), new Uint8Array(ctx.g.clusterBytes));
    ctx.set(last, cluster);
    ctx.owner[cluster] = 1;
    file.clusters++;
    this.root = withCluster(ctx, this.root!, cluster);
    return true;
  }

  private free(head: number): void {
    const { ctx } = this;
    for (let c = head; ctx.valid(c) && ctx.get(c) !== CELL_FREE; ) {
      const next = ctx.get(c);
      ctx.set(c, CELL_FREE);
      c = next;
    }
  }
}
