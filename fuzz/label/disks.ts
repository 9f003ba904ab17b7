/** The partitioned disks that are mutated, and where their tables lie. */
import { createHash } from 'node:crypto';
import type { MemoryDevice } from '../../src/blockdev/memory.js';
import {
  MiB,
  appleMap,
  bsdLabel,
  disk,
  gpt,
  mbrSector,
  solarisVtoc,
  sunLabel,
} from '../../test/blockdev/label-fixtures.js';
import { baseOf, prepareBases } from '../ffs/bases.js';

export interface Field {
  readonly name: string;
  /** From the beginning of the table, bytes. */
  readonly offset: number;
  readonly width: 1 | 2 | 4 | 8;
}

/** What makes a table's checksum right again. */
export type Sum = 'none' | 'gpt' | 'bsd' | 'sun';

export interface Table {
  readonly name: string;
  /** Byte offset on the disk. */
  readonly at: number;
  readonly length: number;
  readonly le: boolean;
  readonly sum: Sum;
  readonly fields: readonly Field[];
}

export interface Disk {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly tables: readonly Table[];
}

const SIZE = 8 * MiB;
const S = MiB / 512;
/** A volume to be found by its superblock in a partition. */
const VOLUMES = ['ffs2-le', 'ffs1-be'];

function entries(
  count: number,
  at: number,
  size: number,
  fields: readonly (readonly [name: string, offset: number, width: Field['width']])[],
): Field[] {
  return Array.from({ length: count }, (_, i) =>
    fields.map(([name, offset, width]) => ({ name: `${name}[${i}]`, offset: at + i * size + offset, width })),
  ).flat();
}

function mbrTable(name: string, at: number): Table {
  return {
    name,
    at,
    length: 512,
    le: true,
    sum: 'none',
    fields: [
      ...entries(4, 446, 16, [
        ['flag', 0, 1],
        ['type', 4, 1],
        ['start', 8, 4],
        ['size', 12, 4],
        ['start', 8, 4],
        ['type', 4, 1],
      ]),
      { name: 'magic', offset: 510, width: 2 },
    ],
  };
}

function bsdTable(at: number, le = true, count = 8): Table {
  return {
    name: `disklabel at ${at}`, at, length: 148 + 16 * count, le, sum: 'bsd',
    fields: [
      { name: 'd_magic', offset: 0, width: 4 },
      { name: 'd_secsize', offset: 40, width: 4 },
      { name: 'd_version', offset: 114, width: 2 },
      { name: 'd_magic2', offset: 132, width: 4 },
      { name: 'd_checksum', offset: 136, width: 2 },
      { name: 'd_npartitions', offset: 138, width: 2 },
      ...entries(count, 148, 16, [
        ['p_size', 0, 4],
        ['p_offset', 4, 4],
        ['p_fstype', 12, 1],
        ['p_frag and p_cpg', 8, 4],
      ]),
    ],
  };
}

function gptTables(disk_bytes: number, sector: number): Table[] {
  const last = disk_bytes / sector - 1;
  const header = (name: string, lba: number): Table => ({
    name, at: lba * sector, length: 92, le: true, sum: 'gpt',
    fields: [
      { name: 'hdr_sig', offset: 0, width: 8 }, { name: 'hdr_size', offset: 12, width: 4 },
      { name: 'hdr_crc_self', offset: 16, width: 4 }, { name: 'hdr_lba_self', offset: 24, width: 8 },
      { name: 'hdr_lba_alt', offset: 32, width: 8 }, { name: 'hdr_lba_start', offset: 40, width: 8 },
      { name: 'hdr_lba_end', offset: 48, width: 8 }, { name: 'hdr_lba_table', offset: 72, width: 8 },
      { name: 'hdr_entries', offset: 80, width: 4 }, { name: 'hdr_entsz', offset: 84, width: 4 },
      { name: 'hdr_crc_table', offset: 88, width: 4 },
    ],
  });
  const table: Table = {
    name: 'GPT entries',
    at: 2 * sector,
    length: 5 * 128,
    le: true,
    sum: 'none',
    fields: entries(5, 0, 128, [
      ['ent_type', 0, 4],
      ['ent_lba_start', 32, 8],
      ['ent_lba_end', 40, 8],
      ['ent_name', 56, 2],
      ['ent_name', 58, 8],
    ]),
  };
  return [header('GPT header', 1), header('GPT backup', last), table, table];
}

function gptDisk(sector: number): MemoryDevice {
  const s = MiB / sector;
  const types = [
    '49f48d5a-b10e-11dc-b99b-0019d1879648',
    '516e7cb4-6ecf-11d6-8ff8-00022d09712b',
    '824cc7a0-36a8-11e3-890a-952519ad3f61',
    '0fc63daf-8483-4772-8e79-3d69d8477de4',
  ];
  const parts = types.map((type, i) => ({ type, start: (1 + i) * s, end: (2 + i) * s - 1, name: `part ${i}` }));
  const label = bsdLabel([{ size: S / 2, offset: 0, fstype: 7 }, undefined, { size: S, offset: 0, fstype: 0 }]);
  return disk(
    SIZE,
    [0, mbrSector([{ type: 0xee, start: 1, size: SIZE / 512 - 1 }])],
    ...gpt(SIZE, parts, { sector_bytes: sector }),
    [2 * MiB + 512, label],
    [3 * MiB + 512, label],
  );
}

const PLANS: Readonly<Record<string, () => readonly [MemoryDevice, readonly Table[]]>> = {
  mbr: () => {
    const logical = (n: number, next: boolean): [number, Uint8Array] => [
      (4 + n / 2) * MiB,
      mbrSector([
        { type: 0x83, start: 8, size: S / 2 - 8 },
        ...(next ? [{ type: 5, start: ((n + 1) * S) / 2, size: S / 2 }] : []),
      ]),
    ];
    return [
      disk(
        SIZE,
        [
          0,
          mbrSector([
            { type: 0xa9, start: S, size: S },
            { type: 0xa5, start: 2 * S, size: S },
            { type: 0xbf, start: 3 * S, size: S },
            { type: 5, start: 4 * S, size: 4 * S },
          ]),
        ],
        [
          MiB + 512,
          bsdLabel([
            { size: S, offset: S, fstype: 7 },
            { size: S / 4, offset: S + 100, fstype: 1 },
            { size: S, offset: S, fstype: 0 },
            { size: 8 * S, offset: 0, fstype: 0 },
          ]),
        ],
        [
          2 * MiB + 512,
          bsdLabel([{ size: S / 2, offset: 16, fstype: 7 }, undefined, { size: S, offset: 0, fstype: 0 }]),
        ],
        [
          3 * MiB + 512,
          solarisVtoc([
            { start: 0, size: S / 2, tag: 2 },
            { start: S / 2, size: S / 2, tag: 3 },
          ]),
        ],
        logical(0, true),
        logical(1, true),
        logical(2, true),
        logical(3, false),
      ),
      [
        mbrTable('MBR', 0), mbrTable('MBR', 0), bsdTable(MiB + 512), bsdTable(2 * MiB + 512),
        ...[0, 1, 2, 3].map((n) => mbrTable(`logical ${n}`, (4 + n / 2) * MiB)),
        {
          name: 'VTOC',
          at: 3 * MiB + 512,
          length: 512,
          le: true,
          sum: 'sun',
          fields: [
            { name: 'v_sanity', offset: 12, width: 4 },
            { name: 'v_sectorsz', offset: 28, width: 2 },
            { name: 'v_nparts', offset: 30, width: 2 },
            ...entries(16, 72, 12, [
              ['p_tag', 0, 2],
              ['p_start', 4, 4],
              ['p_size', 8, 4],
            ]),
          ],
        },
      ],
    ];
  },
  gpt: () => [
    gptDisk(512),
    [...gptTables(SIZE, 512), mbrTable('MBR', 0), bsdTable(2 * MiB + 512), bsdTable(3 * MiB + 512)],
  ],
  'gpt-4k': () => [gptDisk(4096), [...gptTables(SIZE, 4096), mbrTable('MBR', 0)]],
  'bsd-le': () => [
    disk(SIZE, [
      512,
      bsdLabel([
        { size: 4 * S, offset: 64, fstype: 7 },
        { size: S, offset: 5 * S, fstype: 1 },
        { size: 8 * S, offset: 0, fstype: 0 },
      ]),
    ]),
    [bsdTable(512)],
  ],
  'bsd-be': () => [
    disk(SIZE, [
      64,
      bsdLabel([{ size: 4 * S, offset: 64, fstype: 7 }, undefined, { size: 8 * S, offset: 0, fstype: 0 }], {
        big_endian: true,
      }),
    ]),
    [bsdTable(64, false)],
  ],
  openbsd: () => [
    disk(SIZE, [
      512,
      bsdLabel(
        [
          { size: 4 * S, offset: 64, fstype: 7 },
          { size: 2 ** 33, offset: 2 ** 34, fstype: 7 },
        ],
        { v1: true, npartitions: 16 },
      ),
    ]),
    [bsdTable(512, true, 16)],
  ],
  sun: () => [
    disk(SIZE, [
      0,
      sunLabel(
        [
          { cylinder: 0, sectors: 2 * S, tag: 2 },
          { cylinder: 64, sectors: S, tag: 3 },
          { cylinder: 0, sectors: 8 * S, tag: 5 },
        ],
        'volume',
      ),
    ]),
    [
      {
        name: 'Sun label',
        at: 0,
        length: 512,
        le: false,
        sum: 'sun',
        fields: [
          { name: 'v_sanity', offset: 188, width: 4 },
          { name: 'dkl_nhead', offset: 436, width: 2 },
          { name: 'dkl_nsect', offset: 438, width: 2 },
          { name: 'dkl_magic', offset: 508, width: 2 },
          ...entries(8, 142, 4, [['p_tag', 0, 2]]),
          ...entries(8, 444, 8, [
            ['dkl_cylno', 0, 4],
            ['dkl_nblk', 4, 4],
          ]),
        ],
      },
    ],
  ],
  apple: () => [
    disk(SIZE, [
      0,
      appleMap([
        { name: 'Apple', type: 'Apple_partition_map', start: 1, size: 63 },
        { name: 'root', type: 'Apple_UFS', start: S, size: 4 * S },
        { name: 'rest', type: 'Apple_HFS', start: 5 * S, size: S },
      ]),
    ]),
    [0, 1, 2, 3].map((i) => ({
      name: i === 0 ? 'driver map' : `map entry ${i}`,
      at: 512 * i,
      length: 512,
      le: false,
      sum: 'none' as const,
      fields:
        i === 0
          ? [
              { name: 'sbSig', offset: 0, width: 2 as const },
              { name: 'sbBlockSize', offset: 2, width: 2 as const },
            ]
          : [
              { name: 'pmSig', offset: 0, width: 2 as const },
              { name: 'pmMapBlkCnt', offset: 4, width: 4 as const },
              { name: 'pmPyPartStart', offset: 8, width: 4 as const },
              { name: 'pmPartBlkCnt', offset: 12, width: 4 as const },
              { name: 'pmPartName', offset: 16, width: 8 as const },
              { name: 'pmParType', offset: 48, width: 8 as const },
            ],
    })),
  ],
};

// No table at all, or one next to a volume: the search for the superblock.
function volumeDisk(volume: string): readonly [MemoryDevice, readonly Table[]] {
  const start = MiB / 2;
  const { bytes, atlas } = baseOf(volume);
  const dev = disk(
    start + bytes.length,
    [0, mbrSector([{ type: 0xa9, start: start / 512, size: bytes.length / 512 }])],
    [start, bytes],
  );
  const superblock = (at: number): Table => ({
    name: 'superblock',
    at: start + at,
    length: 1376,
    le: atlas.le,
    sum: 'none',
    fields: [
      { name: 'fs_magic', offset: 1372, width: 4 },
      { name: 'fs_sblockloc', offset: 1000, width: 8 },
      { name: 'fs_sbsize', offset: 104, width: 4 },
      { name: 'fs_old_flags', offset: 211, width: 1 },
      { name: 'fs_bsize', offset: 48, width: 4 },
      { name: 'fs_ncg', offset: 44, width: 4 },
      { name: 'fs_size', offset: 1080, width: 8 },
      { name: 'fs_old_size', offset: 36, width: 4 },
    ],
  });
  return [
    dev,
    [mbrTable('MBR', 0), superblock(atlas.superblock), superblock(atlas.superblock), superblock(atlas.copies[0]!)],
  ];
}

export const diskNames: readonly string[] = [...Object.keys(PLANS), ...VOLUMES];
const made = new Map<string, Disk>();

export async function prepareDisks(): Promise<void> {
  await prepareBases(VOLUMES);
  for (const name of diskNames) {
    if (made.has(name)) continue;
    const [dev, tables] = PLANS[name]?.() ?? volumeDisk(name);
    const bytes = dev.toBytes();
    made.set(name, { name, bytes, tables, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16) });
  }
}

/** A disk that has been prepared. */
export function diskOf(name: string): Disk {
  const found = made.get(name);
  if (found === undefined) throw new Error(`no disk ${name}`);
  return found;
}
