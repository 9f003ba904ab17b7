/** Volumes to be damaged: a small one with something in it, and ways to reach its structures. */
import { MemoryDevice } from '../../../src/blockdev/memory.js';
import { boot_decode, boot_seal } from '../../../src/fs/exfat/disk/boot.js';
import { T_FILE, set_checksum } from '../../../src/fs/exfat/disk/entry.js';
import { newfs } from '../../../src/fs/exfat/tools/newfs.js';
import type { NewfsOptions } from '../../../src/fs/exfat/tools/newfs.js';
import { makeAtlas } from '../../../fuzz/exfat/atlas.js';
import { V, bytesof, mount, pattern, put } from './volumes.js';

/** Bytes of a volume, and where things are in it. */
export class Crafted {
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atlas(): ReturnType<typeof makeAtlas> {
    return makeAtlas(this.bytes);
  }

  /** Byte offsets of the entries of a file, by its name. */
  entries(name: string): readonly number[] {
    const group = this.atlas.groups.find(({ entries, type }) => type === T_FILE && this.name(entries) === name);
    if (group === undefined) throw new Error(`no file ${name}`);
    return group.entries;
  }

  name(entries: readonly number[]): string {
    let name = '';
    for (let i = 0; i < this.bytes[entries[1]! + 3]!; i++) {
      name += String.fromCharCode(this.view.getUint16(entries[2 + Math.floor(i / 15)]! + 2 + 2 * (i % 15), true));
    }
    return name;
  }

  first(name: string): number {
    return this.view.getUint32(this.entries(name)[1]! + 20, true);
  }

  /** Makes the checksum of a set right. */
  sum(entries: readonly number[]): void {
    const set = new Uint8Array(entries.length * 32);
    entries.forEach((at, i) => set.set(this.bytes.subarray(at, at + 32), i * 32));
    this.view.setUint16(entries[0]! + 2, set_checksum(set, 0, entries.length), true);
  }

  seal(): void {
    const { BytesPerSectorShift } = boot_decode(this.bytes.subarray(0, 512));
    boot_seal(this.bytes, 2 ** BytesPerSectorShift);
  }

  get dev(): MemoryDevice {
    return new MemoryDevice({ content: this.bytes });
  }
}

/** A volume with /row (in one row), /chain and /other (chains), /dir/in, /empty. */
export async function crafted(
  options: NewfsOptions = { clusterSize: 4096 },
  size_bytes = 3 * 2 ** 20,
): Promise<Crafted> {
  const dev = new MemoryDevice({ size_bytes });
  await newfs(dev, { serial: 1, ...options });
  const m = await mount(dev);
  await put(m.sys, `${V}/row`, pattern(1, 30_000));
  for (let i = 0; i < 5; i++) {
    for (const name of ['chain', 'other']) {
      const fd = await m.sys.open(`${V}/${name}`, 0x202, 0o644);
      await m.sys.pwrite(fd, pattern(i, 5000), i * 5000);
      await m.sys.close(fd);
    }
  }
  await m.sys.mkdir(`${V}/dir`, 0o755);
  await put(m.sys, `${V}/dir/in`, pattern(2, 6000));
  await put(m.sys, `${V}/empty`, new Uint8Array(0));
  await m.close();
  return new Crafted(bytesof(dev));
}
