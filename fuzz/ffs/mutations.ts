/** The kinds of damage done to FFS volumes. Each looks at the sound volume and says which bytes to put where. */
import { Fs } from '../../src/fs/ffs/disk/fs.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../src/kernel/stat.js';
import type { Mutation, Patch } from '../../testing/fuzz/mutant.js';
import type { Random } from '../../testing/fuzz/random.js';
import type { Atlas, EntryAt, InodeAt } from './atlas.js';
import { pointerAt } from './atlas.js';
import type { Base } from './bases.js';
import type { Field } from './fields.js';
import { DINODE1, DINODE2, GROUP, JOURNAL_HEADER, JOURNAL_RECORD, SUPERBLOCK } from './fields.js';
import { fieldBytes, getField, interestingValue } from '../../testing/fuzz/values.js';

/** What a mutation is made from. `other` is another volume, for splices. */
interface Scene {
  readonly base: Base;
  readonly other: Base;
  readonly random: Random;
  readonly view: DataView;
}

type Kind = (scene: Scene) => Mutation | undefined;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Numbers that mean something on this volume. */
function numbersOf(fs: Fs): readonly number[] {
  return [
    fs.fs_size,
    fs.fs_size - 1,
    fs.fs_size * fs.fs_fsize,
    fs.fs_fpg,
    fs.fs_ipg,
    fs.fs_ncg,
    fs.fs_ncg * fs.fs_ipg,
    fs.fs_bsize,
    fs.fs_fsize,
    fs.fs_dblkno,
    fs.fs_csaddr,
    fs.fs_nindir,
    fs.fs_sblockloc,
  ];
}

/** One field of a structure gets another value. */
function field(scene: Scene, what: string, at: number, fields: readonly Field[], le = scene.base.atlas.le): Mutation {
  return setField(scene, what, at, scene.random.pick(fields), undefined, le);
}

function setField(
  scene: Scene,
  what: string,
  at: number,
  f: Field,
  value?: bigint,
  le = scene.base.atlas.le,
): Mutation {
  const was = getField(scene.view, at + f.offset, f.width, le);
  const now = value ?? interestingValue(scene.random, numbersOf(scene.base.atlas.fs), was, f.width);
  return {
    label: `${what}.${f.name} ${hex(was)} -> ${hex(now)}`,
    patches: [{ at: at + f.offset, bytes: fieldBytes(now, f.width, le) }],
  };
}

function bytesAt(scene: Scene, at: number, length: number): Uint8Array {
  return scene.base.bytes.slice(at, at + length);
}

function dinodeFields(atlas: Atlas): readonly Field[] {
  return atlas.fs.ufs2 ? DINODE2 : DINODE1;
}

function fieldNamed(fields: readonly Field[], name: string): Field {
  const found = fields.find((f) => f.name === name);
  if (found === undefined) throw new Error(`no field ${name}`);
  return found;
}

function dinodeSize(atlas: Atlas): number {
  return atlas.fs.ufs2 ? 256 : 128;
}

/** Frag numbers that a pointer should not have, or has elsewhere. */
function wildPointer(scene: Scene): bigint {
  const { random, base: { atlas } } = scene;
  const { fs } = atlas;
  const fsb = (at: number): number => Math.floor(at / fs.fs_fsize);
  return random.weighted<() => bigint>([
    [2, () => BigInt(random.below(fs.fs_size))],
    [1, () => BigInt(fs.fs_size + random.pick([-fs.fs_frag, -1, 0, 1, fs.fs_frag, fs.fs_size]))],
    [1, () => BigInt(random.pick([0, 1, 2, 3, -1, -8, 0x7fffffff, -0x80000000]))],
    [2, () => BigInt(fsb(random.pick(atlas.data)))],
    [2, () => BigInt(fsb(random.pick(atlas.directories)))],
    [2, () => BigInt(fsb(random.pick(atlas.indirects).at))],
    [1, () => BigInt(fsb(random.pick(atlas.groups)))],
    [1, () => BigInt(fsb(random.pick(atlas.copies)))],
    [1, () => BigInt(fsb(random.pick(atlas.inodes).at))],
    [1, () => BigInt(fs.fs_csaddr)],
    // Inside of a block, where whole ones begin at its start only.
    [1, () => BigInt(fsb(random.pick(atlas.data)) + 1)],
    [1, () => (atlas.fs.ufs2 ? random.pick([1n << 62n, (1n << 63n) - 1n, 1n << 53n, -1n, 1n << 32n]) : 0x40000000n)],
  ])();
}

const superblockField: Kind = (s) => field(s, 'superblock', s.base.atlas.superblock, SUPERBLOCK);

const superblockCopy: Kind = (s) => {
  const c = s.random.below(s.base.atlas.copies.length);
  return field(s, `superblock copy ${c}`, s.base.atlas.copies[c]!, SUPERBLOCK);
};

/** Fields that must agree with each other are changed together, so that the checks of one by one are passed. */
const geometry: Kind = ({ base, random }) => {
  const { atlas } = base;
  const fs = Fs.decode(base.bytes.subarray(atlas.superblock, atlas.superblock + 8192), atlas.superblock)!;
  const kind = random.below(9);
  let size: number | undefined;
  let label: string;
  switch (kind) {
    case 0: { // other block size
      fs.fs_bsize = random.pick([4096, 8192, 16384, 32768, 65536]);
      fs.fs_fsize = fs.fs_bsize / random.pick([1, 2, 4, 8]);
      fs.derive();
      label = `blocks of ${fs.fs_bsize}/${fs.fs_fsize}`;
      break;
    }
    case 1: // other fragment size in the same blocks
      fs.fs_fsize = fs.fs_bsize / random.pick([1, 2, 4, 8]);
      fs.derive();
      label = `fragments of ${fs.fs_fsize}`;
      break;
    case 2: // more groups than there are
    case 3: {
      fs.fs_ncg += random.pick([1, 2, 7, 100, 1000]);
      fs.fs_size = (fs.fs_ncg - 1) * fs.fs_fpg + random.pick([fs.fs_dblkno, fs.fs_dblkno + 1, fs.fs_fpg]);
      fs.fs_cssize = Math.ceil((fs.fs_ncg * 16) / fs.fs_fsize) * fs.fs_fsize;
      fs.fs_dsize = Math.min(fs.fs_dsize, fs.fs_size);
      if (!random.once(4)) size = fs.fs_size * fs.fs_fsize;
      label = `${fs.fs_ncg} groups, ${fs.fs_size} frags, device ${size ?? base.bytes.length}`;
      break;
    }
    case 4: // fewer
      fs.fs_ncg = 1 + random.below(fs.fs_ncg);
      fs.fs_size = Math.min(fs.fs_size, fs.fs_ncg * fs.fs_fpg);
      label = `${fs.fs_ncg} groups, ${fs.fs_size} frags`;
      break;
    case 5: // more or fewer inodes in a group
      fs.fs_ipg = fs.fs_inopb * (1 + random.below(64));
      fs.fs_dblkno = fs.fs_iblkno + (fs.fs_ipg / fs.fs_inopb) * fs.fs_frag;
      label = `${fs.fs_ipg} inodes in a group`;
      break;
    case 6: // groups of another size
      fs.fs_fpg = fs.fs_frag * (1 + random.below(2 * (fs.fs_fpg / fs.fs_frag)));
      fs.fs_ncg = Math.ceil(fs.fs_size / fs.fs_fpg);
      label = `${fs.fs_fpg} frags in a group, ${fs.fs_ncg} groups`;
      break;
    case 7: // areas moved
      fs.fs_csaddr = fs.fs_dblkno + random.below(fs.fs_size - fs.fs_dblkno);
      label = `summary at ${fs.fs_csaddr}`;
      break;
    default:
      fs.fs_contigsumsize = random.pick([-1, 0, 1, 2, 16]);
      fs.fs_maxsymlinklen = random.pick([0, 1, 59, 60, 61, 119, 120, 121, -1, 0x7fffffff]);
      label = `clusters ${fs.fs_contigsumsize}, short links ${fs.fs_maxsymlinklen}`;
  }
  const was = base.bytes.subarray(atlas.superblock, atlas.superblock + fs.fs_sbsize);
  const now = fs.encode();
  const patches: Patch[] = [];
  for (let i = 0; i + 4 <= was.length; i += 4) {
    if (Buffer.compare(was.subarray(i, i + 4), now.subarray(i, i + 4)) !== 0) {
      patches.push({ at: atlas.superblock + i, bytes: now.slice(i, i + 4) });
    }
  }
  return { label: `geometry: ${label}`, patches, ...(size === undefined ? {} : { size }) };
};

const flags: Kind = (s) => {
  const { atlas } = s.base;
  const wide = fieldNamed(SUPERBLOCK, 'flags');
  const value = BigInt(s.random.u32() & s.random.u32() & 0xfff);
  return s.random.once(3)
    ? setField(s, 'superblock', atlas.superblock, fieldNamed(SUPERBLOCK, 'old_flags'))
    : setField(s, 'superblock', atlas.superblock, wide, value);
};

const groupField: Kind = (s) => {
  const c = s.random.below(s.base.atlas.groups.length);
  return field(s, `group ${c}`, s.base.atlas.groups[c]!, GROUP);
};

/** The maps of a group: parts set, cleared or spoilt. */
const groupMap: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const c = random.below(atlas.groups.length);
  const { fs } = atlas;
  const size = fs.fs_cgsize - 168;
  const start = 168 + random.below(size);
  const length = Math.min(fs.fs_cgsize - start, random.pick([1, 1, 2, 8, 64, 4096]));
  const bytes = bytesAt(s, atlas.groups[c]! + start, length);
  const how = random.below(4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = how === 0 ? 0 : how === 1 ? 0xff : how === 2 ? random.below(256) : bytes[i]! ^ (1 << random.below(8));
  }
  return {
    label: `group ${c}: ${length} bytes of maps at ${start}: ${['cleared', 'set', 'random', 'bits'][how]!}`,
    patches: [{ at: atlas.groups[c]! + start, bytes }],
  };
};

/** Free counts of superblock, summary area and groups. */
const counters: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const i = random.below(4 * fs.fs_ncg);
  const at = fs.fsbtob(fs.fs_csaddr) + 4 * i;
  const was = getField(s.view, at, 4, fs.le);
  const now = interestingValue(random, numbersOf(fs), was, 4);
  return {
    label: `summary of group ${i >> 2}, count ${i & 3}: ${hex(was)} -> ${hex(now)}`,
    patches: [{ at, bytes: fieldBytes(now, 4, fs.le) }],
  };
};

/** Likelier one that leads far: directories, indirect blocks, the root. */
function someInode(s: Scene): InodeAt {
  const { random, base: { atlas } } = s;
  const type = random.pick([0, 0, S_IFDIR, S_IFDIR, S_IFREG, S_IFLNK]);
  const those =
    type === 0
      ? atlas.inodes
      : atlas.inodes.filter((i) => (i.dinode.i_mode & S_IFMT) === type && !i.path.startsWith('/many/'));
  return random.pick(those.length === 0 ? atlas.inodes : those);
}

const dinodeField: Kind = (s) => {
  const inode = someInode(s);
  return field(s, `inode ${inode.ino} ${inode.path}`, inode.at, dinodeFields(s.base.atlas));
};

const dinodeMode: Kind = (s) => {
  const inode = someInode(s);
  const type = s.random.pick([
    0,
    S_IFREG,
    S_IFDIR,
    S_IFLNK,
    S_IFBLK,
    S_IFCHR,
    S_IFIFO,
    S_IFSOCK,
    S_IFMT,
    0o130000,
    0o160000,
  ]);
  return setField(
    s,
    `inode ${inode.ino} ${inode.path}`,
    inode.at,
    fieldNamed(dinodeFields(s.base.atlas), 'mode'),
    BigInt(type | s.random.pick([0, 0o644, 0o777, 0o7777])),
  );
};

const dinodeSizeField: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const inode = someInode(s);
  const edge = BigInt(
    random.pick([
      0,
      1,
      12,
      24,
      59,
      60,
      61,
      119,
      120,
      121,
      511,
      512,
      513,
      fs.fs_bsize,
      fs.fs_bsize * 12,
      fs.fs_bsize * (12 + fs.fs_nindir),
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32,
      2 ** 40,
      2 ** 53 - 1,
    ]),
  );
  const value = random.once(4)
    ? interestingValue(random, numbersOf(fs), BigInt(inode.dinode.i_size), 8)
    : edge + BigInt(random.pick([-1, 0, 0, 1]));
  return setField(
    s,
    `inode ${inode.ino} ${inode.path}`,
    inode.at,
    fieldNamed(dinodeFields(atlas), 'size'),
    value & ((1n << 64n) - 1n),
  );
};

const dinodePointer: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const inode = someInode(s);
  const name = random.weighted([
    [3, `db${random.below(12)}`],
    [2, 'db0'],
    [3, `ib${random.below(3)}`],
    [1, atlas.fs.ufs2 ? `extb${random.below(2)}` : 'db1'],
  ] as const);
  const f = fieldNamed(dinodeFields(atlas), name);
  return setField(
    s,
    `inode ${inode.ino} ${inode.path}`,
    inode.at,
    f,
    wildPointer(s) & ((1n << BigInt(8 * f.width)) - 1n),
  );
};

/** An inode's place takes the content of another one. */
const dinodeCopied: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const from = someInode(s);
  const to = random.once(5) ? random.pick(atlas.unused) : someInode(s).at;
  return {
    label: `inode at ${to} becomes a copy of inode ${from.ino} ${from.path}`,
    patches: [{ at: to, bytes: bytesAt(s, from.at, dinodeSize(atlas)) }],
  };
};

/** Two inodes change places. */
const dinodesSwapped: Kind = (s) => {
  const a = someInode(s);
  const b = someInode(s);
  const size = dinodeSize(s.base.atlas);
  return {
    label: `inodes ${a.ino} ${a.path} and ${b.ino} ${b.path} swapped`,
    patches: [
      { at: a.at, bytes: bytesAt(s, b.at, size) },
      { at: b.at, bytes: bytesAt(s, a.at, size) },
    ],
  };
};

/** Block pointers of one inode in another. */
const pointersShared: Kind = (s) => {
  const { base: { atlas } } = s;
  const a = someInode(s);
  const b = someInode(s);
  const [start, length] = atlas.fs.ufs2 ? [112, 120] : [40, 60];
  return {
    label: `block pointers of inode ${a.ino} ${a.path} in ${b.ino} ${b.path}`,
    patches: [{ at: b.at + start, bytes: bytesAt(s, a.at + start, length) }],
  };
};

const unusedInode: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const at = random.pick(atlas.unused);
  return random.once(2)
    ? field(s, `unused inode at ${at}`, at, dinodeFields(atlas))
    : setField(
        s,
        `unused inode at ${at}`,
        at,
        fieldNamed(dinodeFields(atlas), 'mode'),
        BigInt(random.pick([S_IFREG, S_IFDIR, S_IFLNK]) | 0o644),
      );
};

/** What stands in an indirect block: wild, itself, one level up. */
const indirectPointer: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const block = random.pick(atlas.indirects);
  const own = Math.floor(block.at / fs.fs_fsize);
  const used: number[] = [];
  for (let i = 0; i < fs.fs_nindir; i++) if (pointerAt(fs, s.view, block.at, i) !== 0) used.push(i);
  const i = random.once(3) || used.length === 0 ? random.below(fs.fs_nindir) : random.pick(used);
  const value = random.once(3) ? BigInt(own) : wildPointer(s);
  const width = fs.ufs2 ? 8 : 4;
  const count = random.once(6) ? Math.min(fs.fs_nindir - i, random.pick([2, 100, fs.fs_nindir])) : 1;
  const one = fieldBytes(value & ((1n << BigInt(8 * width)) - 1n), width, fs.le);
  const bytes = new Uint8Array(width * count);
  for (let k = 0; k < count; k++) bytes.set(one, k * width);
  return {
    label: `indirect block at frag ${own} (level ${block.level}, inode ${block.ino}): ${count} pointers from ${i} -> ` +
      `${value}${value === BigInt(own) ? ' (itself)' : ''}`,
    patches: [{ at: block.at + i * width, bytes }],
  };
};

/** A whole indirect block of pointers that follow each other, or of garbage. */
const indirectFilled: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const block = random.pick(atlas.indirects);
  const bytes = new Uint8Array(fs.fs_bsize);
  const width = fs.ufs2 ? 8 : 4;
  const start = random.once(2) ? random.below(fs.fs_size) : Math.floor(random.pick(atlas.indirects).at / fs.fs_fsize);
  const step = random.pick([0, 1, fs.fs_frag, -fs.fs_frag]);
  for (let i = 0; i < fs.fs_nindir; i++) {
    bytes.set(fieldBytes(BigInt(start + i * step) & ((1n << BigInt(8 * width)) - 1n), width, fs.le), i * width);
  }
  return {
    label: `indirect block at byte ${block.at} (level ${block.level}, inode ${block.ino}): pointers ${start} + i * ` +
      `${step}`,
    patches: [{ at: block.at, bytes }],
  };
};

/** The three levels of a tree, each block of which names the next one only: small on the disk, endless to walk. */
const indirectTower: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const width = fs.ufs2 ? 8 : 4;
  const top = atlas.indirects.find((i) => i.level === 3);
  if (top === undefined) return undefined;
  const chain = [top, ...[2, 1].map((level) => atlas.indirects.find((i) => i.level === level && i.ino === top.ino)!)];
  const patches = chain.slice(0, random.pick([1, 2, 3])).map((block, i) => {
    const next = chain[i + 1];
    const target =
      next === undefined
        ? random.pick([0, 1, Math.floor(random.pick(atlas.data) / fs.fs_fsize)])
        : next.at / fs.fs_fsize;
    const bytes = new Uint8Array(fs.fs_bsize);
    for (let k = 0; k < fs.fs_nindir; k++) bytes.set(fieldBytes(BigInt(target), width, fs.le), k * width);
    return { at: block.at, bytes };
  });
  const inode = atlas.inodes.find((i) => i.ino === top.ino)!;
  const size = fieldNamed(dinodeFields(atlas), 'size');
  const reach = random.once(2)
    ? BigInt(inode.dinode.i_size)
    : BigInt(fs.fs_bsize) * (12n + BigInt(fs.fs_nindir) + BigInt(fs.fs_nindir) ** 2n + BigInt(fs.fs_nindir) ** 3n) - 1n;
  const all: Patch[] = [...patches];
  all.push({ at: inode.at + size.offset, bytes: fieldBytes(reach, 8, atlas.le) });
  return {
    label: `inode ${top.ino} ${inode.path}: ${patches.length} levels of indirect blocks that name one block each, ` +
      `size ${reach}`,
    patches: all,
  };
};

function someEntry(s: Scene): EntryAt {
  const {
    random,
    base: { atlas },
  } = s;
  return random.pick(
    random.once(2) ? atlas.entries : atlas.entries.filter((e) => e.name === '.' || e.name === '..' || e.dir === 2),
  );
}

const entryField: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const e = someEntry(s);
  const what = `entry "${e.name}" of directory ${e.dir}`;
  const name = (offset: number, width: number, name_: string, value?: bigint): Mutation =>
    setField(s, what, e.at, { name: name_, offset, width }, value);
  switch (random.below(5)) {
    case 0:
      return name(
        0,
        4,
        'd_ino',
        BigInt(
          random.pick([
            0,
            1,
            2,
            3,
            e.dir,
            atlas.fs.ninodes - 1,
            atlas.fs.ninodes,
            0xffffffff,
            random.pick(atlas.inodes).ino,
          ]),
        ),
      );
    case 1:
      return name(
        4,
        2,
        'd_reclen',
        random.once(2)
          ? undefined
          : BigInt(
              random.pick([0, 1, 3, 4, 8, 11, 12, 16, e.reclen + 4, e.reclen - 4, 508, 512, 1024, 65535]) & 0xffff,
            ),
      );
    case 2:
      return name(6, 1, 'd_type');
    case 3:
      return name(7, 1, 'd_namlen');
    default:
      return name(6, 2, 'd_type and d_namlen');
  }
};

const entryName: Kind = (s) => {
  const { random } = s;
  const e = someEntry(s);
  if (e.namlen === 0) return undefined;
  const [what, char] = random.pick([
    ['a slash', 0x2f],
    ['a NUL', 0],
    ['a dot', 0x2e],
    ['a control character', 0x1b],
    ['a newline', 0x0a],
    ['0xff', 0xff],
  ] as const);
  const at = e.at + 8 + random.below(e.namlen);
  return {
    label: `entry "${e.name}" of directory ${e.dir}: ${what} in its name`,
    patches: [{ at, bytes: Uint8Array.of(char) }],
  };
};

/** The name of one entry on another: a name twice, or a second "." or "..". */
const entryNamedAlike: Kind = (s) => {
  const { base: { atlas } } = s;
  const a = someEntry(s);
  const b = someEntry(s);
  if (8 + a.namlen + 1 > b.reclen) return undefined;
  const head = bytesAt(s, a.at + 6, 2);
  // The type stays that of b's file.
  if (!atlas.dirfmt.old) head[0] = s.base.bytes[b.at + 6]!;
  return {
    label: `entry "${b.name}" of directory ${b.dir} gets the name "${a.name}"`,
    patches: [
      { at: b.at + 6, bytes: head },
      { at: b.at + 8, bytes: bytesAt(s, a.at + 8, a.namlen + 1) },
    ],
  };
};

/** A directory below itself, or linked twice. */
const directoryLoop: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const dirs = atlas.inodes.filter((i) => (i.dinode.i_mode & S_IFMT) === S_IFDIR);
  const up = random.pick(dirs);
  const inside = atlas.entries.filter((e) => e.ino !== 0 && (e.dir === up.ino || random.once(8)));
  if (inside.length === 0) return undefined;
  const e = random.pick(inside);
  const patches: Patch[] = [{ at: e.at, bytes: fieldBytes(BigInt(up.ino), 4, atlas.le) }];
  if (!atlas.dirfmt.old) patches.push({ at: e.at + 6, bytes: Uint8Array.of(4) });
  return { label: `entry "${e.name}" of directory ${e.dir} leads to directory ${up.ino} ${up.path}`, patches };
};

/** Directory blocks: of another directory, of a file, empty, or full of entries. */
const directoryBlock: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const at = random.pick(atlas.directories);
  const chunk = at + 512 * random.below(atlas.fs.fs_fsize / 512);
  const source = random.pick([random.pick(atlas.directories), random.pick(atlas.data), -1, -2]);
  const bytes = source >= 0 ? bytesAt(s, source, 512) : new Uint8Array(512).fill(source === -1 ? 0 : 0xff);
  return {
    label: `directory chunk at ${chunk}: ${source < 0 ? (source === -1 ? 'zeros' : 'ones') : `what is at ${source}`}`,
    patches: [{ at: chunk, bytes }],
  };
};

const extattr: Kind = (s) => {
  const { random, base: { atlas } } = s;
  if (atlas.extattrs.length === 0) return undefined;
  const area = random.pick(atlas.extattrs);
  if (random.once(4)) {
    const inode = atlas.inodes.find((i) => i.ino === area.ino)!;
    return field(s, `inode ${area.ino}`, inode.at, DINODE2.filter((f) => f.name.startsWith('ext')));
  }
  // The heads of the entries.
  const heads: number[] = [];
  for (let at = 0; at + 8 <= area.size; ) {
    const length = s.view.getUint32(area.at + at, atlas.le);
    heads.push(at);
    if (length === 0 || heads.length > 20) break;
    at += length;
  }
  const head = area.at + random.pick(heads);
  return field(s, `attribute at ${head} of inode ${area.ino}`, head, [
    { name: 'ea_length', offset: 0, width: 4 }, { name: 'ea_namespace', offset: 4, width: 1 },
    { name: 'ea_contentpadlen', offset: 5, width: 1 }, { name: 'ea_namelength', offset: 6, width: 1 },
    { name: 'ea_name', offset: 7, width: 1 },
  ]);
};

const symlinkTarget: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const links = atlas.inodes.filter((i) => (i.dinode.i_mode & S_IFMT) === S_IFLNK);
  const link = random.pick(links);
  const at =
    link.dinode.i_shortlink !== null ? link.at + (atlas.fs.ufs2 ? 112 : 40) : atlas.fs.fsbtob(link.dinode.i_db[0]!);
  const text = random.pick([
    '/',
    '',
    '\0\0\0',
    'loop',
    '../../../../../..',
    `${'../'.repeat(19)}`,
    '.',
    'short',
    '\xff\xfe',
    'a\nb',
  ]);
  return {
    label: `target of symlink ${link.path}: ${JSON.stringify(text)}`,
    patches: [{ at, bytes: Uint8Array.from([...text].map((c) => c.charCodeAt(0))) }],
  };
};

const journalField: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { journal } = atlas;
  if (journal === undefined) return undefined;
  switch (random.below(4)) {
    case 0: {
      // Both headers, or the newer one only.
      const m = field(s, 'journal header', journal.start + 512, JOURNAL_HEADER, journal.le);
      if (random.once(2)) return m;
      const [patch] = m.patches;
      return { label: `both ${m.label}`, patches: [patch!, { at: patch!.at - 512, bytes: patch!.bytes }] };
    }
    case 1: {
      const r = random.pick(journal.records);
      return field(s, `journal record at ${r.at}`, r.at, JOURNAL_RECORD, journal.le);
    }
    case 2: {
      const r = random.pick(journal.records);
      const i = random.below(Math.max(1, r.entries));
      return field(
        s,
        `journal record at ${r.at}, entry ${i}`,
        r.at + 16 + 16 * i,
        [
          { name: 'daddr', offset: 0, width: 8 },
          { name: 'unused', offset: 8, width: 4 },
          { name: 'dlen', offset: 12, width: 4 },
        ],
        journal.le,
      );
    }
    default:
      return field(
        s,
        'superblock',
        atlas.superblock,
        SUPERBLOCK.filter((f) => f.name.startsWith('journal')),
        random.once(2) ? journal.le : atlas.le,
      );
  }
};

/** Contents of blocks that the journal holds. */
const journalContent: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { journal } = atlas;
  if (journal === undefined) return undefined;
  const at = journal.records[0]!.at + random.below(40_000);
  const bytes = bytesAt(s, at, random.pick([1, 4, 64, 512]));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.once(2) ? random.below(256) : 0xff;
  return { label: `journal content at ${at}: ${bytes.length} bytes`, patches: [{ at, bytes }] };
};

const truncated: Kind = ({ random, base }) => {
  const { fs } = base.atlas;
  const end = fs.fs_size * fs.fs_fsize;
  const size = random.pick([
    end - 1,
    end - 512,
    end - fs.fs_fsize,
    random.below(base.bytes.length),
    random.below(base.bytes.length),
    base.bytes.length - 512,
    65536 + 8192,
    8192 + 1376,
    512,
  ]);
  return { label: `device cut off at ${size}`, patches: [], size };
};

const bitFlips: Kind = (s) => {
  const { random, base } = s;
  const patches: Patch[] = [];
  for (let n = 1 + random.below(8); n > 0; n--) {
    const at = random.below(base.bytes.length);
    patches.push({ at, bytes: Uint8Array.of(base.bytes[at]! ^ (1 << random.below(8))) });
  }
  return { label: `bits flipped at ${patches.map((p) => p.at).join(', ')}`, patches };
};

/** Bits flipped where something is: bytes that are not zero. */
const liveBits: Kind = (s) => {
  const { random, base } = s;
  const patches: Patch[] = [];
  for (let n = 1 + random.below(8); n > 0; n--) {
    let at = random.below(base.bytes.length);
    for (let k = 0; k < 20_000 && base.bytes[at] === 0; k++) at = (at + 1) % base.bytes.length;
    patches.push({ at, bytes: Uint8Array.of(base.bytes[at]! ^ (1 << random.below(8))) });
  }
  return { label: `bits flipped at ${patches.map((p) => p.at).join(', ')}`, patches };
};

/** A piece of another volume. */
const splice: Kind = (s) => {
  const { random, base, other } = s;
  const theirs = other.atlas;
  const pieces: readonly (readonly [name: string, at: number, length: number])[] = [
    ['superblock', theirs.superblock, 1376],
    ['group', random.pick(theirs.groups), theirs.fs.fs_cgsize],
    ['inodes', random.pick(theirs.inodes).at & ~511, 4096],
    ['directory', random.pick(theirs.directories), 512],
    ['indirect block', random.pick(theirs.indirects).at, theirs.fs.fs_bsize],
    ['piece', 512 * random.below(other.bytes.length / 512 - 256), 512 * (1 + random.below(256))],
  ];
  const [name, at, length] = random.pick(pieces);
  const mine = base.atlas;
  const to = random.pick([
    random.once(2) ? mine.superblock : random.pick(mine.groups),
    random.pick(mine.inodes).at & ~511,
    random.pick(mine.directories),
    random.pick(mine.indirects).at,
    at,
  ]);
  if (to + length > base.bytes.length) return undefined;
  return {
    label: `${length} bytes of ${other.name} (${name} at ${at}) at ${to}`,
    patches: [{ at: to, bytes: other.bytes.slice(at, at + length) }],
  };
};

/** Two structures of the volume change places. */
const swapped: Kind = (s) => {
  const { random, base: { atlas } } = s;
  const { fs } = atlas;
  const places = [
    random.pick(atlas.groups),
    random.pick(atlas.directories),
    random.pick(atlas.indirects).at,
    random.pick(atlas.data),
    random.pick(atlas.copies),
    fs.fsbtob(fs.fs_csaddr),
  ];
  const a = random.pick(places);
  const b = random.pick(places);
  if (a === b) return undefined;
  const length = fs.fs_fsize;
  return {
    label: `${length} bytes at ${a} and ${b} swapped`,
    patches: [
      { at: a, bytes: bytesAt(s, b, length) },
      { at: b, bytes: bytesAt(s, a, length) },
    ],
  };
};

const KINDS: readonly (readonly [weight: number, kind: Kind])[] = [
  [10, superblockField], [2, superblockCopy], [4, geometry], [2, flags], [8, groupField], [5, groupMap], [2, counters],
  [10, dinodeField], [4, dinodeMode], [5, dinodeSizeField], [12, dinodePointer], [3, dinodeCopied], [2, dinodesSwapped],
  [3, pointersShared], [3, unusedInode], [6, indirectPointer], [3, indirectFilled], [2, indirectTower],
  [10, entryField], [3, entryName], [3, entryNamedAlike], [4, directoryLoop], [3, directoryBlock], [4, extattr],
  [2, symlinkTarget], [6, journalField], [2, journalContent], [1, truncated], [2, bitFlips], [4, liveBits], [3, splice],
  [2, swapped],
];

/** One mutation of a random kind. */
export function mutate(base: Base, other: Base, random: Random): Mutation {
  const scene: Scene = {
    base,
    other,
    random,
    view: new DataView(base.bytes.buffer, base.bytes.byteOffset, base.bytes.length),
  };
  for (;;) {
    const mutation = random.weighted(KINDS)(scene);
    if (mutation !== undefined) return mutation;
  }
}
