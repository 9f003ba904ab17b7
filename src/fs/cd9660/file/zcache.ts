/** Uncompressed blocks kept, bytes. */
const LIMIT_BYTES = 8 << 20;

/** Blocks of zisofs files that were uncompressed last. */
export class ZisofsCache {
  private readonly blocks = new Map<string, Uint8Array>();
  private bytes = 0;

  get(fileno: number, block: number): Uint8Array | undefined {
    const key = `${fileno}.${block}`;
    const found = this.blocks.get(key);
    if (found !== undefined) {
      this.blocks.delete(key);
      this.blocks.set(key, found);
    }
    return found;
  }

  put(fileno: number, block: number, content: Uint8Array): void {
    const key = `${fileno}.${block}`;
    this.drop(key);
    this.blocks.set(key, content);
    this.bytes += content.length;
    for (const oldest of this.blocks.keys()) {
      if (this.bytes <= LIMIT_BYTES) break;
      this.drop(oldest);
    }
  }

  private drop(key: string): void {
    const content = this.blocks.get(key);
    if (content === undefined) return;
    this.bytes -= content.length;
    this.blocks.delete(key);
  }
}
