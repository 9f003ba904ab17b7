import type { Buf } from '../../../kernel/vfs/bio.js';
import { CLUST_FIRST, validCluster } from '../disk/bpb.js';
import type { Geometry } from '../disk/bpb.js';
import type { MsdosMount } from '../volume/msdosmount.js';

/** What a cell may say beside a cluster number. */
export const CELL_FREE = 0;

/**
 * The FAT is read and written in pieces of this size, bytes. (FAT12 has cells across their borders: there it is one
 * piece.)
 */
const PIECE_BYTES = 4096;

/** Bits of a cell, and of the cells 1 of FAT16 and FAT32 those that say "unmounted" and "no errors". */
export const CELL_MASK = { 12: 0xfff, 16: 0xffff, 32: 0x0fffffff } as const;
export const CLEAN_BIT = { 12: 0, 16: 0x8000, 32: 0x08000000 } as const;
export const NOERROR_BIT = { 12: 0, 16: 0x4000, 32: 0x04000000 } as const;

/** Reads a cell out of a FAT or a piece of one that begins at byte `base` of the FAT. */
export function getCell(view: DataView, type: 12 | 16 | 32, cluster: number, base: number): number {
  if (type === 32) return view.getUint32(cluster * 4 - base, true) & 0x0fffffff;
  if (type === 16) return view.getUint16(cluster * 2 - base, true);
  const two = view.getUint16(cluster + (cluster >> 1) - base, true);
  return (cluster & 1) !== 0 ? two >> 4 : two & 0xfff;
}

/** The top four bits of a FAT32 cell stay as they are. */
export function setCell(view: DataView, type: 12 | 16 | 32, cluster: number, base: number, value: number): void {
  if (type === 32) {
    const at = cluster * 4 - base;
    view.setUint32(at, ((view.getUint32(at, true) & 0xf0000000) | value) >>> 0, true);
  } else if (type === 16) {
    view.setUint16(cluster * 2 - base, value, true);
  } else {
    const at = cluster + (cluster >> 1) - base;
    const two = view.getUint16(at, true);
    view.setUint16(at, (cluster & 1) !== 0 ? (two & 0x000f) | (value << 4) : (two & 0xf000) | value, true);
  }
}

/**
 * The file allocation table, piece by piece through the buffer cache. Who wants a cell first has its piece pinned:
 * `pin` answers undefined if it is at hand, else a promise after which he asks again, for somebody else may have pinned
 * another meanwhile.
 */
export class Fat {
  readonly g: Geometry;
  readonly bad: number;
  readonly end: number;
  /** What is written at the end of a chain. */
  readonly eoc: number;
  private readonly pieceBytes: number;
  private readonly pieceCells: number;
  /** Bytes of the FAT that hold cells. */
  private readonly bytes: number;
  private readonly offset: number;
  private pinned: Buf | null = null;
  private first = 0;
  private last = -1;

  constructor(private readonly pmp: MsdosMount) {
    const g = (this.g = pmp.pm_geometry);
    const mask = CELL_MASK[g.type];
    this.eoc = mask;
    this.end = mask - 7;
    this.bad = mask - 8;
    const cells = g.clusters + CLUST_FIRST;
    const needed = Math.ceil(Math.ceil((cells * g.type) / 8) / g.sectorBytes) * g.sectorBytes;
    this.bytes = Math.min(needed, g.fatBytes);
    this.pieceBytes = g.type === 12 ? this.bytes : Math.max(PIECE_BYTES, g.sectorBytes);
    this.pieceCells = g.type === 12 ? cells : (this.pieceBytes * 8) / g.type;
    this.offset = g.fatOffset + Math.max(0, g.activeFat) * g.fatBytes;
  }

  get pieces(): number {
    return Math.ceil((this.g.clusters + CLUST_FIRST) / this.pieceCells);
  }

  pieceOf(cluster: number): number {
    return Math.floor(cluster / this.pieceCells);
  }

  /** The first cluster behind the piece; not beyond the last cluster + 1. */
  pieceEnd(piece: number): number {
    return Math.min((piece + 1) * this.pieceCells, this.g.clusters + CLUST_FIRST);
  }

  /** Has the piece with the cell of `cluster` at hand. @throws EIO */
  pin(cluster: number): Promise<void> | undefined {
    if (cluster >= this.first && cluster <= this.last) return undefined;
    const piece = this.pieceOf(cluster);
    const at = piece * this.pieceBytes;
    const got = this.pmp.pm_bufcache.bread(
      this.pmp.pm_dev,
      this.offset + at,
      Math.min(this.pieceBytes, this.bytes - at),
    );
    // Kept from the moment it is there: a cache full of what is dirty would not keep it.
    if (got instanceof Promise) return got.then((bp) => this.hold(bp, piece));
    this.hold(got, piece);
    return undefined;
  }

  /** Takes the reference to `bp`. */
  private hold(bp: Buf, piece: number): void {
    this.unpin();
    this.pinned = bp;
    this.first = piece * this.pieceCells;
    this.last = this.pieceEnd(piece) - 1;
  }

  /** Lets go of the piece at hand. */
  unpin(): void {
    if (this.pinned === null) return;
    this.pmp.pm_bufcache.brelse(this.pinned);
    this.pinned = null;
    this.last = -1;
    this.first = 0;
  }

  /** The cell of a cluster whose piece is pinned. */
  cell(cluster: number): number {
    return getCell(this.pinned!.b_view, this.g.type, cluster, this.base);
  }

  private get base(): number {
    return this.g.type === 12 ? 0 : (this.first * this.g.type) / 8;
  }

  /** Changes the cell of a cluster whose piece is pinned. */
  set(cluster: number, value: number): void {
    const bp = this.pinned!;
    const old = this.cell(cluster);
    if (old === value) return;
    setCell(bp.b_view, this.g.type, cluster, this.base, value);
    if (cluster >= CLUST_FIRST && (old === CELL_FREE || value === CELL_FREE)) {
      this.pmp.pm_space.counted(cluster, value === CELL_FREE ? 1 : -1);
    }
    this.pmp.order.dirtyFat(bp);
  }

  /**
   * What comes behind a cluster whose piece is pinned: a cluster, 0 for the end of the chain, or -1 for damage.
   */
  next(cluster: number): number {
    const { pm_order } = this.pmp;
    if (pm_order !== null && pm_order.cuts.has(cluster)) return 0;
    if (pm_order !== null && pm_order.links.size > 0) {
      const next = pm_order.links.get(cluster);
      if (next !== undefined) return next;
    }
    const cell = this.cell(cluster);
    if (cell >= this.end) return 0;
    return validCluster(this.g, cell) ? cell : -1;
  }

  /** Are the cells of both in one sector, which a disk writes wholly or not at all? */
  onesector(a: number, b: number): boolean {
    const { type } = this.g;
    const sector = (byte: number) => Math.floor(byte / 512);
    const first = (c: number) => Math.floor((c * type) / 8);
    const last = (c: number) => Math.ceil(((c + 1) * type) / 8) - 1;
    return sector(Math.min(first(a), first(b))) === sector(Math.max(last(a), last(b)));
  }

  /** For damage reports. */
  describe(cluster: number, cell: number): string {
    return `the FAT cell of cluster ${cluster} is ` +
      `${cell === CELL_FREE ? 'free' : cell === this.bad ? 'marked bad' : `0x${cell.toString(16)}`}`;
  }

  /** Offsets of the copies of a piece (its own offset is in the FAT that is read). */
  mirrors(offset: number): number[] {
    const { g } = this;
    if (g.activeFat >= 0) return [];
    const all: number[] = [];
    for (let i = 1; i < g.fats; i++) all.push(offset + i * g.fatBytes);
    return all;
  }

  /** Is that offset in the FAT that is read? */
  holds(offset: number): boolean {
    return offset >= this.offset && offset < this.offset + this.bytes;
  }

  /** Bytes of the FAT that is read, for whoever reads it past the cache. */
  get range(): { readonly offset: number; readonly bytes: number } {
    return { offset: this.offset, bytes: this.bytes };
  }
}

