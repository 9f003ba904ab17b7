import { UFS_ROOTINO } from '../../disk/fs.js';

/** The parent's number where the directory's ".." is beyond mending. */
export const DOTDOT_HOPELESS = -1;

/** A directory met in phase 1. */
export class DirInfo {
  /** The directory that names it; 0 while none has been found. */
  parent: number;
  /** What its ".." says; 0: nothing yet. */
  dotdot = 0;
  /** Repair has put ".." in, with the directory's own number for want of a better. */
  dotdotPlaced = false;
  /** Its name in the parent, a byte string. */
  name = '';
  /** Reported as unreachable. */
  reported = false;

  constructor(readonly ino: number, public size: number) {
    this.parent = ino === UFS_ROOTINO ? UFS_ROOTINO : 0;
  }
}

/** All directories, in order of their inodes. */
export class DirTable {
  readonly list: DirInfo[] = [];
  readonly #byIno = new Map<number, DirInfo>();

  add(ino: number, size: number): DirInfo {
    const info = new DirInfo(ino, size);
    this.list.push(info);
    this.#byIno.set(ino, info);
    return info;
  }

  get(ino: number): DirInfo | undefined {
    return this.#byIno.get(ino);
  }

  remove(ino: number): void {
    const info = this.#byIno.get(ino);
    if (info === undefined) return;
    this.#byIno.delete(ino);
    this.list.splice(this.list.indexOf(info), 1);
  }

  /** For messages: the path of a directory as far as it is known, Latin-1. */
  path(ino: number): string {
    if (ino === UFS_ROOTINO) return '/';
    const parts: string[] = [];
    let at: DirInfo | undefined = this.#byIno.get(ino);
    for (let depth = 0; depth < 64 && at !== undefined && at.ino !== UFS_ROOTINO; depth++) {
      parts.unshift(at.name === '' ? '?' : at.name);
      if (at.parent === 0) {
        parts.unshift('?');
        break;
      }
      at = this.#byIno.get(at.parent);
      if (at?.ino === ino) return `?/${parts.join('/')}`;
    }
    return (parts[0] === '?' ? '' : '/') + parts.join('/');
  }

  pathOf(dir: number, name: string): string {
    const path = this.path(dir);
    return path.endsWith('/') ? path + name : `${path}/${name}`;
  }
}
