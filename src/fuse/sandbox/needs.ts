/** What of the host's files a Node program needs to start: for a root directory that has nothing else. */
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export type Piece =
  /** A file or directory of the host, at its own place, read-only. */
  | { readonly kind: 'bind'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** Where loaders and libraries are on Linux systems of all kinds; links on those with a merged /usr. */
const LIBRARY_PLACES = ['/usr/lib', '/usr/lib64', '/lib', '/lib64'];
const LOADER_CACHE = '/etc/ld.so.cache';

function within(file: string, directory: string): boolean {
  return file === directory || file.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** The shared libraries that this process runs with. */
function libraries(): string[] {
  const files = new Set<string>();
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const file = /\s(\/.*\.so(\.[^/ ]*)?)$/.exec(line)?.[1];
    if (file !== undefined) files.add(file);
  }
  return [...files];
}

/** The package that a program belongs to, and where its dependencies may be. */
function packagePieces(entry: string): string[] {
  const pieces: string[] = [];
  let below = path.dirname(entry);
  let program: string | undefined;
  for (let directory = below; ; directory = path.dirname(directory)) {
    if (program === undefined && existsSync(path.join(directory, 'package.json'))) {
      program = below;
      pieces.push(path.join(directory, 'package.json'));
    }
    const modules = path.join(directory, 'node_modules');
    if (existsSync(modules)) pieces.push(modules);
    below = directory;
    if (directory === path.dirname(directory)) break;
  }
  pieces.push(program ?? path.dirname(entry));
  return pieces;
}

/** Everything that `node entry` needs, outer directories before what lies in them. `entry` is absolute. */
export function needs(entry: string): Piece[] {
  const links: Piece[] = [];
  const wanted = [process.execPath];
  for (const place of LIBRARY_PLACES) {
    const stat = lstatSync(place, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) links.push({ kind: 'link', path: place, target: readlinkSync(place) });
    else if (stat?.isDirectory()) wanted.push(place);
  }
  if (existsSync(LOADER_CACHE)) wanted.push(LOADER_CACHE);
  wanted.push(...libraries().map((file) => path.dirname(file)));
  // In a single-file executable there is no such file: it is part of the executable.
  if (existsSync(entry)) wanted.push(...packagePieces(entry));
  const binds: string[] = [];
  for (const file of [...new Set(wanted)].sort()) {
    if (!binds.some((other) => within(file, other))) binds.push(file);
  }
  return [...links, ...binds.map((file): Piece => ({ kind: 'bind', path: file }))];
}

/** The piece that would bring `directory` along. */
export function bringing(pieces: readonly Piece[], directory: string): string | undefined {
  return pieces.find((piece) => piece.kind === 'bind' && within(directory, piece.path))?.path;
}
