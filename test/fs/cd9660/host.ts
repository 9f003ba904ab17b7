/** The host's side of the comparisons: a tree to make discs of, and trees that other programs have extracted. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Seen } from './support.js';

/** Bytes that look random, the same each time. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export const DEEP = 'deep/two/three/four/five/six/seven/eight/nine/ten';

/** Files of all kinds that an unprivileged extraction can make. */
export function makeSource(dir: string): void {
  const put = (name: string, content: Uint8Array | string): void => writeFileSync(path.join(dir, name), content);
  mkdirSync(path.join(dir, DEEP), { recursive: true });
  put(`${DEEP}/leaf.txt`, noise(5000, 1));
  put('hello.txt', noise(100, 2));
  put('empty', '');
  put('none-either', '');
  put('Big File with a long name, spaces and more.data', noise(300_000, 3));
  put('exact', noise(4096, 4));
  put('README.TXT', 'upper case');
  put('\u00e4\u00f6\u00fc-\u6f22\u5b57.txt', 'Unicode');
  put('n'.repeat(200), 'long');
  mkdirSync(path.join(dir, 'many'));
  for (let i = 0; i < 300; i++)
    put(`many/file-${i}-whose-name-is-so-long-that-several-blocks-are-needed.bin`, noise(i * 7, i));
  symlinkSync('hello.txt', path.join(dir, 'link'));
  symlinkSync('../../a/./b/../c', path.join(dir, 'many/up'));
  symlinkSync('/abs/path', path.join(dir, 'abs'));
  linkSync(path.join(dir, 'hello.txt'), path.join(dir, 'hard'));
  chmodSync(path.join(dir, 'hello.txt'), 0o751);
  chmodSync(path.join(dir, 'exact'), 0o4444);
  if (process.getuid?.() === 0) chownSync(path.join(dir, 'exact'), 1234, 567);
  utimesSync(path.join(dir, 'exact'), 86400 * 365 * 20, 86400 * 365 * 20);
}

/** As support.ts's tree(): names are byte strings. */
export function hostTree(root: string): Map<string, Seen> {
  const all = new Map<string, Seen>();
  const dirs = [''];
  for (let dir; (dir = dirs.pop()) !== undefined;) {
    for (const name of readdirSync(path.join(root, Buffer.from(dir, 'latin1').toString()), { encoding: 'buffer' })) {
      const file = `${dir}/${name.toString('latin1')}`;
      const place = Buffer.concat([Buffer.from(root), Buffer.from(file, 'latin1')]);
      const st = lstatSync(place, { bigint: true });
      const mode = Number(st.mode);
      all.set(file, {
        type: mode & 0o170000,
        mode: mode & 0o7777,
        size: st.isDirectory() ? 0 : Number(st.size),
        mtime: Number(st.mtimeNs / 1_000_000_000n),
        uid: Number(st.uid),
        gid: Number(st.gid),
        nlink: Number(st.nlink),
        rdev: st.rdev,
        link: st.isSymbolicLink() ? readlinkSync(place, { encoding: 'buffer' }).toString('latin1') : undefined,
        sha: st.isFile() ? createHash('sha1').update(readFileSync(place)).digest('hex') : undefined,
      });
      if (st.isDirectory()) dirs.push(file);
    }
  }
  return all;
}

/** The fields that are compared, of all files, sorted by name; `rename` where names are to differ. */
export function lines(
  tree: ReadonlyMap<string, Seen>,
  fields: readonly (keyof Seen)[],
  rename = (name: string): string => name,
): string[] {
  const line = ([name, seen]: [string, Seen]) =>
    `${rename(name)} ${fields.map((f) => (f === 'nlink' && seen.sha === undefined ? '' : String(seen[f]))).join(' ')}`;
  return [...tree].map(line).sort();
}
