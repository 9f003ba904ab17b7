/** The discs that are mutated: small, laid out byte by byte, the same in every process. */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import { SP, build, field, nm, num32, px, rawSectors, text, ucs2 } from '../../testing/discs/iso.js';
import type { Disc, Item } from '../../testing/discs/iso.js';
import type { Atlas } from './atlas.js';
import { makeAtlas } from './atlas.js';

export interface Base {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly atlas: Atlas;
}

function content(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9)) & 0xff);
}

const PLAIN: readonly Item[] = [
  { name: 'A.TXT;1', data: content(3000) },
  { name: 'EMPTY.;1' },
  { name: 'MIXED.DAT;1', data: content(9000), unit: 1, gap: 1 },
  { name: 'PARTS.DAT;1', data: content(4096), flags: 0x80 },
  { name: 'PARTS.DAT;1', data: content(100) },
  {
    name: 'SUB',
    children: [
      { name: 'DEEP', children: [{ name: 'B.BIN;1', data: content(5000), attributes: 1 }] },
      { name: 'C.;2' },
      { name: 'C.;1' },
    ],
  },
  { name: 'WIDE', children: Array.from({ length: 120 }, (_, i) => ({ name: `FILE${i}.DAT;1`, data: content(i) })) },
];

const JOLIET: readonly Item[] = [
  { name: ucs2('Long name.txt;1'), data: content(700) },
  { name: ucs2('\u00e4\u6f22.x'), data: content(7) },
  { name: ucs2('Sub'), children: [{ name: ucs2('leaf'), data: content(99) }] },
];

const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

/** As zisofs compresses it, in blocks of 32 KiB. */
function zisofs(data: Uint8Array, wide: boolean): Uint8Array {
  const size = 32768;
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) blocks.push(deflateSync(data.subarray(at, at + size)));
  const header = wide
    ? [0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0, 0, 6, 1, 15, ...u32(data.length), ...u32(0), ...u32(0)]
    : [0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07, ...u32(data.length), 4, 15, 0, 0];
  const pointer = (at: number): number[] => (wide ? [...u32(at), ...u32(0)] : u32(at));
  let at = header.length + (blocks.length + 1) * (wide ? 8 : 4);
  const pointers = pointer(at);
  for (const block of blocks) pointers.push(...pointer((at += block.length)));
  return Uint8Array.from([...header, ...pointers, ...blocks.flatMap((block) => [...block])]);
}

function rock(places: ReadonlyMap<string, number>): Disc {
  const place = (path: string): number => places.get(path) ?? 20;
  const use = (...fields: number[][]): Uint8Array => Uint8Array.from(fields.flat());
  const times = field('TF', 0x0f, ...Array.from({ length: 4 }, () => [99, 1, 2, 3, 4, 5, 6]).flat());
  const ce = (at: number, offset: number, length: number): number[] =>
    field('CE', ...num32(at), ...num32(offset), ...num32(length));
  const more = [...nm('y'.repeat(60), 1), ...ce(place('/MORE2.;1'), 0, 40)];
  const packed = zisofs(content(70_000), false);
  const packed2 = zisofs(content(40_000), true);
  const zf = (size: number): number[] => field('ZF', ...text('pz'), 4, 15, ...num32(size));
  const zf2 = (size: number): number[] => [...text('ZF'), 16, 2, ...text('PZ'), 6, 15, ...u32(size), ...u32(0)];
  return {
    rootUse: use(SP, px(0o40755, 3), times),
    root: [
      { name: 'DEV.;1', use: use(px(0o60600), nm('dev'), field('PN', ...num32(8), ...num32(1))) },
      { name: 'HARD.;1', data: content(50), use: use(px(0o100644, 2, 1, 1, 5), nm('hard')) },
      { name: 'HARD2.;1', at: place('/HARD.;1'), size: 50, use: use(px(0o100644, 2, 1, 1, 5), nm('hard2')) },
      {
        name: 'LINK.;1',
        use: use(
          px(0o120777),
          nm('link'),
          field('SL', 1, 8, 0, 0, 3, ...text('usr')),
          field('SL', 0, 4, 0, 0, 1, 0x61),
        ),
      },
      {
        name: 'LONG.;1',
        data: content(10),
        use: use(px(0o100644), nm('x'.repeat(60), 1), ce(place('/MORE.;1'), 0, more.length)),
      },
      { name: 'MORE.;1', data: Uint8Array.from(more), use: use(px(0o100600), nm('more')) },
      { name: 'MORE2.;1', data: Uint8Array.from(nm('z'.repeat(35))), use: use(px(0o100600), nm('more2')) },
      {
        name: 'RR_MOVED',
        use: use(px(0o40555), nm('rr_moved')),
        children: [
          {
            name: 'FAR',
            children: [{ name: 'LEAF.;1', data: content(9), use: use(nm('leaf')) }],
            use: use(nm('far'), field('RE')),
            dotUse: use(px(0o40711), times),
            dotdotUse: use(px(0o40755), field('PL', ...num32(place('/TOP')))),
          },
        ],
      },
      {
        name: 'SPARSE.;1',
        data: content(30),
        use: use(px(0o100644), nm('sparse'), field('SF', ...num32(0), ...num32(5000), 1)),
      },
      {
        name: 'TOP',
        children: [{ name: 'FAR.;1', use: use(px(0o40711), nm('far'), field('CL', ...num32(place('/RR_MOVED/FAR')))) }],
        use: use(px(0o40755), nm('top'), times),
      },
      { name: 'Z1.;1', data: packed, use: use(px(0o100644), nm('z1'), zf(70_000)) },
      { name: 'Z2.;1', data: packed2, use: use(px(0o100644), nm('z2'), zf2(40_000)) },
    ],
  };
}

/** Two sessions: the second one's descriptors lie behind the first. */
function sessions(): Uint8Array {
  const first = build({ root: PLAIN }).image;
  const second = build({ root: [{ name: 'NEW.;1', data: content(9) }] });
  const start = Math.ceil(first.length / 2048 / 16) * 16;
  const image = new Uint8Array((start + second.image.length / 2048) * 2048);
  image.set(first);
  image.set(second.image, start * 2048);
  // Addresses count from the start of the disc.
  const view = new DataView(image.buffer);
  const shift = (at: number): void => {
    view.setUint32(at, view.getUint32(at, true) + start, true);
    view.setUint32(at + 4, view.getUint32(at + 4, false) + start, false);
  };
  shift((start + 16) * 2048 + 158);
  const root = (start + second.places.get('')!) * 2048;
  for (let at = root; image[at] !== 0; at += image[at]!) shift(at + 2);
  return image;
}

const MADE: Readonly<Record<string, () => Uint8Array>> = {
  'plain-2048': () => build({ root: PLAIN, boot: true, more: 4096 }).image,
  'plain-512': () => build({ root: PLAIN, block: 512 }).image,
  'high-sierra': () => build({ root: PLAIN, highSierra: true, block: 1024 }).image,
  joliet: () => build({ root: PLAIN, joliet: JOLIET, boot: true }).image,
  rock: () => build(rock(build(rock(new Map())).places)).image,
  'rock-again': () => build({ ...rock(build(rock(new Map())).places), boot: true, more: 100_000 }).image,
  sessions: sessions,
  raw: () => rawSectors(build({ root: PLAIN.slice(0, 3) }).image, 2352, 24),
};

export const baseNames: readonly string[] = Object.keys(MADE);
const made = new Map<string, Base>();

export function prepareBases(): void {
  for (const [name, make] of Object.entries(MADE)) {
    if (made.has(name)) continue;
    const bytes = make();
    const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    made.set(name, { name, bytes, digest, atlas: makeAtlas(bytes) });
  }
}

export function baseOf(name: string): Base {
  const base = made.get(name);
  if (base === undefined) throw new Error(`no base ${name}`);
  return base;
}
