import { E, errno } from '../../kernel/errno.js';
import type { Mount } from '../../kernel/vfs/mount.js';
import { VDIR, VREG } from '../../kernel/vfs/vattr.js';
import { ZeroNode } from './node.js';

const UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const ROOT_ID = 2;

/** What there is to read, set by -o. */
export interface ZeroOptions {
  /** Files, spread evenly over the directories. */
  files: number;
  dirs: number;
  /** Bytes of the file `zero` in the root directory. */
  size: number;
  /** Bytes of each of the files. */
  filesize: number;
}

const LIMITS: ZeroOptions = { files: 1e7, dirs: 1e6, size: Number.MAX_SAFE_INTEGER, filesize: Number.MAX_SAFE_INTEGER };

/** @throws EINVAL */
export function parseOptions(options: ReadonlyMap<string, string | true>): ZeroOptions {
  const result: ZeroOptions = { files: 20000, dirs: 200, size: 512 * 2 ** 20, filesize: 1024 };
  for (const [name, value] of options) {
    if (!Object.hasOwn(LIMITS, name)) {
      throw errno(E.EINVAL, `zerofs: unknown option "${name}" (known: files, dirs, size, filesize)`);
    }
    const key = name as keyof ZeroOptions;
    const match = value === true ? null : /^(\d+)([kmgt]?)$/.exec(value.toLowerCase());
    const number = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
    if (!(number <= LIMITS[key])) {
      throw errno(
        E.EINVAL,
        `zerofs: option ${name}: "${value === true ? '' : value}" is no number up to ${LIMITS[key]}`,
      );
    }
    result[key] = number;
  }
  if (result.files > 0 && result.dirs === 0) throw errno(E.EINVAL, 'zerofs: files need directories to be in (dirs=)');
  return result;
}

/** A mounted zerofs. */
export class ZeroMount {
  readonly mount: Mount;
  readonly nodes = new Map<number, ZeroNode>();
  readonly root: ZeroNode;
  private nextId = ROOT_ID;

  constructor(mount: Mount, options: ZeroOptions) {
    this.mount = mount;
    this.root = this.newNode(VDIR, 0o1777);
    this.root.parent = this.root;
    const zero = this.newNode(VREG, 0o666);
    zero.size = options.size;
    this.root.add('zero', zero);
    const dirs: ZeroNode[] = [];
    for (let i = 0; i < options.dirs; i++) {
      const dir = this.newNode(VDIR, 0o777);
      dirs.push(dir);
      this.root.add(`d${i}`, dir);
    }
    for (let i = 0; i < options.files; i++) {
      const file = this.newNode(VREG, 0o666);
      file.size = options.filesize;
      dirs[i % dirs.length]!.add(`f${i}`, file);
    }
  }

  newNode(type: number, mode: number): ZeroNode {
    const node = new ZeroNode(this.nextId++, type, mode);
    const { sec, nsec } = this.mount.mnt_kernel.now();
    node.time = sec;
    node.timensec = nsec;
    this.nodes.set(node.id, node);
    return node;
  }
}
