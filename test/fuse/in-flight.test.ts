/**
 * What a dead server had read, on a host that does not send it again: this process is the server, and a child uses the
 * mount.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import t from 'tap';
import { abortConnection, unmount } from '../../src/fuse/mount/unmount.js';
import { libc } from '../../src/fuse/mount/libc.js';
import { holdMountpoint, mountAsSuperuser, openDevFuse } from '../../src/fuse/mount/mount.js';
import { fuse_in_header, fuse_init_out, fuse_out_header } from '../../src/fuse/protocol/fuse_kernel.js';
import { endInFlight } from '../../src/fuse/succession/in-flight.js';
import { MemoryFile } from '../../src/fuse/succession/memory-file.js';
import { P, PLACES_AT, PLACE_WORDS, STATE_WORDS, W } from '../../src/fuse/succession/state.js';
import { folder, whyNoMounts } from './fixtures/mounted.js';

const FUSE_LOOKUP = 1;
const FUSE_INIT = 26;
/** Else the second lookup in a directory waits for the first. */
const FUSE_PARALLEL_DIROPS = 1 << 18;
const ENOENT = 2;
/** Requests between the one that waits for long and the last one: more than are tried before the latest number. */
const BETWEEN = 3000;

const read = promisify(fs.read);

/** Asks for `old`, which is not answered; for many others; for `new`. Prints how each of the two ends. */
const CHILD = `
const fs = require('node:fs');
const ask = (name) => fs.stat(process.argv[1] + '/' + name, (error) => console.log(name + ' ' + error?.code));
ask('old');
setTimeout(async () => {
  for (let i = 0; i < ${BETWEEN}; i++) await fs.promises.stat(process.argv[1] + '/between-' + i).catch(() => {});
  ask('new');
}, 100);
`;

interface Request {
  readonly unique: bigint;
  readonly opcode: number;
  readonly name: string;
}

async function request(fd: number, into: Buffer): Promise<Request> {
  const { bytesRead } = await read(fd, into, 0, into.length, null);
  const { opcode, unique, SIZEOF } = fuse_in_header;
  return {
    opcode: into.readUInt32LE(opcode),
    unique: into.readBigUInt64LE(unique),
    name: into.toString('latin1', SIZEOF, bytesRead - 1),
  };
}

function answer(fd: number, { unique }: Request, error: number, payload = Buffer.alloc(0)): void {
  const out = Buffer.alloc(fuse_out_header.SIZEOF);
  out.writeUInt32LE(out.length + payload.length, fuse_out_header.len);
  out.writeInt32LE(-error, fuse_out_header.error);
  out.writeBigUInt64LE(unique, fuse_out_header.unique);
  fs.writeSync(fd, Buffer.concat([out, payload]));
}

t.test(
  'requests in the hands of a dead server end with EIO, noted or not, however long they have waited',
  { skip: whyNoMounts() },
  async (t) => {
    const dir = folder();
    const fuse = openDevFuse();
    const directory = holdMountpoint(dir);
    const { device } = mountAsSuperuser(
      fuse,
      {
        mountpoint: dir,
        source: 'in-flight',
        readonly: true,
        suid: false,
        dev: false,
        exec: false,
        allow_other: true,
        default_permissions: false,
      },
      directory,
    );
    fs.closeSync(directory);
    t.teardown(() => {
      abortConnection(device);
      unmount(device, { lazy: true });
      for (const fd of [fuse, clone]) fs.closeSync(fd);
      fs.rmdirSync(dir);
    });
    const into = Buffer.alloc(1 << 20);
    const init = Buffer.alloc(fuse_init_out.SIZEOF);
    init.writeUInt32LE(7, fuse_init_out.major);
    init.writeUInt32LE(31, fuse_init_out.minor);
    init.writeUInt32LE(4096, fuse_init_out.max_write);
    init.writeUInt32LE(FUSE_PARALLEL_DIROPS, fuse_init_out.flags);
    const first = await request(fuse, into);
    t.equal(first.opcode, FUSE_INIT);
    answer(fuse, first, 0, init);
    const clone = openDevFuse();
    libc()!.cloneFuse(clone, fuse);

  const child = spawn(process.execPath, ['-e', CHILD, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  const ended: string[] = [];
  lines.on('line', (line) => ended.push(line));
  const waiting = new Map<string, bigint>();
  while (!waiting.has('new')) {
    const asked = await request(clone, into);
    if (asked.opcode === FUSE_LOOKUP && ['old', 'new'].includes(asked.name)) waiting.set(asked.name, asked.unique);
    else answer(clone, asked, ENOENT);
  }
  const [old, last] = ['old', 'new'].map((name) => waiting.get(name)!) as [bigint, bigint];
  t.ok(last - old >= 2n * BigInt(BETWEEN), `${last - old} numbers lie between them`);

  // Noted are the one that has waited for long, and the one before the last: the server died with the last one in its
  // hands.
  const memory = MemoryFile.make()!;
  const words = new Uint32Array(STATE_WORDS);
  words[W.agreed] = 1;
  [old, last - 2n].forEach((unique, place) => {
    const at = PLACES_AT + place * PLACE_WORDS;
    words[at + P.lo] = Number(unique & 0xffffffffn);
    words[at + P.hi] = Number(unique >> 32n);
  });
  fs.writeSync(memory.fd, words, 0, undefined, 0);
  t.same(ended, [], 'both wait');
  endInFlight(memory, clone);
  await new Promise((resolve) => lines.once('close', resolve));
  t.same(ended.sort(), ['new EIO', 'old EIO']);
  memory.close();
});
